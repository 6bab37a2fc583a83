"""The value of a candidate: a pure function of circuit, data and protocol, on whatever worker it runs."""

import time
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from faqnas_optuna.circuits.flops import analytic_flops, classical_flops, counting_ahead, profiler_counts, profiler_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, FlopsCounter, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels
from faqnas_optuna.errors import DataError
from faqnas_optuna.learning.parameters import Layout
from faqnas_optuna.learning.training import TrainingResult, train


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is known of a circuit once it has been counted and trained."""

    val_accuracies: tuple[float, ...]
    """Validation accuracy of each repeat."""
    quantum_flops_profiler: int
    quantum_flops_analytic: int
    classical_flops: int
    parameters: int
    seconds: float

    @property
    def val_accuracy(self) -> float:
        """Mean over the repeats."""
        return fmean(self.val_accuracies)

    @property
    def val_accuracy_std(self) -> float | None:
        """Sample standard deviation over the repeats; None of a single one."""
        return stdev(self.val_accuracies) if len(self.val_accuracies) > 1 else None

    def objectives(self, counter: FlopsCounter) -> tuple[float, float]:
        """(quantum FLOPs, validation error), both to be minimised."""
        flops = {
            FlopsCounter.PROFILER: self.quantum_flops_profiler,
            FlopsCounter.ANALYTIC: self.quantum_flops_analytic,
        }
        return float(flops[counter]), 1 - self.val_accuracy


def evaluate(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
    """Count a circuit's FLOPs and train it, once per repeat.

    Raises:
        DataError: the data are not those of the settings.
        TrainingError: a training diverged.
    """
    if splits.name != config.dataset:
        raise DataError(
            f"the data are those of {splits.name!r}, the settings say {config.dataset!r}; make both of one data set"
        )
    if config.engine is Engine.FAST:
        load_kernels()
    started = time.perf_counter()
    results = [train_once(circuit, splits, config, repeat=repeat) for repeat in range(config.training.repeats)]
    return Evaluation(
        val_accuracies=tuple(result.validation_accuracy for result in results),
        quantum_flops_profiler=profiler_flops(circuit),
        quantum_flops_analytic=analytic_flops(circuit),
        classical_flops=classical_flops(circuit, n_features=splits.n_features, n_classes=splits.n_classes),
        parameters=Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes).size,
        seconds=time.perf_counter() - started,
    )


def prepare(engine: Engine) -> None:
    """Have a worker ready to train on an engine, so that no trial has to wait for it."""
    with counting_ahead():
        if engine is Engine.FAST:
            load_kernels()
        else:
            # It brings torch, which the fast engine does without.
            from faqnas_optuna.learning.reference import use_one_thread

            use_one_thread()
    profiler_counts()


def train_once(circuit: Circuit, splits: DataSplits, config: StudyConfig, *, repeat: int) -> TrainingResult:
    """One training on the study's engine; both engines begin from the same parameters and shuffle alike.

    Raises:
        TrainingError: it diverged.
    """
    generator = training_generator(config.seed, circuit, repeat)
    if config.engine is Engine.FAST:
        return train(circuit, splits, config.training, generator=generator)
    # They bring torch and PennyLane, which the fast engine does without.
    from faqnas_optuna.learning import reference
    from faqnas_optuna.learning.model import HQNN

    model = HQNN(circuit, n_features=splits.n_features, n_classes=splits.n_classes, engine=config.engine, generator=generator)
    return reference.train(model, splits, config.training, generator=generator)


def training_generator(seed: int, circuit: Circuit, repeat: int) -> np.random.Generator:
    """The randomness of one training, from the study's seed, the circuit and the repeat alone."""
    return np.random.default_rng([seed, int(circuit.digest, 16), repeat])
