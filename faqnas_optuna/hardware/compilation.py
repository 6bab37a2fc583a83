"""Circuits in the gates of a device: layout, SWAPs, native two-qubit gates, and what lies between these on each qubit.

Angles are taken as generic: no gate is cheaper for the value of an angle. Where gates cancel whatever the angles, as two layers
of CZ with nothing but RZ between, they are not run.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Gate
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.devices import Device, TwoQubitGate
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Read, SingleQubitGate, TwoQubit
from faqnas_optuna.hardware.routing import patch, route


def compiled(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> Sequence[NativeGate]:
    """Return the program that runs a circuit's layers on a device; qubits are numbered as in its `patch`."""
    pairs, rotations = _divided(circuit, layers)
    left = [iter(groups) for groups in rotations]
    found = route(tuple((min(gate.wires), max(gate.wires)) for gate in pairs), circuit.n_qubits, patch(device.pairs))
    program = _Program(found.layout, device.two_qubit_gate)
    for operation in found.operations:
        if operation.gate is None:
            program.swap(*operation.qubits)
            continue
        gate = pairs[operation.gate]
        for wire in gate.wires:
            program.rotate(wire, next(left[wire]))
        program.entangle(gate, swapped=operation.swapped)
    for wire in range(circuit.n_qubits):
        program.rotate(wire, next(left[wire]))
    return program.read()


class _Program:
    """The native gates so far, and the one-qubit gates that wait to be merged with those that follow."""

    def __init__(self, layout: Sequence[int], two_qubit_gate: TwoQubitGate) -> None:
        self._place = list(layout)
        self._two_qubit_gate = two_qubit_gate
        self._waiting: defaultdict[int, list[SingleQubitGate]] = defaultdict(list)
        self._done: list[NativeGate] = []

    def rotate(self, wire: int, gates: Iterable[SingleQubitGate]) -> None:
        """Add one-qubit gates."""
        self._waiting[self._place[wire]] += gates

    def entangle(self, gate: Gate, *, swapped: bool) -> None:
        """Add a CNOT or a CZ, and then, if asked, a SWAP of its qubits, which costs one gate more."""
        name, (first, second) = gate.name, (self._place[wire] for wire in gate.wires)
        if not swapped:
            self._native(name, first, second)
            return
        if name == "cz":
            # CZ = H CNOT H, and the second H is behind the SWAP on the other qubit.
            self._waiting[second].append(H)
        # SWAP is three CNOTs in turn, of which the first undoes this one.
        self._native("cx", second, first)
        self._native("cx", first, second)
        if name == "cz":
            self._waiting[first].append(H)
        self._exchange(first, second)

    def swap(self, first: int, second: int) -> None:
        """Add a SWAP alone."""
        for control, target in ((first, second), (second, first), (first, second)):
            self._native("cx", control, target)
        self._exchange(first, second)

    def read(self) -> Sequence[NativeGate]:
        """Add the readout of the wires, and return the whole program."""
        self._send(*sorted(self._waiting))
        return *self._done, Read(tuple(self._place))

    def _exchange(self, first: int, second: int) -> None:
        self._place = [{first: second, second: first}.get(qubit, qubit) for qubit in self._place]

    def _native(self, name: str, first: int, second: int) -> None:
        """Add a CNOT or a CZ as it is made of the device's gate."""
        before, after = CX_CZ_DECOMPOSITION[self._two_qubit_gate, name]
        for qubit, gates in zip((first, second), before, strict=True):
            self._waiting[qubit] += gates
        self._send(first, second)
        self._done.append(TwoQubit((first, second)))
        for qubit, gates in zip((first, second), after, strict=True):
            self._waiting[qubit] += gates

    def _send(self, *qubits: int) -> None:
        for qubit in qubits:
            if gates := self._waiting.pop(qubit, None):
                self._done.append(OneQubit((qubit,), tuple(gates)))


H, X, S, Z = SingleQubitGate("h"), SingleQubitGate("x"), SingleQubitGate("s"), SingleQubitGate("z")
V = SingleQubitGate("v")

CX_CZ_DECOMPOSITION: Mapping[
    tuple[TwoQubitGate, str], tuple[tuple[Sequence[SingleQubitGate], Sequence[SingleQubitGate]], ...]
] = {
    (TwoQubitGate.CZ, "cz"): (((), ()), ((), ())),
    (TwoQubitGate.CZ, "cx"): (((), (H,)), ((), (H,))),
    # ECR = X · RZX(π/2) with X on the control, and CNOT = RZ(π/2) ⊗ RX(π/2) · RZX(-π/2).
    (TwoQubitGate.ECR, "cx"): (((X,), ()), ((S,), (V,))),
    (TwoQubitGate.ECR, "cz"): (((X,), (H,)), ((S,), (V, H))),
    # CZ = RZ(-π/2) ⊗ RZ(-π/2) · RZZ(π/2)
    (TwoQubitGate.RZZ, "cz"): (((), ()), ((Z,), (Z,))),
    (TwoQubitGate.RZZ, "cx"): (((), (H,)), ((Z,), (Z, H))),
}
"""What is done to the two qubits before and after a device's gate to make a CNOT, control first, or a CZ; up to a phase."""


Axes = Mapping[int, str]
"""About which axis of each of its wires a gate turns. Gates about the same axis of every wire that they share commute."""


def uncancelled(gates: Iterable[Gate]) -> Sequence[Gate]:
    """Gates without those that undo each other: equal ones on two wires with only what commutes with them between."""
    kept: list[tuple[Gate, Axes]] = []
    for gate in gates:
        axes = dict(zip(gate.wires, {"cz": "zz", "cx": "zx"}.get(gate.name, gate.name[-1]), strict=True))
        undone = _undone(axes, [before for _, before in kept]) if len(axes) == 2 else None
        if undone is None:
            kept.append((gate, axes))
        else:
            del kept[undone]
    return [gate for gate, _ in kept]


def _undone(axes: Axes, before: Sequence[Axes]) -> int | None:
    """Where the gate is that this one undoes."""
    for place in reversed(range(len(before))):
        earlier = before[place]
        if earlier == axes:
            return place
        if any(earlier.get(wire, axis) != axis for wire, axis in axes.items()):
            return None
    return None


@lru_cache(maxsize=8)
def _divided(
    circuit: Circuit, layers: tuple[Layer, ...]
) -> tuple[Sequence[Gate], Sequence[Sequence[Sequence[SingleQubitGate]]]]:
    """Divide a circuit's gates, for any device.

    Returns:
        The two-qubit gates, and for each wire its one-qubit gates before each of those on it, and at last.
    """
    pairs: list[Gate] = []
    rotations: list[list[list[SingleQubitGate]]] = [[[]] for _ in range(circuit.n_qubits)]
    for gate in uncancelled(elementary_gates(circuit, layers)):
        if len(gate.wires) == 1:
            rotations[gate.wires[0]][-1].append(SingleQubitGate(gate.name, gate.angle))
            continue
        pairs.append(gate)
        for wire in gate.wires:
            rotations[wire].append([])
    return pairs, rotations
