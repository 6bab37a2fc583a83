from dataclasses import replace

import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.confirmation.baselines import Baseline, Model
from faqnas_optuna.confirmation.plan import candidates_of, finalists_of
from faqnas_optuna.errors import ConfigError, StudyNotFoundError
from faqnas_optuna.study.search import Search
from tests.confirmation.conftest import Make
from tests.conftest import small_config


def test_every_network_is_trained_once_from_every_seed(confirmation: Make) -> None:
    trainings = confirmation(*range(8)).all_trainings()
    assert len({(training.network, training.seed) for training in trainings}) == len(trainings)
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


def test_only_trials_with_a_result_are_confirmed(search_of_eight: Search) -> None:
    with pytest.raises(StudyNotFoundError, match="study 'iris' has no trial 8; it has 0 to 7"):
        candidates_of(search_of_eight, [8])
    search_of_eight.study.ask()
    with pytest.raises(ConfigError, match="trial 8 of study 'iris' has no result to confirm"):
        candidates_of(search_of_eight, [8])
