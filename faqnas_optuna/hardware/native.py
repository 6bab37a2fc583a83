"""Native gates of quantum devices, and the number of pulses of one-qubit gates.

Consecutive one-qubit gates on a qubit are merged into one. On superconducting chips RZ is a change of frame and free; other
gates take one or two √X pulses (McKay et al., arXiv 1612.00858): a Hadamard one, RX and RY two. In an ion trap RZ is free as
well, and every other gate takes one pulse. Two-qubit gates are maximally entangling.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.gates import Input, Weight
from faqnas_optuna.hardware.devices import TwoQubitGate
from faqnas_optuna.hardware.graph import Pair

TOLERANCE = 1e-9
"""Matrix entries that differ by less are equal up to rounding."""


class SingleQubitGate(NamedTuple):
    """One-qubit gate before it is merged with its neighbours."""

    name: str
    """rx, ry or rz with any angle; or h = Hadamard, x = X, v = RX(π/2), s = RZ(π/2), z = RZ(-π/2)."""
    angle: Input | Weight | None = None


class OneQubit(NamedTuple):
    """Consecutive one-qubit gates on a qubit, executed as one gate."""

    qubits: tuple[int]
    gates: tuple[SingleQubitGate, ...]


class TwoQubit(NamedTuple):
    """Two-qubit gate of the device. With ECR the first qubit is the control."""

    qubits: Pair


class Readout(NamedTuple):
    """Simultaneous readout of all wires."""

    qubits: tuple[int, ...]
    """Qubits of the wires, in the order of the wires."""


NativeGate = OneQubit | TwoQubit | Readout


@cache
def pulses_of(names: tuple[str, ...], two_qubit_gate: TwoQubitGate) -> int:
    """Return the number of pulses of consecutive one-qubit gates with generic angles.

    Args:
        names: Names of `SingleQubitGate`s, in order.

    >>> pulses_of(("h",), TwoQubitGate.CZ), pulses_of(("rx", "rz"), TwoQubitGate.CZ), pulses_of(("rx", "rz"), TwoQubitGate.RZZ)
    (1, 2, 1)
    """
    # The product of the gates at generic angles shows whether they simplify for all angles.
    product = np.eye(2, dtype=np.complex128)
    for number, name in enumerate(names):
        # Fractional parts of multiples of the golden ratio stay away from angles at which gates happen to simplify.
        product = matrix(name, 0.3 + 2 * (number * 0.6180339887498949 % 1)) @ product
    diagonal = abs(product[0, 0])
    off_diagonal = abs(product[0, 1])
    # A diagonal product is an RZ.
    if off_diagonal < TOLERANCE:
        return 0
    # Up to RZ before and after, the product is a rotation by π/2 or π.
    quarter_or_half = abs(diagonal - off_diagonal) < TOLERANCE or diagonal < TOLERANCE
    return 1 if two_qubit_gate is TwoQubitGate.RZZ or quarter_or_half else 2


def matrix(name: str, angle: float) -> NDArray[np.complex128]:
    """Return the unitary matrix (2, 2) of the `SingleQubitGate` of this name; gates with a fixed angle ignore `angle`."""
    half = {"v": math.pi / 4, "s": math.pi / 4, "z": -math.pi / 4}.get(name, angle / 2)
    cos = math.cos(half)
    sin = math.sin(half)
    match name:
        case "rx" | "v":
            rows = [[cos, -1j * sin], [-1j * sin, cos]]
        case "ry":
            rows = [[cos, -sin], [sin, cos]]
        case "rz" | "s" | "z":
            rows = [[cos - 1j * sin, 0], [0, cos + 1j * sin]]
        case "x":
            rows = [[0, 1], [1, 0]]
        case _:
            rows = [[math.sqrt(0.5), math.sqrt(0.5)], [math.sqrt(0.5), -math.sqrt(0.5)]]
    return np.array(rows, np.complex128)
