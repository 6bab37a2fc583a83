"""A terminal of a given width, as a person sees it: what a command leaves on its screen, and what passes over it."""

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
    """A `faqnas-optuna` at a terminal of its own, forked from a process that has imported everything.

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
        # pytest-xdist sets COLUMNS, which would be believed before the terminal.
        environment = {name: value for name, value in given.items() if name != "COLUMNS"}
        opened, opened_end = forking().Pipe(duplex=False)
        settings = (arguments, directory, environment, os.ttyname(theirs), opened_end)
        self._process = forking().Process(target=_work, args=settings)
        self._process.start()
        opened_end.close()
        # A terminal that nobody has open any more is at its end.
        assert opened.poll(TIMEOUT_S), "the process does not open its terminal"
        opened.close()
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
        self._process.join(max(deadline - time.monotonic(), 1))
        assert self._process.exitcode is not None, f"it still runs, and shows {self.lines}"
        os.close(self._terminal)
        return self._process.exitcode

    def kill(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.join(TIMEOUT_S)

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


def _work(arguments: Sequence[str], directory: Path, environment: Mapping[str, str], terminal: str, opened: Connection) -> None:
    """Run the command with the terminal as that of its session, and as its standard streams."""
    os.setsid()
    # The first terminal that the leader of a session opens becomes that of the session.
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
        # Which `multiprocessing` leaves out.
        atexit._run_exitfuncs()


@contextmanager
def on_a_terminal(
    command: tuple[str, ...], directory: Path, env: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process of ours on a terminal of its own, and that terminal's other side."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    started = f"exec {shlex.join([sys.executable, '-m', 'faqnas_optuna', *command])}"
    # The first terminal that a session opens is that which ends it.
    process = subprocess.Popen(
        ["sh", "-c", f"{started} <>{os.ttyname(theirs)} >&0 2>&0"],
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
    """Start `faqnas-optuna` at a terminal; whatever still runs at the end of the test is killed."""
    started: list[Terminal] = []

    def start(*arguments: str, columns: int, **settings: dict[str, str]) -> Terminal:
        started.append(Terminal(*arguments, columns=columns, directory=tmp_path, **settings))
        return started[-1]

    yield start
    for terminal in started:
        terminal.kill()
