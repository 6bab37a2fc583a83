"""Calls from a program or a notebook: no output but a bar, and signals as they were before."""

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
from faqnas_optuna.api.settings import MOST_WORKERS, SHORTEST_TIMEOUT_S, WorkerTimeouts, check_range
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_failures
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import translated_errors
from faqnas_optuna.workers.cluster import connected

logger = logging.getLogger(__name__)


@contextmanager
def using(url: str) -> Iterator[None]:
    """Errors of a storage translated, and Optuna silent: what it logs of studies and trials is told by the bar."""
    with _quiet_optuna(), translated_errors(url):
        yield


class _Quiet:
    """Silence of Optuna while at least one thread needs it: the verbosity is one for the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._verbosity = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Keep Optuna silent, and let the last thread restore its verbosity."""
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
def execution_on(storage: str, workers: int, dask: str | None, grace_s: int, database_timeout_s: int) -> Iterator[Execution]:
    """Connect to the Dask cluster, if one is named, and work within `using`.

    Raises:
        ConfigError: a number is out of its range, or the cluster cannot be named so.
        ClusterError: no scheduler answers.
    """
    check_range("workers", workers, 1, MOST_WORKERS)
    check_range("grace_s", grace_s, SHORTEST_TIMEOUT_S)
    check_range("database_timeout_s", database_timeout_s, SHORTEST_TIMEOUT_S)
    timeouts = WorkerTimeouts(grace_s=grace_s, database_timeout_s=database_timeout_s)
    with using(storage), ExitStack() as stack:
        client = stack.enter_context(connected(dask, storage_url=storage)) if dask else None
        yield Execution(storage=storage, workers=workers, client=client, timeouts=timeouts)


def check_detached(detach: bool, dask: str | None) -> None:
    """Refuse to name a cluster where nothing is to run.

    Raises:
        ConfigError: both are asked for.
    """
    if detach and dask:
        raise ConfigError("detach starts no workers, and dask says where to start them; leave one of them out")


def program_hooks(progress: bool | None) -> Hooks:
    """Return what a call from Python does during the work on a study.

    Other workers are new processes: a copy of a program would share its threads' locks and its open files.

    Args:
        progress: show a bar; None for where it moves: in notebooks and on terminals.
    """
    return Hooks(
        catch_signals=heeded_signals,
        show_progress=partial(progress_bar, progress),
        on_message=partial(logger.warning, "%s"),
    )


@contextmanager
def heeded_signals() -> Iterator[Signals]:
    """Catch signals, if this is the main thread, which alone has any.

    A signal that is to end the process, unlike Ctrl-C, ends it when all is stored.
    """
    signals = Signals()
    if current_thread() is not main_thread():
        yield signals
        return
    try:
        with signals.caught():
            yield signals
    finally:
        if signals.first not in (None, signal.SIGINT):
            signal.raise_signal(signals.first)


def check_result(run: StudyRun) -> None:
    """Refuse a study that has stopped because trial after trial failed.

    Raises:
        FailuresError: some trials had succeeded before.
        NoSuccessfulTrialError: none has.
    """
    if not run.signals.first:
        check_failures(run.study)


def path_of(directory: Path | str | None) -> Path | None:
    """Return the absolute path of a directory; None if none is given."""
    return None if directory is None else Path(directory).absolute()
