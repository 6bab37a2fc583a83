"""Running of a study's workers: in this process, in others on this machine, or on a Dask cluster."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.settings import WorkerTimeouts
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StorageError
from faqnas_optuna.signals import AskedToLeaveError, CallInterrupted, Signals
from faqnas_optuna.storage.opening import disconnect, failure, open_for_work
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.storage.outages import DATABASE_ERRORS
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import StoredStudy

if TYPE_CHECKING:
    from distributed import Client

OnTrial = Callable[[StudyState], None]
CatchSignals = Callable[[], AbstractContextManager[Signals]]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Placement and time limits of the workers of a study."""

    storage: str
    """URL of the database."""
    workers: int = 1
    client: "Client | None" = None
    """Connection to the Dask cluster that runs the workers; None to run them on this machine."""
    timeouts: WorkerTimeouts = field(default_factory=WorkerTimeouts)
    seconds: float | None = None
    """Time after which the study is stopped, from the first trial on; None for no limit."""

    def check_reach(self, data: DataSource) -> None:
        """Refuse workers that cannot load the data.

        Raises:
            ConfigError: The samples are in the memory of this process but other processes should use them.
        """
        if data.samples is not None and (self.workers > 1 or self.client):
            raise ConfigError(
                "other workers cannot read samples in memory; write the samples to a file, or leave out the other workers"
            )


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions by which a caller of the service, a command or a program, handles signals, progress and messages."""

    catch_signals: CatchSignals
    show_progress: Callable[[], AbstractContextManager[OnTrial]]
    on_message: Callable[[str], None] | None = None
    """Receives each line of other worker processes; None to let them write to stderr."""
    run_forked: Callable[[Callable[[], int]], int] | None = None
    """Runs a worker in a forked process and returns its exit code; None if this process must not be forked."""


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """Study after a call that ran its trials."""

    study: StoredStudy[Any]
    splits: DataSplits | None = None
    """Data; None if they were not needed."""
    signals: Signals = field(default_factory=Signals)
    """Signals that arrived during the trials."""
    seconds: float = 0
    """Duration of the trials."""
    done_before: bool = False
    """Whether the study ended before the call."""
    command: str = ""
    """Command that continues the work after a signal."""


def run_study(
    study: StoredStudy[Any], splits: DataSplits, execution: Execution, hooks: Hooks, *, worker_dir: Path | None
) -> StudyRun:
    """Run the workers of a study until it stops or a signal arrives.

    Args:
        worker_dir: Directory in which other processes look for the data.

    Raises:
        StorageError: The database was unavailable for too long, or is lost.
    """
    started = time.perf_counter()
    # Before the run: if the database is lost, it cannot be asked any more.
    command = study.continuation()
    with (
        reported_outages(execution.storage, command, study=study.name),
        hooks.catch_signals() as signals,
    ):
        if execution.client is None:
            _run_here(study, splits, execution, hooks, signals, worker_dir)
        else:
            _run_on_cluster(study, execution.client, execution, hooks, signals, worker_dir)
    seconds = time.perf_counter() - started
    return StudyRun(study=study, splits=splits, signals=signals, seconds=seconds, command=command)


def join_study(name: str, execution: Execution, signals: Signals, *, data: DataSource, on_trial: OnTrial) -> StudyRun:
    """Run trials of an existing study as one of its workers, until it stops or a signal arrives.

    Raises:
        AskedToLeaveError: A signal ended the wait for the database.
        StudyNotFoundError: The study does not exist.
    """
    timeouts = execution.timeouts
    storage = open_for_work(execution.storage, signals, timeout_s=timeouts.database_timeout_s, grace_s=timeouts.grace_s)
    study = open_study(storage, name)
    if study.metadata.stop():
        return StudyRun(study=study, signals=signals, done_before=True)
    # Imports numba, which is not needed if the study has ended.
    from faqnas_optuna.workers.loop import run

    splits = data.load_for(study)
    try:
        run(study, splits, signals, on_trial=on_trial, database_timeout_s=timeouts.database_timeout_s)
    finally:
        # A forked process ends without the interpreter's clean-up.
        disconnect(storage_of(study.study))
    return StudyRun(study=study, splits=splits, signals=signals)


def open_patiently(execution: Execution, hooks: Hooks, *, create: bool = False) -> BaseStorage:
    """Open the database for work, waiting until it is available.

    Raises:
        CallInterrupted: A signal arrived meanwhile.
        NoStudiesError: The database does not exist and `create` is false.
    """
    timeouts = execution.timeouts
    with waiting(hooks, "the database was not reached") as signals:
        return open_for_work(
            execution.storage,
            signals,
            timeout_s=timeouts.database_timeout_s,
            create=create,
            grace_s=timeouts.grace_s,
        )


@contextmanager
def waiting(hooks: Hooks, undone: str) -> Iterator[Signals]:
    """Catch signals while waiting for a database.

    Args:
        undone: Sentence for the message after a signal: what was not done.

    Raises:
        CallInterrupted: A signal ended the wait.
    """
    with hooks.catch_signals() as signals:
        try:
            yield signals
        except AskedToLeaveError as error:
            raise CallInterrupted(f"interrupted; {undone}", exit_code=signals.exit_code) from error


@contextmanager
def reported_outages(url: str, command: str, *, study: str | None = None) -> Iterator[None]:
    """Report a lost database together with the command that continues the work.

    Raises:
        StorageError: The database was unavailable for too long, or is lost.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        subject = f"study {study!r}: " if study else ""
        message = f"{subject}{failure(url, error)}. Finished trials are kept. Continue with"
        raise StorageError(message, command=command) from error


def _run_here(
    study: StoredStudy[Any],
    splits: DataSplits,
    execution: Execution,
    hooks: Hooks,
    signals: Signals,
    worker_dir: Path | None,
) -> None:
    """Run trials in this process and in those of the extra workers."""
    from faqnas_optuna.workers.extra import extra_workers
    from faqnas_optuna.workers.loop import run

    # Passed in the environment: every user of the machine could read a password in the arguments of a process.
    # A storage file in the environment would beat the URL, so it is emptied.
    environment = {"FAQNAS_STORAGE": execution.storage, "FAQNAS_STORAGE_FILE": "", **execution.timeouts.environment}
    if worker_dir:
        environment["FAQNAS_DATA_DIR"] = str(worker_dir)
    work = None
    # A fork has the data in its memory already; a new process loads them from `worker_dir`.
    if hooks.run_forked:
        work = partial(_work_beside, study.name, splits, execution, hooks.run_forked)
    with (
        # Started before the progress bar, whose thread would prevent a fork.
        extra_workers(execution.workers - 1, study, signals, work=work, environment=environment, on_message=hooks.on_message),
        hooks.show_progress() as on_trial,
    ):
        timeout_s = execution.timeouts.database_timeout_s
        run(study, splits, signals, on_trial=on_trial, database_timeout_s=timeout_s, seconds=execution.seconds)


def _work_beside(
    name: str, splits: DataSplits, execution: Execution, run_forked: Callable[[Callable[[], int]], int], file: int
) -> int:
    """Run trials in a fork of the process of `_run_here`, as `worker --quiet --listen` does in a new process.

    Args:
        file: Descriptor through which the parent forwards its signals.

    Returns:
        Exit code.
    """

    def work() -> int:
        with (
            reported_outages(execution.storage, f"worker {name}", study=name),
            Signals().caught() as signals,
            suppress(AskedToLeaveError),
        ):
            # This process has its own session, so signals of a terminal reach the parent only.
            signals.listen(file)
            join_study(name, execution, signals, data=DataSource(samples=splits), on_trial=lambda _: None)
        return signals.exit_code

    return run_forked(work)


def _run_on_cluster(
    study: StoredStudy[Any],
    client: "Client",
    execution: Execution,
    hooks: Hooks,
    signals: Signals,
    worker_dir: Path | None,
) -> None:
    """Run trials on a Dask cluster while this process follows them."""
    from faqnas_optuna.workers.cluster import dask_workers, watch

    # The time limits have the names of the keyword arguments.
    settings = {"storage_url": execution.storage, "data_dir": worker_dir, **asdict(execution.timeouts)}
    with (
        hooks.show_progress() as on_update,
        dask_workers(client, execution.workers, study, signals, **settings) as crew,
        suppress(AskedToLeaveError),
    ):
        watch(crew, study, signals, on_update=on_update, seconds=execution.seconds)
