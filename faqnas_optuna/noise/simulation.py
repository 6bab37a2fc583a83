"""Simulation of noisy circuits as mixed states in the Pauli basis, in numpy.

A state of n qubits is ρ = 2⁻ⁿ Σ r_P P, with a real number r_P = Tr(P ρ) for each of the 4ⁿ products P of I, X, Y and Z. A gate
or channel E on k qubits is a real matrix (4ᵏ, 4ᵏ), its Pauli transfer matrix, with elements Tr(P E(Q)) / 2ᵏ (Greenbaum,
arXiv 1509.02921). Matrices on one qubit are multiplied with each other and then with that of the next two-qubit gate, so that
only two-qubit gates pass over the state. Qubits have separate states until a gate entangles them. The measurement needs only
the r_P of products of I and Z, whose Walsh-Hadamard transform gives the probabilities.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.gates import Input
from faqnas_optuna.hardware.native import matrix
from faqnas_optuna.noise.model import AppliedGate, Depolarizing, NoisyOperation, NoisyProgram, Relaxation

Reals = NDArray[np.float64]

CHUNK = 2**20
"""Maximum number of float64 values of the states in memory (8 MiB), which is one state of ten qubits."""
# I, X, Y, Z
PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], np.complex128)
ZERO = np.array([1.0, 0.0, 0.0, 1.0])
"""|0⟩⟨0| in the Pauli basis."""
TWO_QUBIT_GATES = {
    "cx": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]),
    "cz": np.diag([1, 1, 1, -1]),
    "ecr": math.sqrt(0.5) * np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]),
    "rzz": np.diag(np.exp(0.25j * math.pi * np.array([-1, 1, 1, -1]))),
}


def probabilities(program: NoisyProgram, inputs: Reals, weights: NDArray[np.floating]) -> Reals:
    """Return the probabilities of the outcomes of all wires, (samples, 2ⁿ), readout errors included.

    Wire 0 is the most significant bit of an outcome.

    Args:
        inputs: (samples, angles), angles that encode each sample (`circuits.openqasm.preparation_angles`).
        weights: (depth, width), trained angles.
    """
    # A state has 4ⁿ numbers.
    size = max(CHUNK >> 2 * program.n_qubits, 1)
    chunks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    return np.concatenate([_probabilities(program, chunk, weights) for chunk in chunks])


def expectations(shares: Reals) -> Reals:
    """Return ⟨Z⟩ of every wire, (samples, n), for the shares or probabilities of the outcomes, (samples, 2ⁿ).

    >>> expectations(np.array([[0.5, 0.25, 0.25, 0.0]]))
    array([[0.5, 0.5]])
    """
    n_wires = shares.shape[1].bit_length() - 1
    outcomes = np.arange(shares.shape[1])
    signs = np.stack([1 - 2 * (outcomes >> (n_wires - 1 - wire) & 1) for wire in range(n_wires)], axis=1)
    result: Reals = shares @ signs.astype(np.float64)
    return result


def _probabilities(program: NoisyProgram, inputs: Reals, weights: NDArray[np.floating]) -> Reals:
    """Return the probabilities for samples that are simulated together."""
    state = _MixedState(program.n_qubits, len(inputs))
    for operation in program.operations:
        state.apply(operation, inputs, weights)
    # One factor of the Walsh-Hadamard transform. Readout errors multiply ⟨Z⟩ by 1 - 2 · flip.
    to_outcomes = np.array([[1, 1 - 2 * program.flip], [1, 2 * program.flip - 1]]) / 2
    outcomes = state.diagonal(program.readout)
    for wire in range(len(program.readout)):
        outcomes = np.moveaxis(np.tensordot(to_outcomes, outcomes, ([1], [wire])), 0, wire)
    # Rounding can turn a probability of 0 into -1e-17, which the sampling of shots would reject.
    shares = np.clip(outcomes.reshape(-1, len(inputs)).T, 0, None)
    total: Reals = shares.sum(axis=1, keepdims=True)
    return shares / total


class _Register:
    """States of a group of qubits, for several samples."""

    def __init__(self, qubits: Sequence[int], state: Reals) -> None:
        self.qubits = list(qubits)
        self.state = state
        """(4, …, 4, samples) with one axis per qubit, in the order of `qubits`."""

    def front(self, *qubits: int) -> Reals:
        """Move the axes of these qubits to the front and return the state."""
        axes = [self.qubits.index(qubit) for qubit in qubits]
        self.qubits = [*qubits, *(qubit for qubit in self.qubits if qubit not in qubits)]
        self.state = np.moveaxis(self.state, axes, range(len(axes)))
        return self.state

    def join(self, other: "_Register") -> "_Register":
        """Return the tensor product with another register."""
        state = self.state.reshape(-1, 1, self.state.shape[-1]) * other.state.reshape(1, -1, other.state.shape[-1])
        return _Register([*self.qubits, *other.qubits], state.reshape(*self.state.shape[:-1], *other.state.shape))


class _MixedState:
    """Registers of all qubits, and pending one-qubit matrices that the next two-qubit gate includes."""

    def __init__(self, n_qubits: int, samples: int) -> None:
        self._registers = {wire: _Register([wire], np.repeat(ZERO[:, np.newaxis], samples, axis=1)) for wire in range(n_qubits)}
        """Register of each qubit. Qubits that a gate has joined share one."""
        self._pending: dict[int, Reals] = {}

    def apply(self, operation: NoisyOperation, inputs: Reals, weights: NDArray[np.floating]) -> None:
        """Apply a gate or a channel."""
        if not isinstance(operation, AppliedGate):
            self._apply_later(operation.wire, channel(operation))
        elif len(operation.wires) == 2:
            self._apply_two_qubit(operation.wires, gate(operation.name))
        elif isinstance(operation.angle, Input):
            self._rotate_samples(operation.wires[0], operation.name, inputs[:, operation.angle.number])
        else:
            angle = operation.angle.radians(weights) if operation.angle else 0.0
            self._apply_later(operation.wires[0], gate(operation.name, angle))

    def diagonal(self, qubits: Sequence[int]) -> Reals:
        """Return the expectation values, (2, …, 2, samples), of the products of I and Z of these qubits."""
        for wire, transfer_matrix in self._pending.items():
            self._registers[wire].state = np.tensordot(transfer_matrix, self._registers[wire].front(wire), ([1], [0]))
        self._pending = {}
        whole: _Register | None = None
        # Joined qubits share a register, which must be used once.
        for register in {id(register): register for register in self._registers.values()}.values():
            others, members = ([qubit for qubit in register.qubits if (qubit in qubits) is flag] for flag in (False, True))
            # Index 0 (I) traces out the other qubits; indices 0 and 3 are I and Z.
            values = register.front(*others, *members)[(0,) * len(others)][(slice(None, None, 3),) * len(members)]
            part = _Register(members, values)
            whole = part if whole is None else whole.join(part)
        assert whole is not None
        return whole.front(*qubits)

    def _apply_later(self, wire: int, transfer_matrix: Reals) -> None:
        """Add a one-qubit matrix to the pending ones."""
        self._pending[wire] = transfer_matrix @ self._pending[wire] if wire in self._pending else transfer_matrix

    def _apply_two_qubit(self, wires: Sequence[int], transfer_matrix: Reals) -> None:
        """Apply a two-qubit matrix (16, 16) after the pending matrices of its qubits."""
        register, other = (self._registers[wire] for wire in wires)
        if register is not other:
            register = register.join(other)
            self._registers.update(dict.fromkeys(register.qubits, register))
        first, second = (self._pending.pop(wire, np.eye(4)) for wire in wires)
        front = register.front(*wires)
        register.state = (transfer_matrix @ np.kron(first, second) @ front.reshape(16, -1)).reshape(front.shape)

    def _rotate_samples(self, wire: int, name: str, angles: Reals) -> None:
        """Apply a rotation with a separate angle for each sample."""
        rotations = np.stack([gate(name, float(angle)) for angle in angles], axis=-1)
        if wire in self._pending:
            rotations = np.einsum("ijs,jk->iks", rotations, self._pending.pop(wire))
        register = self._registers[wire]
        front = register.front(wire)
        rows = front.reshape(4, -1, front.shape[-1])
        # `transfer` gives a matrix (4, 4) per sample: its rows are combined with the axis of the qubit, sample by sample.
        register.state = np.stack([sum(row[j] * rows[j] for j in range(4)) for row in rotations]).reshape(front.shape)


def gate(name: str, angle: float = 0.0) -> Reals:
    """Return the transfer matrix of a gate, (4, 4) or (16, 16)."""
    return _two_qubit_transfer(name) if name in TWO_QUBIT_GATES else transfer(matrix(name, angle))


@cache
def _two_qubit_transfer(name: str) -> Reals:
    return transfer(TWO_QUBIT_GATES[name].astype(np.complex128))


def channel(operation: Depolarizing | Relaxation) -> Reals:
    """Return the transfer matrix (4, 4) of a channel."""
    if isinstance(operation, Relaxation):
        population = math.exp(-operation.by_t1)
        coherence = math.exp(-operation.by_t2)
        result = np.diag([1.0, coherence, coherence, population])
        # The population that leaves |1⟩ arrives at |0⟩.
        result[3, 0] = 1 - population
        return result
    factor = 1 - 4 * operation.probability / 3
    return np.diag([1.0, factor, factor, factor])


def transfer(unitary: NDArray[np.complex128]) -> Reals:
    """Return the Pauli transfer matrix (4ᵏ, 4ᵏ) of a unitary (2ᵏ, 2ᵏ)."""
    n_qubits = len(unitary).bit_length() - 1
    paulis = PAULIS
    for _ in range(n_qubits - 1):
        paulis = np.array([np.kron(first, second) for first, second in product(paulis, PAULIS)])
    # U Q U† for every Pauli product Q.
    images = unitary @ paulis @ unitary.conj().T
    result: Reals = np.einsum("iab,jba->ij", paulis, images).real / len(unitary)
    return result
