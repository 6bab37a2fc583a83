"""The value of a candidate: a pure function of circuit, data and protocol, on whatever worker it runs.

Circuits that share their live gates share their training: it is that of the one that stands for them
(`circuits.effective`). What they cost may differ.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Self

import numpy as np

from faqnas_optuna.circuits.effective import EffectiveCircuit
from faqnas_optuna.circuits.flops import analytic_flops, classical_flops, counting_ahead, profiler_counts, profiler_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, FlopsCounter, FlopsOf, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.training.engines import load, train_on
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import TrainingResult


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a circuit's network costs, which is known without training it. FLOPs are of one sample, forward."""

    quantum_flops_profiler: int
    quantum_flops_analytic: int
    effective_flops_profiler: int
    """The same counts of the live gates alone."""
    effective_flops_analytic: int
    cheapest_flops_profiler: int
    """Those of the cheapest circuit with these live gates, whose own inert ones are counted."""
    cheapest_flops_analytic: int
    classical_flops: int
    parameters: int
    live_parameters: int
    """Those that a measured value depends on."""

    @classmethod
    def of(cls, circuit: Circuit, *, n_features: int, n_classes: int) -> Self:
        """Count a circuit, and its network for such data."""
        effective = EffectiveCircuit(circuit=circuit)
        parameters = Layout.of(circuit, n_features=n_features, n_classes=n_classes).size
        return cls(
            quantum_flops_profiler=profiler_flops(circuit),
            quantum_flops_analytic=analytic_flops(circuit),
            effective_flops_profiler=profiler_flops(circuit, effective.layers),
            effective_flops_analytic=analytic_flops(circuit, effective.layers),
            cheapest_flops_profiler=profiler_flops(effective.representative),
            cheapest_flops_analytic=analytic_flops(effective.representative),
            classical_flops=classical_flops(circuit, n_features=n_features, n_classes=n_classes),
            parameters=parameters,
            live_parameters=parameters - math.prod(circuit.weights_shape) + effective.live_angles,
        )

    def charged(self, config: StudyConfig) -> float:
        """The quantum FLOPs that a study counts."""
        if config.flops_of is FlopsOf.EFFECTIVE:
            by_counter = (self.effective_flops_profiler, self.effective_flops_analytic)
        else:
            by_counter = (self.quantum_flops_profiler, self.quantum_flops_analytic)
        return by_counter[config.flops is FlopsCounter.ANALYTIC]


@dataclass(frozen=True, kw_only=True)
class Costs(Counts):
    """The same with what the live gates cost on the study's device (`circuits.hardware`); None where it has none."""

    neg_log_esp: float | None = None
    """-ln of their success probability."""
    two_qubit_gates: int | None = None
    """Of the device, SWAPs included."""
    duration_us: float | None = None
    """Of a run of the gates."""

    @classmethod
    def on(cls, circuit: Circuit, splits: DataSplits, device: Device | None) -> Self:
        """Count a circuit, and its network for such data."""
        counts = Counts.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
        if device is None:
            return cls(**vars(counts))
        cost = hardware_cost(circuit, device)
        lost = {name: getattr(cost, name) for name in ("neg_log_esp", "two_qubit_gates", "duration_us")}
        return cls(**vars(counts), **lost)

    def charged(self, config: StudyConfig) -> float:
        """The cost that is a study's first objective: quantum FLOPs, or -ln ESP on its device."""
        return super().charged(config) if self.neg_log_esp is None else self.neg_log_esp


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training a circuit has shown."""

    val_accuracies: tuple[float, ...]
    """Validation accuracy of each repeat."""
    val_balanced_accuracies: tuple[float, ...]
    """Balanced validation accuracy of each repeat."""
    seconds: float

    @property
    def val_accuracy(self) -> float:
        """Mean over the repeats."""
        return fmean(self.val_accuracies)

    @property
    def val_accuracy_std(self) -> float | None:
        """Sample standard deviation over the repeats; None of a single one."""
        return _deviation(self.val_accuracies)

    @property
    def val_balanced_accuracy(self) -> float:
        """Mean over the repeats."""
        return fmean(self.val_balanced_accuracies)

    @property
    def val_balanced_accuracy_std(self) -> float | None:
        """As `val_accuracy_std`."""
        return _deviation(self.val_balanced_accuracies)


@dataclass(frozen=True, kw_only=True)
class Evaluation(Costs, Trained):
    """What is known of a circuit once it has been counted and trained."""

    def objectives(self, config: StudyConfig) -> tuple[float, float]:
        """(cost, validation error), both to be minimised."""
        return float(self.charged(config)), 1 - config.score.of(accuracy=self.val_accuracy, balanced=self.val_balanced_accuracy)


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def evaluate(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
    """Count what a circuit costs and train it, once per repeat.

    Raises:
        DataError: the data are not those of the settings.
        TrainingError: a training diverged.
    """
    costs = Costs.on(circuit, splits, config.device)
    return Evaluation(**vars(costs), **vars(train_repeatedly(circuit, splits, config)))


def train_repeatedly(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Trained:
    """Train the circuit that stands for all with the same live gates, once per repeat.

    Raises:
        DataError: the data are not those of the settings.
        TrainingError: a training diverged.
    """
    _check_data(splits, config)
    trained = EffectiveCircuit(circuit=circuit).representative
    load(config.engine.of(trained))
    started = time.perf_counter()
    results = [train_once(trained, splits, config, repeat=repeat) for repeat in range(config.training.repeats)]
    return Trained(
        val_accuracies=tuple(result.validation_accuracy for result in results),
        val_balanced_accuracies=tuple(result.validation_balanced_accuracy for result in results),
        seconds=time.perf_counter() - started,
    )


def _check_data(splits: DataSplits, config: StudyConfig) -> None:
    """Refuse what no search would give: its values would be taken for those of the settings."""
    if splits.name != config.dataset:
        raise DataError(
            f"the data are those of {splits.name!r}, the settings say {config.dataset!r}; make both of one data set"
        )
    if splits.seed not in (None, config.split_seed):
        raise DataError(
            f"the data were split by the seed {splits.seed}, the settings have the seed {config.split_seed}; make both of one"
            " seed, or name that of the split as data.split_seed"
        )


def prepare(engines: Iterable[Engine]) -> None:
    """Have a worker ready to train on these engines, so that no trial has to wait for them."""
    with counting_ahead():
        for engine in engines:
            load(engine)
    profiler_counts()


def train_once(circuit: Circuit, splits: DataSplits, config: StudyConfig, *, repeat: int) -> TrainingResult:
    """One training of a search.

    Raises:
        TrainingError: it diverged.
    """
    return train_from(training_generator(config.seed, circuit, repeat), circuit, splits, config)


def train_from(generator: np.random.Generator, circuit: Circuit, splits: DataSplits, config: StudyConfig) -> TrainingResult:
    """One training on the study's engine.

    Args:
        generator: of the initial parameters and of the order of the samples.

    Raises:
        TrainingError: it diverged.
    """
    return train_on(config.engine, circuit, splits, config.training, generator=generator)


def training_generator(seed: int, circuit: Circuit, repeat: int) -> np.random.Generator:
    """The randomness of one training, from the study's seed, the circuit and the repeat alone."""
    return np.random.default_rng([seed, int(circuit.digest, 16), repeat])
