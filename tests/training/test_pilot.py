import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation
from faqnas_optuna.config import StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.training import pilot
from faqnas_optuna.training.evaluation import train_from, train_once
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.pilot import PilotPlan, Row, measure_reliability
from faqnas_optuna.workers.pool import shared_out

CONFIG = StudyConfig(dataset="iris", space=SpaceConfig(n_qubits=(2, 3)))


def test_the_same_study_has_the_same_pilot(iris: DataSplits) -> None:
    measured = measure_reliability(iris, CONFIG, limit_s=None)
    assert measured is not None and (measured.circuits, measured.trainings) == (24, 4)
    assert measure_reliability(iris, CONFIG, limit_s=None) == measured
    assert measure_reliability(iris, CONFIG.model_copy(update={"seed": 1}), limit_s=None) != measured


def test_its_circuits_differ_in_what_is_live(iris: DataSplits) -> None:
    circuits = list(pilot._random_circuits(Limits.of(StudyConfig(dataset="iris"), iris)))
    assert len({circuit.digest for circuit in circuits}) == len(circuits) > pilot.CIRCUITS
    assert all(effective_circuit(circuit) == circuit for circuit in circuits)


def test_its_seeds_are_not_those_of_the_search(iris: DataSplits) -> None:
    circuit = next(pilot._random_circuits(Limits.of(CONFIG, iris)))
    searched = {train_once(circuit, iris, CONFIG, repeat=repeat).loss for repeat in range(4)}
    generators = [np.random.default_rng([0, int(circuit.digest, 16), repeat, pilot.STREAM]) for repeat in range(4)]
    piloted = {train_from(generator, circuit, iris, CONFIG).loss for generator in generators}
    assert len(searched | piloted) == 8


def test_no_time_no_measure(iris: DataSplits) -> None:
    assert measure_reliability(iris, CONFIG, limit_s=-1) is None


def test_what_would_take_minutes_is_not_begun(iris: DataSplits, caplog: pytest.LogCaptureFixture) -> None:
    config = CONFIG.model_copy(update={"training": TrainingConfig(epochs=100_000, batch_size=1)})
    with caplog.at_level(logging.INFO):
        assert measure_reliability(iris, config, limit_s=1) is None
    assert "not measuring the reliability of a training: it would take too long" in caplog.text


def test_a_space_of_few_circuits_is_measured_on_those(iris: DataSplits) -> None:
    space = SpaceConfig(
        n_qubits=(2,),
        embedding=(Embedding.ANGLE,),
        entangler=(Entangler.CNOT,),
        depth=(1, 2),
        rotation=(Rotation.RX, Rotation.RY),
    )
    measured = measure_reliability(iris, CONFIG.model_copy(update={"space": space}), limit_s=None)
    assert measured is not None and measured.circuits == 6


def test_trainings_that_diverge_are_left_to_the_search(iris: DataSplits, caplog: pytest.LogCaptureFixture) -> None:
    diverging = TrainingConfig(learning_rate=10, epochs=3)
    config = CONFIG.model_copy(update={"training": diverging})
    spoilt = DataSplits(**{**vars(iris), "train": type(iris.train)(x=iris.train.x * np.float32("inf"), y=iris.train.y)})
    with caplog.at_level(logging.INFO), np.errstate(invalid="ignore"):
        assert measure_reliability(spoilt, config, limit_s=None) is None
    assert "24 random circuits, 4 trainings of each" in caplog.text


@pytest.mark.parametrize(("epoch_s", "takes_longer"), [(0.0001, False), (0.01, True)])
def test_what_a_training_does_beside_its_epochs_is_not_taken_for_long(
    iris: DataSplits, monkeypatch: pytest.MonkeyPatch, epoch_s: float, takes_longer: bool
) -> None:
    """Estimate 24 trainings of 200 epochs against a limit of ten seconds, with 0.05 s of overhead per training."""
    clock = 0.0

    def train(_circuit: Circuit, _splits: DataSplits, config: StudyConfig, repeat: int) -> float:
        nonlocal clock
        clock += 0.05 + config.training.epochs * epoch_s
        return 0.5

    monkeypatch.setattr(pilot, "_score", train)
    monkeypatch.setattr("faqnas_optuna.training.pilot.time.monotonic", lambda: clock)
    config = CONFIG.model_copy(update={"training": TrainingConfig(epochs=200)})
    circuit = next(pilot._random_circuits(Limits.of(config, iris)))
    assert pilot._takes_longer(10, iris, config, circuit) is takes_longer


@pytest.mark.slow
def test_several_processes_measure_the_same(iris: DataSplits) -> None:
    hand_out = partial(shared_out, processes=2)
    assert measure_reliability(iris, CONFIG, limit_s=None, hand_out=hand_out) == measure_reliability(iris, CONFIG, limit_s=None)


@pytest.mark.parametrize(("late", "circuits"), [(10, 10), (3, None)])
def test_of_what_several_processes_have_trained_the_first_circuits_count(
    iris: DataSplits, late: int, circuits: int | None
) -> None:
    """Let one process finish a later circuit after the time limit, which is likelier for circuits that train fast."""

    def hand_out(
        work: Callable[[PilotPlan, tuple[int, Circuit]], Row], plan: PilotPlan, tasks: Iterable[tuple[int, Circuit]]
    ) -> Generator[Row, None, None]:
        first: list[Row] = []
        rest: list[Row] = []
        for number, circuit in tasks:
            (rest if number == late else first).append(work(plan, (number, circuit)))
        yield from reversed(first)
        yield replace(rest[0], scores=(), is_late=True)

    measured = measure_reliability(iris, CONFIG, limit_s=None, hand_out=hand_out)
    assert (measured and measured.circuits) == circuits
