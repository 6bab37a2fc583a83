"""Emulated terminals of a given width: the screen during and after a command."""

import atexit
import fcntl
import os
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pyte
import pytest

from faqnas_optuna.__main__ import main as faqnas_main
from tests.support.crew import forking
from tests.support.processes import TIMEOUT_S, cli_environment
from tests.support.sampling import mostly_slow

ROWS = 60


class Terminal:
    """`faqnas-optuna` at a separate terminal, forked from a process that has imported everything.

    Args:
        columns: Width of the terminal.
        directory: Working directory.
    """

    def __init__(self, *arguments: str, columns: int, directory: Path, env: Mapping[str, str] | None = None) -> None:
        self._screen = pyte.HistoryScreen(columns, ROWS, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        """All bytes that the command has written, control sequences included."""
        ours, theirs = os.openpty()
        # The kernel tells programs this size; rich asks for it.
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._terminal = ours
        environment = cli_environment({"TERM": "xterm-256color", **(env or {})})
        # pytest-xdist sets COLUMNS, which rich would use instead of the terminal's width.
        environment.pop("COLUMNS", None)
        opened, opened_end = forking().Pipe(duplex=False)
        settings = (arguments, directory, environment, os.ttyname(theirs), opened_end)
        self._process = forking().Process(target=_work, args=settings)
        self._process.start()
        opened_end.close()
        # If no process had the terminal open, reading would report its end: the command must open it before we close ours.
        assert opened.poll(TIMEOUT_S), "the process does not open its terminal"
        opened.close()
        os.close(theirs)

    @property
    def lines(self) -> list[str]:
        """Lines of the screen and of the history above it, without empty ones."""
        above = ["".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display) if line.strip()]

    def type(self, keys: bytes) -> None:
        """Press keys; b"\\x03" is Ctrl-C."""
        os.write(self._terminal, keys)

    def read_until(self, condition: Callable[[list[str]], bool]) -> None:
        """Follow the screen until a condition on its lines is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition(self.lines):
            assert self._read(), f"it ended with {self.lines}"
            assert time.monotonic() < deadline, f"it shows {self.lines}"

    def end(self) -> int:
        """Follow the screen until the command ends, and return its exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read() and time.monotonic() < deadline:
            pass
        self._process.join(max(deadline - time.monotonic(), 1))
        assert self._process.exitcode is not None, f"it still runs, and shows {self.lines}"
        os.close(self._terminal)
        return self._process.exitcode

    def kill(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.join(TIMEOUT_S)

    def _read(self) -> bool:
        """Read new output, and return whether more may follow."""
        # Not `select`, which refuses descriptors from 1,024 on.
        poll = select.poll()
        poll.register(self._terminal, select.POLLIN)
        # A tenth of a second without output is not the end.
        if not poll.poll(100):
            return True
        try:
            output = os.read(self._terminal, 65536)
        except OSError:
            # Linux reports EIO once no process has the terminal open.
            return False
        self.output += output
        self._stream.feed(output)
        return bool(output)


def _work(arguments: Sequence[str], directory: Path, environment: Mapping[str, str], terminal: str, opened: Connection) -> None:
    """Run the command with the terminal as its standard streams and as the terminal of its session."""
    os.setsid()
    # The first terminal that the leader of a session opens becomes the controlling terminal, which Ctrl-C needs.
    descriptor = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(descriptor, number)
    os.close(descriptor)
    opened.send(None)
    opened.close()
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww"))
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["faqnas-optuna", *arguments]
    try:
        faqnas_main()
    finally:
        # `multiprocessing` ends its processes without these.
        atexit._run_exitfuncs()


@contextmanager
def on_a_terminal(
    command: tuple[str, ...], directory: Path, env: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start `faqnas-optuna` on a separate terminal, and yield the process and the other side of the terminal."""
    ours, theirs = os.openpty()
    # Tests read what is there without waiting for more.
    os.set_blocking(ours, False)
    program = f"exec {shlex.join([sys.executable, '-m', 'faqnas_optuna', *command])}"
    # The shell opens the terminal first, so it becomes the controlling terminal: closing it sends SIGHUP.
    process = subprocess.Popen(
        ["sh", "-c", f"{program} <>{os.ttyname(theirs)} >&0 2>&0"],
        cwd=directory,
        env=cli_environment({"TERM": "xterm", **env}),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process, ours
    finally:
        os.close(theirs)
        process.kill()
        process.wait(timeout=TIMEOUT_S)


each_width = pytest.mark.parametrize("columns", mostly_slow([60, 80, 120]))
LongSearch = Callable[..., Terminal]


@pytest.fixture
def at_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Function that starts `faqnas-optuna` at a terminal; it is killed at the end of the test."""
    terminals: list[Terminal] = []

    def start(*arguments: str, columns: int, **settings: dict[str, str]) -> Terminal:
        terminals.append(Terminal(*arguments, columns=columns, directory=tmp_path, **settings))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.kill()
