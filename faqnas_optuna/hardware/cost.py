"""What a circuit costs on a quantum device: its estimated success probability, gates, and time.

    ESP = Π (1 - error of a gate) · Π (1 - error of reading a qubit) · Π exp(-idle time of a qubit / min(T1, T2))

This is `estimated_success_probability` of MQT Predictor (Quetschlich, Burgholzer and Wille, arXiv 2310.06889), which adds the
idle times to the product of success rates by which QuantumNAS estimates noise (Wang et al., arXiv 2107.10845). Of a circuit
only what is live is run (`circuits.effective`). It is written in the device's gates, its wires are laid on qubits and swapped
where two must meet (`circuits.routing`), and every gate begins as soon as its qubits are free; at the end all wires are read
together.

Angles are taken as generic: no gate is cheaper for the value of an angle. Where gates cancel whatever the angles, as two layers
of CZ with nothing but RZ between, they are not run. One-qubit gates that follow one another are one. On superconducting chips
RZ is free, a change of frame, and another is one or two pulses √X (McKay et al., arXiv 1612.00858): a Hadamard one, RX and RY
two. In an ion trap RZ is free too, and any other is one pulse. Two-qubit gates are the maximally entangling ones.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveCircuit, Layer
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Gate, Input, Weight
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.devices import Device, TwoQubitGate
from faqnas_optuna.hardware.routing import Pair, patch, route

SHOTS = 10_000
"""⟨Z⟩ of a qubit has a variance of at most 1, so the mean of so many shots has a standard error of at most 0.01."""


@dataclass(frozen=True, kw_only=True)
class HardwareCost:
    """What a circuit costs on a device."""

    neg_log_esp: float
    """-ln of the estimated success probability."""
    two_qubit_gates: int
    """Of the device, those of SWAPs included."""
    one_qubit_pulses: int
    duration_us: float
    """From the first gate to the end of the last, before the qubits are read."""
    shots: int
    """For a prediction whose every ⟨Z⟩ has a standard error of at most 0.01."""
    seconds_per_prediction: float
    """Of these shots: gates, readout, and the device's delay between shots."""

    @property
    def esp(self) -> float:
        """The estimated success probability."""
        return math.exp(-self.neg_log_esp)


def hardware_cost(circuit: Circuit, device: Device, layers: Sequence[Layer] | None = None) -> HardwareCost:
    """What a circuit costs on a device, which has a qubit for every wire.

    Args:
        layers: what is applied; None for what is live.
    """
    if layers is not None:
        return _cost(circuit, tuple(layers), device)
    # Circuits with the same live gates cost the same.
    effective = EffectiveCircuit(circuit=circuit)
    return _cost(effective.representative, effective.layers, device)


@lru_cache(maxsize=2**16)
def _cost(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> HardwareCost:
    run = scheduled(compiled(circuit, layers, device), device)
    errors = (
        (run.two_qubit_gates, device.two_qubit_error),
        (run.one_qubit_pulses, device.one_qubit_error),
        (circuit.n_qubits, device.readout_error),
    )
    lost = run.idle_ns / (1e3 * min(device.t1_us, device.t2_us))
    shot_us = (run.duration_ns + device.readout_ns) / 1e3 + device.delay_us
    return HardwareCost(
        # Processors may differ in the last digit of a logarithm, and workers must not.
        neg_log_esp=round(lost - sum(count * math.log1p(-error) for count, error in errors), 14),
        two_qubit_gates=run.two_qubit_gates,
        one_qubit_pulses=run.one_qubit_pulses,
        duration_us=run.duration_ns / 1e3,
        shots=SHOTS,
        seconds_per_prediction=SHOTS * shot_us / 1e6,
    )


class SingleQubitGate(NamedTuple):
    """A one-qubit gate before it is merged with its neighbours."""

    name: str
    """rx, ry or rz of any angle; or h = Hadamard, x = X, v = RX(π/2), s = RZ(π/2), z = RZ(-π/2)."""
    angle: Input | Weight | None = None


class OneQubit(NamedTuple):
    """One-qubit gates that follow one another on a qubit, which are one."""

    qubit: int
    turns: tuple[SingleQubitGate, ...]


class TwoQubit(NamedTuple):
    """The device's two-qubit gate. With ECR the first qubit is the control."""

    qubits: Pair


class Read(NamedTuple):
    """The qubits of the wires, in order, are read."""

    qubits: tuple[int, ...]


NativeGate = OneQubit | TwoQubit | Read


def compiled(circuit: Circuit, layers: tuple[Layer, ...], device: Device) -> Sequence[NativeGate]:
    """What is done on a device to run a circuit's layers; qubits are numbered as in its `patch`."""
    pairs, turned = _divided(circuit, layers)
    turns = [iter(groups) for groups in turned]
    found = route(tuple((min(gate.wires), max(gate.wires)) for gate in pairs), circuit.n_qubits, patch(device.pairs))
    program = _Program(found.layout, device.two_qubit_gate)
    for step in found.steps:
        if step.gate is None:
            program.swap(*step.qubits)
            continue
        gate = pairs[step.gate]
        for wire in gate.wires:
            program.turn(wire, next(turns[wire]))
        program.gate(gate, swapped=step.swapped)
    for wire in range(circuit.n_qubits):
        program.turn(wire, next(turns[wire]))
    return program.read()


class _Program:
    """What is done, and what waits to be merged with what follows."""

    def __init__(self, layout: Sequence[int], two_qubit_gate: TwoQubitGate) -> None:
        self._place = list(layout)
        self._two_qubit_gate = two_qubit_gate
        self._waiting: defaultdict[int, list[SingleQubitGate]] = defaultdict(list)
        self._done: list[NativeGate] = []

    def turn(self, wire: int, turns: Iterable[SingleQubitGate]) -> None:
        self._waiting[self._place[wire]] += turns

    def gate(self, gate: Gate, *, swapped: bool) -> None:
        """A CNOT or a CZ; and then a SWAP of its qubits, which costs one gate more."""
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
        for control, target in ((first, second), (second, first), (first, second)):
            self._native("cx", control, target)
        self._exchange(first, second)

    def read(self) -> Sequence[NativeGate]:
        """All that was done, and the reading of the wires."""
        self._send(*sorted(self._waiting))
        return *self._done, Read(tuple(self._place))

    def _exchange(self, first: int, second: int) -> None:
        self._place = [{first: second, second: first}.get(qubit, qubit) for qubit in self._place]

    def _native(self, name: str, first: int, second: int) -> None:
        before, after = CX_CZ_DECOMPOSITION[self._two_qubit_gate, name]
        for qubit, turn in zip((first, second), before, strict=True):
            self._waiting[qubit] += turn
        self._send(first, second)
        self._done.append(TwoQubit((first, second)))
        for qubit, turn in zip((first, second), after, strict=True):
            self._waiting[qubit] += turn

    def _send(self, *qubits: int) -> None:
        for qubit in qubits:
            if turns := self._waiting.pop(qubit, None):
                self._done.append(OneQubit(qubit, tuple(turns)))


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


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """How a program runs if every gate begins as soon as it can."""

    two_qubit_gates: int
    one_qubit_pulses: int
    duration_ns: float
    idle_ns: float
    """Of all qubits that are used, together, until the last gate is done."""


def scheduled(program: Iterable[NativeGate], device: Device) -> Scheduled:
    """The program's times and counts."""
    free: defaultdict[int, float] = defaultdict(float)
    busy = end = 0.0
    gates = pulses = 0
    for step in program:
        if isinstance(step, Read):
            # Those that nothing is done to wait too.
            free.update({qubit: end for qubit in step.qubits})
            break
        if isinstance(step, TwoQubit):
            qubits: tuple[int, ...] = step.qubits
            gates, lasts = gates + 1, device.two_qubit_ns
        else:
            qubits = (step.qubit,)
            count = pulses_of(tuple(turn.name for turn in step.turns), device.two_qubit_gate)
            pulses, lasts = pulses + count, count * device.one_qubit_ns
        done = (max(free[qubit] for qubit in qubits) if device.parallel else end) + lasts
        free.update(dict.fromkeys(qubits, done))
        end, busy = max(end, done), busy + len(qubits) * lasts
    return Scheduled(two_qubit_gates=gates, one_qubit_pulses=pulses, duration_ns=end, idle_ns=end * len(free) - busy)


@cache
def pulses_of(names: tuple[str, ...], two_qubit_gate: TwoQubitGate) -> int:
    """How many pulses make one gate of turns in a row, whose angles are generic."""
    product = np.eye(2, dtype=np.complex128)
    for number, name in enumerate(names):
        # The fractional parts of a quadratic irrational's multiples come near no value at which gates become simpler.
        product = matrix(name, 0.3 + 2 * (number * 0.6180339887498949 % 1)) @ product
    stays, moves = abs(product[0, 0]), abs(product[0, 1])
    if moves < NEAR:
        return 0
    quarter_or_half = abs(stays - moves) < NEAR or stays < NEAR
    return 1 if two_qubit_gate is TwoQubitGate.RZZ or quarter_or_half else 2


NEAR = 1e-9


def matrix(name: str, angle: float) -> NDArray[np.complex128]:
    """(2, 2) of a `SingleQubitGate`."""
    half = {"v": math.pi / 4, "s": math.pi / 4, "z": -math.pi / 4}.get(name, angle / 2)
    cos, sin = math.cos(half), math.sin(half)
    match name:
        case "rx" | "v":
            rows = [[cos, -1j * sin], [-1j * sin, cos]]
        case "ry":
            rows = [[cos, -sin], [sin, cos]]
        case "rz" | "s" | "z":
            rows = [[cos - 1j * sin, 0], [0, cos + 1j * sin]]
        case "x":
            rows = [[0, 1], [1, 0]]
        case _:
            rows = [[math.sqrt(0.5), math.sqrt(0.5)], [math.sqrt(0.5), -math.sqrt(0.5)]]
    return np.array(rows, np.complex128)


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
    """The two-qubit gates, and for each wire what turns it before each of those on it, and at last: on whatever device."""
    pairs: list[Gate] = []
    turns: list[list[Sequence[SingleQubitGate]]] = [[] for _ in range(circuit.n_qubits)]
    open_turns: list[list[SingleQubitGate]] = [[] for _ in range(circuit.n_qubits)]
    for gate in uncancelled(elementary_gates(circuit, layers)):
        if len(gate.wires) == 1:
            open_turns[gate.wires[0]].append(SingleQubitGate(gate.name, gate.angle))
            continue
        pairs.append(gate)
        for wire in gate.wires:
            turns[wire].append(open_turns[wire])
            open_turns[wire] = []
    for wire, last in enumerate(open_turns):
        turns[wire].append(last)
    return pairs, turns
