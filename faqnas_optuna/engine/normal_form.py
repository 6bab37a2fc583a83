"""Normal form in which circuits are simulated: monomial, RY layer, monomial, RY layer, …, measurement.

* A *monomial* permutes the amplitudes and multiplies each by a phase. CNOT chains (permutations), CZ chains (signs), RZ layers
  and ZZ chains (phases) are monomials, and so are their products: neighbours merge into one pass over the state.
* RX(θ) = F† RY(θ) F on every wire, with F = diag(1, i). The phases of F and F† join the neighbouring monomials, so that RY,
  which is real, is the only gate that mixes amplitudes.
* Only the permutation of the monomial before the measurement matters: probabilities have no phase.
* An RY layer directly after the angle embedding RY(2x) adds its angles to the inputs. Basis embedding is RY(πb) of the bits b,
  up to a global phase. Diagonal gates before the first rotation, including F, also change only the global phase.
* Re-uploaded data are an RY layer, RY(2x), with separate angles for each sample.

Wire 0 is the most significant bit of an amplitude's index.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer, all_layers, weights_shape
from faqnas_optuna.circuits.genome import Circuit, Embedding, Rotation

Integers = NDArray[np.int64]

DATA = -1
"""Row of a step that uploads the data again, in the place of a layer's number."""


class Program(NamedTuple):
    """Normal form of a circuit, in arrays that numba functions accept. S steps, N = 2ⁿ amplitudes.

    A step is a layer or a re-upload of the data, which is an RY step before its layer. The monomial before a rotating step maps
    ψ to ψ'ₖ = phases[step, k] · ψ[sources[step, k]]; the angles of its RZ and ZZ layers are added to the phases at run time.
    """

    n_qubits: int
    depth: int
    """Number of layers."""
    width: int
    """Number of angles per layer: those of the rotations, followed by those of the entanglers if they have any."""
    embedding: int
    """Number of the embedding, `EmbeddingBlock.kernel`."""
    joined: bool
    """True if layer 0 rotates as part of the embedding: RY after angle embedding, RY or RX after basis embedding."""
    rotating_steps: Integers
    """Steps of RX and RY in order, without a joined one."""
    rows: Integers
    """(S,) layer of each step, whose weights it uses; `DATA` for a re-upload."""
    begin: Integers
    """(S,) first RZ layer in the monomial before a rotating step; the layers are begin[step], …, step - 1."""
    has_pair_angles: NDArray[np.bool_]
    """(S,) whether entanglers with angles, diag(exp(∓iθ/2)) on each of the `pairs`, follow the rotations of the step."""
    has_angles: NDArray[np.bool_]
    """(S,) whether the monomial before the step has angles."""
    pairs: Integers
    """(P, 2) positions of the bits of each pair."""
    has_monomial: NDArray[np.bool_]
    """(S,) whether there is a monomial before the step; False for RZ."""
    planes: Integers
    """(S + 1,) planes before each step and after the last: 1 for a real state, 2 for a complex one."""
    sources: Integers
    """(S, N) source indices: see above for RX and RY; for RZ the index that amplitude k of the monomial's result had there."""
    phases: NDArray[np.int8]
    """(S, 2, N) real and imaginary parts: -1, 0 or 1."""
    readout: Integers
    """(N,) source indices of the permutation before the measurement."""
    order: Integers
    """(N,) 0, 1, 2, …, N - 1."""


class _Step(NamedTuple):
    row: int
    rotation: Rotation | None
    entangled: bool


@lru_cache(maxsize=1024)
def compile_circuit(circuit: Circuit, layers: tuple[Layer, ...] | None = None) -> Program:
    """Return the normal form of a circuit, whose entangler must have one.

    Args:
        layers: Layers that are applied; None for the whole circuit. Each must have a rotation and may lack the entanglers.
            Without any layer the embedding itself is measured.
    """
    if layers is None:
        layers = all_layers(circuit)
    steps = list(_steps(layers))
    depth, width = weights_shape(circuit, layers)
    monomials = _Monomials(circuit, steps)
    for number, step in enumerate(steps):
        if step.rotation is not Rotation.RZ:
            monomials.rotate(number, step.rotation)
        if step.entangled:
            monomials.entangle(number)
    rotating_steps = [number for number, step in enumerate(steps) if step.rotation is not Rotation.RZ]
    # An upload needs the cosines and sines of the data alone: with re-uploading (more steps than layers) no angle joins them.
    joins = {Embedding.ANGLE: (Rotation.RY,), Embedding.BASIS: (Rotation.RX, Rotation.RY)}.get(circuit.embedding, ())
    joined = len(steps) == len(layers) > 0 and layers[0].rotation in joins
    return Program(
        n_qubits=circuit.n_qubits,
        depth=depth,
        width=width,
        embedding=EMBEDDINGS[circuit.embedding].kernel,
        joined=joined,
        rotating_steps=np.array(rotating_steps[joined:], np.int64),
        rows=np.array([step.row for step in steps], np.int64),
        begin=monomials.begin,
        has_pair_angles=monomials.has_pair_angles,
        has_angles=monomials.has_angles,
        # Without pair angles the slice is empty.
        pairs=circuit.n_qubits - 1 - np.array(circuit.entangled_pairs[: width - circuit.n_qubits], np.int64).reshape(-1, 2),
        has_monomial=monomials.exists,
        planes=monomials.planes,
        sources=monomials.sources,
        phases=monomials.phases,
        readout=monomials.source,
        order=np.arange(2**circuit.n_qubits),
    )


class _Monomials:
    """Monomials before the rotating steps of a circuit, built in one pass over the steps. The arrays are those of `Program`."""

    def __init__(self, circuit: Circuit, steps: Sequence[_Step]) -> None:
        size = len(steps)
        block = EMBEDDINGS[circuit.embedding]
        has_angle = ENTANGLERS[circuit.entangler].has_angle
        self._identity = np.arange(2**circuit.n_qubits)
        # The diagonal of F on every wire: a factor i for each set bit of the index.
        self._to_ry = np.array([1, 1j, -1, -1j])[np.bitwise_count(self._identity) % 4]
        self._entangler_sources = self._identity
        self._entangler_signs = np.ones_like(self._identity)
        if any(step.entangled for step in steps):
            self._entangler_sources, self._entangler_signs = _entangler(circuit)

        self.begin = np.zeros(size, np.int64)
        self.has_pair_angles = np.array([step.entangled and has_angle for step in steps], np.bool_)
        self.has_angles = np.zeros(size, np.bool_)
        self.exists = np.zeros(size, np.bool_)
        self.planes = np.full(size + 1, 1 + block.is_complex)
        self.sources = np.tile(self._identity, (size, 1))
        self.phases = np.zeros((size, 2, self._identity.size), np.int8)

        # The monomial since the last rotating step, and the first step in it.
        self.source = self._identity
        self._phase = np.ones(self._identity.size, np.complex128)
        self._first = 0
        self._is_basis_state = block.one_basis_state

    def rotate(self, number: int, rotation: Rotation | None) -> None:
        """Store the current monomial as that before a rotating step, and begin the next one."""
        if self._is_basis_state:
            # Phases of a single basis state are a global phase.
            self._phase = np.ones_like(self._phase)
            self._first = number
            self.has_pair_angles[:number] = False
        elif rotation is Rotation.RX:
            self._phase = self._phase * self._to_ry
        self._is_basis_state = False
        # Angles come from RZ layers since the last rotating step, and from the entanglers of that step.
        first = self._first
        self.has_angles[number] = first < number or self.has_pair_angles[max(first - 1, 0) : number].any()
        is_complex = bool(self.has_angles[number] or self._phase.imag.any())
        self.begin[number] = first
        self.sources[number] = self.source
        self.phases[number] = (self._phase.real, self._phase.imag)
        self.exists[number] = is_complex or bool((self._phase != 1).any() or (self.source != self._identity).any())
        # A state that is complex stays complex.
        self.planes[number + 1 :] = 2 if is_complex else self.planes[number]
        self.source = self._identity
        self._phase = self._to_ry.conj() if rotation is Rotation.RX else np.ones_like(self._phase)
        self._first = number + 1

    def entangle(self, number: int) -> None:
        """Add the entanglers of a step to the current monomial."""
        sources = self._entangler_sources
        self.source = self.source[sources]
        self._phase = self._phase[sources] * self._entangler_signs
        # The RZ layers of this monomial see the amplitudes from before the permutation.
        self.sources[self._first : number + 1] = self.sources[self._first : number + 1, sources]


def _steps(layers: Iterable[Layer]) -> Iterator[_Step]:
    """Yield a step for each layer, and one before it if it uploads the data again."""
    for row, layer in enumerate(layers):
        if layer.uploaded:
            yield _Step(DATA, Rotation.RY, False)
        yield _Step(row, layer.rotation, layer.entangled)


def _entangler(circuit: Circuit) -> tuple[Integers, Integers]:
    """Return sources and signs of one layer of entanglers: ψ'ₖ = signs[k] · ψ[sources[k]]."""
    action = ENTANGLERS[circuit.entangler].action
    assert action, f"{circuit.entangler} has no fast form"
    identity = np.arange(2**circuit.n_qubits)
    sources = identity
    signs = np.ones_like(identity)
    for control, target in circuit.entangled_pairs:
        control_bits = identity >> (circuit.n_qubits - 1 - control) & 1
        target_place = circuit.n_qubits - 1 - target
        target_bits = identity >> target_place & 1
        origins, factors = action(control_bits, target_bits, identity, 1 << target_place)
        sources = sources[origins]
        signs = signs[origins] * factors
    return sources, signs
