"""What a circuit costs on a quantum device: its estimated success probability, gates, and time.

    ESP = Π (1 - error of a gate) · Π (1 - error of reading a qubit) · Π exp(-idle time of a qubit / min(T1, T2))

This is `estimated_success_probability` of MQT Predictor (Quetschlich, Burgholzer and Wille, arXiv 2310.06889), which adds the
idle times to the product of success rates by which QuantumNAS estimates noise (Wang et al., arXiv 2107.10845). Of a circuit
only what is live is run (`circuits.effective`). It is written in the device's gates (`hardware.compilation`), its wires are
laid on qubits and swapped where two must meet (`hardware.routing`), and every gate begins as soon as its qubits are free; at
the end all wires are read together (`hardware.schedule`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from faqnas_optuna.circuits.effective import EffectiveGates, Layer, effective_circuit
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.compilation import compiled
from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import TwoQubit
from faqnas_optuna.hardware.schedule import schedule

SHOTS = 10_000
"""⟨Z⟩ of a qubit has a variance of at most 1, so the mean of so many shots has a standard error of at most 0.01."""


@dataclass(frozen=True, kw_only=True)
class HardwareCost:
    """What a circuit costs on a device."""

    neg_log_esp: float
    """-ln of the estimated success probability."""
    two_qubit_gates: int
    """Of the device, those of SWAPs included."""
    one_qubit_pulses: int
    duration_us: float
    """From the first gate to the end of the last, before the qubits are read."""
    shots: int
    """For a prediction whose every ⟨Z⟩ has a standard error of at most 0.01."""
    seconds_per_prediction: float
    """Of these shots: gates, readout, and the device's delay between shots."""

    @property
    def esp(self) -> float:
        """The estimated success probability."""
        return math.exp(-self.neg_log_esp)


def hardware_cost(circuit: Circuit, device: Device, layers: Sequence[Layer] | None = None) -> HardwareCost:
    """What a circuit costs on a device, which has a qubit for every wire.

    Args:
        layers: what is applied; None for what is live.
    """
    if layers is not None:
        return _cost(circuit, tuple(layers), device)
    # Circuits with the same effective gates cost the same.
    return _cost(effective_circuit(circuit), EffectiveGates(circuit=circuit).layers, device)


@lru_cache(maxsize=2**16)
def _cost(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> HardwareCost:
    two_qubit_gates = pulses = 0
    duration_ns = busy_ns = 0.0
    qubits: set[int] = set()
    for step in schedule(compiled(circuit, layers, device), device):
        two_qubit_gates += isinstance(step.gate, TwoQubit)
        pulses += step.pulses
        busy_ns += len(step.gate.qubits) * step.duration_ns
        qubits.update(step.gate.qubits)
        # At last that of the readout.
        duration_ns = step.start_ns
    errors = (
        (two_qubit_gates, device.two_qubit_error),
        (pulses, device.one_qubit_error),
        (circuit.n_qubits, device.readout_error),
    )
    lost = (duration_ns * len(qubits) - busy_ns) / (1e3 * min(device.t1_us, device.t2_us))
    shot_us = (duration_ns + device.readout_ns) / 1e3 + device.delay_us
    return HardwareCost(
        # Processors may differ in the last digit of a logarithm, and workers must not.
        neg_log_esp=round(lost - sum(count * math.log1p(-error) for count, error in errors), 14),
        two_qubit_gates=two_qubit_gates,
        one_qubit_pulses=pulses,
        duration_us=duration_ns / 1e3,
        shots=SHOTS,
        seconds_per_prediction=SHOTS * shot_us / 1e6,
    )
