"""Time limit of a command or call, after which it stops its study for all workers."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from faqnas_optuna.errors import FaqnasError
from faqnas_optuna.signals import AskedToLeaveError, Signals
from faqnas_optuna.storage.outages import DATABASE_ERRORS, retry_while_away
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy


@contextmanager
def time_limit(study: StoredStudy[Any], seconds: float | None, *, database_timeout_s: float) -> Iterator[Callable[[], None]]:
    """Stop a study when the time is over, unless the block ends before.

    Args:
        seconds: Time limit; None for none.
        database_timeout_s: Maximum time to wait for a database that is unavailable.

    Yields:
        Function that starts the clock; only its first call has an effect.
    """
    clock = threading.Event()
    # The thread receives no signals: the end of the block ends its waits as a signal would.
    leaving = Signals()

    def stop_in_time(seconds: float) -> None:
        clock.wait()
        leaving.wait(seconds)
        if leaving.first:
            return
        # If the database or the study is lost, the workers in the block report it.
        with suppress(AskedToLeaveError, FaqnasError, *DATABASE_ERRORS):
            retry_while_away(partial(stop, study, StopReason.SECONDS), leaving, timeout_s=database_timeout_s)

    if seconds is None:
        yield clock.set
        return
    # A thread, because this process may be in a long trial while other workers are about to begin theirs.
    thread = threading.Thread(target=stop_in_time, args=(seconds,), daemon=True, name="time limit")
    thread.start()
    try:
        yield clock.set
    finally:
        leaving.first = signal.SIGTERM
        clock.set()
        thread.join()
