from collections.abc import Callable
from dataclasses import replace

import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import ErrorEstimate, SearchConfig, TrainingConfig
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.baselines import Baseline, Model
from faqnas_optuna.confirmation.plan import (
    BASELINES,
    LIMITS,
    ConfirmationBudget,
    baselines_for,
    candidates_of,
    choose_finalists,
    finalists_of,
    parse_baselines,
)
from faqnas_optuna.confirmation.report import remarks
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.description import ConfirmationPlan
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.confirmation.conftest import Make
from tests.conftest import run_trials, small_config
from tests.support.candidates import genome_of


def test_every_network_is_trained_once_from_every_seed(confirmation: Make) -> None:
    trainings = confirmation(*range(8)).all_trainings()
    assert len({(training.network, training.repeat) for training in trainings}) == len(trainings)
    networks = {training.network for training in trainings if training.model in list(Model)}
    assert len(trainings) == 2 * len(networks) + len(Baseline)


def test_circuits_of_as_many_qubits_share_their_linear_control(confirmation: Make) -> None:
    plan = confirmation(*range(8)).plan
    widths = {finalist.genome.n_qubits for finalist in plan.finalists}
    linear = {finalist.networks[Model.LINEAR] for finalist in plan.finalists}
    assert linear == {f"linear, {width} wide" for width in widths}


def test_a_circuit_without_entanglers_is_not_its_own_control(search_of_eight: Search) -> None:
    (candidate,) = candidates_of(search_of_eight, [0])
    genome = Genome.from_params(
        {"n_qubits": 2, "embedding": "angle", "entangler": "CZ", "topology": "linear", "depth": 1}
        | {f"rotation_{layer}": "RZ" for layer in range(1, 5)}
    )
    (nothing,) = finalists_of([replace(candidate, genome=genome)], config=small_config(), n_features=4, n_classes=3)
    assert set(nothing.networks) == {Model.CIRCUIT, Model.LINEAR, Model.MLP}
    cancelling = replace(candidate, genome=genome_of(3, "CZ", "RX", "RZ", "RY"))
    (rotations,) = finalists_of([cancelling], config=small_config(), n_features=4, n_classes=3)
    assert set(rotations.networks) == {*Model} - {Model.SEPARABLE}


def test_only_trials_with_a_result_are_confirmed(search_of_eight: Search) -> None:
    with pytest.raises(StudyNotFoundError, match="study 'iris' has no trial 8; it has 0 to 7"):
        candidates_of(search_of_eight, [8])
    search_of_eight.study.ask()
    with pytest.raises(ConfigError, match="trial 8 of study 'iris' has no result to confirm"):
        candidates_of(search_of_eight, [8])


def random_error(genome: Genome) -> tuple[float, float]:
    """Return a cost, and an error that is random but equal for equal effective circuits."""
    return float(genome.circuit.depth), int(effective_circuit(genome.circuit).digest, 16) % 97 / 100


@pytest.mark.parametrize("estimate", list(ErrorEstimate))
def test_a_finalist_has_one_search_estimate_however_it_is_named(
    new_search: Callable[..., Search], estimate: ErrorEstimate
) -> None:
    space = SpaceConfig(n_qubits=(2, 3), depth=(1, 2))
    search = new_search(small_config(search=SearchConfig(population=10, front=estimate), space=space))
    run_trials(search, 40, random_error)
    front = choose_finalists(search)
    numbers = [candidate.trial for candidate in front]
    assert choose_finalists(search, numbers=numbers) == front
    pooled = {candidate.record.circuit: candidate.val_error for candidate in read_state(search).candidates}
    # A trial that repeats the circuit of an earlier trial has that circuit's error.
    every = candidates_of(search, range(40))
    assert len(pooled) < len(every)
    assert [candidate.val_error for candidate in every] == [pooled[candidate.record.circuit] for candidate in every]


def test_a_pooled_search_estimate_has_no_deviation(search_of_eight: Search) -> None:
    (candidate,) = candidates_of(search_of_eight, [0])
    scores = replace(candidate.scores, val_accuracy_std=0.02)
    candidate = replace(candidate, val_error=0.3, record=replace(candidate.record, scores=scores))
    estimates = {}
    for front in ErrorEstimate:
        config = small_config(search=SearchConfig(front=front), training=TrainingConfig(epochs=1, repeats=3))
        (finalist,) = finalists_of([candidate], config=config, n_features=4, n_classes=3)
        estimates[front] = finalist.search_estimate
    assert estimates[ErrorEstimate.TRAINED] == (candidate.scores.val_accuracy, 0.02, 3)
    # The deviation of the circuit's own trainings would give an interval that does not belong to the pooled estimate.
    assert estimates[ErrorEstimate.POOLED] == (0.7, None, 3)


def test_baselines_are_chosen_by_name() -> None:
    assert parse_baselines("logistic,mlp") == ("mlp", "logistic")
    assert parse_baselines(["svm-grid", "linear", "linear"]) == ("linear", "svm-grid")
    assert parse_baselines(",".join(BASELINES)) == BASELINES
    assert parse_baselines("none") == ()


WRONG = {
    "knn": "^unknown baseline 'knn'; choose from linear, embedding, separable, mlp, logistic, svm, svm-grid, or none$",
    "circuit": "unknown baseline 'circuit'; choose from",
    "": "unknown baseline ''; choose from",
    "none,svm": "baselines: none chooses no baseline; leave it or the other names out",
}


@pytest.mark.parametrize("names", WRONG)
def test_unknown_baselines_are_refused(names: str) -> None:
    with pytest.raises(ConfigError, match=WRONG[names]):
        parse_baselines(names)


def test_each_classical_model_has_a_limit() -> None:
    assert set(LIMITS) == set(Baseline)
    assert baselines_for(10_000, 1_000) == ("logistic", "svm", "svm-grid")
    assert baselines_for(10_001, 1) == baselines_for(10_000, 1_001) == baselines_for(1_000_000, 50) == ("logistic",)
    assert baselines_for(1_000_000, 51) == ()


def test_a_chosen_model_above_its_limit_is_skipped_and_named(confirmed: Confirmation) -> None:
    document = confirmation_document(confirmed)
    assert document["baselines_chosen"] == list(BASELINES) and document["baselines_skipped"] == {}
    plan = replace(confirmed.plan, baselines=("logistic",), chosen=("mlp", "logistic", "svm"))
    small = Confirmation(study=confirmed.study, description=replace(confirmed.description, confirms=plan))
    document = confirmation_document(small)
    limit = "at most 10,000 training samples and 10,000,000 values (samples × features)"
    assert document["baselines_skipped"] == {"svm": limit}
    assert f"Skipped svm, limited to {limit}." in remarks(document)


def test_a_choice_of_baselines_belongs_to_the_confirmation(confirmation: Make) -> None:
    few = ConfirmationBudget(epochs=1, repeats=2, baselines=("mlp", "logistic"))
    first = confirmation(0, budget=few)
    assert ConfirmationPlan.from_json(first.plan.to_json()) == first.plan
    assert first.plan.baselines == ("logistic",) and set(first.plan.finalists[0].networks) == {"circuit", "mlp"}
    # A circuit that is added later has the same baselines, whether they are named or not.
    for budget in (ConfirmationBudget(), few):
        extended = confirmation(0, 4, budget=budget)
        assert extended.plan.baselines == ("logistic",)
        assert [set(finalist.networks) for finalist in extended.plan.finalists] == [{"circuit", "mlp"}] * 2
    for baselines, words in {(): "none", BASELINES: ",".join(BASELINES)}.items():
        with pytest.raises(StudyMismatchError, match=f"baselines: stored mlp,logistic, requested {words}; use the stored"):
            confirmation(0, budget=ConfirmationBudget(baselines=baselines))
    none = ConfirmationBudget(epochs=1, repeats=2, baselines=())
    alone = confirmation(0, budget=none, name="alone")
    assert {training.model for training in alone.all_trainings()} == {"circuit"}


def test_confirmations_of_earlier_versions_have_all_baselines(confirmation: Make) -> None:
    plan = confirmation(0).plan
    stored = plan.to_json()
    del stored["chosen"]
    assert ConfirmationPlan.from_json(stored) == plan
