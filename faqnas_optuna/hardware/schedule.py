"""Schedule of a program: every gate starts as soon as its qubits are free."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from faqnas_optuna.hardware.devices import Device
from faqnas_optuna.hardware.native import NativeGate, OneQubit, Readout, TwoQubit, pulses_of


class ScheduledGate(NamedTuple):
    """Gate of a device with its start and duration."""

    gate: NativeGate
    pulses: int
    """Number of one-qubit pulses; 0 for a two-qubit gate."""
    start_ns: float
    duration_ns: float
    """Duration; 0 for the readout, whose time is the same for every circuit."""
    idle_ns: tuple[float, ...]
    """Idle time of each qubit of the gate since its previous gate, or since the beginning."""


def schedule(program: Iterable[NativeGate], device: Device) -> Iterator[ScheduledGate]:
    """Yield the gates of a program with their times. The start of the readout is the duration of the program."""
    free_ns: defaultdict[int, float] = defaultdict(float)
    end_ns = 0.0
    for gate in program:
        pulses, duration = _pulses_and_duration(gate, device)
        # All qubits are read together, and the lasers of an ion trap serve one gate after another.
        waits_for_all = isinstance(gate, Readout) or not device.parallel
        start = end_ns if waits_for_all else max(free_ns[qubit] for qubit in gate.qubits)
        # A qubit is idle between its gates; before its first gate it is idle in |0⟩.
        yield ScheduledGate(gate, pulses, start, duration, tuple(start - free_ns[qubit] for qubit in gate.qubits))
        end_ns = max(end_ns, start + duration)
        free_ns.update(dict.fromkeys(gate.qubits, start + duration))


def _pulses_and_duration(gate: NativeGate, device: Device) -> tuple[int, float]:
    """Return the number of one-qubit pulses of a gate, and its duration in nanoseconds."""
    if isinstance(gate, OneQubit):
        pulses = pulses_of(tuple(part.name for part in gate.gates), device.two_qubit_gate)
        return pulses, pulses * device.one_qubit_ns
    return 0, device.two_qubit_ns if isinstance(gate, TwoQubit) else 0.0
