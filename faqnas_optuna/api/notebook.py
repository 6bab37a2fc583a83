"""Environment of calls from a program or notebook: a progress bar is the only output, and signal handlers are restored."""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock, current_thread, main_thread

import optuna

from faqnas_optuna.api.progress import progress_bar
from faqnas_optuna.api.running import Execution, Hooks, StudyRun
from faqnas_optuna.api.settings import MOST_WORKERS, SHORTEST_TIMEOUT_S, WorkerTimeouts, check_positive, check_range
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_failures
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import translated_errors
from faqnas_optuna.workers.scheduler import connected

logger = logging.getLogger(__name__)


@contextmanager
def using(url: str) -> Iterator[None]:
    """Translate errors of a storage, and silence Optuna, whose log messages the progress bar replaces."""
    with _quiet_optuna(), translated_errors(url):
        yield


class _Quiet:
    """Context that silences Optuna while any thread is inside, since all threads share one verbosity."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._verbosity = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Silence Optuna; the last thread restores its verbosity."""
        with self._lock:
            if self._users == 0:
                self._verbosity = optuna.logging.get_verbosity()
                optuna.logging.set_verbosity(optuna.logging.ERROR)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    optuna.logging.set_verbosity(self._verbosity)


_quiet_optuna = _Quiet()


@contextmanager
def execution_on(
    storage: str, workers: int, dask: str | None, grace_s: int, database_timeout_s: int, seconds: float | None = None
) -> Iterator[Execution]:
    """Connect to the Dask cluster, if one is given, within `using`.

    Raises:
        ConfigError: A number is out of its range, or the address is invalid.
        ClusterError: No scheduler answers.
    """
    check_range("workers", workers, 1, MOST_WORKERS)
    check_range("grace_s", grace_s, SHORTEST_TIMEOUT_S)
    check_range("database_timeout_s", database_timeout_s, SHORTEST_TIMEOUT_S)
    check_positive("seconds", seconds)
    timeouts = WorkerTimeouts(grace_s=grace_s, database_timeout_s=database_timeout_s)
    with using(storage), ExitStack() as stack:
        client = stack.enter_context(connected(dask, storage_url=storage)) if dask else None
        yield Execution(storage=storage, workers=workers, client=client, timeouts=timeouts, seconds=seconds)


def check_detached(detach: bool, dask: str | None, seconds: float | None = None) -> None:
    """Refuse the combination of `detach` with an argument about workers.

    Raises:
        ConfigError: Both are given.
    """
    if detach and seconds is not None:
        raise ConfigError("detach starts no workers but seconds limits their time; leave one of them out")
    if detach and dask:
        raise ConfigError("detach starts no workers but dask says where to run them; leave one of them out")


def program_hooks(progress: bool | None) -> Hooks:
    """Return the hooks of a call from Python.

    Extra workers are new processes, since a fork of a user's program would share its locks and open files.

    Args:
        progress: Whether to show a bar; None to show it in notebooks and on terminals.
    """
    return Hooks(
        catch_signals=heeded_signals,
        show_progress=partial(progress_bar, progress),
        on_message=partial(logger.warning, "%s"),
    )


@contextmanager
def heeded_signals() -> Iterator[Signals]:
    """Catch signals if this is the main thread; other threads receive none.

    A signal other than Ctrl-C ends the process once everything is stored.
    """
    signals = Signals()
    # Python allows signal handlers in the main thread only.
    if current_thread() is not main_thread():
        yield signals
        return
    try:
        with signals.caught():
            yield signals
    finally:
        # After Ctrl-C a notebook goes on, but a program that a batch system ends must end.
        if signals.first not in (None, signal.SIGINT):
            signal.raise_signal(signals.first)


def check_result(run: StudyRun) -> None:
    """Raise an error if the study stopped after several failed trials in a row.

    Raises:
        FailuresError: Some earlier trials succeeded.
        NoSuccessfulTrialError: No trial succeeded.
    """
    if not run.signals.first:
        check_failures(run.study)


def path_of(directory: Path | str | None) -> Path | None:
    """Return the absolute path of a directory; None if none is given."""
    # Absolute, since a program may change its working directory later.
    return None if directory is None else Path(directory).absolute()
