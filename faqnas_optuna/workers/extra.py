"""Extra workers of a study: child processes that a command starts, signals and waits for."""

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
"""Maximum time for a worker to abandon its trial and leave."""
SUSPENDED = (
    "waiting for worker %d, which is suspended; resume it with 'kill -CONT %d', or end it by signalling this process twice"
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
    """Start workers of a study as child processes, forward signals to them, and wait for them at the end.

    Args:
        count: Number of workers.
        work: Function that a forked worker runs, given the descriptor for `Signals.listen`; None if this process must not
            be forked.
        environment: Additional environment variables of workers that are not forked, above all the storage.
        on_message: Function that is called with each line a worker writes, from other threads; None lets workers write to
            stderr.
    """
    command = [sys.executable, "-m", "faqnas_optuna", "worker", study.name, "--quiet", "--listen"]
    # Filled one by one: a signal during the start must reach those that exist already.
    processes: list[subprocess.Popen[bytes] | ForkedProcess] = []
    listeners: list[threading.Thread] = []

    def start() -> subprocess.Popen[bytes] | ForkedProcess:
        if is_forked and work:
            return ForkedProcess(work, has_stderr=on_message is not None)
        # A session of its own: Ctrl-C must reach only this process.
        return subprocess.Popen(
            command,
            env=child_environment(**environment),
            stdin=PIPE,
            stderr=PIPE if on_message else None,
            start_new_session=True,
        )

    def forward(received: signal.Signals, *only: subprocess.Popen[bytes] | ForkedProcess) -> None:
        # Through a pipe rather than by a signal: a batch system that signals all processes of a job would count twice.
        for process in only or processes:
            with suppress(OSError):
                os.write(cast(Any, process.stdin).fileno(), bytes([received]))

    signals.on_signal.append(forward)
    if count:
        signals.without_trial = OTHERS_FINISH
    try:
        is_forked = count > 0 and work is not None and _ready_to_fork(study, signals)
        for _ in range(count):
            process = start()
            processes.append(process)
            if signals.first:
                # The signal arrived while this process was started.
                forward(signals.first, process)
                break
        # Threads start only after the last fork: a fork does not copy them.
        for process in processes:
            if on_message and process.stderr:
                listeners.append(threading.Thread(target=_hand_on, args=(process.stderr, on_message), daemon=True))
                listeners[-1].start()
        yield
    except BaseException:
        if not signals.first:
            forward(signal.SIGTERM)
        raise
    finally:
        for process in processes:
            # Even after an error: workers have been asked to leave, and finish their trials first.
            _see_off(process.pid, signals)
            # This process itself reports that no trial succeeded, or the signal that ended all workers.
            if (code := process.wait()) not in (0, NoSuccessfulTrialError.exit_code, signals.exit_code):
                logger.warning("worker %d ended with exit code %d", process.pid, code)
            cast(Any, process.stdin).close()
        for listener in listeners:
            listener.join()
        signals.on_signal.remove(forward)


def _ready_to_fork(study: StoredStudy[Any], signals: Signals) -> bool:
    """Return whether workers can be forked; if so, load what they need and close what they must not share."""
    if not can_fork():
        return False
    with signals.giving_up(at_first=True):
        evaluation.prepare(study.config.engines)
    # Two processes must not share a connection to a server, and SQLite's locks do not survive a fork
    # (https://sqlite.org/howtocorrupt.html, 2.6).
    disconnect(storage_of(study.study))
    # Checked again: the libraries just loaded may have started threads.
    return can_fork()


def _see_off(pid: int, signals: Signals) -> None:
    """Wait until a worker has ended; report a suspended one, and kill it after a second signal.

    Args:
        pid: Process id of a child of this process, whose exit code is not collected here.
    """
    try:
        process = psutil.Process(pid)
        pause_s = SHORTEST_PAUSE_S
        deadline = None
        is_reported = False
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
            # Polled, since waiting for the exit would not notice that a worker is suspended.
            pause_s = min(2 * pause_s, POLL_S)
    except psutil.NoSuchProcess:
        # Its exit code was collected elsewhere.
        return


def _hand_on(lines: IO[bytes], on_message: Callable[[str], None]) -> None:
    with lines:
        for line in lines:
            # A line may hold a file name in another encoding.
            on_message(line.decode(errors="replace").rstrip("\n"))
