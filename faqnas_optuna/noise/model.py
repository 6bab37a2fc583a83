"""Noise models: depolarizing noise of a given probability, or the errors of a quantum device.

A depolarizing channel with probability p applies X, Y or Z to a qubit, each with probability p/3. At p = 3/4 the qubit is left
in the maximally mixed state. The error e of a gate in the figures of a device is its average infidelity. With the process
fidelity F and the dimension d,

    e = d (1 - F) / (d + 1)                  (Nielsen, arXiv quant-ph/0205035).

A depolarizing channel has F = 1 - p, and two of them on two qubits have F = (1 - p)². Hence p = 3e/2 after a pulse on one
qubit, and p = 1 - √(1 - 5e/4) on each qubit of a two-qubit gate. The error of a gate includes relaxation during the gate, so a
qubit relaxes separately only while it is idle: towards |0⟩ with T1, and its coherence with T2. Readout flips each outcome with
the readout error.
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
"""Probability at which a depolarizing channel gives the maximally mixed state."""
ONE_QUBIT_SHARE = 0.1
"""Depolarizing probability after a one-qubit gate, relative to that after a two-qubit gate, for depolarizing noise."""
PREFIX = "depolarizing:"


class AppliedGate(NamedTuple):
    """Ideal gate: rx, ry, rz; h, x, v, s, z (see `SingleQubitGate`); cx, cz, ecr, or rzz = exp(-iπ/4 ZZ)."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None


class Depolarizing(NamedTuple):
    """Depolarizing channel: X, Y or Z, each with a third of the probability."""

    wire: int
    probability: float


class Relaxation(NamedTuple):
    """Thermal relaxation of an idle qubit."""

    wire: int
    by_t1: float
    """Idle time in units of T1. The population of |1⟩ decays by exp(-by_t1)."""
    by_t2: float
    """Idle time in units of T2. The coherence decays by exp(-by_t2)."""


NoisyOperation = AppliedGate | Depolarizing | Relaxation


@dataclass(frozen=True, kw_only=True)
class NoisyProgram:
    """Gates and noise channels, applied to qubits in |0…0⟩."""

    n_qubits: int
    operations: tuple[NoisyOperation, ...]
    readout: tuple[int, ...]
    """Qubit of each wire of the circuit at the end."""
    flip: float
    """Probability that readout flips the outcome of a qubit."""


class Noise(Protocol):
    """Noise model that can be scaled by a noise factor."""

    @property
    def name(self) -> str:
        """Name of the device, or the text that `noise_of` accepts."""

    @property
    def description(self) -> str:
        """Description of the channels in words."""

    def parameters(self) -> dict[str, float]:
        """Return the depolarizing probabilities after one-qubit and two-qubit gates, and the probability of a readout flip."""

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        """Return the effective gates of an effective circuit, with noise scaled by the factor `strength`."""


# The methods of the two models are documented in the protocol.


@dataclass(frozen=True, kw_only=True)
class DepolarizingNoise:
    """Depolarizing channel on each qubit of a gate, after the gate, with perfect readout. The circuit is not compiled."""

    probability: float
    """Probability after a two-qubit gate; after a one-qubit gate it is `ONE_QUBIT_SHARE` times as large."""

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.probability:g}"

    @property
    def description(self) -> str:
        return _describe_channels(self.parameters(), after="other gates")

    def parameters(self) -> dict[str, float]:
        return _parameters(ONE_QUBIT_SHARE * self.probability, self.probability, 0.0)

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        # `_depolarized` limits the probability; noise factors go up to 32.
        p = strength * self.probability
        operations: list[NoisyOperation] = []
        for gate in elementary_gates(circuit, EffectiveGates(circuit=circuit).layers):
            operations.append(AppliedGate(*gate))
            operations += _depolarized(gate.wires, p if len(gate.wires) > 1 else ONE_QUBIT_SHARE * p)
        wires = tuple(range(circuit.n_qubits))
        return NoisyProgram(n_qubits=circuit.n_qubits, operations=tuple(operations), readout=wires, flip=0.0)


@dataclass(frozen=True, kw_only=True)
class DeviceNoise:
    """Errors of a device, on the circuit as compiled for it, in its native gates and with SWAPs."""

    device: Device

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def description(self) -> str:
        channels = _describe_channels(self.parameters(), after="each pulse")
        return f"figures of {self.device.date}, compiled circuits; {channels}; idle qubits relax"

    def parameters(self) -> dict[str, float]:
        device = self.device
        return _parameters(of_one_qubit(device.one_qubit_error), of_two_qubits(device.two_qubit_error), device.readout_error)

    def program(self, circuit: Circuit, strength: float) -> NoisyProgram:
        program = list(schedule(compile_program(circuit, EffectiveGates(circuit=circuit).layers, self.device), self.device))
        # Only the qubits that the program uses are simulated, renumbered from 0.
        used_qubits = sorted({qubit for step in program for qubit in step.gate.qubits})
        wire_of = {qubit: wire for wire, qubit in enumerate(used_qubits)}
        return NoisyProgram(
            n_qubits=len(used_qubits),
            operations=tuple(operation for step in program for operation in self._noisy(step, wire_of, strength)),
            # The last step is the readout of all wires.
            readout=tuple(wire_of[qubit] for qubit in program[-1].gate.qubits),
            # At 0.5 the outcome is random.
            flip=min(strength * self.device.readout_error, 0.5),
        )

    def _noisy(self, step: ScheduledGate, wire_of: dict[int, int], strength: float) -> Iterator[NoisyOperation]:
        """Yield the relaxation of a gate's qubits before it, the gate, and its errors; for the readout only the relaxation."""
        device = self.device
        gate = step.gate
        wires = tuple(wire_of[qubit] for qubit in gate.qubits)
        for wire, idle_ns in zip(wires, step.idle_ns, strict=True):
            # Stronger noise is longer idle time.
            yield from self._relaxation(wire, strength * idle_ns)
        if isinstance(gate, TwoQubit):
            yield AppliedGate(device.two_qubit_gate, wires)
            yield from _depolarized(wires, of_two_qubits(strength * device.two_qubit_error))
        elif isinstance(gate, OneQubit):
            yield from (AppliedGate(part.name, wires, part.angle) for part in gate.gates)
            # The error in the figures of a device is that of one pulse.
            for _ in range(step.pulses):
                yield from _depolarized(wires, of_one_qubit(strength * device.one_qubit_error))

    def _relaxation(self, wire: int, ns: float) -> Iterator[Relaxation]:
        """Yield the relaxation during `ns` nanoseconds, if there are any."""
        if ns > 0:
            yield Relaxation(wire, ns / (1e3 * self.device.t1_us), ns / (1e3 * self.device.t2_us))


def of_one_qubit(error: float) -> float:
    """Return the probability of the depolarizing channel whose average infidelity is `error`.

    >>> of_one_qubit(0.002)
    0.003
    """
    return min(1.5 * error, FULL)


def of_two_qubits(error: float) -> float:
    """Return the probability of each of two depolarizing channels, one per qubit, whose joint average infidelity is `error`."""
    return min(1 - math.sqrt(max(1 - 1.25 * error, 0.0)), FULL)


def noise_of(text: str) -> Noise:
    """Return a noise model, given as `depolarizing:P`, the name of a device, or the path of a device file.

    Raises:
        ConfigError: The text has none of these forms.
    """
    if text.startswith(PREFIX):
        return DepolarizingNoise(probability=_probability(text.removeprefix(PREFIX)))
    # A message of its own: that of `device_of` would not mention depolarizing noise.
    if text not in DEVICES and not text.lower().endswith(".toml"):
        names = ", ".join(DEVICES)
        raise ConfigError(f"unknown noise {text!r}; choose depolarizing:0.01, {names}, or the path of a .toml device file")
    return DeviceNoise(device=device_of(text))


def _probability(text: str) -> float:
    try:
        value = decimal_number(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= FULL:
        raise ConfigError(f"{PREFIX}P needs a probability above 0 and at most {FULL}; it is {text!r}")
    return value


def _parameters(one_qubit: float, two_qubits: float, readout: float) -> dict[str, float]:
    return {"one_qubit_depolarizing": one_qubit, "two_qubit_depolarizing": two_qubits, "readout_flip": readout}


def _describe_channels(parameters: dict[str, float], *, after: str) -> str:
    one, two, flip = (f"{value:.2g}" for value in parameters.values())
    return f"depolarizing probability {two} on each qubit after a two-qubit gate and {one} after {after}, readout error {flip}"


def _depolarized(wires: Sequence[int], probability: float) -> Iterator[Depolarizing]:
    """Yield a depolarizing channel for each wire, if the probability is positive."""
    if probability > 0:
        yield from (Depolarizing(wire, min(probability, FULL)) for wire in wires)
