"""Noise channels by their Kraus operators, as a reference."""

import math

import numpy as np
from qiskit.quantum_info import Kraus

PAULIS = [np.array(rows) for rows in ([[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]


def depolarizing(p: float) -> Kraus:
    """Return the depolarizing channel of one qubit: X, Y and Z with probability p/3 each."""
    return Kraus([math.sqrt(weight) * pauli for weight, pauli in zip([1 - p, p / 3, p / 3, p / 3], PAULIS, strict=True)])
