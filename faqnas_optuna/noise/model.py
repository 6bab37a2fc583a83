"""What a circuit's gates become under noise: depolarizing of a given strength, or the errors of a quantum device.

A depolarizing channel of probability p applies one of X, Y and Z to a qubit, each with p/3; at 3/4 nothing is left of what it
was. Of a device we know the error e of a gate, its average infidelity. With F the process fidelity and d the dimension,

    e = d (1 - F) / (d + 1)                  (Nielsen, arXiv quant-ph/0205035)

and a depolarizing channel has F = 1 - p, two on two qubits F = (1 - p)²: so p = 3e/2 after a pulse on one qubit, and
p = 1 - √(1 - 5e/4) on each of the qubits of a two-qubit gate. A gate's error includes what its qubits lose while it runs, so
a qubit relaxes only where it waits, by T1 towards |0⟩ and by T2. Reading flips each outcome with the error of the readout.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.gates import Input, Weight
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.compilation import compile_program
from faqnas_optuna.hardware.devices import DEVICES, Device, device_of
from faqnas_optuna.hardware.native import OneQubit, TwoQubit
from faqnas_optuna.hardware.schedule import ScheduledGate, schedule
from faqnas_optuna.literals import decimal_number

FULL = 0.75
"""The probability at which a depolarizing channel leaves nothing."""
ONE_QUBIT_SHARE = 0.1
"""How strong the noise of a one-qubit gate is beside that of a two-qubit gate, of noise that is given by one strength."""
PREFIX = "depolarizing:"


class Applied(NamedTuple):
    """A gate: rx, ry, rz, and h, x, v, s, z as a `SingleQubitGate`'s; cx, cz, and ecr and rzz = exp(-iπ/4 ZZ)."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None


class Depolarizing(NamedTuple):
    """One of X, Y and Z, each with a third of the probability."""

    wire: int
    probability: float


class Relaxing(NamedTuple):
    """What a qubit loses that waits."""

    wire: int
    by_t1: float
    """The time in units of T1: exp(-by_t1) is kept of the population of |1⟩."""
    by_t2: float
    """Likewise of T2, and of what is off the diagonal."""


NoisyOperation = Applied | Depolarizing | Relaxing


@dataclass(frozen=True, kw_only=True)
class NoisyProgram:
    """What happens to qubits that begin in |0…0⟩."""

    n_qubits: int
    operations: tuple[NoisyOperation, ...]
    read: tuple[int, ...]
    """The qubit of each wire of the circuit at the end."""
    flip: float
    """The probability that the outcome of a qubit is read the other way round."""


class Noise(Protocol):
    """Noise that can be made weaker and stronger."""

    @property
    def name(self) -> str:
        """As it is typed, or what the device is called."""

    @property
    def told(self) -> str:
        """What it does, in words."""

    def parameters(self) -> dict[str, float]:
        """The probabilities of the channels after a gate on one qubit and on two, and of reading an outcome wrongly."""

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        """The effective gates of a circuit that stands for itself, with so many times the noise; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class DepolarizingNoise:
    """A depolarizing channel on each qubit of a gate, after it; none of the readout. The circuit is run as it stands."""

    probability: float
    """After a gate on two qubits; `ONE_QUBIT_SHARE` of it after one on a single qubit."""

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.probability:g}"

    @property
    def told(self) -> str:
        """As `Noise` says."""
        return _told_channels(self.parameters(), after="other gates")

    def parameters(self) -> dict[str, float]:
        """As `Noise` says."""
        return _parameters(ONE_QUBIT_SHARE * self.probability, self.probability, 0.0)

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        """As `Noise` says."""
        p = strength * self.probability
        operations: list[NoisyOperation] = []
        for gate in elementary_gates(circuit, EffectiveGates(circuit=circuit).layers):
            operations.append(Applied(*gate))
            operations += _depolarized(gate.wires, p if len(gate.wires) > 1 else ONE_QUBIT_SHARE * p)
        wires = tuple(range(circuit.n_qubits))
        return NoisyProgram(n_qubits=circuit.n_qubits, operations=tuple(operations), read=wires, flip=0.0)


@dataclass(frozen=True, kw_only=True)
class DeviceNoise:
    """The errors of a device, on the circuit as it is run there: in its gates, and with its SWAPs."""

    device: Device

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def told(self) -> str:
        """As `Noise` says."""
        channels = _told_channels(self.parameters(), after="each pulse")
        return f"figures of {self.device.date}, circuits as they are run there; {channels}; qubits that wait relax"

    def parameters(self) -> dict[str, float]:
        """As `Noise` says."""
        device = self.device
        return _parameters(of_one_qubit(device.one_qubit_error), of_two_qubits(device.two_qubit_error), device.readout_error)

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        """As `Noise` says: so many times the errors, and the times in which qubits wait."""
        program = list(schedule(compile_program(circuit, EffectiveGates(circuit=circuit).layers, self.device), self.device))
        used = sorted({qubit for step in program for qubit in step.gate.qubits})
        wire_of = {qubit: wire for wire, qubit in enumerate(used)}
        return NoisyProgram(
            n_qubits=len(used),
            operations=tuple(operation for step in program for operation in self._noisy(step, wire_of, strength)),
            read=tuple(wire_of[qubit] for qubit in program[-1].gate.qubits),
            flip=min(strength * self.device.readout_error, 0.5),
        )

    def _noisy(self, step: ScheduledGate, wire_of: dict[int, int], strength: float) -> Iterator[NoisyOperation]:
        """Yield the waiting of a gate's qubits before it, the gate, and its errors; of the readout the waiting alone."""
        device, gate = self.device, step.gate
        wires = tuple(wire_of[qubit] for qubit in gate.qubits)
        for wire, idle_ns in zip(wires, step.idle_ns, strict=True):
            yield from self._waiting(wire, strength * idle_ns)
        if isinstance(gate, TwoQubit):
            yield Applied(device.two_qubit_gate, wires)
            yield from _depolarized(wires, of_two_qubits(strength * device.two_qubit_error))
        elif isinstance(gate, OneQubit):
            yield from (Applied(one.name, wires, one.angle) for one in gate.gates)
            for _ in range(step.pulses):
                yield from _depolarized(wires, of_one_qubit(strength * device.one_qubit_error))

    def _waiting(self, wire: int, ns: float) -> Iterator[Relaxing]:
        if ns > 0:
            yield Relaxing(wire, ns / (1e3 * self.device.t1_us), ns / (1e3 * self.device.t2_us))


def of_one_qubit(error: float) -> float:
    """The probability of the depolarizing channel whose average infidelity is the error."""
    return min(1.5 * error, FULL)


def of_two_qubits(error: float) -> float:
    """That of two such channels, one on each qubit, whose average infidelity together is the error."""
    return min(1 - math.sqrt(max(1 - 1.25 * error, 0.0)), FULL)


def noise_of(text: str) -> Noise:
    """Noise as it is typed: `depolarizing:P`, or a device as `device_of` takes it.

    Raises:
        ConfigError: it is neither.
    """
    if text.startswith(PREFIX):
        return DepolarizingNoise(probability=_probability(text.removeprefix(PREFIX)))
    if text not in DEVICES and not text.lower().endswith(".toml"):
        known = ", ".join(DEVICES)
        raise ConfigError(f"unknown noise {text!r}; it is depolarizing:0.01, {known}, or a device file that ends with .toml")
    return DeviceNoise(device=device_of(text))


def _probability(text: str) -> float:
    try:
        value = decimal_number(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= FULL:
        raise ConfigError(f"{PREFIX}P has a P above 0 and at most {FULL}, where nothing is left of a qubit; it is {text!r}")
    return value


def _parameters(one_qubit: float, two_qubits: float, readout: float) -> dict[str, float]:
    return {"one_qubit_depolarizing": one_qubit, "two_qubit_depolarizing": two_qubits, "readout_flip": readout}


def _told_channels(parameters: dict[str, float], *, after: str) -> str:
    one, two, flip = (f"{value:.2g}" for value in parameters.values())
    return f"X, Y or Z on each qubit after a two-qubit gate with {two}, after {after} with {one}, outcomes misread with {flip}"


def _depolarized(wires: Sequence[int], probability: float) -> Iterator[Depolarizing]:
    if probability > 0:
        yield from (Depolarizing(wire, min(probability, FULL)) for wire in wires)
