from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy import stats

from faqnas_optuna.confirmation.analysis import comparison_message, confirmation_document, is_significant
from faqnas_optuna.confirmation.baselines import Baseline, Model
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.plan import ConfirmationBudget, Training
from faqnas_optuna.confirmation.study import Confirmation, enqueue
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import open_storage, study_lock
from faqnas_optuna.storage.optuna_internals import begin_queued_trial
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.search import load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.work import WorkerAction
from tests.conftest import confirm, load_confirmation, successful

ERROR = "TrainingError: the loss is nan"


def by_training(search: Confirmation) -> dict[tuple[str, int], FrozenTrial]:
    """Return the successful trainings by network and seed."""
    return {(trial.user_attrs["network"], trial.user_attrs["seed"]): trial for trial in successful(search)}


def accuracies(search: Confirmation, network: str) -> list[float]:
    """Return test accuracies, sorted by seed, from the confusion matrices."""
    trials = sorted((seed, trial) for (name, seed), trial in by_training(search).items() if name == network)
    return [float(np.trace(matrix) / np.sum(matrix)) for matrix in (trial.user_attrs["confusion"] for _, trial in trials)]


def finalist_of(search: Confirmation, entry: dict[str, Any]) -> Finalist:
    return next(finalist for finalist in search.plan.finalists if finalist.trial == entry["trial"])


def circuit_of(finalist: Finalist) -> str:
    return finalist.networks[Model.CIRCUIT]


def t_interval(values: Sequence[float], lowest: float) -> list[float] | None:
    """Return scipy's t interval, clipped to `lowest` and 1, or None if all values are equal."""
    if len(set(np.round(values, 9))) == 1:
        return None
    ends = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return [max(float(ends[0]), lowest), min(float(ends[1]), 1.0)]


def by_signs(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Return p of the signed-rank test, enumerating all signs with scipy's ranks, and the rank-biserial correlation."""
    differences = np.round(np.subtract(a, b), 9)
    ranks = stats.rankdata(np.abs(differences))
    balance, counted = np.sign(differences) @ ranks, ranks[differences != 0]
    sums = [np.dot(signs, counted) for signs in product((-1, 1), repeat=len(counted))]
    return float(np.mean([abs(one) >= abs(balance) for one in sums])), balance / ranks.sum()


def test_circuits_and_controls_are_summed_up_over_the_seeds(confirmed: Confirmation) -> None:
    document, distinct = confirmation_document(confirmed), set()
    for entry in document["circuits"]:
        finalist = finalist_of(confirmed, entry)
        assert {control["model"]: control["network"] for control in entry["controls"]} == {
            model: network for model, network in finalist.networks.items() if model != Model.CIRCUIT
        }
        for result in (entry | {"network": finalist.networks[Model.CIRCUIT]}, *entry["controls"]):
            values = accuracies(confirmed, result["network"])
            distinct.add(tuple(values))
            assert result["test_accuracies"] == pytest.approx(values) and len(values) == 3
            assert result["test_accuracy"] == pytest.approx(np.mean(values))
            assert result["test_accuracy_std"] == pytest.approx(np.std(values, ddof=1))
            assert result["test_accuracy_interval"] == pytest.approx(t_interval(values, 0))
            trials = [by_training(confirmed)[result["network"], seed].user_attrs for seed in range(3)]
            summed = np.sum([trial["confusion"] for trial in trials], axis=0)
            # Iris has ten test samples of each class, summed over three seeds.
            assert summed.sum(axis=1).tolist() == [30, 30, 30]
            assert result["confusion"] == summed.tolist()
            assert result["recalls"] == pytest.approx(np.diag(summed) / 30)
            assert {result["parameters"]} == {trial["parameters"] for trial in trials}
        assert entry["optimism"] == pytest.approx(entry["val_accuracy"] - np.mean(accuracies(confirmed, circuit_of(finalist))))
        assert (entry["val_accuracy"], entry["quantum_flops"]) == (finalist.search_estimate[0], finalist.quantum_flops)
    assert len(distinct) > 3, "all networks have the same accuracies"


def test_circuits_are_compared_with_their_controls_seed_by_seed(confirmed: Confirmation) -> None:
    p_values = []
    for entry in confirmation_document(confirmed)["circuits"]:
        own = accuracies(confirmed, circuit_of(finalist_of(confirmed, entry)))
        for control in entry["controls"]:
            other = accuracies(confirmed, control["network"])
            p, effect = by_signs(own, other)
            assert control["pairs"] == 3
            assert control["difference"] == pytest.approx(np.mean(own) - np.mean(other), abs=1e-9)
            assert control["difference_interval"] == pytest.approx(t_interval(np.subtract(own, other).tolist(), -1), abs=1e-9)
            assert (control["p"], control["rank_biserial"]) == pytest.approx((p, effect))
            p_values.append(p)
    assert min(p_values) < 1


def test_p_is_corrected_for_the_finalists_that_have_the_same_control(confirmed: Confirmation) -> None:
    circuits = confirmation_document(confirmed)["circuits"]
    sizes = []
    for model in Model:
        family = [control for entry in circuits for control in entry["controls"] if control["model"] == model]
        raw = sorted(control["p"] for control in family)
        sizes.append(len(raw))
        for control in family:
            # Holm's correction: the maximum of the steps up to this p.
            steps = [min(1.0, (len(raw) - place) * p) for place, p in enumerate(raw) if p <= control["p"]]
            assert control["p_holm"] == pytest.approx(max(steps))
    # One of the three finalists has no effective entangler, hence no separable control.
    assert sizes == [0, 3, 3, 2, 3]


def test_rankings_curves_and_classical_models(confirmed: Confirmation) -> None:
    document = confirmation_document(confirmed)
    estimates, tests = ([round(entry[name], 9) for entry in document["circuits"]] for name in ("val_accuracy", "test_accuracy"))
    assert document["kendall_tau"] == pytest.approx(stats.kendalltau(estimates, tests).statistic)
    assert [entry["trial"] for entry in document["circuits"]] == [5, 4, 0]
    for entry in document["circuits"]:
        network = circuit_of(finalist_of(confirmed, entry))
        trials = [by_training(confirmed)[network, seed].user_attrs for seed in range(3)]
        assert entry["curves"]["epochs"] == [1, 2]
        for name in ("losses", "validation_accuracies"):
            assert entry["curves"][name] == pytest.approx(np.mean([trial[name] for trial in trials], axis=0), abs=1e-6)
    baselines = {baseline["baseline"]: baseline for baseline in document["baselines"]}
    assert [*baselines] == list(Baseline)
    for name, baseline in baselines.items():
        assert [baseline["test_accuracy"]] == pytest.approx(accuracies(confirmed, name))
    assert document["trainings"] == {"needed": 45, "done": 45, "running": 0, "waiting": 0, "failed": 0}
    assert (document["state"], document["because"]) == ("finished", "all trainings are done")
    assert (document["confirms"], document["epochs"], document["search_epochs"], document["repeats"]) == ("iris", 2, 1, 3)


Fate = Callable[[Training], str | None]
"""Outcome of a training: None to replay the real result, or the reason of a failure."""
Replay = Callable[..., Confirmation]


@pytest.fixture
def replay(confirmed: Confirmation, storage_url: str) -> Replay:
    """Return a function that confirms the same circuits as `iris.other`, replaying the real results of selected trainings."""
    storage, real = confirmed.study._storage, by_training(confirmed)
    search = load(storage, "iris")

    def replay(selection: Callable[[Training], bool], fate: Fate = lambda _: None) -> Confirmation:
        again = confirm(search, storage_url, read_state(search).front, ConfirmationBudget(epochs=2, repeats=3), "iris.other")
        chosen = {(training.network, training.repeat): training for training in again.all_trainings() if selection(training)}
        with study_lock(again.study):
            enqueue(again.study, chosen.values())
        while (trial := begin_queued_trial(again.study)) is not None:
            key = trial.user_attrs["network"], trial.user_attrs["seed"]
            failure = fate(chosen[key])
            attributes = real[key].user_attrs if failure is None else {FAILURE: failure}
            for name, value in attributes.items():
                trial.set_user_attr(name, value)
            state = TrialState.COMPLETE if failure is None else TrialState.FAIL
            again.study.tell(trial, values=real[key].values if failure is None else None, state=state)
        return again

    return replay


def test_of_one_seed_nothing_is_said_that_needs_several(replay: Replay) -> None:
    document = confirmation_document(replay(lambda training: training.repeat == 0))
    assert document["state"] is None
    for entry in document["circuits"]:
        assert len(entry["test_accuracies"]) == 1
        assert entry["message"] == f"Trial {entry['trial']} has not been compared with its controls yet."
        for network in (entry, *entry["controls"]):
            assert network["test_accuracy_std"] is network["test_accuracy_interval"] is None
        for control in entry["controls"]:
            assert {control[name] for name in ("difference", "difference_interval", "p", "p_holm", "rank_biserial")} == {None}
            assert not is_significant(control)
    assert document["trainings"] == {"needed": 45, "done": 17, "running": 0, "waiting": 0, "failed": 0}


def test_of_one_circuit_alone_nothing_is_compared_or_ranked(replay: Replay) -> None:
    other = replay(lambda training: (training.model, training.finalist) == (Model.CIRCUIT, 4))
    document = confirmation_document(other)
    (entry,) = document["circuits"]
    assert (entry["trial"], entry["controls"], document["baselines"], document["kendall_tau"]) == (4, [], [], None)
    assert len(entry["test_accuracies"]) == 3


def is_linear_of_5(training: Training) -> bool:
    return training.model == Model.LINEAR and training.finalist == 5


def fate_of_one(failure: str) -> Fate:
    """Return a fate in which one training of one network fails."""
    return lambda training: failure if is_linear_of_5(training) and training.repeat == 1 else None


def linear_of_5(document: dict[str, Any]) -> dict[str, Any]:
    entry = next(entry for entry in document["circuits"] if entry["trial"] == 5)
    control: dict[str, Any] = next(control for control in entry["controls"] if control["model"] == Model.LINEAR)
    return control


def test_a_failed_training_is_left_out_of_its_pair(replay: Replay, confirmed: Confirmation) -> None:
    document = confirmation_document(replay(lambda _: True, fate_of_one(ERROR)))
    networks = next(finalist.networks for finalist in confirmed.plan.finalists if finalist.trial == 5)
    own, other = ([accuracies(confirmed, networks[model])[seed] for seed in (0, 2)] for model in (Model.CIRCUIT, Model.LINEAR))
    control = linear_of_5(document)
    assert (control["pairs"], control["difference"]) == (2, pytest.approx(np.mean(np.subtract(own, other))))
    assert control["test_accuracies"] == pytest.approx(other)
    assert (document["trainings"]["done"], document["trainings"]["failed"]) == (44, 1)
    assert {one["pairs"] for entry in document["circuits"] for one in entry["controls"]} == {2, 3}


def test_what_failed_and_was_then_done_has_not_failed(replay: Replay) -> None:
    search = replay(lambda _: True, fate_of_one(ERROR))
    search.advance(read_state(search))
    search = resume(search)
    # The failed training is due again, so it no longer counts as failed.
    assert confirmation_document(search)["trainings"] == {"needed": 45, "done": 44, "running": 0, "waiting": 0, "failed": 0}
    assert search.advance(read_state(search)) is WorkerAction.RUNNING
    assert confirmation_document(search)["trainings"] == {"needed": 45, "done": 44, "running": 0, "waiting": 1, "failed": 0}
    trial = begin_queued_trial(search.study)
    assert trial is not None and trial.user_attrs["seed"] == 1
    assert confirmation_document(search)["trainings"]["running"] == 1
    search.study.tell(trial, state=TrialState.FAIL)
    document = confirmation_document(replay(is_linear_of_5))
    assert document["trainings"] == {"needed": 45, "done": 45, "running": 0, "waiting": 0, "failed": 0}
    assert linear_of_5(document)["pairs"] == 3


def test_what_a_signal_has_ended_has_not_failed(replay: Replay) -> None:
    search = replay(lambda _: True, fate_of_one(f"{Interruption.__name__}: abandoned after SIGINT"))
    assert confirmation_document(search)["trainings"] == {"needed": 45, "done": 44, "running": 0, "waiting": 0, "failed": 0}


def test_trials_of_others_are_passed_over(confirmed: Confirmation) -> None:
    before = confirmation_document(confirmed)
    confirmed.study.add_trial(create_trial(values=[1.0, 0.0]))
    assert confirmation_document(confirmed) == before
    resumed = resume(confirmed)
    assert resumed.advance(read_state(resumed)) is WorkerAction.STOPPED


def test_what_the_search_believed_has_an_interval_within_what_accuracies_can_be(
    confirmed: Confirmation, storage_url: str
) -> None:
    def with_deviation(finalist: Finalist) -> Finalist:
        return replace(finalist, search_estimate=(0.9, 0.1, 4)) if finalist.trial == 5 else finalist

    confirms = replace(confirmed.plan, finalists=tuple(map(with_deviation, confirmed.plan.finalists)))
    document = confirmation_document(replace(confirmed, description=replace(confirmed.description, confirms=confirms)))
    low, high = stats.t.interval(0.95, 3, 0.9, 0.1 / 2)
    assert high > 1
    intervals = {entry["trial"]: entry["val_accuracy_interval"] for entry in document["circuits"]}
    assert intervals == {5: [pytest.approx(low), 1.0], 4: None, 0: None}


def control(model: Model, difference: float | None, p: float | None, effect: float = 0.0) -> dict[str, Any]:
    """Return the entry of a control in the document, for the test of a sentence."""
    ends = None if difference is None else [difference - 0.01, difference + 0.01]
    least = None if p is None else 0.002
    values = {"model": str(model), "difference": difference, "difference_interval": ends, "p_holm": p}
    values["smallest_p_holm"] = least
    return values | {"rank_biserial": effect, "pairs": None if p is None else 10}


ADDS = control(Model.LINEAR, 0.05, 0.012, 1.0)
LACKS = control(Model.MLP, -0.031, 0.004, -0.9)
NOTHING = control(Model.SEPARABLE, 0.001, 0.4, 0.1)
DIFFERENCE = "the circuit without entanglers (+0.001, -0.009 to +0.011, p 0.400)"
UNSHOWN = "does not differ significantly from"
COULD = ", where the smallest possible p with 10 seeds is 0.002."


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        ([ADDS], "Trial 7 is better than the network without a circuit by 0.050 (0.040 to 0.060, p 0.012)."),
        ([LACKS], "Trial 7 is worse than a classical network of at most the same size by 0.031 (0.021 to 0.041, p 0.004)."),
        ([NOTHING], f"Trial 7 {UNSHOWN} {DIFFERENCE}{COULD}"),
        (
            [NOTHING, control(Model.EMBEDDING, -0.0001, 0.05, 0.5)],
            f"Trial 7 {UNSHOWN} {DIFFERENCE} and its embedding alone (+0.000, -0.010 to +0.010, p 0.050){COULD}",
        ),
        # With three seeds and one finalist the smallest possible p is 2 / 2³.
        (
            [NOTHING | {"pairs": 3, "smallest_p_holm": 0.25}, LACKS],
            "Trial 7 is worse than a classical network of at most the same size by 0.031 (0.021 to 0.041, p 0.004); it cannot"
            f" differ significantly from {DIFFERENCE} with 3 seeds, whose smallest possible p is 0.250.",
        ),
        # There is no interval if all differences are equal.
        (
            [ADDS | {"difference_interval": None}, NOTHING | {"difference": 0.0, "difference_interval": None}],
            f"Trial 7 is better than the network without a circuit by 0.050 (with every seed, p 0.012); it {UNSHOWN} the"
            f" circuit without entanglers (+0.000, with every seed, p 0.400){COULD}",
        ),
        (
            [ADDS, control(Model.EMBEDDING, 0.02, 0.03, 0.8), NOTHING, LACKS],
            "Trial 7 is better than the network without a circuit by 0.050 (0.040 to 0.060, p 0.012) and better than its"
            " embedding alone by 0.020 (0.010 to 0.030, p 0.030); it is worse than a classical network of at most the same"
            f" size by 0.031 (0.021 to 0.041, p 0.004); it {UNSHOWN} {DIFFERENCE}{COULD}",
        ),
        # One control has not been trained yet.
        ([NOTHING, control(Model.LINEAR, None, None)], f"Trial 7 {UNSHOWN} {DIFFERENCE}{COULD}"),
        ([control(Model.LINEAR, None, None)], "Trial 7 has not been compared with its controls yet."),
        ([], "Trial 7 has not been compared with its controls yet."),
        # The ranks, on which p is based, and the mean have opposite signs, or the mean is 0.
        (
            [control(Model.LINEAR, -0.02, 0.01, 0.7)],
            f"Trial 7 {UNSHOWN} the network without a circuit (-0.020, -0.030 to -0.010, p 0.010){COULD}",
        ),
        (
            [control(Model.LINEAR, 0.0, 0.01, 0.7)],
            f"Trial 7 {UNSHOWN} the network without a circuit (+0.000, -0.010 to +0.010, p 0.010){COULD}",
        ),
    ],
    ids=[
        "adds",
        "lacks",
        "nothing",
        "nothing at all",
        "too few seeds",
        "equal differences",
        "all three",
        "in part",
        "too early",
        "none",
        "sides differ",
        "no mean",
    ],
)
def test_what_a_circuit_adds_is_a_sentence(controls: list[dict[str, Any]], sentence: str) -> None:
    assert comparison_message({"trial": 7, "controls": controls}) == sentence


def test_a_confirmation_has_no_front(confirmed: Confirmation, replay: Replay) -> None:
    message = r"study 'iris.confirm' has no front: it confirms circuits of 'iris'; see .*: faqnas-optuna confirm iris$"
    with pytest.raises(ConfigError, match=message):
        search_of(confirmed)
    other = replay(lambda _: False)
    with pytest.raises(ConfigError, match=r"'iris.other' has no front: .*: faqnas-optuna confirm iris --name iris.other$"):
        search_of(other)


def test_before_a_circuit_is_confirmed_there_is_nothing_to_show(replay: Replay, storage_url: str) -> None:
    search = replay(lambda training: training.model == Baseline.SVM)
    message = r"study 'iris.other' has confirmed no circuit yet; see: faqnas-optuna status iris.other$"
    with pytest.raises(NoSuccessfulTrialError, match=message) as nothing:
        confirmation_document(search)
    assert nothing.value.exit_code == 5
    replay(lambda training: training.model == Model.CIRCUIT and training.repeat == 0, lambda _: ERROR)
    message = r"has confirmed no circuit, and 3 of its trials have failed; see the last with: faqnas-optuna show iris.other 3$"
    with pytest.raises(NoSuccessfulTrialError, match=message):
        confirmation_document(load_confirmation(open_storage(storage_url), "iris.other"))
