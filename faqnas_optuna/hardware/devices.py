"""Quantum devices, by name or from a file: gates, errors, times and coupled qubits.

The figures of a named device are medians over its qubits and pairs on one day, so that single good or bad qubits do not matter.
Users describe other devices in a TOML file with the fields of `Device`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.graph import Pair, nearest_first, neighbours_of

ALL_TO_ALL = "all-to-all"
"""Coupling of a device with a gate between any two qubits."""
LATTICE = re.compile(r"(heavy-hex|square-grid) ([0-9]{1,3})x([0-9]{1,3})")
"""Coupling of a device whose qubits are arranged in rows and columns."""

Error = Annotated[float, Field(ge=0, lt=0.5)]
Nanoseconds = Annotated[float, Field(ge=1, le=1e8)]
Microseconds = Annotated[float, Field(ge=1, le=1e12)]


class TwoQubitGate(StrEnum):
    """Native two-qubit gate of a device. Together with one-qubit gates, each makes a CNOT or a CZ."""

    CZ = "cz"
    """Controlled Z."""
    ECR = "ecr"
    """Echoed cross-resonance gate."""
    RZZ = "rzz"
    """ZZ rotation of ion traps, the Mølmer-Sørensen gate up to one-qubit gates."""


class Device(BaseModel):
    """Description of a device for cost and noise models. Errors are probabilities; other fields name their units."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    date: str
    """Date of the figures in ISO format, for example 2026-04-17."""
    source: Annotated[str, Field(min_length=1)]
    """Source of the figures."""
    qubits: Annotated[int, Field(ge=2, le=2_000)]
    coupling: str | tuple[Pair, ...]
    """`all-to-all`, `heavy-hex ROWSxCOLUMNS`, `square-grid ROWSxCOLUMNS`, or the pairs of coupled qubits."""
    two_qubit_gate: TwoQubitGate
    one_qubit_error: Error
    """Error of a pulse: √X on a superconducting chip, a rotation about any axis in the equatorial plane in an ion trap."""
    two_qubit_error: Error
    # Not zero: a search minimises -ln(ESP) on a logarithmic scale, and a circuit without gates would otherwise cost 0.
    readout_error: Annotated[float, Field(gt=0, lt=0.5)]
    """Error of each measured qubit."""
    one_qubit_ns: Nanoseconds
    two_qubit_ns: Nanoseconds
    readout_ns: Nanoseconds
    t1_us: Microseconds
    t2_us: Microseconds
    delay_us: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Time between two shots: reset and any further delay of the device."""
    parallel: bool = True
    """True if gates on different qubits run at the same time. The lasers of an ion chain serve one gate after another."""

    @field_validator("date")
    @classmethod
    def _check_date(cls, value: str) -> str:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ValueError("must be a date such as 2026-04-17") from None

    @field_validator("coupling")
    @classmethod
    def _normalise_coupling(cls, coupling: str | tuple[Pair, ...]) -> str | tuple[Pair, ...]:
        if isinstance(coupling, str):
            if coupling != ALL_TO_ALL and not LATTICE.fullmatch(coupling):
                raise ValueError(f"must be {ALL_TO_ALL}, heavy-hex 8x16, square-grid 12x10 or a list of pairs of qubits")
            return coupling
        # One form for equal couplings, so that studies on the same device agree however its file lists the pairs.
        return tuple(sorted({(min(pair), max(pair)) for pair in coupling}))

    @model_validator(mode="after")
    def _check_physics_and_coupling(self) -> Self:
        # Pure dephasing cannot be negative: 1/T2 = 1/(2 T1) + 1/Tφ.
        if self.t2_us > 2 * self.t1_us:
            raise ValueError(f"t2_us must be at most twice t1_us, {self.t1_us:g}; it is {self.t2_us:g}")
        # A longer time is almost certainly given in the wrong unit.
        for name in ("one_qubit_ns", "two_qubit_ns", "readout_ns"):
            if getattr(self, name) > 1e3 * min(self.t1_us, self.t2_us):
                raise ValueError(
                    f"{name}, in nanoseconds, must be shorter than t1_us and t2_us, in microseconds;"
                    f" it is {getattr(self, name):g}"
                )
        self._check_coupling()
        return self

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Sorted pairs of coupled qubits, the smaller number of each pair first."""
        if not isinstance(self.coupling, str):
            return self.coupling
        if self.coupling == ALL_TO_ALL:
            return tuple((first, second) for first in range(self.qubits) for second in range(first + 1, self.qubits))
        return _lattice(self.coupling)[1]

    def _check_coupling(self) -> None:
        if isinstance(self.coupling, str) and self.coupling != ALL_TO_ALL:
            size = _lattice(self.coupling)[0]
            if size != self.qubits:
                raise ValueError(
                    f"coupling: {self.coupling} has {size} qubits, but qubits is {self.qubits}; make both the same"
                )
        if isinstance(self.coupling, str):
            return
        for first, second in self.coupling:
            if first == second or first < 0 or second >= self.qubits:
                raise ValueError(
                    f"coupling: a pair must be two different qubits from 0 to {self.qubits - 1}; one is [{first}, {second}]"
                )
        # The routing needs a path between any two qubits.
        connected = {qubit for qubit, _ in nearest_first(neighbours_of(self.coupling), 0)}
        isolated = sorted({*range(self.qubits)} - connected)
        if isolated:
            raise ValueError(f"coupling: the pairs must connect all qubits; qubit {isolated[0]} is not connected to qubit 0")


def _lattice(coupling: str) -> tuple[int, tuple[Pair, ...]]:
    """Return the number of qubits of a lattice and its coupled pairs. As IBM does, number the qubits row by row."""
    match = LATTICE.fullmatch(coupling)
    assert match
    rows = int(match[2])
    columns = int(match[3])
    places = _heavy_hex(rows, columns) if match[1] == "heavy-hex" else _square_grid(rows, columns)
    numbers = {place: number for number, place in enumerate(places)}
    across = ((place, (place[0], place[1] + 1)) for place in numbers)
    down = ((place, (place[0] + 1, place[1])) for place in numbers)
    pairs = (tuple(sorted((numbers[a], numbers[b]))) for ends in (across, down) for a, b in ends if b in numbers)
    return len(numbers), tuple(sorted((first, second) for first, second in pairs))


def _square_grid(rows: int, columns: int) -> Iterator[Pair]:
    yield from ((row, column) for row in range(rows) for column in range(columns))


def _heavy_hex(rows: int, columns: int) -> Iterator[Pair]:
    """Yield the (row, column) places of the qubits of a heavy-hexagon lattice; each hexagon is a ring of twelve qubits.

    Full rows of qubits alternate with rows that have a connecting qubit in every fourth column, shifted by two columns from
    one such row to the next.
    """
    # IBM's lattices with an even number of columns (Heron) start in the fourth column. Those with an odd number (Eagle) start
    # in the first, and omit the two corner qubits that would have no connection to another row.
    offset = 0 if columns % 2 else 3
    for row in range(rows):
        for column in range(columns):
            if columns % 2 == 0 or (row, column) not in ((0, columns - 1), (rows - 1, 0)):
                yield 2 * row, column
        start = (offset + 2 * row) % 4
        # No connecting qubits follow the last row.
        yield from ((2 * row + 1, column) for column in range(start, columns if row < rows - 1 else 0, 4))


RUNTIME = "github.com/Qiskit/qiskit-ibm-runtime at 73514f0, fake_provider"

DEVICES: Mapping[str, Device] = {
    device.name: device
    for device in (
        Device(
            name="heron-r3",
            date="2026-04-17",
            source=f"ibm_pittsburgh: medians of props_pittsburgh.json ({RUNTIME})",
            qubits=156,
            coupling="heavy-hex 8x16",
            two_qubit_gate=TwoQubitGate.CZ,
            one_qubit_error=1.994e-4,
            two_qubit_error=1.549e-3,
            readout_error=4.517e-3,
            one_qubit_ns=32,
            two_qubit_ns=88,
            readout_ns=2584,
            t1_us=299.0,
            t2_us=317.1,
            delay_us=250,
        ),
        Device(
            name="eagle",
            date="2025-02-26",
            source=f"ibm_sherbrooke: medians of props_sherbrooke.json ({RUNTIME})",
            qubits=127,
            coupling="heavy-hex 7x15",
            two_qubit_gate=TwoQubitGate.ECR,
            one_qubit_error=2.362e-4,
            two_qubit_error=7.788e-3,
            readout_error=1.978e-2,
            one_qubit_ns=56.9,
            two_qubit_ns=533.3,
            readout_ns=1216,
            t1_us=278.4,
            t2_us=170.0,
            delay_us=250,
        ),
        Device(
            name="nighthawk",
            date="2026-04-17",
            source=f"ibm_miami: medians of props_miami.json ({RUNTIME})",
            qubits=120,
            coupling="square-grid 12x10",
            two_qubit_gate=TwoQubitGate.CZ,
            one_qubit_error=1.971e-4,
            two_qubit_error=2.978e-3,
            readout_error=1.788e-2,
            one_qubit_ns=32,
            two_qubit_ns=138,
            readout_ns=2400,
            t1_us=330.2,
            t2_us=241.9,
            delay_us=4000,
        ),
        Device(
            name="all-to-all",
            date="2025-08-03",
            source="IonQ Forte Enterprise 1: characterization of qpu.forte-enterprise-1, as quoted in a public repository; "
            "two-qubit error the median, others means, which are all it gives; reset time for the delay",
            qubits=36,
            coupling=ALL_TO_ALL,
            two_qubit_gate=TwoQubitGate.RZZ,
            one_qubit_error=1e-4,
            two_qubit_error=5.7e-3,
            readout_error=4.3e-3,
            one_qubit_ns=63_000,
            two_qubit_ns=650_000,
            readout_ns=250_000,
            t1_us=1.88e8,
            t2_us=9.5e5,
            delay_us=150,
            parallel=False,
        ),
    )
}
"""Devices that users can choose by name."""


def device_of(text: str) -> Device:
    """Return a device, given its name or the path of a TOML file that describes it.

    Raises:
        ConfigError: There is no such device or file, or the file does not describe a possible device.
    """
    if text in DEVICES:
        return DEVICES[text]
    if not text.lower().endswith(".toml"):
        raise ConfigError(f"unknown device {text!r}; choose from {', '.join(DEVICES)}, or give the path of a .toml file")
    device = read_device(Path(text))
    # Tables and studies name devices, so a name must mean one device.
    if device.name in DEVICES:
        raise ConfigError(f"{text}: name: {device.name!r} is the name of a built-in device; choose another one")
    return device


def read_device(path: Path) -> Device:
    """Return the device that a TOML file describes.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or does not describe a possible device.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: the device file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: a device file must be TOML: {error}") from error
    try:
        # pydantic's strict mode accepts a list for a tuple and a string for an enum only in JSON. Dumping to JSON also turns a
        # TOML date into a string.
        return Device.model_validate_json(TypeAdapter(dict[str, Any]).dump_json(settings))
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_explanations(error.errors()))}") from error


def _explanations(details: Sequence[ErrorDetails]) -> Iterator[str]:
    """Yield each error once, with all missing fields in one message."""
    absent = [str(detail["loc"][0]) for detail in details if detail["type"] == "missing"]
    if absent:
        yield f"missing fields: {', '.join(absent)}"
    # pydantic reports one error for each type that a field could have had; they read the same.
    yield from dict.fromkeys(_explain(detail) for detail in details if detail["type"] != "missing")


def _explain(detail: ErrorDetails) -> str:
    """Return a pydantic error as a message for users."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    # pydantic puts this prefix before the messages of validators.
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"unknown field {name!r}; choose from {', '.join(Device.model_fields)}"
    if not name:
        return message
    if name == "coupling" and len(detail["loc"]) > 1:
        return f"coupling: must be {ALL_TO_ALL}, heavy-hex 8x16, square-grid 12x10 or a list of pairs such as [[0, 1], [1, 2]]"
    return f"{name}: {UNITS.get(name, '')}{message[0].lower()}{message[1:]} (it is {detail['input']!r})"


UNITS = {
    **{name: "is a probability, not a percentage; " for name in ("one_qubit_error", "two_qubit_error", "readout_error")},
    **{name: "is in nanoseconds; " for name in ("one_qubit_ns", "two_qubit_ns", "readout_ns")},
    **{name: "is in microseconds; " for name in ("t1_us", "t2_us", "delay_us")},
}
"""Reminder of the unit in the message about a value that is out of range."""
