"""Costs and scores of a candidate, as a pure function of circuit, data and protocol that does not depend on the worker.

Circuits with the same effective gates share one training, that of their effective circuit (`circuits.effective`). Their costs
may differ.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import counting_ahead, profiler_counts
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, Score, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError
from faqnas_optuna.training.engines import load, train_on
from faqnas_optuna.training.training import TrainingResult
from faqnas_optuna.training.values import Costs, ValidationScores


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Costs and scores of a circuit."""

    costs: Costs
    val_accuracies: tuple[float, ...]
    """Validation accuracy of each repeat."""
    val_balanced_accuracies: tuple[float, ...]
    """Balanced validation accuracy of each repeat."""
    seconds: float
    """Duration of all trainings."""

    @cached_property
    def scores(self) -> ValidationScores:
        """Means and deviations over the repeats."""
        return ValidationScores.of_repeats(self.val_accuracies, self.val_balanced_accuracies)

    @property
    def val_accuracy(self) -> float:
        """Mean validation accuracy over the repeats."""
        return self.scores.mean(Score.ACCURACY)

    @property
    def quantum_flops_profiler(self) -> int:
        """Quantum FLOPs as the PyTorch profiler counts them."""
        return self.costs.quantum_flops_profiler

    @property
    def quantum_flops_analytic(self) -> int:
        """Quantum FLOPs counted from the arithmetic on the state vector."""
        return self.costs.quantum_flops_analytic

    def objectives(self, config: StudyConfig) -> tuple[float, float]:
        """Return (cost, validation error), both to be minimised."""
        return self.costs.objective(config), 1 - self.scores.mean(config.score)


def evaluate(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
    """Count the costs of a circuit, and train its effective circuit once per repeat.

    Raises:
        DataError: The data do not agree with the settings.
        TrainingError: A training diverged.
    """
    _check_data(splits, config)
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes, device=config.device)
    effective = effective_circuit(circuit)
    # Before the clock starts, so that the first trial does not include the loading.
    load(config.engine.of(effective))
    start = time.perf_counter()
    results = [train_once(effective, splits, config, repeat=repeat) for repeat in range(config.training.repeats)]
    return Evaluation(
        costs=costs,
        val_accuracies=tuple(result.validation.accuracy for result in results),
        val_balanced_accuracies=tuple(result.validation.balanced for result in results),
        seconds=time.perf_counter() - start,
    )


def _check_data(splits: DataSplits, config: StudyConfig) -> None:
    """Refuse data that do not belong to the settings: their values would be attributed to these settings."""
    if splits.name != config.dataset:
        raise DataError(
            f"the data set is {splits.name!r}, but the settings name {config.dataset!r}; use the same data set in both"
        )
    # The seed is None if the user divided the data.
    if splits.seed not in (None, config.split_seed):
        raise DataError(
            f"the data were split with seed {splits.seed}, but the settings have seed {config.split_seed}; use the same seed in"
            " both, or set data.split_seed to that of the data"
        )


def prepare(engines: Iterable[Engine]) -> None:
    """Load the engines and the FLOPs counts, so that no trial has to wait for them."""
    # Both take seconds the first time and run in parallel.
    with counting_ahead():
        for engine in engines:
            load(engine)
    profiler_counts()


def train_once(circuit: Circuit, splits: DataSplits, config: StudyConfig, *, repeat: int) -> TrainingResult:
    """Train a circuit as repeat number `repeat` of a search.

    Raises:
        TrainingError: The training diverged.
    """
    return train_from(training_generator(config.seed, circuit, repeat), circuit, splits, config)


def train_from(generator: np.random.Generator, circuit: Circuit, splits: DataSplits, config: StudyConfig) -> TrainingResult:
    """Train a circuit once on the engine of the study.

    Args:
        generator: Randomness of the initial parameters and of the order of the samples.

    Raises:
        TrainingError: The training diverged.
    """
    return train_on(config.engine, circuit, splits, config.training, generator=generator)


def training_generator(seed: int, circuit: Circuit, repeat: int) -> np.random.Generator:
    """Return the random generator of one training."""
    # It depends on the study's seed, the circuit and the repeat alone: any worker, at any time, gets the same training.
    return np.random.default_rng([seed, int(circuit.digest, 16), repeat])
