"""Compiled programs: the same states as the circuits, with every gate on qubits that the device connects."""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveGates, all_layers
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Gate, Input, Weight
from faqnas_optuna.hardware.compilation import cancel_gates, compile_program
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import ALL_TO_ALL, DEVICES, Device
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Readout, TwoQubit, matrix
from faqnas_optuna.hardware.routing import patch
from tests.support.devices import LINE, circuit


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
"""Matrices whose first qubit is the more significant one."""


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
    """Return the probabilities of the wires, in order."""
    used = sorted({qubit for gate in program for qubit in gate.qubits})
    place = {qubit: number for number, qubit in enumerate(used)}

    def run(apply: Callable[[NDArray[np.complex128], tuple[int, ...]], None]) -> None:
        for gate in program:
            if isinstance(gate, OneQubit):
                for one in gate.gates:
                    apply(matrix(one.name, angle_of(one.angle)), (place[gate.qubits[0]],))
            elif isinstance(gate, TwoQubit):
                apply(TWO_QUBIT[device.two_qubit_gate], (place[gate.qubits[0]], place[gate.qubits[1]]))

    by_qubit = np.asarray(probabilities(len(used), run))
    read = program[-1]
    assert isinstance(read, Readout)
    wires = [place[qubit] for qubit in read.qubits]
    others = [number for number in range(len(used)) if number not in wires]
    return np.asarray(by_qubit.transpose(*wires, *others).sum(axis=tuple(range(len(wires), len(used)))))


@pytest.mark.parametrize("device", [*DEVICES.values(), LINE], ids=lambda device: str(device.name))
def test_programs_do_what_the_circuits_do(device: Device) -> None:
    """Compare probabilities after layout, SWAPs, native gates and cancellation, gate by gate."""
    swapped = False
    for n_qubits, amplitude, entangler, circular, rotations in product(
        (3, 4), (False, True), ("CNOT", "CZ"), (False, True), ("XY", "ZZX", "YXYX")
    ):
        which = circuit(n_qubits, rotations, entangler, circular=circular, amplitude=amplitude)
        layers = EffectiveGates(circuit=which).layers
        gates = list(elementary_gates(which, layers))
        program = list(compile_program(which, layers, device))
        assert np.allclose(of_program(program, device), of_gates(gates, n_qubits), atol=1e-12), which
        swapped |= hardware_cost(which, device).two_qubit_gates > sum(len(gate.wires) == 2 for gate in gates)
    assert swapped == (device.coupling != ALL_TO_ALL)


def test_every_gate_is_on_qubits_that_have_one() -> None:
    which = circuit(4, "YXYX", "CNOT", circular=True, amplitude=True)
    gates = [gate for gate in compile_program(which, all_layers(which), LINE) if isinstance(gate, TwoQubit)]
    assert all(gate.qubits[1] in patch(LINE.pairs).neighbours[gate.qubits[0]] for gate in gates)
    assert len(gates) == hardware_cost(which, LINE).two_qubit_gates


def test_gates_that_undo_each_other() -> None:
    one, two = Gate("cx", (0, 1)), Gate("cx", (1, 2))
    assert cancel_gates([one, one]) == []
    assert cancel_gates([one, Gate("rz", (0,)), Gate("rx", (1,)), one]) == [Gate("rz", (0,)), Gate("rx", (1,))]
    assert cancel_gates([Gate("cz", (0, 1)), Gate("cz", (1, 0))]) == []
    for between in (Gate("ry", (0,)), Gate("rz", (1,)), two, Gate("cx", (1, 0)), Gate("cz", (0, 1))):
        assert len(cancel_gates([one, between, one])) == 3
