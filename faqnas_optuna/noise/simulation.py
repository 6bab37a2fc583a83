"""Mixed-state simulation of circuits with noise, in the Pauli basis, in numpy.

A state of n qubits is ρ = 2⁻ⁿ Σ r_P P, with a real number r_P = Tr(P ρ) for each of the 4ⁿ products P of I, X, Y and Z.
A gate or a channel E on k qubits is a real matrix (4ᵏ, 4ᵏ), with elements Tr(P E(Q)) / 2ᵏ (Greenbaum, arXiv 1509.02921). Those
on one qubit are multiplied with one another, and then with that of the next two-qubit gate: only these pass over the state.
Qubits have states of their own until a gate joins them. At the end r_P is needed of the products of I and Z, whose
Walsh-Hadamard transform is the probabilities.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.gates import Input
from faqnas_optuna.hardware.native import matrix
from faqnas_optuna.noise.model import Applied, Depolarizing, NoisyOperation, NoisyProgram, Relaxing

Reals = NDArray[np.float64]

CHUNK = 2**20
"""So many numbers of states are held at a time, 8 MiB; a state of ten qubits has as many."""
PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], np.complex128)
ZERO = np.array([1.0, 0.0, 0.0, 1.0])
"""|0⟩⟨0|"""
TWO_QUBIT_GATES = {
    "cx": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]),
    "cz": np.diag([1, 1, 1, -1]),
    "ecr": math.sqrt(0.5) * np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]),
    "rzz": np.diag(np.exp(0.25j * math.pi * np.array([-1, 1, 1, -1]))),
}


def probabilities(program: NoisyProgram, inputs: Reals, weights: NDArray[np.floating]) -> Reals:
    """Of the outcomes of all wires (samples, 2ⁿ), wire 0 the most significant bit, as they are read.

    Args:
        inputs: (samples, angles) the angles that prepare each sample.
        weights: (depth, n) the trained angles.
    """
    size = max(CHUNK >> 2 * program.n_qubits, 1)
    chunks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    return np.concatenate([_probabilities(program, chunk, weights) for chunk in chunks])


def expectations(read: Reals) -> Reals:
    """⟨Z⟩ of every wire (samples, n), from the shares of the outcomes (samples, 2ⁿ)."""
    n_wires = read.shape[1].bit_length() - 1
    outcomes = np.arange(read.shape[1])
    signs = np.stack([1 - 2 * (outcomes >> (n_wires - 1 - wire) & 1) for wire in range(n_wires)], axis=1)
    found: Reals = read @ signs.astype(np.float64)
    return found


def _probabilities(program: NoisyProgram, inputs: Reals, weights: NDArray[np.floating]) -> Reals:
    state = _MixedState(program.n_qubits, len(inputs))
    for operation in program.operations:
        state.apply(operation, inputs, weights)
    # With a chance f of being flipped, Z is read as 1 - 2f of what it is.
    to_outcomes = np.array([[1, 1 - 2 * program.flip], [1, 2 * program.flip - 1]]) / 2
    found = state.diagonal(program.read)
    for wire in range(len(program.read)):
        found = np.moveaxis(np.tensordot(to_outcomes, found, ([1], [wire])), 0, wire)
    # What is impossible may have come to -1e-17.
    shares = np.clip(found.reshape(-1, len(inputs)).T, 0, None)
    total: Reals = shares.sum(axis=1, keepdims=True)
    return shares / total


class _Register:
    """States of qubits that are entangled with one another, for several samples."""

    def __init__(self, qubits: Sequence[int], state: Reals) -> None:
        self.qubits = list(qubits)
        self.state = state
        """(4, …, 4, samples) with an axis for each of the qubits, in their order."""

    def front(self, *qubits: int) -> Reals:
        """The state with the axes of these qubits first, where they stay."""
        places = [self.qubits.index(qubit) for qubit in qubits]
        self.qubits = [*qubits, *(qubit for qubit in self.qubits if qubit not in qubits)]
        self.state = np.moveaxis(self.state, places, range(len(places)))
        return self.state

    def beside(self, other: "_Register") -> "_Register":
        """Both together, as they are before anything acts on both."""
        state = self.state.reshape(-1, 1, self.state.shape[-1]) * other.state.reshape(1, -1, other.state.shape[-1])
        return _Register([*self.qubits, *other.qubits], state.reshape(*self.state.shape[:-1], *other.state.shape))


class _MixedState:
    """The registers, and what waits on each qubit to be multiplied into the next two-qubit gate."""

    def __init__(self, n_qubits: int, samples: int) -> None:
        self._registers = {wire: _Register([wire], np.repeat(ZERO[:, np.newaxis], samples, axis=1)) for wire in range(n_qubits)}
        self._waiting: dict[int, Reals] = {}

    def apply(self, operation: NoisyOperation, inputs: Reals, weights: NDArray[np.floating]) -> None:
        """A gate or a channel."""
        if not isinstance(operation, Applied):
            self._wait(operation.wire, channel(operation))
        elif len(operation.wires) == 2:
            self._two_qubits(operation.wires, gate(operation.name))
        elif isinstance(operation.angle, Input):
            self._prepare(operation.wires[0], operation.name, inputs[:, operation.angle.number])
        else:
            self._wait(operation.wires[0], gate(operation.name, operation.angle.radians(weights) if operation.angle else 0.0))

    def diagonal(self, read: Sequence[int]) -> Reals:
        """(2, …, 2, samples) what the products of I and Z of these qubits are expected to be; the others are not looked at."""
        for wire, waiting in self._waiting.items():
            self._registers[wire].state = np.tensordot(waiting, self._registers[wire].front(wire), ([1], [0]))
        self._waiting = {}
        found: _Register | None = None
        for register in {id(register): register for register in self._registers.values()}.values():
            rest, kept = ([qubit for qubit in register.qubits if (qubit in read) is is_read] for is_read in (False, True))
            seen = register.front(*rest, *kept)[(0,) * len(rest)][(slice(None, None, 3),) * len(kept)]
            found = _Register(kept, seen) if found is None else found.beside(_Register(kept, seen))
        assert found is not None
        return found.front(*read)

    def _wait(self, wire: int, applied: Reals) -> None:
        self._waiting[wire] = applied @ self._waiting[wire] if wire in self._waiting else applied

    def _two_qubits(self, wires: Sequence[int], applied: Reals) -> None:
        register, other = (self._registers[wire] for wire in wires)
        if register is not other:
            register = register.beside(other)
            self._registers.update(dict.fromkeys(register.qubits, register))
        first, second = (self._waiting.pop(wire, np.eye(4)) for wire in wires)
        front = register.front(*wires)
        register.state = (applied @ np.kron(first, second) @ front.reshape(16, -1)).reshape(front.shape)

    def _prepare(self, wire: int, name: str, angles: Reals) -> None:
        """A rotation by another angle for each sample."""
        rotations = np.stack([gate(name, float(angle)) for angle in angles], axis=-1)
        if wire in self._waiting:
            rotations = np.einsum("ijs,jk->iks", rotations, self._waiting.pop(wire))
        register = self._registers[wire]
        front = register.front(wire)
        rows = front.reshape(4, -1, front.shape[-1])
        register.state = np.stack([sum(row[j] * rows[j] for j in range(4)) for row in rotations]).reshape(front.shape)


def gate(name: str, angle: float = 0.0) -> Reals:
    """(4, 4) or (16, 16) of a gate."""
    return _fixed(name) if name in TWO_QUBIT_GATES else transfer(matrix(name, angle))


@cache
def _fixed(name: str) -> Reals:
    return transfer(TWO_QUBIT_GATES[name].astype(np.complex128))


def channel(operation: Depolarizing | Relaxing) -> Reals:
    """(4, 4) of a channel."""
    if isinstance(operation, Relaxing):
        population, coherence = math.exp(-operation.by_t1), math.exp(-operation.by_t2)
        found = np.diag([1.0, coherence, coherence, population])
        # What leaves |1⟩ comes to |0⟩.
        found[3, 0] = 1 - population
        return found
    kept = 1 - 4 * operation.probability / 3
    return np.diag([1.0, kept, kept, kept])


def transfer(unitary: NDArray[np.complex128]) -> Reals:
    """(4ᵏ, 4ᵏ) of a unitary (2ᵏ, 2ᵏ) in the Pauli basis."""
    n_qubits = len(unitary).bit_length() - 1
    paulis = PAULIS
    for _ in range(n_qubits - 1):
        paulis = np.array([np.kron(first, second) for first, second in product(paulis, PAULIS)])
    moved = unitary @ paulis @ unitary.conj().T
    found: Reals = np.einsum("iab,jba->ij", paulis, moved).real / len(unitary)
    return found
