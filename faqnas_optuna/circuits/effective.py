"""Live and inert gates of a circuit, and its effective circuit. An inert gate affects no measured value, whatever the weights.

Every ⟨Zᵢ⟩ is a sum of the probabilities |ψₖ|² of the basis states, with signs. A diagonal gate multiplies each amplitude by a
phase, and a CNOT only says which amplitude stands where. So of a diagonal gate with nothing behind it but diagonal gates and
CNOTs nothing is left in the probabilities: it is *inert*. RZ and CZ are diagonal; RX and RY mix amplitudes. Going back from the
measurement to the last layer of RX or RY, the *last mixing layer*,

* every RZ layer behind it is inert, and its angles have no gradient;
* every CZ layer behind it is inert, its own included; without a mixing layer all are;
* every CNOT layer is live.

The optimiser never moves an inert angle: circuits that share their effective gates are trained alike from the same start. The
8,160 circuits have 6,786 different sets of effective gates. One of the circuits with the same effective gates is
their *effective circuit*.

Beyond the paper's space, ZZ is diagonal, as CZ is, and its angles are inert with it. And there is a second rule. Basis
embedding gives a basis state, and CNOTs make another of it. The phase that a diagonal gate gives to a single basis state is
that of the whole, which nobody sees. So before the *first* mixing layer RZ layers and diagonal entanglers are inert too, and
CNOT layers are live.

Data that are uploaded again before a layer are turned in by RY, which mixes: nothing before the last upload is inert. CRX mixes
too, in every layer, behind the rotations: of its circuits only a first layer of RZ on a basis state is called inert.

What is called inert is; more may be. Amplitude embedding leaves the first wires in |0⟩: on two or three qubits a whole layer of
CZ, ZZ or CRX, or of RZ before it, may find nothing to act on until RX or RY has mixed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS, EntanglerBlock
from faqnas_optuna.circuits.genome import Circuit, Entangler, Rotation, Topology


class Layer(NamedTuple):
    """What is applied in a layer."""

    rotation: Rotation | None
    entangled: bool
    uploaded: bool = False
    """The data first."""


def all_layers(circuit: Circuit) -> tuple[Layer, ...]:
    """A circuit with its inert gates."""
    return tuple(Layer(rotation, True, circuit.reuploading and number > 0) for number, rotation in enumerate(circuit.rotations))


def weights_of(circuit: Circuit, layers: Sequence[Layer] | None) -> tuple[int, int]:
    """The `weights_shape` of layers that are applied instead of all of the circuit's own; None for those."""
    if layers is None:
        return circuit.weights_shape
    _, width = circuit.weights_shape
    return len(layers), width if any(layer.entangled for layer in layers) else circuit.n_qubits


@dataclass(frozen=True, kw_only=True)
class EffectiveGates:
    """The effective gates of a circuit; as text, the circuit with brackets around its inert gates."""

    circuit: Circuit
    """As suggested."""

    @cached_property
    def mixing_layers(self) -> int:
        """L: the layers up to the last of RX or RY, to the last before the data are uploaded once more, or to that of CRX."""
        if self._entangler.mixes:
            return self.circuit.depth
        before_upload = self.circuit.depth - 1 if self.circuit.reuploading else 0
        return max(before_upload, *self._mixing, 0)

    @cached_property
    def leading(self) -> int:
        """Layers of rotations on a state that has one amplitude alone, which they do not mix: those before the first of RX or
        RY, with CRX at most one."""
        is_single = EMBEDDINGS[self.circuit.embedding].one_basis_state
        unmixed = min(self._mixing, default=self.circuit.depth + 1) - 1 if is_single else 0
        return min(unmixed, 1) if self._entangler.mixes else unmixed

    @property
    def _entangler(self) -> EntanglerBlock:
        return ENTANGLERS[self.circuit.entangler]

    @property
    def _mixing(self) -> list[int]:
        """The numbers, from 1, of the layers of RX and RY."""
        return [number for number, rotation in enumerate(self.circuit.rotations, 1) if rotation is not Rotation.RZ]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is live, layer by layer, without those in which nothing is."""
        return tuple(layer for layer in self._all_layers() if layer != Layer(None, False))

    @property
    def effective_rotations(self) -> tuple[Rotation, ...]:
        """Those of the layers that have live ones."""
        return self.circuit.rotations[self.leading : self.mixing_layers]

    @property
    def separable(self) -> tuple[Layer, ...]:
        """What is applied without entanglers: the layers of rotations that are then live, and those before which data are
        uploaded."""
        told = zip(self.unentangled._all_layers(), all_layers(self.circuit), strict=True)
        return tuple(Layer(whole.rotation, False, whole.uploaded) for live, whole in told if live.rotation or live.uploaded)

    @property
    def unentangled(self) -> "EffectiveGates":
        """The same rotations with entanglers that mix nothing: without any, those that are live in it are."""
        return EffectiveGates(circuit=replace(self.circuit, entangler=Entangler.CZ))

    @property
    def effective_angles(self) -> int:
        """Angles that a measured value depends on."""
        _, width = self.circuit.weights_shape
        of_pairs = (width - self.circuit.n_qubits) * sum(layer.entangled for layer in self.layers)
        return len(self.effective_rotations) * self.circuit.n_qubits + of_pairs

    @property
    def is_entangled(self) -> bool:
        """Whether an effective gate acts on two qubits."""
        return any(layer.entangled for layer in self.layers)

    @property
    def inert(self) -> str:
        """What is inert, in words; empty if nothing is."""
        gates = ("RZ", str(self.circuit.entangler))
        told = (
            f"{where} {gate} {'layer' if where in ONE else 'layers'}"
            for gate, counts in zip(gates, (self._inert_rotations, self._inert_entanglers), strict=True)
            for where in _places(*counts, self.circuit.depth)
        )
        return ", ".join(told)

    @property
    def lacks(self) -> str | None:
        """What a circuit should have and this one has not alive; None if it lacks nothing."""
        lacking = []
        if not self.effective_angles:
            lacking.append("effective rotation")
        if not self.is_entangled:
            lacking.append("effective entangler")
        return " and no ".join(lacking) or None

    @property
    def _inert_rotations(self) -> tuple[int, int]:
        """The layers of RZ without effect, at the beginning and at the end."""
        if not self.mixing_layers:
            return 0, self.circuit.depth
        return self.leading, self.circuit.depth - self.mixing_layers

    @property
    def _inert_entanglers(self) -> tuple[int, int]:
        """The same of the entanglers."""
        if not self._entangler.diagonal:
            return 0, 0
        first, last = self._inert_rotations
        return first, 1 if self.circuit.reuploading else min(last + 1, self.circuit.depth - first)

    def __str__(self) -> str:
        """The circuit as suggested in words, with brackets around what is inert."""
        circuit, (first, last) = self.circuit, self._inert_rotations
        rotations, end = [str(rotation) for rotation in circuit.rotations], circuit.depth - last
        parts = (_bracketed(rotations[:first]), rotations[first:end], _bracketed(rotations[end:]))
        entanglers = f"{circuit.entangler} {circuit.topology}"
        if places := _places(*self._inert_entanglers, circuit.depth):
            is_whole = sum(self._inert_entanglers) == circuit.depth
            entanglers = f"[{entanglers}]" if is_whole else f"{entanglers} [{', '.join(places)}]"
        return f"{circuit.n_qubits} qubits, {circuit.embedded}, {' '.join(chain(*parts))}, {entanglers}"

    def _all_layers(self) -> Iterator[Layer]:
        depth, (first, last), (first_pairs, last_pairs) = self.circuit.depth, self._inert_rotations, self._inert_entanglers
        for number, (rotation, _, uploaded) in enumerate(all_layers(self.circuit)):
            is_live = first <= number < depth - last
            yield Layer(rotation if is_live else None, first_pairs <= number < depth - last_pairs, uploaded)


def effective_circuit(circuit: Circuit) -> Circuit:
    """Return the shallowest circuit of the space with the same effective gates, which is looked up, seeded and trained for all.

    Where no entangler is live, its kind and topology do not matter, and it is a line of CZ.
    """
    gates = EffectiveGates(circuit=circuit)
    rotations = circuit.rotations
    if ENTANGLERS[circuit.entangler].diagonal and not circuit.reuploading:
        rotations = gates.effective_rotations or rotations[:1]
    return Circuit(
        n_qubits=circuit.n_qubits,
        embedding=circuit.embedding,
        entangler=circuit.entangler if gates.is_entangled else Entangler.CZ,
        topology=circuit.topology if gates.is_entangled else Topology.LINEAR,
        rotations=rotations,
        reuploading=circuit.reuploading,
    )


ONE = ("the only", "the first", "the last")


def _places(first: int, last: int, depth: int) -> list[str]:
    """Which of the layers, from the beginning and from the end."""
    if first + last == depth:
        return ["the only" if depth == 1 else "all"]
    counted = (("first", first), ("last", last))
    return [f"the {word}" if count == 1 else f"the {word} {count}" for word, count in counted if count]


def _bracketed(words: Sequence[str]) -> list[str]:
    return [f"[{' '.join(words)}]"] if words else []
