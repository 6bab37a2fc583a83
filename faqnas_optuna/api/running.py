"""Running a study in this process, within somebody else's program: no output but a bar, and signals as they were before."""

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, current_thread, main_thread
from typing import Any

import optuna

from faqnas_optuna.api.progress import progress_bar
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.checks import relevant
from faqnas_optuna.data.loading import Files
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataWarning, NoStudiesError
from faqnas_optuna.reporting.documents import check_failures
from faqnas_optuna.signals import AskedToLeaveError, Signals
from faqnas_optuna.storage.opening import open_for_work, storage_lock, translated_errors
from faqnas_optuna.storage.outages import DATABASE_TIMEOUT_S, patiently
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.search import Search, check_existing, open_or_create
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy, check_name
from faqnas_optuna.training.pilot import LIMIT_S, measure_reliability, with_repeats_for
from faqnas_optuna.training.reliability import Reliability
from faqnas_optuna.workers.loop import run

Data = DataSplits | Callable[[], DataSplits]
"""What is searched over; or how to load it, if there is something left to do."""


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


def searched(
    url: str,
    name: str,
    config: StudyConfig,
    data: Data,
    *,
    progress: bool | None,
    files: Files | None = None,
    auto_repeats: bool = False,
    is_measured: bool = True,
    is_checked: bool = False,
) -> Search:
    """Start a search or go on with it, until it stops or is interrupted. One that has ended is as it was.

    Args:
        progress: as `progress_bar` takes it.
        files: where the data are, if they are files.
        auto_repeats: find the number of repeats first.
        is_measured: measure before the first trial what trainings are worth.
        is_checked: warn of what is suspicious in the data.

    Raises:
        StudyMismatchError: a study of this name has other settings or other data.
        FailuresError: it has stopped because trial after trial failed.
        NoSuccessfulTrialError: it has, and none succeeded before.
        KeyboardInterrupt: it was interrupted before there was a study.
    """
    check_name(name)
    existing = _existing(url, name, config, auto_repeats)
    if existing and isinstance(data, DataSplits):
        existing.check_data(data)
    stopped = existing and existing.metadata.stop()
    if existing and stopped and stopped.reason is not StopReason.REQUESTED:
        check_failures(existing)
        return existing
    splits = loaded(data)
    if is_checked:
        for finding in relevant(splits.findings, config.score):
            # The caller of `search`, which calls this function.
            warnings.warn(f"{finding.message}.", DataWarning, stacklevel=3)
    if existing is None:
        search = _created(url, name, config, splits, files, auto_repeats, is_measured)
    else:
        existing.check_data(splits)
        search = resume(existing) if stopped else existing
    run_here(search, splits, progress=progress)
    return search


def run_here(study: StoredStudy[Any], splits: DataSplits, *, progress: bool | None) -> None:
    """Run trials of a study, one after the other, until it stops. Ctrl-C lets the running one finish, a second gives it up.

    Raises:
        FailuresError: it has stopped because trial after trial failed.
        NoSuccessfulTrialError: it has, and none succeeded before.
    """
    with _heeded() as signals, progress_bar(progress) as update:
        run(study, splits, signals, on_trial=update)
    if not signals.first:
        check_failures(study)


def loaded(data: Data) -> DataSplits:
    """The data, now that they are needed."""
    return data if isinstance(data, DataSplits) else data()


def _existing(url: str, name: str, config: StudyConfig, any_repeats: bool) -> Search | None:
    with suppress(NoStudiesError):
        with _waiting() as signals:
            storage = open_for_work(url, signals, timeout_s=DATABASE_TIMEOUT_S)
        return check_existing(storage, name, config, any_repeats=any_repeats)
    return None


def _created(
    url: str,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    files: Files | None,
    auto_repeats: bool,
    is_measured: bool,
) -> Search:
    """A study, or that of this name if somebody has made it meanwhile.

    Args:
        is_measured: whether it keeps what trainings are worth.
    """
    with _waiting() as signals:
        storage = open_for_work(url, signals, timeout_s=DATABASE_TIMEOUT_S, create=True)
    reliability: Reliability | None = None
    if is_measured or auto_repeats:
        with _heeded() as signals, signals.giving_up(at_first=True):
            reliability = measure_reliability(splits, config, limit_s=None if auto_repeats else LIMIT_S)
        if signals.first:
            raise KeyboardInterrupt(f"interrupted; study {name} was not made")
    if auto_repeats:
        config = with_repeats_for(config, reliability)

    def make() -> Search:
        with storage_lock(url):
            return open_or_create(storage, name, config, splits, reliability=reliability, files=files)

    with _waiting() as signals:
        return patiently(make, signals, timeout_s=DATABASE_TIMEOUT_S)


@contextmanager
def _waiting() -> Iterator[Signals]:
    """Heed signals while a database is waited for.

    Raises:
        KeyboardInterrupt: one ended the waiting.
    """
    with _heeded() as signals:
        try:
            yield signals
        except AskedToLeaveError as error:
            raise KeyboardInterrupt("interrupted; the database was not reached") from error


@contextmanager
def _heeded() -> Iterator[Signals]:
    """Signals, if this is the main thread, which alone has any. One that is to end the process ends it, when all is stored."""
    signals = Signals()
    if current_thread() is not main_thread():
        yield signals
        return
    with signals.caught():
        yield signals
    if signals.first not in (None, signal.SIGINT):
        signal.raise_signal(signals.first)
