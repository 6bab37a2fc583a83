"""What a circuit may be built of beside its rotations: the one place where embeddings and entanglers are declared.

A declaration says what PennyLane applies, which is the definition; how the fast engine has it, or that only PennyLane has; what
it costs; of which elementary gates it is; and what decides which gates are inert (`circuits.effective`). All else asks here,
and the conformance tests go through all that is declared.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.gates import Gate, Input, Weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Gates = Iterator[Gate]


class Embedding(StrEnum):
    """How the classical values enter the quantum state."""

    ANGLE = "angle"
    """One qubit per value: cos(x)|0⟩ + sin(x)|1⟩."""
    AMPLITUDE = "amplitude"
    """The normalised values, padded with zeros, are the first amplitudes."""
    BASIS = "basis"
    """One qubit per value: |1⟩ where it is above zero, else |0⟩."""
    IQP = "iqp"
    """A Hadamard gate on each qubit, RZ(xᵢ), and ZZ(xᵢxⱼ) for each pair: all probabilities are alike, all values in phases."""


class Entangler(StrEnum):
    """The two-qubit gate of every layer."""

    CNOT = "CNOT"
    CZ = "CZ"
    ZZ = "ZZ"
    """exp(-iθ/2 Z⊗Z) with an angle of its own for each pair of a layer, which is learnt."""
    CRX = "CRX"
    """RX(θ) of the target where the control is |1⟩, with an angle of its own for each pair of a layer, which is learnt."""


PAPER_EMBEDDINGS = (Embedding.ANGLE, Embedding.AMPLITUDE)
PAPER_ENTANGLERS = (Entangler.CNOT, Entangler.CZ)


@dataclass(frozen=True, kw_only=True)
class EmbeddingBlock:
    """What an embedding of n values in n qubits is."""

    kernel: int
    """By which branch of `engine.statevector` it is simulated."""
    apply: Callable[[Any, range], None]
    """Its definition: what PennyLane applies for inputs (n,) or (batch, n) on these wires."""
    code: str
    """The same as a line of Python, of `x` and `n`, for who has PennyLane alone."""
    flops: Callable[[int], int]
    """Operations by number of qubits, as `flops.analytic_flops` counts them."""
    gates: Callable[[int], Gates] | None
    """Elementary gates by number of qubits; None where `elementary` has a preparation for it."""
    angles: "Callable[[NDArray[np.float64]], NDArray[np.float64]] | None"
    """The angles of these gates for inputs (n,), in radians."""
    remark: str
    """What the angles are, in words."""
    drawn: tuple[str, str] = ("", "")
    """What PennyLane's drawing calls it, and what ours does."""
    is_complex: bool = False
    """Its amplitudes are complex, else real."""
    one_basis_state: bool = False
    """It makes one basis state, chosen by bits 1[x > 0], so that diagonal gates right behind it are inert. The bits have no
    derivative: what stands for it is told in `training.model.through_bits`."""
    reuploads: bool = False
    """It can be applied to any state, so that it may stand before every layer again (data re-uploading)."""
    normalised: bool = False
    """Inputs that are all zero have no state of their own: they become |0…0⟩."""


@dataclass(frozen=True, kw_only=True)
class EntanglerBlock:
    """What a two-qubit gate is, applied to each pair of a layer in turn."""

    apply: Callable[[tuple[int, int], Any], None]
    """Its definition: what PennyLane applies to (control, target), by an angle if it has one."""
    code: str
    """The same as a line of Python, of the `pair`, its `place` in the layer, the angles of the `layer`, and `n`."""
    has_angle: bool = False
    """It has an angle of its own for each pair, which is learnt."""
    diagonal: bool
    """It only turns phases, so that it is inert where RZ is; else it is never inert."""
    mixes: bool = False
    """It mixes amplitudes, as RX and RY do, so that RZ before it is live; else it only turns or moves them."""
    flops: Callable[[int, bool], int]
    """Operations on N amplitudes, real or not; with an angle it makes them complex."""
    gates: Callable[[tuple[int, int], Weight], Gates]
    """Its elementary gates, by its pair and its angle, if it has one."""
    action: "Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int], tuple[Any, Any]] | None"
    """Its normal form for the fast engine, with the angle 0 if it has one, which must be that of exp(-iθ/2 Z⊗Z): from the bits
    (N,) of control and target, the indices (N,) and the target's place value, where each amplitude comes from and by what it is
    multiplied. None where it has no such form: its circuits run on PennyLane."""


def _angle(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # cos(x)|0⟩ + sin(x)|1⟩ = RY(2x)|0⟩ (arXiv 2511.10062)
    qml.AngleEmbedding(2 * inputs, wires=wires, rotation="Y")


def _amplitude(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    qml.AmplitudeEmbedding(inputs, wires=wires, pad_with=0.0, normalize=True)


def _basis(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # RY(π)|0⟩ = |1⟩; PennyLane's BasisEmbedding takes no batches. What is no number stays none.
    qml.AngleEmbedding(qml.math.where(inputs > 0, math.pi, 0.0 * inputs), wires=wires, rotation="Y")


def _iqp(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # Havlíček et al., DOI 10.1038/s41586-019-0980-2, once.
    qml.IQPEmbedding(inputs, wires=wires)


def _iqp_gates(n_qubits: int) -> Gates:
    yield from (Gate("h", (wire,)) for wire in range(n_qubits))
    yield from (Gate("rz", (wire,), Input(wire)) for wire in range(n_qubits))
    for number, pair in enumerate(combinations(range(n_qubits), 2), n_qubits):
        yield from _zz_gates(pair, Input(number))


def _iqp_angles(inputs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    return np.array([*inputs, *(one * other for one, other in combinations(inputs, 2))])


def _zz_gates(pair: tuple[int, int], angle: Input | Weight) -> Gates:
    """exp(-iθ/2 Z⊗Z)"""
    yield from (Gate("cx", pair), Gate("rz", pair[1:], angle), Gate("cx", pair))


def _half_turns(inputs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    angles: NDArray[np.float64] = math.pi * (inputs > 0).astype(float)
    return angles


def _one_ry_a_wire(n_qubits: int) -> Gates:
    yield from (Gate("ry", (wire,), Input(wire)) for wire in range(n_qubits))


EMBEDDINGS: Mapping[Embedding, EmbeddingBlock] = {
    Embedding.ANGLE: EmbeddingBlock(
        kernel=0,
        apply=_angle,
        code='qml.AngleEmbedding(2 * x, wires=range(n), rotation="Y")',
        flops=lambda n: 2 * n + 2 * 2**n - 4,
        gates=_one_ry_a_wire,
        angles=lambda inputs: 2 * inputs,
        remark="2x for each output x of the linear layer before the circuit",
        drawn=("AngleEmbedding(M0)", "RY(2x)"),
        reuploads=True,
    ),
    Embedding.AMPLITUDE: EmbeddingBlock(
        kernel=1,
        apply=_amplitude,
        code="qml.AmplitudeEmbedding(x, wires=range(n), pad_with=0.0, normalize=True)",
        flops=lambda n: 3 * n,
        gates=None,
        angles=None,
        remark="preparation_angles(x) of the outputs x of the linear layer before the circuit",
        normalised=True,
    ),
    Embedding.BASIS: EmbeddingBlock(
        kernel=2,
        apply=_basis,
        code="qml.BasisEmbedding((x > 0).astype(int), wires=range(n))",
        flops=lambda n: n,
        gates=_one_ry_a_wire,
        angles=_half_turns,
        remark="π for each output x > 0 of the linear layer before the circuit, and else 0",
        drawn=("AngleEmbedding(M0)", "RY(π[x>0])"),
        one_basis_state=True,
    ),
    Embedding.IQP: EmbeddingBlock(
        kernel=3,
        apply=_iqp,
        code="qml.IQPEmbedding(x, wires=range(n))",
        flops=lambda n: n + 8 * 2**n - 2,
        gates=_iqp_gates,
        angles=_iqp_angles,
        remark="x for each output x of the linear layer before the circuit, then the product of each pair of them",
        drawn=("IQPEmbedding(M0)", "IQP(x)"),
        is_complex=True,
    ),
}
"""Every embedding, by its name."""


def _gate(name: str) -> Callable[[tuple[int, int], Any], None]:
    """Return what applies PennyLane's gate of this name to (control, target), by an angle if it has one."""

    def apply(pair: tuple[int, int], angle: Any) -> None:
        import pennylane as qml

        angles = () if angle is None else (angle,)
        getattr(qml, name)(*angles, wires=pair)

    return apply


def _crx_gates(pair: tuple[int, int], angle: Weight) -> Gates:
    """Z RX(-θ/2) Z = RX(θ/2): both halves add up where the control is |1⟩, and cancel where it is |0⟩."""
    for half in (-0.5, 0.5):
        yield from (Gate("cz", pair), Gate("rx", pair[1:], angle._replace(share=half)))


ENTANGLERS: Mapping[Entangler, EntanglerBlock] = {
    Entangler.CNOT: EntanglerBlock(
        apply=_gate("CNOT"),
        code="qml.CNOT(wires=pair)",
        diagonal=False,
        flops=lambda size, real: size // 2 if real else size,
        gates=lambda pair, _: iter([Gate("cx", pair)]),
        action=lambda control, _, index, value: (index ^ (control * value), 1),
    ),
    Entangler.CZ: EntanglerBlock(
        apply=_gate("CZ"),
        code="qml.CZ(wires=pair)",
        diagonal=True,
        flops=lambda size, real: size // 4 if real else size // 2,
        gates=lambda pair, _: iter([Gate("cz", pair)]),
        action=lambda control, target, index, _: (index, 1 - 2 * (control & target)),
    ),
    Entangler.ZZ: EntanglerBlock(
        apply=_gate("IsingZZ"),
        code="qml.IsingZZ(layer[n + place], wires=pair)",
        has_angle=True,
        diagonal=True,
        flops=lambda size, real: 2 + (size if real else 3 * size),
        gates=_zz_gates,
        action=lambda _control, _target, index, _: (index, 1),
    ),
    Entangler.CRX: EntanglerBlock(
        apply=_gate("CRX"),
        code="qml.CRX(layer[n + place], wires=pair)",
        has_angle=True,
        diagonal=False,
        mixes=True,
        flops=lambda size, real: 2 + (size if real else 3 * size),
        gates=_crx_gates,
        action=None,
    ),
}
"""Every entangler, by its name."""
