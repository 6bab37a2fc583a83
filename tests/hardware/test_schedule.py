"""Start times of gates: when their own qubits are free, or in an ion trap when all qubits are."""

import pytest

from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Readout, SingleQubitGate, TwoQubit
from faqnas_optuna.hardware.schedule import schedule
from tests.support.devices import IONS, LINE

RX, H, RZ = SingleQubitGate("rx"), SingleQubitGate("h"), SingleQubitGate("rz")
PROGRAM: list[NativeGate] = [
    OneQubit((0,), (RX,)),
    OneQubit((1,), (H, RZ)),
    TwoQubit((0, 1)),
    OneQubit((2,), (RZ,)),
    Readout((0, 1, 2)),
]


@pytest.mark.parametrize(
    ("device", "starts", "pulses", "idle"),
    [
        # RX takes two pulses of 10 ns, H one, RZ none; the two-qubit gate takes 100 ns.
        (LINE, [0, 0, 20, 0, 120], [2, 1, 0, 0, 0], [(0,), (0,), (0, 10), (0,), (0, 0, 120)]),
        # On ions RX takes one pulse, and gates run in sequence.
        (IONS, [0, 10, 20, 120, 120], [1, 1, 0, 0, 0], [(0,), (10,), (10, 0), (120,), (0, 0, 0)]),
    ],
    ids=["chip", "ions"],
)
def test_times_worked_out_by_hand(
    device: Device, starts: list[float], pulses: list[int], idle: list[tuple[float, ...]]
) -> None:
    scheduled = list(schedule(PROGRAM, device))
    assert [timed.gate for timed in scheduled] == PROGRAM
    assert [timed.start_ns for timed in scheduled] == starts
    assert [timed.pulses for timed in scheduled] == pulses
    assert [timed.idle_ns for timed in scheduled] == idle
    assert [timed.duration_ns for timed in scheduled] == [10 * pulses[0], 10 * pulses[1], 100, 0, 0]
