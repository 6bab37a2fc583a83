"""Exported OpenQASM, read by Qiskit and compared with the circuit in PennyLane."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.quantum_info import Pauli, Statevector

from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.openqasm import openqasm2, openqasm3, preparation_angles
from faqnas_optuna.circuits.pennylane_circuit import qnode
from tests.support.sampling import mostly_slow

ALL = tuple(Rotation)
CASES = [
    (2, (Rotation.RY,), Entangler.CNOT, Topology.LINEAR),
    (3, (Rotation.RZ, Rotation.RX), Entangler.CZ, Topology.CIRCULAR),
    (4, (*ALL, Rotation.RX), Entangler.CNOT, Topology.CIRCULAR),
    (5, ALL, Entangler.CZ, Topology.LINEAR),
    (9, (Rotation.RX, Rotation.RY), Entangler.CNOT, Topology.LINEAR),
    (4, (*ALL, Rotation.RX), Entangler.ZZ, Topology.CIRCULAR),
    (4, (*ALL, Rotation.RX), Entangler.CRX, Topology.CIRCULAR),
    (10, (*ALL, Rotation.RY), Entangler.CNOT, Topology.CIRCULAR),
]


def expectations(circuit: QuantumCircuit) -> list[float]:
    """Return ⟨Z⟩ of every qubit."""
    # In OpenQASM 2 the whole circuit is one gate; computing its matrix over all qubits would take seconds.
    state = Statevector(circuit.decompose("hqnn"))
    return [float(state.expectation_value(Pauli("Z"), [wire]).real) for wire in range(circuit.num_qubits)]


@pytest.mark.parametrize(
    ("embedding", "n_qubits", "rotations", "entangler", "topology"),
    # Qiskit is slow on large circuits, so embeddings beyond the paper are tested on small ones only.
    mostly_slow(
        (embedding, *case) for embedding in Embedding for case in CASES if embedding in PAPER_EMBEDDINGS or case[0] < 9
    ),
)
def test_qiskit_reads_what_pennylane_defines(
    embedding: Embedding, n_qubits: int, rotations: tuple[Rotation, ...], entangler: Entangler, topology: Topology
) -> None:
    circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
    random = np.random.default_rng(n_qubits)
    weights = random.uniform(0, 2 * np.pi, circuit.weights_shape)
    read = qasm3.loads(openqasm3(circuit, weights))
    for inputs in (random.normal(size=n_qubits), np.eye(n_qubits)[n_qubits - 1] * -2.0):
        measured = torch.stack(qnode(circuit)(torch.from_numpy(inputs), torch.from_numpy(weights))).tolist()
        angles = preparation_angles(circuit, inputs)
        bound = read.assign_parameters({f"a{number}": angle for number, angle in enumerate(angles)})
        assert expectations(bound) == pytest.approx(measured, abs=1e-6)
        assert expectations(qasm2.loads(openqasm2(circuit, weights, angles.tolist()))) == pytest.approx(measured, abs=1e-6)


def test_amplitudes_that_are_all_zero_are_the_basis_state() -> None:
    circuit = Circuit(
        n_qubits=3, embedding=Embedding.AMPLITUDE, entangler=Entangler.CZ, topology=Topology.LINEAR, rotations=(Rotation.RX,)
    )
    assert preparation_angles(circuit, np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
