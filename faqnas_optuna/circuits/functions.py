"""Circuits that compute the same function, and one circuit that represents them.

Two circuits compute the same *function* if they give equal ⟨Zᵢ⟩ of every wire for all inputs and all weights. The weights are
matched layer by layer, without the layers whose angles are inert. The 6,786 effective circuits of the paper's space compute
6,553 functions.

The normal form of a circuit is a list of steps: rotations, uploads, and the entanglers between them. Circuits of equal qubits,
embedding and steps compute the same function, because each rule that leads to the normal form preserves the function:

1. *Pairs of CZ layers.* CZ commutes with CZ and RZ and is its own inverse. Between two mixing steps (RX, RY or an upload), an
   even number of CZ on a pair is the identity, and an odd number is one CZ, wherever the RZ are: CZ·RZ·CZ = RZ.
2. *Powers of CNOT layers.* A CNOT layer maps the basis state |x⟩ to |Ax⟩, with an invertible matrix A over the field of two
   elements. k layers without an effective rotation between them are Aᵏ, which may equal a lower power: A² = 1 on two qubits,
   and A⁴ = 1 on three and four qubits in a linear topology.
3. *Wires in |0⟩.* Amplitude embedding fills the basis states |x⟩ with x < n. Up to the first mixing step, RZ and CZ do not
   change which basis states are filled, so a CZ has no effect if no filled state has both bits set. Of A only the columns of
   wires that are set in a filled state matter, up to and including the first power of A that moves a filled state.
4. *Real states.* Embeddings other than IQP, RY, uploads and CZ have real matrices or states. If nothing else precedes the last
   mixing step and this is RX(θ), then RX(-θ) Z RX(θ) = cos θ Z + sin θ Y on each wire. The CZ directly before commute with Z,
   and turn Y into Y times a product of Z on other wires. This operator has imaginary entries, so its expectation value in a
   real state vanishes, as that of Y does. What remains, cos θ ⟨Z⟩, does not depend on these CZ.

ZZ and CRX have angles and do not cancel; their layers are steps as they are. The rules find all equal functions of the paper's
space, which a test shows by comparing measured values. In wider spaces they are sufficient, not necessary: with basis
embedding, for example, RX and RY are equal as the first rotation.

The trainings of equal functions are equal in distribution but not equal: each effective circuit has its own random seeds.
Initial parameters are independent and have the same distribution in every circuit; inert angles have zero gradient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product

from faqnas_optuna.circuits.blocks import EMBEDDINGS, Embedding
from faqnas_optuna.circuits.effective import EffectiveGates, effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Entangler, Rotation, Topology

UPLOAD = "upload"
MIXING = (Rotation.RX, Rotation.RY, UPLOAD)
"""Steps that mix amplitudes."""

Step = str | frozenset[tuple[int, int]] | tuple[int | tuple[int, int], ...]
"""A rotation or upload; pairs of CZ; the rows of A as bit masks; or the pairs of a layer of other entanglers."""


# Reports and races ask for the same circuits repeatedly.
@lru_cache(maxsize=2**14)
def function_of(circuit: Circuit) -> Circuit:
    """Return the circuit of the space that represents all circuits that compute the same function.

    It is the shallowest of them, if possible with CZ and linear.

    >>> from faqnas_optuna.circuits.genome import Genome
    >>> genes = {"n_qubits": 4, "embedding": "angle", "entangler": "CZ", "topology": "circular", "depth": 3}
    >>> genome = Genome.from_params(genes | {"rotation_1": "RX", "rotation_2": "RZ", "rotation_3": "RY", "rotation_4": "RX"})
    >>> print(function_of(genome.circuit))
    4 qubits, angle, RX RZ RY, CZ linear
    """
    effective = effective_circuit(circuit)
    steps = _steps(effective)
    # The effective circuit itself is among the alternatives, so that there always is one.
    return next(alternative for alternative in _alternatives(effective) if _steps(alternative) == steps)


def is_entangled(circuit: Circuit) -> bool:
    """Return whether the function of a circuit depends on its entanglers: False if they are inert, cancel or have no effect."""
    return any(not isinstance(step, str) for step in _steps(circuit))


def _alternatives(effective: Circuit) -> Iterator[Circuit]:
    """Yield circuits that may compute the same as an effective circuit, and the circuit itself, shallowest first."""
    rotations = effective.rotations
    gates = EffectiveGates(circuit=effective)
    # Layers of CNOT with inert rotations are left out at both ends. Re-uploading needs all layers.
    first, last = (0, 0) if effective.reuploading else (gates.leading, effective.depth - gates.mixing_depth)
    slices = {rotations[start : len(rotations) - end] for start, end in product(range(first + 1), range(last + 1))}
    for remaining in sorted(slices - {()}, key=len):
        # `fromkeys` removes duplicates but keeps the order.
        for entangler in dict.fromkeys((Entangler.CZ, effective.entangler)):
            for topology in dict.fromkeys((Topology.LINEAR, effective.topology)):
                yield replace(effective, entangler=entangler, topology=topology, rotations=remaining)


def _steps(circuit: Circuit) -> tuple[Step, ...]:
    """Return the normal form of a circuit."""
    operations: list[str] = []
    for layer in EffectiveGates(circuit=circuit).layers:
        operations += [UPLOAD] * layer.uploaded
        operations += [layer.rotation] if layer.rotation else []
        operations += [circuit.entangler] * layer.entangled
    match circuit.entangler:
        case Entangler.CZ:
            return tuple(_cz_steps(circuit, operations))
        case Entangler.CNOT:
            return tuple(_cnot_steps(circuit, operations))
        case _:
            pairs = circuit.entangled_pairs
            return tuple(pairs if operation == circuit.entangler else operation for operation in operations)


def _cz_steps(circuit: Circuit, operations: Sequence[str]) -> Iterator[Step]:
    # After the last mixing step all CZ are inert, so that every CZ is followed by a mixing step.
    last = max((number for number, operation in enumerate(operations) if operation in MIXING), default=0)
    is_real = not EMBEDDINGS[circuit.embedding].is_complex and {*operations[:last]} <= {Rotation.RY, UPLOAD, Entangler.CZ}
    layer = {pair for pair in circuit.entangled_pairs if _acts_on_embedding(circuit, pair)}
    pairs: set[tuple[int, int]] = set()
    for number, operation in enumerate(operations):
        if operation == Entangler.CZ:
            pairs ^= layer
            continue
        # RZ commutes with CZ: the pairs before the next mixing step are counted across it.
        if operation in MIXING:
            is_ignored = is_real and number == last and operation == Rotation.RX
            if pairs and not is_ignored:
                yield frozenset(pairs)
            pairs = set()
            layer = {*circuit.entangled_pairs}
        yield operation


def _acts_on_embedding(circuit: Circuit, pair: tuple[int, int]) -> bool:
    """Return whether CZ on a pair of wires changes the embedded state."""
    both = sum(1 << (circuit.n_qubits - 1 - wire) for wire in pair)
    return circuit.embedding is not Embedding.AMPLITUDE or any(both & index == both for index in range(circuit.n_qubits))


def _cnot_steps(circuit: Circuit, operations: Sequence[str]) -> Iterator[Step]:
    n_qubits = circuit.n_qubits
    # Row w of A is a mask of the wires whose parity becomes the value of wire w. As in an index, wire 0 is the first bit.
    identity = [1 << (n_qubits - 1 - wire) for wire in range(n_qubits)]
    every = 2**n_qubits - 1
    columns = 2 ** (n_qubits - 1).bit_length() - 1 if circuit.embedding is Embedding.AMPLITUDE else every
    rows = identity.copy()
    for operation in (*operations, None):
        if operation == Entangler.CNOT:
            for control, target in circuit.entangled_pairs:
                rows[target] ^= rows[control]
            continue
        # Any rotation ends a power of A, because RZ on a target does not commute with CNOT.
        if any((row ^ one) & columns for row, one in zip(rows, identity, strict=True)):
            yield tuple(row & columns for row in rows)
            columns = every
        rows = identity.copy()
        if operation in MIXING:
            # RX and RY fill the basis states of all wires.
            columns = every
        if operation is not None:
            yield operation
