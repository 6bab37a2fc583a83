"""Cost of a circuit on a quantum device: estimated success probability (ESP), gates and time.

    ESP = Π (1 - gate error) · Π (1 - readout error of a qubit) · Π exp(-idle time of a qubit / min(T1, T2))

This is the `estimated_success_probability` of MQT Predictor (Quetschlich, Burgholzer and Wille, arXiv 2310.06889). It extends
the product of success rates by which QuantumNAS estimates noise (Wang et al., arXiv 2107.10845) with idle times. Only the
effective gates of a circuit are run (`circuits.effective`). They are decomposed into the gates of the device
(`hardware.compilation`), wires are assigned to qubits, with SWAPs where two wires are not neighbours (`hardware.routing`), and
every gate starts as soon as its qubits are free, up to a common readout (`hardware.schedule`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from faqnas_optuna.circuits.effective import EffectiveGates, Layer, effective_circuit
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.compilation import compile_program
from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import TwoQubit
from faqnas_optuna.hardware.schedule import schedule

SHOTS = 10_000
"""Number of shots: Z of a qubit has a variance of at most 1, so that the standard error of its mean is at most 0.01."""


@dataclass(frozen=True, kw_only=True)
class HardwareCost:
    """Cost of a circuit on a device."""

    neg_log_esp: float
    """-ln of the estimated success probability."""
    two_qubit_gates: int
    """Number of native two-qubit gates, those of SWAPs included."""
    one_qubit_pulses: int
    duration_us: float
    """Time from the first gate to the end of the last, without readout."""
    shots: int
    """Number of shots per prediction at which every ⟨Z⟩ has a standard error of at most 0.01."""
    seconds_per_prediction: float
    """Time of these shots: gates, readout, and the delay of the device between shots."""

    @property
    def esp(self) -> float:
        """Estimated success probability."""
        return math.exp(-self.neg_log_esp)


def hardware_cost(circuit: Circuit, device: Device, layers: Sequence[Layer] | None = None) -> HardwareCost:
    """Return the cost of a circuit on a device, which must have at least one qubit per wire.

    Args:
        layers: Layers that are applied; None for the effective gates.
    """
    if layers is not None:
        return _cost(circuit, tuple(layers), device)
    # Circuits with the same effective gates have the same cost and share one entry of the cache.
    return _cost(effective_circuit(circuit), EffectiveGates(circuit=circuit).layers, device)


# Cached, because routing is slow and searches suggest the same circuit many times.
@lru_cache(maxsize=2**16)
def _cost(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> HardwareCost:
    two_qubit_gates = 0
    pulses = 0
    duration_ns = 0.0
    busy_ns = 0.0
    qubits: set[int] = set()
    for step in schedule(compile_program(circuit, layers, device), device):
        two_qubit_gates += isinstance(step.gate, TwoQubit)
        pulses += step.pulses
        busy_ns += len(step.gate.qubits) * step.duration_ns
        qubits.update(step.gate.qubits)
        # The last step is the readout, whose start is the duration.
        duration_ns = step.start_ns
    errors = (
        (two_qubit_gates, device.two_qubit_error),
        (pulses, device.one_qubit_error),
        (circuit.n_qubits, device.readout_error),
    )
    # All qubits that are ever used must keep their states for the whole duration, also those of SWAPs.
    decoherence = (duration_ns * len(qubits) - busy_ns) / (1e3 * min(device.t1_us, device.t2_us))
    shot_us = (duration_ns + device.readout_ns) / 1e3 + device.delay_us
    return HardwareCost(
        # Processors may differ in the last digit of a logarithm, but all workers of a study must store the same value.
        neg_log_esp=round(decoherence - sum(count * math.log1p(-error) for count, error in errors), 14),
        two_qubit_gates=two_qubit_gates,
        one_qubit_pulses=pulses,
        duration_us=duration_ns / 1e3,
        shots=SHOTS,
        seconds_per_prediction=SHOTS * shot_us / 1e6,
    )
