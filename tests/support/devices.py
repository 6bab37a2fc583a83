"""Small devices with round error rates and times, and circuits by their rotations."""

from typing import Any

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.hardware.devices import ALL_TO_ALL, Device, TwoQubitGate

BY_HAND: dict[str, Any] = {
    "date": "2026-01-01",
    "source": "nobody",
    "one_qubit_error": 0.01,
    "two_qubit_error": 0.1,
    "readout_error": 0.2,
    "one_qubit_ns": 10.0,
    "two_qubit_ns": 100.0,
    "readout_ns": 1000.0,
    "t1_us": 10.0,
    "t2_us": 5.0,
    "delay_us": 2.0,
}
LINE = Device(name="line", qubits=4, coupling=((0, 1), (1, 2), (2, 3)), two_qubit_gate=TwoQubitGate.CZ, **BY_HAND)
CROSS = LINE.model_copy(update={"name": "cross", "two_qubit_gate": TwoQubitGate.ECR})
IONS = Device(name="ions", qubits=4, coupling=ALL_TO_ALL, two_qubit_gate=TwoQubitGate.RZZ, parallel=False, **BY_HAND)


def circuit(
    n_qubits: int, rotations: str, entangler: str = "CZ", *, circular: bool = False, amplitude: bool = False
) -> Circuit:
    return Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.AMPLITUDE if amplitude else Embedding.ANGLE,
        entangler=Entangler(entangler),
        topology=Topology.CIRCULAR if circular else Topology.LINEAR,
        rotations=tuple(Rotation(f"R{axis}") for axis in rotations),
    )


OWN = """
name = "bench"
date = 2026-01-31
source = "our laboratory"
qubits = 4
coupling = [[1, 0], [1, 2], [2, 3]]
two_qubit_gate = "cz"
one_qubit_error = 0.001
two_qubit_error = 0.01
readout_error = 0.02
one_qubit_ns = 30
two_qubit_ns = 100
readout_ns = 1000
t1_us = 100
t2_us = 80.5
"""
