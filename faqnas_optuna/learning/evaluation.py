"""The value of a candidate: a pure function of circuit, data and protocol, on whatever worker it runs."""

import time
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import torch

from faqnas_optuna.circuits.flops import analytic_flops, classical_flops, profiler_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import FlopsCounter, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.learning.model import HQNN
from faqnas_optuna.learning.training import prepare, train


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
        TrainingError: a training diverged.
    """
    prepare(config.engine)
    started = time.perf_counter()
    accuracies = []
    parameters = 0
    for repeat in range(config.training.repeats):
        generator = torch.Generator().manual_seed(training_seed(config.seed, circuit, repeat))
        model = HQNN(
            circuit,
            n_features=splits.n_features,
            n_classes=splits.n_classes,
            engine=config.engine,
            generator=generator,
        )
        parameters = model.n_parameters
        accuracies.append(train(model, splits, config.training, generator=generator).validation_accuracy)
    return Evaluation(
        val_accuracies=tuple(accuracies),
        quantum_flops_profiler=profiler_flops(circuit),
        quantum_flops_analytic=analytic_flops(circuit),
        classical_flops=classical_flops(circuit, n_features=splits.n_features, n_classes=splits.n_classes),
        parameters=parameters,
        seconds=time.perf_counter() - started,
    )


def training_seed(seed: int, circuit: Circuit, repeat: int) -> int:
    """The seed of one training, from the study's seed, the circuit and the repeat alone."""
    state = np.random.SeedSequence([seed, int(circuit.digest, 16), repeat]).generate_state(1, np.uint64)
    return int(state[0])
