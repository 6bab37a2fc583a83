"""Cost of circuits on devices: success probabilities by hand and by Qiskit's schedule."""

import math
from collections.abc import Mapping

import pytest

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.compilation import compile_program
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import OneQubit, TwoQubit, pulses_of
from tests.support.devices import CROSS, IONS, LINE, circuit

PULSE, PAIR, READ = -math.log(0.99), -math.log(0.9), -math.log(0.8)

ESP_BY_HAND: Mapping[str, tuple[Circuit, Device, float]] = {
    # The only CZ layer is inert. Each wire has RY · RX, one gate of two pulses (20 ns), and none waits.
    "two pulses a wire": (circuit(2, "X"), LINE, 4 * PULSE + 2 * READ),
    # The whole layer is inert, so only the RY of the embedding remain.
    "an inert layer": (circuit(3, "Z"), LINE, 6 * PULSE + 3 * READ),
    # RY, RX · CZ · RX: two pulses per wire before and after one gate.
    "one native gate": (circuit(2, "XX"), LINE, 8 * PULSE + PAIR + 2 * READ),
    # CNOT = H CZ H: on the target RX · H is one gate of two pulses, and the second H one of one pulse. The control waits 10 ns.
    "one CNOT": (circuit(2, "X", "CNOT"), LINE, 5 * PULSE + PAIR + 2 * READ + 10 / 5000),
    # ECR: X merges into the control's rotations and the RZ after it is free; on the target RX(π/2) is one pulse.
    "one CNOT by ECR": (circuit(2, "X", "CNOT"), CROSS, 5 * PULSE + PAIR + 2 * READ + 10 / 5000),
    # One pulse on each wire before and one on the target after, in sequence: 130 ns, of which the wires use 110 and 120.
    "one CNOT by ions": (circuit(2, "X", "CNOT"), IONS, 3 * PULSE + PAIR + 2 * READ + (20 + 10) / 5000),
    # RX, CZ, RZ, CZ, RX: RZ commutes with CZ, so the two CZ cancel and one gate per wire remains.
    "what undoes itself": (circuit(2, "XZX"), LINE, 4 * PULSE + 2 * READ),
    # A line of three: each outer wire waits 100 ns, during the middle wire's other gate.
    "a line": (circuit(3, "XX"), LINE, 12 * PULSE + 2 * PAIR + 3 * READ + 200 / 5000),
    # A circle of three on ions: three pulses, three gates and three pulses in sequence, 360 ns; each wire uses 220 of them.
    "a circle of ions": (circuit(3, "XX", circular=True), IONS, 6 * PULSE + 3 * PAIR + 3 * READ + (3 * 360 - 660) / 5000),
    # Two amplitudes need RY on the last wire only, followed by RX; the first wire has RX only.
    "amplitudes": (circuit(2, "X", amplitude=True), LINE, 4 * PULSE + 2 * READ),
}


@pytest.mark.parametrize("case", ESP_BY_HAND)
def test_success_worked_out_by_hand(case: str) -> None:
    which, device, expected = ESP_BY_HAND[case]
    cost = hardware_cost(which, device)
    assert cost.neg_log_esp == pytest.approx(expected, rel=1e-12)
    assert cost.esp == pytest.approx(math.exp(-expected))


def test_shots_and_seconds() -> None:
    cost = hardware_cost(circuit(2, "X", "CNOT"), LINE)
    assert (cost.two_qubit_gates, cost.one_qubit_pulses, cost.shots) == (1, 5, 10_000)
    assert cost.duration_us == pytest.approx(0.13)
    # A shot takes 20 + 100 + 10 ns of gates, 1 µs of readout and 2 µs of delay.
    assert cost.seconds_per_prediction == pytest.approx(10_000 * 3.13e-6)


def test_what_computes_the_same_costs_the_same() -> None:
    assert hardware_cost(circuit(4, "XYZ"), LINE) == hardware_cost(circuit(4, "XY"), LINE)


@pytest.mark.parametrize("device", [LINE, CROSS], ids=lambda device: str(device.name))
@pytest.mark.parametrize("axes", ["XY", "YXYX"])
def test_success_by_qiskits_schedule(device: Device, axes: str) -> None:
    """Apply the formula of MQT Predictor to Qiskit's gate counts and its schedule, as soon as possible."""
    qiskit = pytest.importorskip("qiskit", reason="qiskit is not installed: pip install qiskit")
    from qiskit.transpiler.passes import ASAPScheduleAnalysis

    which = circuit(4, axes, "CNOT", circular=True, amplitude=True)
    program, n_read = qiskit.QuantumCircuit(device.qubits), 0
    for gate in compile_program(which, EffectiveGates(circuit=which).layers, device):
        if isinstance(gate, TwoQubit):
            getattr(program, device.two_qubit_gate)(*gate.qubits)
        elif isinstance(gate, OneQubit):
            for _ in range(pulses_of(tuple(one.name for one in gate.gates), device.two_qubit_gate)):
                program.sx(*gate.qubits)
        else:
            n_read = len(gate.qubits)
    program.barrier()
    lengths_ns = {"sx": device.one_qubit_ns, str(device.two_qubit_gate): device.two_qubit_ns}
    durations = qiskit.transpiler.InstructionDurations([(name, None, int(time)) for name, time in lengths_ns.items()], dt=1e-9)
    manager = qiskit.transpiler.PassManager([ASAPScheduleAnalysis(durations)])
    manager.property_set["time_unit"] = "dt"
    manager.run(program)
    times = [(node, start) for node, start in manager.property_set["node_start_time"].items() if node.name in lengths_ns]
    end = max(start + lengths_ns[node.name] for node, start in times)
    busy = sum(len(node.qargs) * lengths_ns[node.name] for node, _ in times)
    counts = program.count_ops()
    expected = counts["sx"] * PULSE + counts[device.two_qubit_gate] * PAIR + n_read * READ + (4 * end - busy) / 5000
    assert hardware_cost(which, device).neg_log_esp == pytest.approx(expected, rel=1e-9)
    assert hardware_cost(which, device).duration_us == pytest.approx(end / 1000)
