import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.cache import cached_file, from_npz, in_subprocess, to_npz
from tests.support.processes import TIMEOUT_S


def make(log: Path) -> str:
    with log.open("a") as file:
        file.write("made\n")
    # Long enough for the other processes to arrive meanwhile.
    time.sleep(0.3)
    return "valuable"


def use(path: Path, log: Path) -> str:
    return cached_file(path, lambda: make(log), read=decoded, write=str.encode)


def decoded(content: bytes) -> str:
    if not content.startswith(b"val"):
        raise ValueError("not a value")
    return content.decode()


def test_of_several_processes_one_makes_it(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        values = pool.starmap(use, [(tmp_path / "kept" / "value", tmp_path / "log")] * 4)
    assert values == ["valuable"] * 4
    assert (tmp_path / "log").read_text() == "made\n"


def test_what_is_damaged_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"")
    assert use(path, tmp_path / "log") == "valuable"
    assert f"{path} is damaged (not a value)" in caplog.text
    assert path.read_bytes() == b"valuable"


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        assert use(tmp_path / "file" / "value", tmp_path / "log") == "valuable"
    assert (tmp_path / "log").read_text() == "made\nmade\n"
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_arrays_come_back_as_they_were() -> None:
    arrays: dict[str, NDArray[Any]] = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([1, 0], np.uint8)}
    restored = from_npz(to_npz(arrays), "x", "y")
    for name, array in arrays.items():
        assert np.array_equal(restored[name], array)
        assert restored[name].dtype == array.dtype


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "No data left in file"),
        (b"x", "pickle"),
        (to_npz({"y": np.zeros(2)}), "x is not a file in the archive"),
        (to_npz({"x": np.zeros(99)})[:-30], "File is not a zip file"),
    ],
)
def test_what_is_no_such_file_is_a_value_error(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_npz(content, "x")


def make_a_mark() -> None:
    """Write the process number to the file that the environment names; called in another process."""
    Path(os.environ["MARK"]).write_text(str(os.getpid()))


def test_another_process_makes_it_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    with in_subprocess(make_a_mark):
        pass
    assert int((tmp_path / "mark").read_text()) != os.getpid()


def wait_for_ever() -> None:
    make_a_mark()
    time.sleep(TIMEOUT_S)


def test_what_ends_the_block_ends_the_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARK", str(mark := tmp_path / "mark"))
    with pytest.raises(KeyError, match="enough"), in_subprocess(wait_for_ever):
        deadline = time.monotonic() + TIMEOUT_S
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        raise KeyError("enough")
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_a_signal_while_the_other_process_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        """Process that raises a signal while it is being created, before the caller has the object."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            started.append(self.pid)
            signal.raise_signal(signal.SIGUSR1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("a signal")

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt, match="a signal"), in_subprocess(wait_for_ever):
            raise AssertionError("the block is run in spite of the signal")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_without_another_process_the_block_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    done = []
    with in_subprocess(make_a_mark):
        done.append(1)
    assert done == [1]
