"""Noisy circuits on PennyLane's `default.mixed`. This module is their definition: `noise.simulation` must agree with it."""

from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from faqnas_optuna.circuits.gates import Input
from faqnas_optuna.circuits.pennylane_circuit import NO_CONFIG
from faqnas_optuna.noise.model import AppliedGate, Depolarizing, NoisyOperation, NoisyProgram

ROTATIONS: dict[str, Any] = {"rx": qml.RX, "ry": qml.RY, "rz": qml.RZ}
FIXED: dict[str, Any] = {
    "h": qml.Hadamard,
    "x": qml.PauliX,
    "v": lambda wires: qml.RX(np.pi / 2, wires),
    "s": lambda wires: qml.RZ(np.pi / 2, wires),
    "z": lambda wires: qml.RZ(-np.pi / 2, wires),
    "cx": qml.CNOT,
    "cz": qml.CZ,
    "ecr": qml.ECR,
    "rzz": lambda wires: qml.IsingZZ(np.pi / 2, wires),
}


def probabilities(program: NoisyProgram, inputs: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities of the outcomes of all wires, (samples, 2ⁿ). See `noise.simulation.probabilities`."""
    device = qml.device("default.mixed", wires=program.n_qubits, config=NO_CONFIG)

    def run() -> Any:
        for operation in program.operations:
            _apply(operation, inputs, weights)
        # A readout error flips the outcome, as does a bit flip directly before the measurement.
        for wire in program.readout:
            qml.BitFlip(program.flip, wire)
        return qml.probs(wires=program.readout)

    # PennyLane adds the batch axis for the inputs of several samples.
    probs: NDArray[np.float64] = np.asarray(qml.QNode(run, device)()).reshape(len(inputs), -1)
    return probs


def _apply(operation: NoisyOperation, inputs: NDArray[np.float64], weights: NDArray[Any]) -> None:
    """Queue the PennyLane operation of a gate or channel."""
    if isinstance(operation, AppliedGate):
        if operation.name not in ROTATIONS:
            FIXED[operation.name](wires=operation.wires)
        elif isinstance(operation.angle, Input):
            ROTATIONS[operation.name](inputs[:, operation.angle.number], operation.wires)
        elif operation.angle:
            ROTATIONS[operation.name](operation.angle.radians(weights), operation.wires)
    elif isinstance(operation, Depolarizing):
        qml.DepolarizingChannel(operation.probability, operation.wire)
    else:
        # PennyLane expects T1, T2 and the duration, of which only the ratios matter. At 0 K, |0⟩ is the equilibrium.
        qml.ThermalRelaxationError(0.0, 1 / operation.by_t1, 1 / operation.by_t2, 1.0, operation.wire)
