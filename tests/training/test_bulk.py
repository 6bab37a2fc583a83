import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.config import Engine, Score, StudyConfig, TrainingConfig
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.training import bulk
from faqnas_optuna.training.bulk import train_repeats
from faqnas_optuna.training.evaluation import evaluate, train_once

SMALL = Circuit(
    n_qubits=2,
    embedding=Embedding.ANGLE,
    entangler=Entangler.CNOT,
    topology=Topology.LINEAR,
    rotations=(Rotation.RY, Rotation.RX),
)


@pytest.mark.parametrize("score", Score)
def test_scores_equal_those_of_single_trainings_bit_for_bit(score: Score) -> None:
    wine = load("wine", seed=0)
    config = StudyConfig(dataset="wine", score=score, seed=3)
    # Circuits of all sizes, embeddings and entanglers.
    for circuit in all_circuits()[::151]:
        expected = [train_once(circuit, wine, config, repeat=repeat).validation.by(score) for repeat in (5, 0, 2)]
        assert train_repeats(circuit, wine, config, (5, 0, 2)).tolist() == expected


def test_scores_equal_those_of_a_trial(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris", training=TrainingConfig(repeats=4))
    assert tuple(train_repeats(SMALL, iris, config, range(4))) == evaluate(SMALL, iris, config).val_accuracies


def test_scores_do_not_depend_on_the_number_of_trainings_per_call(iris: DataSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    config = StudyConfig(dataset="iris")
    together = train_repeats(SMALL, iris, config, range(7))
    # Two trainings per call.
    monkeypatch.setattr(bulk, "MAX_NUMBERS", 2 * (5 * len(iris.train) + 40))
    assert train_repeats(SMALL, iris, config, range(7)).tolist() == together.tolist()
    assert train_repeats(SMALL, iris, config, ()).shape == (0,)


def test_validation_parts_of_several_chunks_are_scored_alike() -> None:
    digits = load("digits", seed=0)
    config = StudyConfig(dataset="digits", training=TrainingConfig(epochs=1))
    circuit = Circuit(
        n_qubits=10,
        embedding=Embedding.AMPLITUDE,
        entangler=Entangler.CZ,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RX, Rotation.RY),
    )
    assert len(digits.validation) > 64
    expected = [train_once(circuit, digits, config, repeat=repeat).validation.accuracy for repeat in range(2)]
    assert train_repeats(circuit, digits, config, range(2)).tolist() == expected


@pytest.mark.parametrize("engine", Engine)
def test_pennylane_trains_circuits_without_a_fast_form(iris: DataSplits, engine: Engine) -> None:
    space = SpaceConfig(entangler=(Entangler.CZ, Entangler.CRX))
    config = StudyConfig(dataset="iris", engine=engine, space=space, training=TrainingConfig(epochs=1))
    circuit = Circuit(
        n_qubits=2, embedding=Embedding.ANGLE, entangler=Entangler.CRX, topology=Topology.LINEAR, rotations=(Rotation.RY,)
    )
    expected = [train_once(circuit, iris, config, repeat=repeat).validation.accuracy for repeat in range(2)]
    assert np.array_equal(train_repeats(circuit, iris, config, range(2)), expected)


def test_an_error_names_the_training_that_diverged(iris: DataSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    config = StudyConfig(dataset="iris")

    def diverge(*arguments: object) -> None:
        losses = arguments[-1]
        assert isinstance(losses, np.ndarray)
        losses[:] = 0.5
        losses[1, 3] = np.nan

    monkeypatch.setattr(bulk, "train_networks", diverge)
    with pytest.raises(TrainingError, match=r"2 qubits, angle, RY RX, CNOT linear, repeat 7: the loss is nan in epoch 4 of 5"):
        train_repeats(SMALL, iris, config, (6, 7, 8))
