"""The cost of circuits on devices: programs that do what the circuit does, and success worked out by hand."""

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveCircuit, all_layers
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Gate, Input, Weight
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.hardware.cost import (
    NativeGate,
    OneQubit,
    Read,
    TwoQubit,
    compiled,
    hardware_cost,
    matrix,
    pulses_of,
    uncancelled,
)
from faqnas_optuna.hardware.devices import ALL_TO_ALL, DEVICES, Device, TwoQubitGate
from faqnas_optuna.hardware.routing import patch

BY_HAND: dict[str, Any] = {
    "date": "2026-01-01",
    "source": "nobody",
    "one_qubit_error": 0.01,
    "two_qubit_error": 0.1,
    "readout_error": 0.2,
    "one_qubit_ns": 10.0,
    "two_qubit_ns": 100.0,
    "readout_ns": 1000.0,
    "t1_us": 10.0,
    "t2_us": 5.0,
    "delay_us": 2.0,
}
LINE = Device(name="line", qubits=4, coupling=((0, 1), (1, 2), (2, 3)), two_qubit_gate=TwoQubitGate.CZ, **BY_HAND)
CROSS = LINE.model_copy(update={"name": "cross", "two_qubit_gate": TwoQubitGate.ECR})
IONS = Device(name="ions", qubits=4, coupling=ALL_TO_ALL, two_qubit_gate=TwoQubitGate.RZZ, parallel=False, **BY_HAND)
PULSE, PAIR, READ = -math.log(0.99), -math.log(0.9), -math.log(0.8)


def circuit(
    n_qubits: int, rotations: str, entangler: str = "CZ", *, circular: bool = False, amplitude: bool = False
) -> Circuit:
    return Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.AMPLITUDE if amplitude else Embedding.ANGLE,
        entangler=Entangler(entangler),
        topology=Topology.CIRCULAR if circular else Topology.LINEAR,
        rotations=tuple(Rotation(f"R{axis}") for axis in rotations),
    )


ESP_BY_HAND: Mapping[str, tuple[Circuit, Device, float]] = {
    # RX and its last CZ layer: no live entangler. Each wire is RY · RX, one gate of two pulses, 20 ns, and none waits.
    "two pulses a wire": (circuit(2, "X"), LINE, 4 * PULSE + 2 * READ),
    # All inert: RY alone.
    "an inert layer": (circuit(3, "Z"), LINE, 6 * PULSE + 3 * READ),
    # RY, RX · CZ · RX: two pulses a wire on both sides of one gate.
    "one native gate": (circuit(2, "XX"), LINE, 8 * PULSE + PAIR + 2 * READ),
    # CNOT = H CZ H: on the target RX · H is one gate of two pulses, H behind it another of one. The control waits 10 ns.
    "one CNOT": (circuit(2, "X", "CNOT"), LINE, 5 * PULSE + PAIR + 2 * READ + 10 / 5000),
    # ECR: X is merged into the control's rotations and RZ behind is free; on the target RX(π/2) is one pulse.
    "one CNOT by ECR": (circuit(2, "X", "CNOT"), CROSS, 5 * PULSE + PAIR + 2 * READ + 10 / 5000),
    # One pulse before on each, one after on the target, one at a time: 10 + 10 + 100 + 10 ns for 10 + 100 and 10 + 100 + 10.
    "one CNOT by ions": (circuit(2, "X", "CNOT"), IONS, 3 * PULSE + PAIR + 2 * READ + (20 + 10) / 5000),
    # RX, CZ, RZ, CZ, RX: with nothing but RZ between them the CZ undo each other, and all is one gate a wire.
    "what undoes itself": (circuit(2, "XZX"), LINE, 4 * PULSE + 2 * READ),
    # A line of three: both wires at the ends wait for the middle's two gates, 100 ns each, around them two pulses.
    "a line": (circuit(3, "XX"), LINE, 12 * PULSE + 2 * PAIR + 3 * READ + 200 / 5000),
    # A circle of three on ions: each of three gates, after 3 pulses and before 3, with 30 + 300 + 30 ns for 3 · (20 + 200).
    "a circle of ions": (circuit(3, "XX", circular=True), IONS, 6 * PULSE + 3 * PAIR + 3 * READ + (3 * 360 - 660) / 5000),
    # Two amplitudes: RY of the last wire alone, with RX behind it. The first has RX alone.
    "amplitudes": (circuit(2, "X", amplitude=True), LINE, 4 * PULSE + 2 * READ),
}


@pytest.mark.parametrize("case", ESP_BY_HAND)
def test_success_worked_out_by_hand(case: str) -> None:
    which, device, expected = ESP_BY_HAND[case]
    cost = hardware_cost(which, device)
    assert cost.neg_log_esp == pytest.approx(expected, rel=1e-12)
    assert cost.esp == pytest.approx(math.exp(-expected))


def test_shots_and_seconds() -> None:
    """A shot is gates, readout and delay: 20 ns + 100 ns + 10 ns, 1 µs, 2 µs."""
    cost = hardware_cost(circuit(2, "X", "CNOT"), LINE)
    assert (cost.two_qubit_gates, cost.one_qubit_pulses, cost.shots) == (1, 5, 10_000)
    assert cost.duration_us == pytest.approx(0.13)
    assert cost.seconds_per_prediction == pytest.approx(10_000 * 3.13e-6)


def test_what_computes_the_same_costs_the_same() -> None:
    assert hardware_cost(circuit(4, "XYZ"), LINE) == hardware_cost(circuit(4, "XY"), LINE)


def angle_of(angle: Input | Weight | None) -> float:
    match angle:
        case Weight(layer, wire):
            return 0.4 + 0.37 * layer + 0.83 * wire
        case Input(number):
            return 1.1 + 0.61 * number
    return 0.0


TWO_QUBIT = {
    "cz": np.diag([1, 1, 1, -1]).astype(np.complex128),
    "cx": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], np.complex128),
    # (IX - XY) / √2 with the control first (qiskit.circuit.library.ECRGate).
    "ecr": np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]], np.complex128) * math.sqrt(0.5),
    "rzz": np.diag(np.exp(-0.25j * math.pi * np.array([1, -1, -1, 1]))),
}
"""By their first qubit as the more significant."""


def probabilities(n_qubits: int, run: Callable[[Callable[[NDArray[np.complex128], tuple[int, ...]], None]], None]) -> object:
    state = np.zeros((2,) * n_qubits, np.complex128)
    state[(0,) * n_qubits] = 1

    def apply(unitary: NDArray[np.complex128], qubits: tuple[int, ...]) -> None:
        nonlocal state
        count = len(qubits)
        state = np.tensordot(unitary.reshape((2,) * 2 * count), state, (range(count, 2 * count), qubits))
        state = np.moveaxis(state, range(count), qubits)

    run(apply)
    return np.abs(state) ** 2


def of_gates(gates: list[Gate], n_qubits: int) -> NDArray[np.float64]:
    def run(apply: Callable[[NDArray[np.complex128], tuple[int, ...]], None]) -> None:
        for gate in gates:
            one = len(gate.wires) == 1
            apply(matrix(gate.name, angle_of(gate.angle)) if one else TWO_QUBIT[gate.name], gate.wires)

    return np.asarray(probabilities(n_qubits, run))


def of_program(program: list[NativeGate], device: Device) -> NDArray[np.float64]:
    """Of the wires, in order."""
    used = sorted({qubit for step in program for qubit in ((step.qubit,) if isinstance(step, OneQubit) else step.qubits)})
    place = {qubit: number for number, qubit in enumerate(used)}

    def run(apply: Callable[[NDArray[np.complex128], tuple[int, ...]], None]) -> None:
        for step in program:
            if isinstance(step, OneQubit):
                for turn in step.turns:
                    apply(matrix(turn.name, angle_of(turn.angle)), (place[step.qubit],))
            elif isinstance(step, TwoQubit):
                apply(TWO_QUBIT[device.two_qubit_gate], (place[step.qubits[0]], place[step.qubits[1]]))

    found = np.asarray(probabilities(len(used), run))
    read = program[-1]
    assert isinstance(read, Read)
    wires = [place[qubit] for qubit in read.qubits]
    others = [number for number in range(len(used)) if number not in wires]
    return np.asarray(found.transpose(*wires, *others).sum(axis=tuple(range(len(wires), len(used)))))


@pytest.mark.parametrize("device", [*DEVICES.values(), LINE], ids=lambda device: str(device.name))
def test_programs_do_what_the_circuits_do(device: Device) -> None:
    """Layout, SWAPs, native gates and what was cancelled: the same probabilities, gate by gate on qubits that have one."""
    swapped = False
    for n_qubits, amplitude, entangler, circular, rotations in product(
        (3, 4), (False, True), ("CNOT", "CZ"), (False, True), ("XY", "ZZX", "YXYX")
    ):
        which = circuit(n_qubits, rotations, entangler, circular=circular, amplitude=amplitude)
        layers = EffectiveCircuit(circuit=which).layers
        gates = list(elementary_gates(which, layers))
        program = list(compiled(which, layers, device))
        assert np.allclose(of_program(program, device), of_gates(gates, n_qubits), atol=1e-12), which
        swapped |= hardware_cost(which, device).two_qubit_gates > sum(len(gate.wires) == 2 for gate in gates)
    assert swapped == (device.coupling != ALL_TO_ALL)


@pytest.mark.parametrize("device", [LINE, CROSS], ids=lambda device: str(device.name))
@pytest.mark.parametrize("axes", ["XY", "YXYX"])
def test_success_by_qiskits_schedule(device: Device, axes: str) -> None:
    """The formula of MQT Predictor over Qiskit's counts and its schedule, every gate as soon as possible."""
    qiskit = pytest.importorskip("qiskit", reason="qiskit is not installed: pip install qiskit")
    from qiskit.transpiler.passes import ASAPScheduleAnalysis

    which = circuit(4, axes, "CNOT", circular=True, amplitude=True)
    written, n_read = qiskit.QuantumCircuit(device.qubits), 0
    for step in compiled(which, EffectiveCircuit(circuit=which).layers, device):
        if isinstance(step, TwoQubit):
            getattr(written, device.two_qubit_gate)(*step.qubits)
        elif isinstance(step, OneQubit):
            for _ in range(pulses_of(tuple(turn.name for turn in step.turns), device.two_qubit_gate)):
                written.sx(step.qubit)
        else:
            n_read = len(step.qubits)
    written.barrier()
    lasts = {"sx": device.one_qubit_ns, str(device.two_qubit_gate): device.two_qubit_ns}
    known = qiskit.transpiler.InstructionDurations([(name, None, int(time)) for name, time in lasts.items()], dt=1e-9)
    manager = qiskit.transpiler.PassManager([ASAPScheduleAnalysis(known)])
    manager.property_set["time_unit"] = "dt"
    manager.run(written)
    times = [(node, start) for node, start in manager.property_set["node_start_time"].items() if node.name in lasts]
    end = max(start + lasts[node.name] for node, start in times)
    busy = sum(len(node.qargs) * lasts[node.name] for node, _ in times)
    counts = written.count_ops()
    expected = counts["sx"] * PULSE + counts[device.two_qubit_gate] * PAIR + n_read * READ + (4 * end - busy) / 5000
    assert hardware_cost(which, device).neg_log_esp == pytest.approx(expected, rel=1e-9)
    assert hardware_cost(which, device).duration_us == pytest.approx(end / 1000)


def test_every_gate_is_on_qubits_that_have_one() -> None:
    which = circuit(4, "YXYX", "CNOT", circular=True, amplitude=True)
    steps = [step for step in compiled(which, all_layers(which), LINE) if isinstance(step, TwoQubit)]
    assert all(step.qubits[1] in patch(LINE.pairs).neighbours[step.qubits[0]] for step in steps)
    assert len(steps) == hardware_cost(which, LINE).two_qubit_gates


def test_gates_that_undo_each_other() -> None:
    one, two = Gate("cx", (0, 1)), Gate("cx", (1, 2))
    assert uncancelled([one, one]) == []
    assert uncancelled([one, Gate("rz", (0,)), Gate("rx", (1,)), one]) == [Gate("rz", (0,)), Gate("rx", (1,))]
    assert uncancelled([Gate("cz", (0, 1)), Gate("cz", (1, 0))]) == []
    for between in (Gate("ry", (0,)), Gate("rz", (1,)), two, Gate("cx", (1, 0)), Gate("cz", (0, 1))):
        assert len(uncancelled([one, between, one])) == 3
