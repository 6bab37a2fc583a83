"""The normal form in which circuits are simulated: monomial, RY layer, monomial, RY layer, …, measurement.

* A *monomial* is a permutation of the amplitudes with a phase on each. CNOT chains (permutations), CZ chains (signs)
  RZ layers and ZZ chains (phases) are monomials, and so are their products: neighbours merge into one pass over the state.
* RX(θ) = F† RY(θ) F on every wire, with F = diag(1, i). The phases of F and F† join the neighbouring monomials, so that
  RY, which is real, is the only gate that mixes amplitudes.
* Of the monomial before the measurement only the permutation is left: probabilities have no phase.
* An RY layer directly after the angle embedding RY(2x) adds its angles to the inputs. Basis embedding is RY(πb) of the bits b
  but for the phase of the whole state, which is all that diagonal gates before the first rotation change too, F among them.
* Data that are uploaded again are an RY layer, RY(2x), with angles of their own for each sample.

Wire 0 is the most significant bit of an amplitude's index.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer, all_layers, weights_of
from faqnas_optuna.circuits.genome import Circuit, Embedding, Rotation

Integers = NDArray[np.int64]

DATA = -1
"""In the place of a layer's number, a step that uploads the data again."""


class Program(NamedTuple):
    """The normal form of a circuit, in arrays that numba functions accept. S steps, N = 2ⁿ amplitudes.

    A step is a layer, or data that are uploaded again, which are a step of RY before their layer. The monomial before a step
    that rotates maps ψ to ψ'ₖ = phases[step, k] · ψ[sources[step, k]], with the angles of the RZ layers in it yet to be added
    to the phases.
    """

    n_qubits: int
    depth: int
    """Layers."""
    width: int
    """Angles of a layer: those of its rotations, then those of its entanglers, if they have any."""
    embedding: int
    """The kernel of the embedding, by its declaration."""
    joined: bool
    """Layer 0 rotates as part of the embedding: RY of angles, RY or RX of bits."""
    rotated: Integers
    """The steps of RX and RY, in order, without a joined one."""
    rows: Integers
    """(S,) the layer of each step, whose weights it takes; -1 of data."""
    begin: Integers
    """(S,) the RZ layers in the monomial before a step that rotates are begin[step], …, step - 1."""
    turned: NDArray[np.bool_]
    """(S,) whether entanglers with angles follow the rotations of the step, diag(exp(∓iθ/2)) of each of the `pairs`."""
    weighted: NDArray[np.bool_]
    """(S,) whether the monomial before the step has angles."""
    pairs: Integers
    """(P, 2) the places of the bits of each pair."""
    moves: NDArray[np.bool_]
    """(S,) whether there is a monomial before the step; False for RZ."""
    planes: Integers
    """(S + 1,) before each step and after the last: 1 for a real state, 2 for a complex one."""
    sources: Integers
    """(S, N) for RX and RY as above; for RZ the index that amplitude k of the monomial's result had at this layer."""
    phases: NDArray[np.int8]
    """(S, 2, N) real and imaginary parts: -1, 0 or 1."""
    readout: Integers
    """(N,) amplitude k at the measurement is amplitude readout[k] after the last rotation."""
    order: Integers
    """0, 1, 2, …, N - 1"""


class _Step(NamedTuple):
    row: int
    rotation: Rotation | None
    entangled: bool


@lru_cache(maxsize=1024)
def compile_circuit(circuit: Circuit, layers: tuple[Layer, ...] | None = None) -> Program:
    """The normal form of a circuit that has one.

    Args:
        layers: to be applied instead of all of the circuit's own. Each has a rotation, and may lack the entanglers; without
            any layer the embedding is measured as it is.
    """
    layers, block = all_layers(circuit) if layers is None else layers, EMBEDDINGS[circuit.embedding]
    steps, (depth, width) = list(_steps(layers)), weights_of(circuit, layers)
    size, identity = len(steps), np.arange(2**circuit.n_qubits)
    to_real_rotation = np.array([1, 1j, -1, -1j])[np.bitwise_count(identity) % 4]
    is_any_entangled = any(step.entangled for step in steps)
    entangler_sources, entangler_signs = _entangler(circuit) if is_any_entangled else (identity, np.ones_like(identity))
    turned = np.array([entangled and ENTANGLERS[circuit.entangler].has_angle for _, _, entangled in steps], np.bool_)
    weighted = np.zeros(size, np.bool_)
    begin, moves, planes = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.full(size + 1, 1 + block.is_complex)
    sources, phases = np.tile(identity, (size, 1)), np.zeros((size, 2, identity.size), np.int8)

    # The monomial since the last rotation, and the first step in it.
    source, phase, first, moved = identity, np.ones(identity.size, np.complex128), 0, False
    for number, (_, rotation, entangled) in enumerate(steps):
        if rotation is not Rotation.RZ:
            if block.one_basis_state and not moved:
                phase, first, turned[:number] = np.ones_like(phase), number, False
            elif rotation is Rotation.RX:
                phase = phase * to_real_rotation
            moved = True
            weighted[number] = first < number or turned[max(first - 1, 0) : number].any()
            complex_phases = bool(weighted[number] or phase.imag.any())
            begin[number], sources[number], phases[number] = first, source, (phase.real, phase.imag)
            moves[number] = complex_phases or bool((phase != 1).any() or (source != identity).any())
            planes[number + 1 :] = 2 if complex_phases else planes[number]
            source, phase, first = identity, np.ones_like(phase), number + 1
            if rotation is Rotation.RX:
                phase = to_real_rotation.conj()
        if entangled:
            source, phase = source[entangler_sources], phase[entangler_sources] * entangler_signs
            sources[first : number + 1] = sources[first : number + 1, entangler_sources]

    rotated = [number for number, step in enumerate(steps) if step.rotation is not Rotation.RZ]
    # Data that come again need cos and sin of themselves, without an angle added.
    joins = {Embedding.ANGLE: (Rotation.RY,), Embedding.BASIS: (Rotation.RX, Rotation.RY)}.get(circuit.embedding, ())
    joined = size == len(layers) > 0 and layers[0].rotation in joins
    return Program(
        n_qubits=circuit.n_qubits,
        depth=depth,
        width=width,
        embedding=block.kernel,
        joined=joined,
        rotated=np.array(rotated[joined:], np.int64),
        rows=np.array([step.row for step in steps], np.int64),
        begin=begin,
        turned=turned,
        weighted=weighted,
        pairs=circuit.n_qubits - 1 - np.array(circuit.entangled_pairs[: width - circuit.n_qubits], np.int64).reshape(-1, 2),
        moves=moves,
        planes=planes,
        sources=sources,
        phases=phases,
        readout=source,
        order=identity,
    )


def _steps(layers: Iterable[Layer]) -> Iterator[_Step]:
    for row, layer in enumerate(layers):
        if layer.uploaded:
            yield _Step(DATA, Rotation.RY, False)
        yield _Step(row, layer.rotation, layer.entangled)


def _entangler(circuit: Circuit) -> tuple[Integers, Integers]:
    """One layer of entanglers: ψ'ₖ = signs[k] · ψ[sources[k]]."""
    action = ENTANGLERS[circuit.entangler].action
    assert action, f"{circuit.entangler} has no fast form"
    identity = np.arange(2**circuit.n_qubits)
    sources, signs = identity, np.ones_like(identity)
    for pair in circuit.entangled_pairs:
        (_, control), (value, target) = (
            (1 << place, identity >> place & 1) for place in (circuit.n_qubits - 1 - w for w in pair)
        )
        moved, factors = action(control, target, identity, value)
        sources, signs = sources[moved], signs[moved] * factors
    return sources, signs
