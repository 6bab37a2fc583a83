"""A terminal of a given width, as a person sees it: what a command leaves on its screen, and what passes over it."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from tests.support.processes import TIMEOUT_S, cli_environment

ROWS = 60


class Terminal:
    """A `faqnas-optuna` at a terminal of its own.

    Args:
        columns: its width.
        directory: where it runs.
    """

    def __init__(self, *arguments: str, columns: int, directory: Path, env: Mapping[str, str] | None = None) -> None:
        self._screen = pyte.HistoryScreen(columns, ROWS, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._terminal = ours
        given = cli_environment({"TERM": "xterm-256color", **(env or {})})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "faqnas_optuna", *arguments],
            cwd=directory,
            # pytest-xdist sets COLUMNS, which would be believed before the terminal.
            env={name: value for name, value in given.items() if name != "COLUMNS"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen and above it, without empty lines."""
        above = ["".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display) if line.strip()]

    def type(self, keys: bytes) -> None:
        """Press keys; b"\\x03" is Ctrl-C."""
        os.write(self._terminal, keys)

    def read_until(self, shown: Callable[[list[str]], bool]) -> None:
        """Follow the screen until something is shown there."""
        deadline = time.monotonic() + TIMEOUT_S
        while not shown(self.lines):
            assert self._read(), f"it ended with {self.lines}"
            assert time.monotonic() < deadline, f"it shows {self.lines}"

    def end(self) -> int:
        """Follow the screen until the command ends; its exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read() and time.monotonic() < deadline:
            pass
        code = self.process.wait(timeout=max(deadline - time.monotonic(), 1))
        os.close(self._terminal)
        return code

    def _read(self) -> bool:
        """Take in what has been written; whether there may be more."""
        if not select.select([self._terminal], [], [], 0.1)[0]:
            return True
        try:
            written = os.read(self._terminal, 65536)
        except OSError:
            # On Linux, what reading says when nobody has the terminal open any more.
            return False
        self.written += written
        self._stream.feed(written)
        return bool(written)
