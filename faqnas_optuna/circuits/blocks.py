"""Registry of the embeddings and entanglers from which circuits are built.

A declaration states what PennyLane applies (the definition), how the fast engine simulates it if it can, the number of
operations, the elementary gates, and the properties that decide which gates are inert (`circuits.effective`). All other modules
look these up here, and the conformance tests cover every declaration.
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
    """Encoding of the classical values in the quantum state."""

    ANGLE = "angle"
    """One qubit per value: cos(x)|0⟩ + sin(x)|1⟩."""
    AMPLITUDE = "amplitude"
    """The normalised values, padded with zeros, are the first amplitudes."""
    BASIS = "basis"
    """One qubit per value: |1⟩ if the value is positive, else |0⟩."""
    IQP = "iqp"
    """A Hadamard gate on each qubit, RZ(xᵢ), and ZZ(xᵢxⱼ) for each pair: equal probabilities, with the data in the phases."""


class Entangler(StrEnum):
    """Two-qubit gate of every layer."""

    CNOT = "CNOT"
    CZ = "CZ"
    ZZ = "ZZ"
    """exp(-iθ/2 Z⊗Z) with a separate trained angle for each pair of a layer."""
    CRX = "CRX"
    """RX(θ) on the target if the control is |1⟩, with a separate trained angle for each pair of a layer."""


PAPER_EMBEDDINGS = (Embedding.ANGLE, Embedding.AMPLITUDE)
PAPER_ENTANGLERS = (Entangler.CNOT, Entangler.CZ)


@dataclass(frozen=True, kw_only=True)
class EmbeddingBlock:
    """Declaration of an embedding of n values in n qubits."""

    kernel: int
    """Number of the branch of `engine.statevector` that simulates the embedding."""
    apply: Callable[[Any, range], None]
    """Definition: queues the PennyLane operations for inputs (n,) or (batch, n) on the given wires."""
    code: str
    """`apply` as a line of Python over `x` and `n`, for scripts that have PennyLane but not this package."""
    flops: Callable[[int], int]
    """Operations by number of qubits, counted by the rules of `flops.analytic_flops`."""
    gates: Callable[[int], Gates] | None
    """Elementary gates by number of qubits; None if `elementary` has a special preparation."""
    angles: "Callable[[NDArray[np.float64]], NDArray[np.float64]] | None"
    """Angles of these gates for inputs (n,), in radians."""
    remark: str
    """Description of the angles in words."""
    labels: tuple[str, str] = ("", "")
    """Label in PennyLane's drawing, and the label that replaces it in ours."""
    is_complex: bool = False
    """True if the prepared amplitudes are complex."""
    one_basis_state: bool = False
    """True if the prepared state is a single basis state, chosen by bits 1[x > 0]. Diagonal gates directly after it are inert.
    The bits have no derivative: `training.model.through_bits` defines a substitute."""
    reuploads: bool = False
    """True if the embedding acts on any state, so that it can be repeated before every layer (data re-uploading)."""
    normalised: bool = False
    """True if the inputs are normalised. All-zero inputs cannot be normalised; they become |0…0⟩."""


@dataclass(frozen=True, kw_only=True)
class EntanglerBlock:
    """Declaration of a two-qubit gate that is applied to each pair of a layer in turn."""

    apply: Callable[[tuple[int, int], Any], None]
    """Definition: queues the PennyLane operation on (control, target), with its angle if it has one."""
    code: str
    """`apply` as a line of Python over the `pair`, its `place` in the layer, the angles of the `layer`, and `n`."""
    has_angle: bool = False
    """True if the gate has a separate trained angle for each pair."""
    diagonal: bool
    """True if the gate only changes phases. A diagonal gate is inert wherever RZ is; other entanglers are never inert."""
    mixes: bool = False
    """True if the gate mixes amplitudes, like RX and RY, which makes an earlier RZ effective."""
    flops: Callable[[int, bool], int]
    """Operations on N amplitudes, by N and whether they are real. A gate with an angle makes them complex."""
    gates: Callable[[tuple[int, int], Weight], Gates]
    """Elementary gates, by the pair and its angle (ignored by gates without an angle)."""
    action: "Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int], tuple[Any, Any]] | None"
    """Normal form for the fast engine: from the bits (N,) of control and target, the indices (N,) and the target's place value,
    the source index of each amplitude and its factor. A gate with an angle must be exp(-iθ/2 Z⊗Z), given here for θ = 0. None
    if there is no such form: the circuits run on PennyLane."""


# PennyLane is imported inside the functions: importing it takes seconds, and readers of this registry rarely apply a gate.


def _angle(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # cos(x)|0⟩ + sin(x)|1⟩ = RY(2x)|0⟩ (arXiv 2511.10062)
    qml.AngleEmbedding(2 * inputs, wires=wires, rotation="Y")


def _amplitude(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    qml.AmplitudeEmbedding(inputs, wires=wires, pad_with=0.0, normalize=True)


def _basis(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # RY(π)|0⟩ = |1⟩. PennyLane's BasisEmbedding does not accept batches. Multiplying by 0.0 instead of writing 0.0 keeps NaN
    # inputs NaN, so that diverged trainings are detected.
    qml.AngleEmbedding(qml.math.where(inputs > 0, math.pi, 0.0 * inputs), wires=wires, rotation="Y")


def _iqp(inputs: Any, wires: Sequence[int]) -> None:
    import pennylane as qml

    # Havlíček et al., DOI 10.1038/s41586-019-0980-2, with one repetition instead of their two.
    qml.IQPEmbedding(inputs, wires=wires)


def _iqp_gates(n_qubits: int) -> Gates:
    yield from (Gate("h", (wire,)) for wire in range(n_qubits))
    yield from (Gate("rz", (wire,), Input(wire)) for wire in range(n_qubits))
    # Inputs 0 … n-1 are the single values; the products of pairs follow in the order of `combinations`.
    for number, pair in enumerate(combinations(range(n_qubits), 2), n_qubits):
        yield from _zz_gates(pair, Input(number))


def _iqp_angles(inputs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    return np.array([*inputs, *(first * second for first, second in combinations(inputs, 2))])


def _zz_gates(pair: tuple[int, int], angle: Input | Weight) -> Gates:
    """Yield exp(-iθ/2 Z⊗Z) as elementary gates."""
    # The first CNOT writes the parity of both bits to the target, and the second one restores it.
    yield from (Gate("cx", pair), Gate("rz", pair[1:], angle), Gate("cx", pair))


def _half_turns(inputs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    angles: NDArray[np.float64] = math.pi * (inputs > 0).astype(float)
    return angles


def _ry_on_each_wire(n_qubits: int) -> Gates:
    yield from (Gate("ry", (wire,), Input(wire)) for wire in range(n_qubits))


EMBEDDINGS: Mapping[Embedding, EmbeddingBlock] = {
    Embedding.ANGLE: EmbeddingBlock(
        kernel=0,
        apply=_angle,
        code='qml.AngleEmbedding(2 * x, wires=range(n), rotation="Y")',
        flops=lambda n: 2 * n + 2 * 2**n - 4,
        gates=_ry_on_each_wire,
        angles=lambda inputs: 2 * inputs,
        remark="2x for each output x of the linear layer before the circuit",
        labels=("AngleEmbedding(M0)", "RY(2x)"),
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
        gates=_ry_on_each_wire,
        angles=_half_turns,
        remark="π for each output x > 0 of the linear layer before the circuit, otherwise 0",
        labels=("AngleEmbedding(M0)", "RY(π[x>0])"),
        one_basis_state=True,
    ),
    Embedding.IQP: EmbeddingBlock(
        kernel=3,
        apply=_iqp,
        code="qml.IQPEmbedding(x, wires=range(n))",
        flops=lambda n: n + 8 * 2**n - 2,
        gates=_iqp_gates,
        angles=_iqp_angles,
        remark="x for each output x of the linear layer before the circuit, then the products of all pairs",
        labels=("IQPEmbedding(M0)", "IQP(x)"),
        is_complex=True,
    ),
}
"""All embeddings, by name."""


def _gate(name: str) -> Callable[[tuple[int, int], Any], None]:
    """Return a function that applies PennyLane's gate `name` to (control, target), with an angle unless it is None."""

    def apply(pair: tuple[int, int], angle: Any) -> None:
        import pennylane as qml

        angles = () if angle is None else (angle,)
        getattr(qml, name)(*angles, wires=pair)

    return apply


def _crx_gates(pair: tuple[int, int], angle: Weight) -> Gates:
    """Yield CRX(θ) as elementary gates."""
    # Z RX(-θ/2) Z = RX(θ/2): the two half rotations add up if the control is |1⟩ and cancel if it is |0⟩.
    for half in (-0.5, 0.5):
        yield from (Gate("cz", pair), Gate("rx", pair[1:], angle._replace(share=half)))


ENTANGLERS: Mapping[Entangler, EntanglerBlock] = {
    Entangler.CNOT: EntanglerBlock(
        apply=_gate("CNOT"),
        code="qml.CNOT(wires=pair)",
        diagonal=False,
        flops=lambda size, real: size // 2 if real else size,
        gates=lambda pair, _: iter([Gate("cx", pair)]),
        # A set control flips the target bit of the index: CNOT permutes the amplitudes.
        action=lambda control, _, index, value: (index ^ (control * value), 1),
    ),
    Entangler.CZ: EntanglerBlock(
        apply=_gate("CZ"),
        code="qml.CZ(wires=pair)",
        diagonal=True,
        flops=lambda size, real: size // 4 if real else size // 2,
        gates=lambda pair, _: iter([Gate("cz", pair)]),
        # The factor is -1 if both bits are set, else 1.
        action=lambda control, target, index, _: (index, 1 - 2 * (control & target)),
    ),
    Entangler.ZZ: EntanglerBlock(
        apply=_gate("IsingZZ"),
        code="qml.IsingZZ(layer[n + place], wires=pair)",
        has_angle=True,
        diagonal=True,
        flops=lambda size, real: 2 + (size if real else 3 * size),
        gates=_zz_gates,
        # With θ = 0 the gate is the identity; the engine adds the phases of the trained angle.
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
        # CRX neither permutes nor scales amplitudes, so that it has no normal form.
        action=None,
    ),
}
"""All entanglers, by name."""
