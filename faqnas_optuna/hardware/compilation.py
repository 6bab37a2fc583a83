"""Compilation of circuits for a device: layout, SWAPs, native two-qubit gates, and merged one-qubit gates between them.

Angles are generic: no gate is simplified because of the value of an angle. Gates that cancel for all angles are removed, for
example two layers of CZ with only RZ between them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Gate
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.devices import Device, TwoQubitGate
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Readout, SingleQubitGate, TwoQubit
from faqnas_optuna.hardware.routing import patch, route


def compile_program(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> Sequence[NativeGate]:
    """Return the program that runs the layers of a circuit on a device. Qubits are numbered as in its `patch`."""
    pair_gates, rotations = _split_by_size(circuit, layers)
    remaining = [iter(groups) for groups in rotations]
    pairs = tuple((min(gate.wires), max(gate.wires)) for gate in pair_gates)
    path = route(pairs, circuit.n_qubits, patch(device.pairs))
    program = _Program(path.layout, device.two_qubit_gate)
    for operation in path.operations:
        if operation.gate is None:
            program.swap(*operation.qubits)
            continue
        gate = pair_gates[operation.gate]
        # Each wire has one group of one-qubit gates before each of its two-qubit gates; routing keeps their order.
        for wire in gate.wires:
            program.rotate(wire, next(remaining[wire]))
        program.entangle(gate, swapped=operation.swapped)
    for wire in range(circuit.n_qubits):
        program.rotate(wire, next(remaining[wire]))
    return program.read()


class _Program:
    """Native gates of a program under construction, and one-qubit gates that are not yet merged."""

    def __init__(self, layout: Sequence[int], two_qubit_gate: TwoQubitGate) -> None:
        self._place = list(layout)
        """Current qubit of each wire."""
        self._two_qubit_gate = two_qubit_gate
        self._pending: defaultdict[int, list[SingleQubitGate]] = defaultdict(list)
        """One-qubit gates by qubit, merged when the next two-qubit gate or the readout follows."""
        self._gates: list[NativeGate] = []

    def rotate(self, wire: int, gates: Iterable[SingleQubitGate]) -> None:
        """Add one-qubit gates."""
        self._pending[self._place[wire]] += gates

    def entangle(self, gate: Gate, *, swapped: bool) -> None:
        """Add a CNOT or a CZ. With `swapped`, add a SWAP of its qubits after it, at the cost of one more native gate."""
        name = gate.name
        first, second = (self._place[wire] for wire in gate.wires)
        if not swapped:
            self._add_native(name, first, second)
            return
        if name == "cz":
            # CZ = H CNOT H on the target. After the SWAP the second H acts on the other qubit.
            self._pending[second].append(H)
        # A SWAP is three alternating CNOTs, the first of which cancels with this one.
        self._add_native("cx", second, first)
        self._add_native("cx", first, second)
        if name == "cz":
            self._pending[first].append(H)
        self._exchange(first, second)

    def swap(self, first: int, second: int) -> None:
        """Add a SWAP that does not follow a gate on the same qubits."""
        for control, target in ((first, second), (second, first), (first, second)):
            self._add_native("cx", control, target)
        self._exchange(first, second)

    def read(self) -> Sequence[NativeGate]:
        """Return the whole program, with the readout of the wires at its end."""
        self._merge_pending(*sorted(self._pending))
        return *self._gates, Readout(tuple(self._place))

    def _exchange(self, first: int, second: int) -> None:
        """Update the places of the wires after a SWAP."""
        self._place = [{first: second, second: first}.get(qubit, qubit) for qubit in self._place]

    def _add_native(self, name: str, first: int, second: int) -> None:
        """Add a CNOT or a CZ, decomposed into the two-qubit gate of the device and one-qubit gates."""
        before, after = CX_CZ_DECOMPOSITION[self._two_qubit_gate, name]
        for qubit, gates in zip((first, second), before, strict=True):
            self._pending[qubit] += gates
        # The gates before the two-qubit gate merge with those that are already pending.
        self._merge_pending(first, second)
        self._gates.append(TwoQubit((first, second)))
        for qubit, gates in zip((first, second), after, strict=True):
            self._pending[qubit] += gates

    def _merge_pending(self, *qubits: int) -> None:
        """Add the pending one-qubit gates of each qubit as one gate."""
        for qubit in qubits:
            gates = self._pending.pop(qubit, None)
            if gates:
                self._gates.append(OneQubit((qubit,), tuple(gates)))


H = SingleQubitGate("h")
X = SingleQubitGate("x")
S = SingleQubitGate("s")
Z = SingleQubitGate("z")
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
"""One-qubit gates on both qubits before and after a device's gate that make a CNOT (control first) or a CZ, up to a phase."""


Axes = Mapping[int, str]
"""Axis about which a gate turns, for each of its wires. Gates with the same axis on every common wire commute."""


def cancel_gates(gates: Iterable[Gate]) -> Sequence[Gate]:
    """Return the gates without pairs that cancel: equal two-qubit gates with only commuting gates between them."""
    remaining: list[tuple[Gate, Axes]] = []
    for gate in gates:
        # A CNOT turns its control about z and its target about x. CZ and CNOT are their own inverses.
        axes = dict(zip(gate.wires, {"cz": "zz", "cx": "zx"}.get(gate.name, gate.name[-1]), strict=True))
        partner = _partner(axes, [earlier for _, earlier in remaining]) if len(axes) == 2 else None
        if partner is None:
            remaining.append((gate, axes))
        else:
            del remaining[partner]
    return [gate for gate, _ in remaining]


def _partner(axes: Axes, before: Sequence[Axes]) -> int | None:
    """Return the index of an earlier gate that cancels a gate with these axes; None if there is none."""
    for index in reversed(range(len(before))):
        earlier = before[index]
        if earlier == axes:
            return index
        if any(earlier.get(wire, axis) != axis for wire, axis in axes.items()):
            return None
    return None


# Cached, because the result does not depend on the device and a circuit is often compiled for several devices in turn.
@lru_cache(maxsize=8)
def _split_by_size(
    circuit: Circuit, layers: tuple[Layer, ...]
) -> tuple[Sequence[Gate], Sequence[Sequence[Sequence[SingleQubitGate]]]]:
    """Split the gates of a circuit into two-qubit and one-qubit gates.

    Returns:
        The two-qubit gates; and for each wire its groups of one-qubit gates: one before each of its two-qubit gates, and one
        after the last.
    """
    pair_gates: list[Gate] = []
    rotations: list[list[list[SingleQubitGate]]] = [[[]] for _ in range(circuit.n_qubits)]
    for gate in cancel_gates(elementary_gates(circuit, layers)):
        if len(gate.wires) == 1:
            rotations[gate.wires[0]][-1].append(SingleQubitGate(gate.name, gate.angle))
            continue
        pair_gates.append(gate)
        for wire in gate.wires:
            rotations[wire].append([])
    return pair_gates, rotations
