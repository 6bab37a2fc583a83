"""The normal form in which circuits are simulated: monomial, RY layer, monomial, RY layer, …, measurement.

* A *monomial* is a permutation of the amplitudes with a phase on each. CNOT chains (permutations), CZ chains (signs)
  and RZ layers (phases) are monomials, and so are their products: neighbours merge into one pass over the state.
* RX(θ) = F† RY(θ) F on every wire, with F = diag(1, i). The phases of F and F† join the neighbouring monomials, so that
  RY, which is real, is the only gate that mixes amplitudes.
* Of the monomial before the measurement only the permutation is left: probabilities have no phase.
* An RY layer directly after the angle embedding RY(2x) adds its angles to the inputs.

Wire 0 is the most significant bit of an amplitude's index.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer, all_layers
from faqnas_optuna.circuits.genome import Circuit, Embedding, Rotation

Integers = NDArray[np.int64]


class Program(NamedTuple):
    """The normal form of a circuit, in arrays that numba functions accept. L layers, N = 2ⁿ amplitudes.

    The monomial before a layer of RX or RY maps ψ to ψ'ₖ = phases[layer, k] · ψ[sources[layer, k]], with the angles of
    the RZ layers in it yet to be added to the phases.
    """

    n_qubits: int
    embedding: int
    """The kernel of the embedding, by its declaration."""
    joined: bool
    """Layer 0 is an RY layer that is part of the angle embedding."""
    rotated: Integers
    """The layers of RX and RY, in order, without a joined one."""
    begin: Integers
    """(L,) the RZ layers in the monomial before a layer of RX or RY are begin[layer], …, layer - 1."""
    moves: NDArray[np.bool_]
    """(L,) whether there is a monomial before the layer; False for RZ."""
    planes: Integers
    """(L + 1,) before each layer and after the last: 1 for a real state, 2 for a complex one."""
    sources: Integers
    """(L, N) for RX and RY as above; for RZ the index that amplitude k of the monomial's result had at this layer."""
    phases: NDArray[np.int8]
    """(L, 2, N) real and imaginary parts: -1, 0 or 1."""
    readout: Integers
    """(N,) amplitude k at the measurement is amplitude readout[k] after the last rotation."""
    order: Integers
    """0, 1, 2, …, N - 1"""


@lru_cache(maxsize=1024)
def compile_circuit(circuit: Circuit, layers: tuple[Layer, ...] | None = None) -> Program:
    """The normal form of a circuit.

    Args:
        layers: to be applied instead of all of the circuit's own. Each has a rotation, and may lack the entanglers; without
            any layer the embedding is measured as it is.
    """
    layers, block = all_layers(circuit) if layers is None else layers, EMBEDDINGS[circuit.embedding]
    depth, identity = len(layers), np.arange(2**circuit.n_qubits)
    to_real_rotation = np.array([1, 1j, -1, -1j])[np.bitwise_count(identity) % 4]
    entangler_sources, entangler_signs = _entangler(circuit)
    begin, moves, planes = np.zeros(depth, np.int64), np.zeros(depth, np.bool_), np.full(depth + 1, 1 + block.is_complex)
    sources, phases = np.tile(identity, (depth, 1)), np.zeros((depth, 2, identity.size), np.int8)

    # The monomial since the last rotation, and the first layer in it.
    source, phase, first = identity, np.ones(identity.size, np.complex128), 0
    for layer, (rotation, entangled) in enumerate(layers):
        if rotation is not Rotation.RZ:
            if rotation is Rotation.RX:
                phase = phase * to_real_rotation
            complex_phases = first < layer or bool(phase.imag.any())
            begin[layer], sources[layer], phases[layer] = first, source, (phase.real, phase.imag)
            moves[layer] = complex_phases or bool((phase != 1).any() or (source != identity).any())
            planes[layer + 1 :] = 2 if complex_phases else planes[layer]
            source, phase, first = identity, np.ones_like(phase), layer + 1
            if rotation is Rotation.RX:
                phase = to_real_rotation.conj()
        if entangled:
            source, phase = source[entangler_sources], phase[entangler_sources] * entangler_signs
            sources[first : layer + 1] = sources[first : layer + 1, entangler_sources]

    joined = circuit.embedding is Embedding.ANGLE and depth > 0 and layers[0].rotation is Rotation.RY
    rotated = [number for number, layer in enumerate(layers) if layer.rotation is not Rotation.RZ]
    return Program(
        n_qubits=circuit.n_qubits,
        embedding=block.kernel,
        joined=joined,
        rotated=np.array(rotated[joined:], np.int64),
        begin=begin,
        moves=moves,
        planes=planes,
        sources=sources,
        phases=phases,
        readout=source,
        order=identity,
    )


def _entangler(circuit: Circuit) -> tuple[Integers, Integers]:
    """One layer of entanglers: ψ'ₖ = signs[k] · ψ[sources[k]]."""
    identity = np.arange(2**circuit.n_qubits)
    sources, signs = identity, np.ones_like(identity)
    for pair in circuit.entangled_pairs:
        (_, control), (value, target) = (
            (1 << place, identity >> place & 1) for place in (circuit.n_qubits - 1 - w for w in pair)
        )
        moved, factors = ENTANGLERS[circuit.entangler].action(control, target, identity, value)
        sources, signs = sources[moved], signs[moved] * factors
    return sources, signs
