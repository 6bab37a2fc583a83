"""Forked copies of this process, which need not import, compile or read anything again.

`multiprocessing.Process` does not fit: a leaving parent waits for its children or ends them, but a worker that has lost its
parent should finish its trial.
"""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import psutil

from faqnas_optuna.signals import SIGNALS, signals_blocked

STDERR = 2


def can_fork() -> bool:
    """Return whether a forked copy of this process would work.

    A copy has only the thread that forked, so a lock that another thread held would stay locked for ever. On macOS the system
    frameworks that NumPy calls do not survive a fork.
    """
    return sys.platform == "linux" and bool(psutil.Process().num_threads() == 1)


class ForkedProcess:
    """Copy of this process in its own session, with the interface of `subprocess.Popen`.

    Args:
        work: Function that the copy runs, given the descriptor of a pipe from `stdin` of this object; returns the exit code.
        has_stderr: Whether `stderr` of this object reads the copy's stderr.
    """

    def __init__(self, work: Callable[[int], int], *, has_stderr: bool) -> None:
        child_stdin, parent_stdin = os.pipe()
        parent_stderr, child_stderr = os.pipe() if has_stderr else (None, None)
        self.stdin = os.fdopen(parent_stdin, "wb", buffering=0)
        self.stderr = None if parent_stderr is None else os.fdopen(parent_stderr, "rb")
        # A garbage collection in the copy would write to every page and thereby copy the memory.
        gc.freeze()
        with signals_blocked() as blocked:
            self.pid = os.fork()
            if self.pid == 0:
                _run(lambda: work(child_stdin), blocked, child_stdin, stderr=child_stderr)
        os.close(child_stdin)
        if child_stderr is not None:
            os.close(child_stderr)
        self._process = psutil.Process(self.pid)

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code, or minus the number of the signal that ended it."""
        # None if SIGCHLD is ignored: then the system does not keep exit codes.
        return int(self._process.wait() or 0)


def close_inherited(*needed: int) -> None:
    """Close inherited files except the standard streams, so that the copy holds no lock and keeps no pipe open.

    Args:
        needed: Descriptors that the copy uses.
    """
    for name in os.listdir("/proc/self/fd"):
        if int(name) > STDERR and int(name) not in needed:
            # The descriptor of this listing is closed already.
            with suppress(OSError):
                os.close(int(name))


def _run(work: Callable[[], int], blocked: set[signal.Signals], stdin: int, *, stderr: int | None) -> NoReturn:
    """Set up the copy like a new process, run its work, and exit without returning through the parent's calls."""
    code = 1
    try:
        # Ctrl-C must reach only the parent.
        os.setsid()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if stderr is not None:
            os.dup2(stderr, STDERR)
        close_inherited(stdin)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, AttributeError):
            sys.stderr.flush()
        os._exit(code)
