"""Times of the gates of a program: each begins as soon as its qubits are free."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Read, TwoQubit, pulses_of


class ScheduledGate(NamedTuple):
    """A gate of a device with its times."""

    gate: NativeGate
    pulses: int
    """One-qubit pulses of the gate; none of a two-qubit gate."""
    start_ns: float
    duration_ns: float
    """0 of the readout, which all qubits wait for together."""
    idle_ns: tuple[float, ...]
    """How long each of its qubits has waited since its last gate, or since the beginning."""


def schedule(program: Iterable[NativeGate], device: Device) -> Iterator[ScheduledGate]:
    """Yield the gates of a program with their times; the start of the readout is the duration of the program."""
    free: defaultdict[int, float] = defaultdict(float)
    end = 0.0
    for gate in program:
        pulses, duration = _pulses_and_duration(gate, device)
        # The lasers of an ion trap serve one gate after another.
        waits_for_all = isinstance(gate, Read) or not device.parallel
        start = end if waits_for_all else max(free[qubit] for qubit in gate.qubits)
        yield ScheduledGate(gate, pulses, start, duration, tuple(start - free[qubit] for qubit in gate.qubits))
        end = max(end, start + duration)
        free.update(dict.fromkeys(gate.qubits, start + duration))


def _pulses_and_duration(gate: NativeGate, device: Device) -> tuple[int, float]:
    if isinstance(gate, OneQubit):
        pulses = pulses_of(tuple(one.name for one in gate.gates), device.two_qubit_gate)
        return pulses, pulses * device.one_qubit_ns
    return 0, device.two_qubit_ns if isinstance(gate, TwoQubit) else 0.0
