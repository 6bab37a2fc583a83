"""Noise models: the channels after each gate, their strengths, and names that are refused."""

import json
from pathlib import Path

import pytest
from qiskit.quantum_info import average_gate_fidelity

from faqnas_optuna.circuits.gates import Input, Weight
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.noise.model import (
    AppliedGate,
    Depolarizing,
    DepolarizingNoise,
    DeviceNoise,
    Relaxation,
    noise_of,
    of_one_qubit,
    of_two_qubits,
)
from tests.support.channels import depolarizing
from tests.support.devices import IONS, LINE, circuit


@pytest.mark.parametrize("error", [1e-4, 0.01, 0.2])
def test_channels_have_the_infidelity_of_the_device(error: float) -> None:
    assert 1 - average_gate_fidelity(depolarizing(of_one_qubit(error))) == pytest.approx(error)
    each = depolarizing(of_two_qubits(error))
    assert 1 - average_gate_fidelity(each.tensor(each)) == pytest.approx(error)


def test_no_channel_does_more_than_all() -> None:
    assert (of_one_qubit(0.5), of_one_qubit(3.0)) == (0.75, 0.75)
    assert (of_two_qubits(0.75), of_two_qubits(3.0)) == (0.75, 0.75)


def test_depolarizing_noise_follows_every_gate() -> None:
    program = DepolarizingNoise(probability=0.25).program(circuit(2, "XX"), 2.0)
    turned = [
        AppliedGate("rx", (0,), Weight(0, 0)),
        Depolarizing(0, 0.05),
        AppliedGate("rx", (1,), Weight(0, 1)),
        Depolarizing(1, 0.05),
    ]
    prepared = [
        AppliedGate("ry", (0,), Input(0)),
        Depolarizing(0, 0.05),
        AppliedGate("ry", (1,), Input(1)),
        Depolarizing(1, 0.05),
    ]
    # The second layer of CZ is inert and therefore left out.
    entangled = [AppliedGate("cz", (0, 1)), Depolarizing(0, 0.5), Depolarizing(1, 0.5)]
    assert list(program.operations[:-4]) == [*prepared, *turned, *entangled]
    assert program.operations[-4] == AppliedGate("rx", (0,), Weight(1, 0))
    assert (program.n_qubits, program.readout, program.flip) == (2, (0, 1), 0.0)
    strong = DepolarizingNoise(probability=0.25).program(circuit(2, "XX"), 8.0)
    assert {operation.probability for operation in strong.operations if isinstance(operation, Depolarizing)} == {0.2, 0.75}


def test_without_strength_there_is_no_noise() -> None:
    for noise in (DepolarizingNoise(probability=0.2), DeviceNoise(device=LINE), DeviceNoise(device=IONS)):
        program = noise.program(circuit(4, "XYX", "CNOT", circular=True), 0.0)
        assert {type(operation) for operation in program.operations} == {AppliedGate}
        assert program.flip == 0


def test_a_device_errs_by_pulse_and_gate_and_qubits_that_wait_relax() -> None:
    # Both wires take two pulses before the gate; after it the H of the target takes one, while the control waits.
    program = DeviceNoise(device=LINE).program(circuit(2, "X", "CNOT"), 1.0)
    channels = [operation for operation in program.operations if not isinstance(operation, AppliedGate)]
    one, two = of_one_qubit(0.01), of_two_qubits(0.1)
    before = [operation for operation in channels[: channels.index(Depolarizing(program.readout[0], two))]]
    assert before == [Depolarizing(wire, one) for wire in (0, 0, 1, 1)]
    (waited,) = [operation for operation in channels if isinstance(operation, Relaxation)]
    assert waited == Relaxation(program.readout[0], 10 / 10_000, 10 / 5_000)
    assert channels[-2:] == [Depolarizing(program.readout[1], one), waited]
    assert program.flip == 0.2


def test_ions_wait_for_one_another() -> None:
    program = DeviceNoise(device=IONS).program(circuit(2, "X"), 3.0)
    # Two gates of one pulse (10 ns) in sequence: the second qubit waits in |0⟩ before its gate, the first after it.
    waited = [operation for operation in program.operations if isinstance(operation, Relaxation)]
    assert [(operation.by_t1, operation.by_t2) for operation in waited] == [pytest.approx((30 / 10_000, 30 / 5_000))] * 2
    assert program.flip == 0.5


def test_a_swapped_circuit_is_read_where_its_wires_end() -> None:
    program = DeviceNoise(device=LINE).program(circuit(4, "XX", "CNOT", circular=True), 1.0)
    assert sorted(program.readout) == [0, 1, 2, 3]
    gates = [
        frozenset(operation.wires)
        for operation in program.operations
        if isinstance(operation, AppliedGate) and len(operation.wires) == 2
    ]
    # Two layers on a circle of four wires, routed on the three pairs of a line.
    assert len(set(gates)) == 3 and len(gates) > 8


def test_noise_is_known_by_what_is_typed(tmp_path: Path) -> None:
    weak = noise_of("depolarizing:0.01")
    assert (weak.name, weak.parameters()["two_qubit_depolarizing"]) == ("depolarizing:0.01", 0.01)
    assert weak.parameters()["one_qubit_depolarizing"] == pytest.approx(0.001)
    heron = noise_of("heron-r3")
    assert (heron.name, heron.parameters()["readout_flip"]) == ("heron-r3", 4.517e-3)
    assert heron.description.startswith("figures of 2026-04-17, compiled circuits; depolarizing probability")
    file = tmp_path / "line.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in LINE.model_dump(exclude={"coupling", "two_qubit_gate"}).items()]
    file.write_text("\n".join([*lines, 'two_qubit_gate = "cz"', "coupling = [[0, 1], [1, 2], [2, 3]]"]))
    assert noise_of(str(file)) == DeviceNoise(device=LINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heron", "unknown noise 'heron'; choose depolarizing:0.01, heron-r3, eagle, nighthawk, all-to-all, or the path of a"),
        ("depolarizing", "unknown noise 'depolarizing'"),
        ("depolarizing:0", "depolarizing:P needs a probability above 0 and at most 0.75; it is '0'"),
        ("depolarizing:0.76", "at most 0.75.*; it is '0.76'"),
        ("depolarizing:nan", "it is 'nan'"),
        ("depolarizing:", "it is ''"),
        ("absent.toml", "absent.toml: the device file cannot be read"),
    ],
)
def test_what_is_no_noise_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        noise_of(text)
