"""Forked copies of this process, which need not import, compile or read anything again.

`multiprocessing.Process` would not do: when the parent leaves it waits for its children or ends them, and a worker that has
lost its parent finishes its trial.
"""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import psutil

from faqnas_optuna.signals import SIGNALS

STDERR = 2


def can_fork() -> bool:
    """Return whether a copy of this process would work.

    A copy has only the thread that forked: a lock that another thread held stays locked for ever. On macOS the system's
    frameworks, which NumPy calls, do not survive a fork.
    """
    return sys.platform == "linux" and bool(psutil.Process().num_threads() == 1)


@contextmanager
def signals_blocked() -> Iterator[set[signal.Signals]]:
    """Hold signals back while a process is started, which would run this one's handlers until it has its own.

    Yields:
        The signals that were blocked before.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ForkedProcess:
    """A copy of this process in a session of its own, used as a `subprocess.Popen` is.

    Args:
        work: called in the copy with the descriptor of a pipe, to which `stdin` of this object leads; returns its exit code.
        has_stderr: whether what the copy writes to stderr is read from `stderr` of this object.
    """

    def __init__(self, work: Callable[[int], int], *, has_stderr: bool) -> None:
        told, telling = os.pipe()
        reading, writing = os.pipe() if has_stderr else (None, None)
        self.stdin = os.fdopen(telling, "wb", buffering=0)
        self.stderr = None if reading is None else os.fdopen(reading, "rb")
        # A collection in the copy would write to every page, and so copy it.
        gc.freeze()
        with signals_blocked() as blocked:
            self.pid = os.fork()
            if self.pid == 0:
                _run(lambda: work(told), blocked, told, stderr=writing)
        os.close(told)
        if writing is not None:
            os.close(writing)
        self._process = psutil.Process(self.pid)

    def wait(self) -> int:
        """Wait for its end; return its exit code, or minus the number of the signal that has ended it."""
        # None: the system was told that nobody asks for the exit codes of this process's children.
        return int(self._process.wait() or 0)


def close_inherited(*needed: int) -> None:
    """Close the files of the parent, standard streams excepted: a lock would be held, or a pipe kept open, by the copy too.

    Args:
        needed: descriptors that the copy uses.
    """
    for name in os.listdir("/proc/self/fd"):
        if int(name) > STDERR and int(name) not in needed:
            # That of the listing is closed already.
            with suppress(OSError):
                os.close(int(name))


def _run(work: Callable[[], int], blocked: set[signal.Signals], told: int, *, stderr: int | None) -> NoReturn:
    """Work as a process that was started anew, and end without the way back through the parent's calls."""
    code = 1
    try:
        # Ctrl-C reaches the parent alone.
        os.setsid()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if stderr is not None:
            os.dup2(stderr, STDERR)
        close_inherited(told)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, AttributeError):
            sys.stderr.flush()
        os._exit(code)
