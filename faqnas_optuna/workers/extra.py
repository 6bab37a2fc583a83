"""Further workers of a study in processes of their own, started, told of signals and seen off by the first."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from subprocess import PIPE
from typing import IO, Any, cast

import psutil

from faqnas_optuna.cache import child_environment
from faqnas_optuna.errors import NoSuccessfulTrialError
from faqnas_optuna.signals import OTHERS_FINISH, POLL_S, Signals
from faqnas_optuna.storage.opening import disconnect
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training import evaluation
from faqnas_optuna.workers.forking import ForkedProcess, can_fork
from faqnas_optuna.workers.loop import SHORTEST_PAUSE_S

logger = logging.getLogger(__name__)

LEAVE_S = 15.0
"""Seconds that a worker has to give up its trial and leave."""
SUSPENDED = (
    "waiting for worker %d, which is suspended: let it go on with 'kill -CONT %d', or end it by signalling this process twice"
)


@contextmanager
def extra_workers(
    count: int,
    study: StoredStudy[Any],
    signals: Signals,
    *,
    work: Callable[[int], int] | None,
    environment: Mapping[str, str],
    on_message: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Start workers for a study in processes of their own, tell them of signals, and wait for them at the end.

    Args:
        work: what a worker that is forked from this process does, given the descriptor for `Signals.listen`; None if
            this process must not be forked.
        environment: what others need beside this process's: the storage above all.
        on_message: called with each line that they have to say, from other threads; None to let them write to stderr.
    """
    command = [sys.executable, "-m", "faqnas_optuna", "worker", study.name, "--quiet", "--listen"]
    processes: list[subprocess.Popen[bytes] | ForkedProcess] = []
    listeners: list[threading.Thread] = []

    def start() -> subprocess.Popen[bytes] | ForkedProcess:
        if is_forked and work:
            return ForkedProcess(work, has_stderr=on_message is not None)
        # A session of its own: Ctrl-C reaches this process alone.
        return subprocess.Popen(
            command,
            env=child_environment(**environment),
            stdin=PIPE,
            stderr=PIPE if on_message else None,
            start_new_session=True,
        )

    def tell(received: signal.Signals, *told: subprocess.Popen[bytes] | ForkedProcess) -> None:
        # Not by a signal: who signals all processes of a job would have asked each of these twice.
        for process in told or processes:
            with suppress(OSError):
                os.write(cast(Any, process.stdin).fileno(), bytes([received]))

    signals.on_signal.append(tell)
    if count:
        signals.without_trial = OTHERS_FINISH
    try:
        is_forked = count > 0 and work is not None and _ready_to_fork(study, signals)
        for _ in range(count):
            started = start()
            processes.append(started)
            if signals.first:
                # It came while this one was made.
                tell(signals.first, started)
                break
        # After the last fork, which copies no threads.
        for process in processes:
            if on_message and process.stderr:
                listeners.append(threading.Thread(target=_hand_on, args=(process.stderr, on_message), daemon=True))
                listeners[-1].start()
        yield
    except BaseException:
        if not signals.first:
            tell(signal.SIGTERM)
        raise
    finally:
        for process in processes:
            _see_off(process.pid, signals)
            # That no trial has succeeded is told by this process, for all; so is the signal that has ended them.
            if (code := process.wait()) not in (0, NoSuccessfulTrialError.exit_code, signals.exit_code):
                logger.warning("worker %d ended with exit code %d", process.pid, code)
            cast(Any, process.stdin).close()
        for listener in listeners:
            listener.join()
        signals.on_signal.remove(tell)


def _ready_to_fork(study: StoredStudy[Any], signals: Signals) -> bool:
    """Return whether workers can be copies of this process; if so, load what they need and close what they must not share."""
    if not can_fork():
        return False
    with signals.giving_up(at_first=True):
        evaluation.prepare(study.config.engines)
    # A server cannot tell two users of one connection apart, and SQLite's locks do not survive a fork
    # (https://sqlite.org/howtocorrupt.html, 2.6).
    disconnect(storage_of(study.study))
    # Libraries may have started threads.
    return can_fork()


def _see_off(pid: int, signals: Signals) -> None:
    """Wait until a worker has ended. One that is suspended is reported; after a second signal it is killed.

    Args:
        pid: of a child of this process, whose exit code is left to be asked for.
    """
    try:
        process = psutil.Process(pid)
        pause_s, deadline, is_reported = SHORTEST_PAUSE_S, None, False
        while (status := process.status()) != psutil.STATUS_ZOMBIE:
            is_suspended = status == psutil.STATUS_STOPPED
            if is_suspended and not is_reported:
                logger.warning(SUSPENDED, pid, pid)
                is_reported = True
            if signals.is_urgent:
                deadline = deadline or time.monotonic() + LEAVE_S
                if is_suspended or time.monotonic() > deadline:
                    process.kill()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_S)
    except psutil.NoSuchProcess:
        # Somebody else has asked for its exit code.
        return


def _hand_on(lines: IO[bytes], on_message: Callable[[str], None]) -> None:
    with lines:
        for line in lines:
            on_message(line.decode(errors="replace").rstrip("\n"))
