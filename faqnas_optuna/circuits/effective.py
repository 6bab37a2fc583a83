"""A circuit without its inert gates: those that change no measured value, whatever the weights.

Every ⟨Zᵢ⟩ is a sum of the probabilities |ψₖ|² of the basis states, with signs. A diagonal gate multiplies each amplitude by a
phase, and a CNOT only says which amplitude stands where. So of a diagonal gate with nothing behind it but diagonal gates and
CNOTs nothing is left in the probabilities: it is *inert*. RZ and CZ are diagonal; RX and RY mix amplitudes. Going back from the
measurement to the last layer of RX or RY, the *last mixing layer*,

* every RZ layer behind it is inert, and its angles have no gradient;
* every CZ layer behind it is inert, its own included; without a mixing layer all are;
* every CNOT layer is live.

Of what is inert the optimiser never moves an angle: circuits that share their live gates are trained alike from the same start.
The 8,160 circuits have 6,786 different sets of live gates, and this module chooses one circuit to stand for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from faqnas_optuna.circuits.blocks import ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit, Entangler, Rotation, Topology


class Layer(NamedTuple):
    """What is applied in a layer."""

    rotation: Rotation | None
    entangled: bool


def all_layers(circuit: Circuit) -> tuple[Layer, ...]:
    """A circuit with its inert gates."""
    return tuple(Layer(rotation, True) for rotation in circuit.rotations)


@dataclass(frozen=True, kw_only=True)
class EffectiveCircuit:
    """What is live in a circuit."""

    circuit: Circuit
    """As suggested."""

    @cached_property
    def mixing_layers(self) -> int:
        """L: the layers up to the last of RX or RY."""
        mixing = [number for number, rotation in enumerate(self.circuit.rotations, 1) if rotation is not Rotation.RZ]
        return max(mixing, default=0)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is live, layer by layer, up to the last in which anything is."""
        return tuple(layer for layer in self._all_layers() if layer != Layer(None, False))

    @property
    def live_angles(self) -> int:
        """Angles that a measured value depends on."""
        return self.mixing_layers * self.circuit.n_qubits

    @property
    def is_entangled(self) -> bool:
        """Whether a live gate acts on two qubits."""
        return any(layer.entangled for layer in self.layers)

    @property
    def representative(self) -> Circuit:
        """The shallowest circuit of the space with these live gates, which is looked up, seeded and trained for all of them.

        Where no entangler is live its kind and topology mean nothing, and it is a line of CZ.
        """
        circuit = self.circuit
        depth = max(self.mixing_layers, 1) if ENTANGLERS[circuit.entangler].diagonal else circuit.depth
        return Circuit(
            n_qubits=circuit.n_qubits,
            embedding=circuit.embedding,
            entangler=circuit.entangler if self.is_entangled else Entangler.CZ,
            topology=circuit.topology if self.is_entangled else Topology.LINEAR,
            rotations=circuit.rotations[:depth],
        )

    @property
    def inert(self) -> str:
        """What is inert, in words; empty if nothing is."""
        rotations = self.circuit.depth - self.mixing_layers
        told = ((rotations, "RZ"), (self._inert_entanglers, str(self.circuit.entangler)))
        return ", ".join(
            f"{_last(count, self.circuit.depth)} {gate} {'layer' if count == 1 else 'layers'}" for count, gate in told if count
        )

    @property
    def lacks(self) -> str | None:
        """What a circuit should have and this one has not alive; None if it lacks nothing."""
        lacking = []
        if not self.live_angles:
            lacking.append("live rotation")
        if not self.is_entangled:
            lacking.append("live entangler")
        return " and no ".join(lacking) or None

    @property
    def _inert_entanglers(self) -> int:
        """Layers of entanglers without effect."""
        return self.circuit.depth - sum(layer.entangled for layer in self.layers)

    def __str__(self) -> str:
        """The circuit as suggested in words, with brackets around what is inert."""
        circuit, live = self.circuit, self.mixing_layers
        rotations = [str(rotation) for rotation in circuit.rotations]
        inert = [f"[{' '.join(rotations[live:])}]"] if rotations[live:] else []
        entanglers = f"{circuit.entangler} {circuit.topology}"
        if count := self._inert_entanglers:
            entanglers = f"[{entanglers}]" if count == circuit.depth else f"{entanglers} [{_last(count, circuit.depth)}]"
        return f"{circuit.n_qubits} qubits, {circuit.embedding}, {' '.join(rotations[:live] + inert)}, {entanglers}"

    def _all_layers(self) -> Iterator[Layer]:
        for number, rotation in enumerate(self.circuit.rotations, 1):
            yield Layer(
                rotation if number <= self.mixing_layers else None,
                not ENTANGLERS[self.circuit.entangler].diagonal or number < self.mixing_layers,
            )


def _last(count: int, depth: int) -> str:
    """Which of the layers, from the end."""
    if count == depth:
        return "the only" if depth == 1 else "all"
    return "the last" if count == 1 else f"the last {count}"
