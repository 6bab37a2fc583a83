"""Gates of quantum devices, and the pulses that one-qubit gates take.

One-qubit gates that follow one another are one. On superconducting chips RZ is free, a change of frame, and another is one or
two pulses √X (McKay et al., arXiv 1612.00858): a Hadamard one, RX and RY two. In an ion trap RZ is free too, and any other is
one pulse. Two-qubit gates are the maximally entangling ones.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.gates import Input, Weight
from faqnas_optuna.hardware.devices import TwoQubitGate
from faqnas_optuna.hardware.graph import Pair

NEAR = 1e-9


class SingleQubitGate(NamedTuple):
    """A one-qubit gate before it is merged with its neighbours."""

    name: str
    """rx, ry or rz of any angle; or h = Hadamard, x = X, v = RX(π/2), s = RZ(π/2), z = RZ(-π/2)."""
    angle: Input | Weight | None = None


class OneQubit(NamedTuple):
    """One-qubit gates that follow one another on a qubit, which are one."""

    qubits: tuple[int]
    gates: tuple[SingleQubitGate, ...]


class TwoQubit(NamedTuple):
    """The device's two-qubit gate. With ECR the first qubit is the control."""

    qubits: Pair


class Read(NamedTuple):
    """The readout of all wires together."""

    qubits: tuple[int, ...]
    """Of the wires, in order."""


NativeGate = OneQubit | TwoQubit | Read


@cache
def pulses_of(names: tuple[str, ...], two_qubit_gate: TwoQubitGate) -> int:
    """Return the number of pulses of one-qubit gates in a row, whose angles are generic.

    Args:
        names: Names of `SingleQubitGate`s, in order.
    """
    product = np.eye(2, dtype=np.complex128)
    for number, name in enumerate(names):
        # The fractional parts of a quadratic irrational's multiples come near no value at which gates become simpler.
        product = matrix(name, 0.3 + 2 * (number * 0.6180339887498949 % 1)) @ product
    stays, moves = abs(product[0, 0]), abs(product[0, 1])
    if moves < NEAR:
        return 0
    quarter_or_half = abs(stays - moves) < NEAR or stays < NEAR
    return 1 if two_qubit_gate is TwoQubitGate.RZZ or quarter_or_half else 2


def matrix(name: str, angle: float) -> NDArray[np.complex128]:
    """Return the unitary (2, 2) of a `SingleQubitGate`."""
    half = {"v": math.pi / 4, "s": math.pi / 4, "z": -math.pi / 4}.get(name, angle / 2)
    cos, sin = math.cos(half), math.sin(half)
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
