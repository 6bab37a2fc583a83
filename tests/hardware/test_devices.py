"""Built-in devices, their lattices, and device files that are refused."""

import re
from collections import Counter
from pathlib import Path

import pytest

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.devices import DEVICES, Device, TwoQubitGate, device_of
from tests.support.devices import OWN


def test_lattices_are_those_of_ibm() -> None:
    """Compare sizes, degrees and pairs at the ends of rows with the coupling maps of qiskit-ibm-runtime."""
    sizes = {name: (device.qubits, len(device.pairs)) for name, device in DEVICES.items()}
    assert sizes == {"heron-r3": (156, 176), "eagle": (127, 144), "nighthawk": (120, 218), "all-to-all": (36, 630)}
    assert {(3, 16), (7, 17), (16, 23), (15, 19), (21, 36), (154, 155)} < {*DEVICES["heron-r3"].pairs}
    assert {(0, 14), (4, 15), (14, 18), (12, 17), (20, 33), (112, 126)} < {*DEVICES["eagle"].pairs}
    assert {(0, 1), (0, 10), (9, 19), (118, 119)} < {*DEVICES["nighthawk"].pairs}
    assert (9, 10) not in DEVICES["nighthawk"].pairs
    for name, most in (("heron-r3", 3), ("eagle", 3), ("nighthawk", 4)):
        degrees = Counter(qubit for pair in DEVICES[name].pairs for qubit in pair)
        assert len(degrees) == DEVICES[name].qubits and max(degrees.values()) == most


def test_every_device_says_from_where_and_when() -> None:
    for device in DEVICES.values():
        assert device.source and re.fullmatch(r"20\d\d-\d\d-\d\d", device.date)
        # Studies store devices as JSON.
        assert Device.model_validate_json(device.model_dump_json()) == device


def test_a_device_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(OWN)
    device = device_of(str(file))
    assert device.pairs == ((0, 1), (1, 2), (2, 3))
    assert (device.date, device.two_qubit_gate, device.t2_us, device.parallel) == ("2026-01-31", TwoQubitGate.CZ, 80.5, True)


WRONG = {
    "t1_us = 100": ("t1_us = 0.0002", "t1_us: is in microseconds; "),
    "two_qubit_error = 0.01": ("two_qubit_error = 3", "two_qubit_error: is a probability, not a percentage; "),
    "readout_error = 0.02": ("readout_error = 0", "readout_error: is a probability, not a percentage; "),
    "one_qubit_ns = 30": ("one_qubit_ns = 0.03", "one_qubit_ns: is in nanoseconds; "),
    "two_qubit_ns = 100": ("two_qubit_ns = 1e6", "two_qubit_ns, in nanoseconds, must be shorter than t1_us"),
    "t2_us = 80.5": ("t2_us = 201", "t2_us must be at most twice t1_us, 100; it is 201"),
    "qubits = 4": ("qubits = 5", "qubit 4 is not"),
    "[2, 3]]": ("[3, 3]]", r"one is \[3, 3\]"),
    "[1, 2], ": ("", "qubit 2 is not"),
    "coupling = [[1, 0], [1, 2], [2, 3]]": ('coupling = "square-grid 2x3"', "square-grid 2x3 has 6 qubits, but qubits is 4"),
    "[[1, 0], [1, 2], [2, 3]]": ('"ring"', "coupling: must be all-to-all, heavy-hex 8x16"),
    'two_qubit_gate = "cz"': ('two_qubit_gate = "iswap"', "two_qubit_gate: "),
    'source = "our laboratory"\n': ("", "missing fields: source"),
    "date = 2026-01-31": ('date = "yesterday"', "date: must be a date such as 2026-04-17"),
    'name = "bench"': ('name = "eagle"', "'eagle' is the name of a built-in device"),
    "t2_us = 80.5\n": ("t2_us = 80.5\nt3_us = 1\n", "unknown field 't3_us'; choose from name, date"),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_no_device_can_be_is_told_in_one_line(line: str, tmp_path: Path) -> None:
    instead, message = WRONG[line]
    file = tmp_path / "bench.toml"
    assert OWN.count(line) == 1
    file.write_text(OWN.replace(line, instead))
    with pytest.raises(ConfigError, match=message) as refused:
        device_of(str(file))
    assert "\n" not in str(refused.value) and str(file) in str(refused.value)


def test_all_that_is_missing_is_told_together(tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text('name = "few"\nqubits = 4\nt1_us = 0.0002\n')
    with pytest.raises(
        ConfigError, match="few.toml: missing fields: date, source, coupling, .*, t2_us; t1_us: is in microseconds"
    ):
        device_of(str(tmp_path / "few.toml"))


def test_no_such_device(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown device 'condor'; choose from heron-r3, eagle, nighthawk, all-to-all, or"):
        device_of("condor")
    with pytest.raises(ConfigError, match="the device file cannot be read: No such file"):
        device_of(str(tmp_path / "none.toml"))
    (tmp_path / "no.toml").write_text("name = bench")
    with pytest.raises(ConfigError, match="a device file must be TOML"):
        device_of(str(tmp_path / "no.toml"))
