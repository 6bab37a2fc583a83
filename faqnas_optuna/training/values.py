"""Costs and scores of a circuit. To add a cost, add a field to `Costs` and a column to `reporting.columns`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Self

from faqnas_optuna.circuits.effective import EffectiveGates, effective_circuit
from faqnas_optuna.circuits.flops import analytic_flops, classical_flops, profiler_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import CountedGates, Score, StudyConfig
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.training.statistics import bounded_interval


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of a circuit and its network, which need no training. FLOPs are those of one sample, forward pass."""

    quantum_flops_profiler: int
    quantum_flops_analytic: int
    effective_flops_profiler: int
    """Profiler FLOPs of the effective gates alone."""
    effective_flops_analytic: int
    cheapest_flops_profiler: int
    """Profiler FLOPs of the effective circuit, including any inert gates that it still has."""
    cheapest_flops_analytic: int
    classical_flops: int
    parameters: int
    effective_parameters: int
    """Parameters that affect a measured value."""
    neg_log_esp: float | None = None
    """-ln of the estimated success probability of the effective gates on the study's device; None without a device."""
    two_qubit_gates: int | None = None
    """Number of native two-qubit gates on the device, SWAPs included."""
    duration_us: float | None = None
    """Duration of one run of the gates on the device, without readout."""

    @classmethod
    def of(cls, circuit: Circuit, *, n_features: int, n_classes: int, device: Device | None = None) -> Self:
        """Count the costs of a circuit and of its network for data with these dimensions."""
        # The layout imports numba, which commands that only read stored costs do not need.
        from faqnas_optuna.training.parameters import Layout

        gates = EffectiveGates(circuit=circuit)
        parameters = Layout.of(circuit, n_features=n_features, n_classes=n_classes).size
        # Without a device these fields keep their defaults, None.
        on_device: dict[str, Any] = {}
        if device is not None:
            cost = hardware_cost(circuit, device)
            on_device = {name: getattr(cost, name) for name in ("neg_log_esp", "two_qubit_gates", "duration_us")}
        return cls(
            quantum_flops_profiler=profiler_flops(circuit),
            quantum_flops_analytic=analytic_flops(circuit),
            effective_flops_profiler=profiler_flops(circuit, gates.layers),
            effective_flops_analytic=analytic_flops(circuit, gates.layers),
            cheapest_flops_profiler=profiler_flops(effective_circuit(circuit)),
            cheapest_flops_analytic=analytic_flops(effective_circuit(circuit)),
            classical_flops=classical_flops(circuit, n_features=n_features, n_classes=n_classes),
            parameters=parameters,
            effective_parameters=parameters - math.prod(circuit.weights_shape) + gates.effective_angles,
            **on_device,
        )

    def quantum_flops(self, config: StudyConfig) -> int:
        """Return the quantum FLOPs by the study's counter."""
        return self._flops("quantum", config)

    def cheapest_flops(self, config: StudyConfig) -> int:
        """Return the quantum FLOPs of the effective circuit by the study's counter."""
        return self._flops("cheapest", config)

    def objective(self, config: StudyConfig) -> float:
        """Return the study's first objective: quantum FLOPs, or -ln ESP on its device."""
        return float(self.quantum_flops(config)) if self.neg_log_esp is None else self.neg_log_esp

    def _flops(self, gates: str, config: StudyConfig) -> int:
        if config.gates is CountedGates.EFFECTIVE:
            gates = "effective"
        # The fields are named by gates and counter.
        count: int = getattr(self, f"{gates}_flops_{config.flops}")
        return count


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """Scores of a circuit on the validation part: means over the repeats, and sample standard deviations."""

    val_accuracy: float | None
    """Mean accuracy; None in races by balanced accuracy."""
    val_accuracy_std: float | None
    """Standard deviation of the accuracy; None with one repeat."""
    val_balanced_accuracy: float | None
    """Mean balanced accuracy. This and its deviation are None in trials from before its introduction."""
    val_balanced_accuracy_std: float | None

    @classmethod
    def of_repeats(cls, accuracies: Sequence[float], balanced_accuracies: Sequence[float]) -> Self:
        """Summarise the scores of each repeat."""
        return cls(
            val_accuracy=fmean(accuracies),
            val_accuracy_std=_deviation(accuracies),
            val_balanced_accuracy=fmean(balanced_accuracies),
            val_balanced_accuracy_std=_deviation(balanced_accuracies),
        )

    def mean(self, score: Score) -> float:
        """Return the mean of the score that a study uses."""
        value = score.of(accuracy=self.val_accuracy, balanced=self.val_balanced_accuracy)
        # All trials of studies that use balanced accuracy have it.
        assert value is not None
        return value

    def deviation(self, score: Score) -> float | None:
        """Return the sample standard deviation over the repeats; None with one repeat."""
        return score.of(accuracy=self.val_accuracy_std, balanced=self.val_balanced_accuracy_std)

    def interval(self, score: Score, repeats: int) -> tuple[float, float] | None:
        """Return the 95 % t interval of the mean of a score over the repeats, within 0 and 1.

        Return None with one repeat, and if all repeats are equal.
        """
        deviation = self.deviation(score)
        return None if deviation is None else bounded_interval(self.mean(score), deviation, repeats)


def _deviation(values: Sequence[float]) -> float | None:
    # A sample standard deviation needs at least two values.
    return stdev(values) if len(values) > 1 else None
