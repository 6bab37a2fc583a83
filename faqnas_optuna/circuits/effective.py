"""Effective and inert gates of a circuit, and its effective circuit.

An *inert* gate cannot affect any measured value, whatever the weights. The rules below identify inert gates; all other
gates are called *effective*.

Every ⟨Zᵢ⟩ is a signed sum of the probabilities |ψₖ|² of the basis states. A diagonal gate multiplies each amplitude by a phase,
and a CNOT permutes the amplitudes. A diagonal gate that is followed only by diagonal gates and CNOTs therefore does not change
the probabilities: it is inert. RZ and CZ are diagonal; RX and RY mix amplitudes. Let the *last mixing layer* be the last layer
of RX or RY. Then

* every later RZ layer is inert, and its angles have zero gradient;
* the CZ gates in the last mixing layer and in every later layer are inert; without a mixing layer, all CZ gates are;
* every CNOT layer is effective.

The optimiser never moves an inert angle, so circuits that share their effective gates have identical trainings from the same
initial weights. The 8,160 circuits have 6,786 different sets of effective gates. One circuit represents each set: the
*effective circuit* of all circuits in it.

Beyond the paper's space, ZZ is diagonal, as CZ is, and its angles are inert whenever the gate is. A second rule applies to
basis embedding. It prepares a basis state, and CNOTs map it to another one. A diagonal gate gives a single basis state only a
global phase, which cannot be observed. Before the *first* mixing layer, RZ layers and diagonal entanglers are therefore inert
as well, and CNOT layers are effective.

Re-uploaded data enter through RY, which mixes: nothing before the last upload is inert. CRX also mixes, in every layer, after
the rotations: in circuits with CRX, only the rotations of the first layer can be inert, if they are RZ on a basis state.

The rules are sufficient, not necessary: some inert gates are missed. Amplitude embedding leaves the first wires in |0⟩. On two
or three qubits, a whole layer of CZ, ZZ or CRX, or of RZ before it, may therefore have no effect before the first RX or RY,
although it is not identified as inert. `circuits.functions` finds gates that have no effect together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS, EntanglerBlock
from faqnas_optuna.circuits.genome import Circuit, Entangler, Rotation, Topology


class Layer(NamedTuple):
    """Gates of one layer that are applied."""

    rotation: Rotation | None
    entangled: bool
    uploaded: bool = False
    """True if the data are uploaded again before the rotation."""


def all_layers(circuit: Circuit) -> tuple[Layer, ...]:
    """Return the layers of a circuit, inert gates included."""
    return tuple(Layer(rotation, True, circuit.reuploading and number > 0) for number, rotation in enumerate(circuit.rotations))


def weights_shape(circuit: Circuit, layers: Sequence[Layer] | None) -> tuple[int, int]:
    """Return the shape of the trained angles of `layers`, or of the whole circuit if `layers` is None."""
    if layers is None:
        return circuit.weights_shape
    _, width = circuit.weights_shape
    # Without entanglers there are no angles of pairs.
    return len(layers), width if any(layer.entangled for layer in layers) else circuit.n_qubits


@dataclass(frozen=True, kw_only=True)
class EffectiveGates:
    """Effective gates of a circuit. As text: the circuit with brackets around its inert gates.

    >>> from faqnas_optuna.circuits.genome import Genome
    >>> genes = {"n_qubits": 4, "embedding": "angle", "entangler": "CZ", "topology": "linear", "depth": 3}
    >>> genome = Genome.from_params(genes | {"rotation_1": "RX", "rotation_2": "RY", "rotation_3": "RZ", "rotation_4": "RX"})
    >>> print(EffectiveGates(circuit=genome.circuit))
    4 qubits, angle, RX RY [RZ], CZ linear [the last 2]
    """

    circuit: Circuit
    """Circuit as suggested, with its inert gates."""

    @cached_property
    def mixing_depth(self) -> int:
        """Number of layers up to the last one that mixes (through RX, RY or CRX) or is followed by an upload.

        The rotations of all later layers are inert.
        """
        if self._entangler.mixes:
            return self.circuit.depth
        # The last upload, before the last layer, mixes the state that all earlier layers leave.
        before_upload = self.circuit.depth - 1 if self.circuit.reuploading else 0
        return max(before_upload, *self._mixing, 0)

    @cached_property
    def leading(self) -> int:
        """Number of RZ layers at the beginning that act on a single basis state and are therefore inert."""
        is_single = EMBEDDINGS[self.circuit.embedding].one_basis_state
        unmixed = min(self._mixing, default=self.circuit.depth + 1) - 1 if is_single else 0
        # The entanglers of a CRX layer mix, so that only the rotations of the first layer act on a basis state.
        return min(unmixed, 1) if self._entangler.mixes else unmixed

    @property
    def _entangler(self) -> EntanglerBlock:
        return ENTANGLERS[self.circuit.entangler]

    @property
    def _mixing(self) -> list[int]:
        """Numbers, from 1, of the layers of RX and RY."""
        return [number for number, rotation in enumerate(self.circuit.rotations, 1) if rotation is not Rotation.RZ]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Effective gates, layer by layer, without layers that have none."""
        return tuple(layer for layer in self._all_layers() if layer != Layer(None, False))

    @property
    def effective_rotations(self) -> tuple[Rotation, ...]:
        """Rotations of the layers whose rotations are effective."""
        return self.circuit.rotations[self.leading : self.mixing_depth]

    @property
    def separable(self) -> tuple[Layer, ...]:
        """Layers of the circuit without its entanglers, except those with neither an effective rotation nor an upload.

        A layer with an upload keeps its rotation even if that is inert.
        """
        pairs = zip(self.with_cz._all_layers(), all_layers(self.circuit), strict=True)
        layers = (layer for effective, layer in pairs if effective.rotation or effective.uploaded)
        return tuple(Layer(layer.rotation, False, layer.uploaded) for layer in layers)

    @property
    def with_cz(self) -> "EffectiveGates":
        """Effective gates with CZ as the entangler: its effective rotations are those of the circuit without entanglers."""
        return EffectiveGates(circuit=replace(self.circuit, entangler=Entangler.CZ))

    @property
    def effective_angles(self) -> int:
        """Number of trained angles that affect a measured value."""
        _, width = self.circuit.weights_shape
        pair_angles = (width - self.circuit.n_qubits) * sum(layer.entangled for layer in self.layers)
        return len(self.effective_rotations) * self.circuit.n_qubits + pair_angles

    @property
    def is_entangled(self) -> bool:
        """True if an effective gate acts on two qubits."""
        return any(layer.entangled for layer in self.layers)

    @property
    def inert(self) -> str:
        """Description of the inert gates; empty if there are none."""
        gates = ("RZ", str(self.circuit.entangler))
        phrases = (
            f"{position} {gate} {'layer' if position in SINGULAR else 'layers'}"
            for gate, counts in zip(gates, (self._inert_rotations, self._inert_entanglers), strict=True)
            for position in _positions(*counts, self.circuit.depth)
        )
        return ", ".join(phrases)

    @property
    def lacks(self) -> str | None:
        """Phrase after "no" for what a useful circuit has and this one lacks; None if it lacks nothing.

        The effective rotation is missing if no trained angle is effective.
        """
        kinds = []
        if not self.effective_angles:
            kinds.append("effective rotation")
        if not self.is_entangled:
            kinds.append("effective entangler")
        return " and no ".join(kinds) or None

    @property
    def _inert_rotations(self) -> tuple[int, int]:
        """Counts of inert RZ layers at the beginning and at the end."""
        if not self.mixing_depth:
            return 0, self.circuit.depth
        return self.leading, self.circuit.depth - self.mixing_depth

    @property
    def _inert_entanglers(self) -> tuple[int, int]:
        """Counts of layers with inert entanglers at the beginning and at the end."""
        if not self._entangler.diagonal:
            return 0, 0
        first, last = self._inert_rotations
        # The entanglers of the last mixing layer follow its rotations, so that they are inert too. With re-uploading only
        # those of the last layer have no upload after them.
        return first, 1 if self.circuit.reuploading else min(last + 1, self.circuit.depth - first)

    def __str__(self) -> str:
        circuit = self.circuit
        first, last = self._inert_rotations
        end = circuit.depth - last
        rotations = [str(rotation) for rotation in circuit.rotations]
        parts = (_bracketed(rotations[:first]), rotations[first:end], _bracketed(rotations[end:]))
        entanglers = f"{circuit.entangler} {circuit.topology}"
        positions = _positions(*self._inert_entanglers, circuit.depth)
        if positions:
            is_whole = sum(self._inert_entanglers) == circuit.depth
            entanglers = f"[{entanglers}]" if is_whole else f"{entanglers} [{', '.join(positions)}]"
        return f"{circuit.n_qubits} qubits, {circuit.embedding_label}, {' '.join(chain(*parts))}, {entanglers}"

    def _all_layers(self) -> Iterator[Layer]:
        """Yield every layer without its inert gates, including layers that become empty."""
        depth = self.circuit.depth
        first, last = self._inert_rotations
        first_pairs, last_pairs = self._inert_entanglers
        for number, (rotation, _, uploaded) in enumerate(all_layers(self.circuit)):
            is_effective = first <= number < depth - last
            yield Layer(rotation if is_effective else None, first_pairs <= number < depth - last_pairs, uploaded)


def effective_circuit(circuit: Circuit) -> Circuit:
    """Return the shallowest circuit of the space with the same effective gates, which represents all such circuits.

    If no entangler is effective, its kind and topology do not matter; the effective circuit has CZ in a linear topology.
    """
    gates = EffectiveGates(circuit=circuit)
    rotations = circuit.rotations
    # Only layers whose entanglers are inert as well can be dropped; an effective CNOT needs its layer. A circuit has at least
    # one layer, even if it has no effective gate.
    if ENTANGLERS[circuit.entangler].diagonal and not circuit.reuploading:
        rotations = gates.effective_rotations or rotations[:1]
    if gates.is_entangled:
        return replace(circuit, rotations=rotations)
    return replace(circuit, entangler=Entangler.CZ, topology=Topology.LINEAR, rotations=rotations)


SINGULAR = ("the only", "the first", "the last")
"""Positions that mean a single layer."""


def _positions(first: int, last: int, depth: int) -> list[str]:
    """Describe the first and last few of `depth` layers in words."""
    if first + last == depth:
        return ["the only" if depth == 1 else "all"]
    counts = (("first", first), ("last", last))
    return [f"the {word}" if count == 1 else f"the {word} {count}" for word, count in counts if count]


def _bracketed(words: Sequence[str]) -> list[str]:
    return [f"[{' '.join(words)}]"] if words else []
