"""URL of a database → Optuna storage, with the settings that each kind of database needs to be shared."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL

from faqnas_optuna.errors import NoStudiesError, StorageError
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage import servers, sqlite
from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.heartbeats import DEFAULT_GRACE_S, HeartbeatStorage
from faqnas_optuna.storage.optuna_internals import storage_of, study_id_of, trial_id_of
from faqnas_optuna.storage.outages import (
    DATABASE_ERRORS,
    advice,
    database_reason,
    is_of_no_studies,
    may_come_up,
    patiently,
)
from faqnas_optuna.storage.urls import is_sqlite, masked, parse, scrubbed, sqlite_file


def open_storage(url: str, *, create: bool = False, grace_s: int = DEFAULT_GRACE_S) -> BaseStorage:
    """Connect to a database, for workers and readers alike.

    Args:
        url: SQLAlchemy's: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, `mysql://…`; what follows a `?`
            goes to the driver, for instance `?sslmode=verify-full`.
        create: make what is not there, file and tables; without it, that is an error.
        grace_s: how long a worker may be silent before its trial is given up.

    Raises:
        NoStudiesError: there is none yet, and it is not to be made.
        StorageError: the database cannot be reached or opened.
    """
    with opening_errors(url):
        return _opened(url, create=create, grace_s=grace_s)


def open_for_work(
    url: str, signals: Signals, *, timeout_s: float, create: bool = False, grace_s: int = DEFAULT_GRACE_S
) -> BaseStorage:
    """Connect to a database that is to be written: wait for one that is not up yet, refuse one that takes no changes.

    Args:
        url: as `open_storage` takes it, and so are `create` and `grace_s`.
        timeout_s: how long to wait.

    Raises:
        AskedToLeaveError: a signal ended the waiting.
        NoStudiesError: there is none yet, and it is not to be made.
        StorageError: the database cannot be reached, opened or written.
    """

    def open_and_check() -> BaseStorage:
        storage = _opened(url, create=create, grace_s=grace_s)
        assert isinstance(storage, BatchedStorage)
        if not is_sqlite(url):
            servers.check_writable(storage.backend.engine)
        return storage

    with opening_errors(url):
        return patiently(open_and_check, signals, timeout_s=timeout_s, is_awaited=may_come_up)


def _opened(url: str, *, create: bool, grace_s: int) -> BaseStorage:
    parsed = parse(url)
    if is_sqlite(url):
        sqlite.check_file(sqlite_file(parsed), create=create)
    if not create:
        return _cached(parsed, grace_s, create=False)
    # Making the tables races between processes.
    with storage_lock(url):
        return _cached(parsed, grace_s, create=True)


@contextmanager
def opening_errors(url: str) -> Iterator[None]:
    """Turn whatever a database or its driver raises while it is opened into a `StorageError`."""
    try:
        with translated_errors(url):
            yield
    except ImportError as error:
        raise StorageError(
            f"the driver for {masked(url)} is not installed; run: pip install 'faqnas-optuna[postgres]' or '[mysql]'"
        ) from error
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        # RuntimeError: Optuna found tables of another of its versions. The three last: a driver does not know an option.
        raise failure(url, error) from error


def number_of_studies(url: str) -> int:
    """How many studies a database holds.

    Raises:
        NoStudiesError: none ever; there may be no database.
        StorageError: the database cannot be reached or opened.
    """
    with translated_errors(url):
        return len(open_storage(url).get_all_studies())


def check_place(url: str) -> None:
    """Refuse a place where no database can be made.

    Raises:
        StorageError: says why, and what to do.
    """
    if is_sqlite(url):
        sqlite.check_file(sqlite_file(parse(url)), create=True)


@contextmanager
def storage_lock(url: str, *, timeout_s: int = servers.LOCK_TIMEOUT_S) -> Iterator[Callable[[], bool]]:
    """Hold off other processes, on whatever machine, for instance while a database or a study is made.

    Args:
        timeout_s: so long another process may keep the lock.

    Yields:
        Whether the lock is still held: a server takes it from a process that is cut off, or suspended for too long.

    Raises:
        StorageBusyError: another process keeps the lock.
    """
    parsed = parse(url)
    if is_sqlite(url):
        with sqlite.file_lock(sqlite_file(parsed), timeout_s=timeout_s):
            # The lock of a file lives as long as its process.
            yield lambda: True
    else:
        with servers.server_lock(parsed, timeout_s=timeout_s) as is_held:
            yield is_held


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Turn the errors of the database and its driver into a `StorageError` that never shows a password."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise failure(url, error) from error


def failure(url: str, error: BaseException) -> StorageError:
    """What is wrong with a database, and what to do about it."""
    told = f"cannot use the database {masked(url)}: {scrubbed(database_reason(error), url)}"
    helps = advice(error)
    if is_of_no_studies(error):
        return NoStudiesError(f"{told}; {helps}", command="start --dataset wine")
    return StorageError(f"{told}; {helps}" if helps else told)


def unread(storage: BaseStorage) -> BaseStorage:
    """The same database with no trial in Optuna's cache, which knows nothing of studies that were deleted.

    SQLite gives their ids again: a new study would be taken to have the trials of an old one.
    """
    assert isinstance(storage, BatchedStorage)
    return BatchedStorage(storage.backend)


def study_lock(study: Study) -> AbstractContextManager[Callable[[], bool]]:
    """Hold off the other workers of all studies in this storage, for a moment."""
    return storage_lock(backend(study).url)


def batched(study: Study) -> BatchedStorage:
    """The storage of a study, with what this process knows of its trials."""
    storage = storage_of(study)
    assert isinstance(storage, BatchedStorage)
    return storage


def store_trial(trial: Trial) -> None:
    """Store what was written to a running trial so far.

    Raises:
        UpdateFinishedTrialError: the trial was given up in the meantime.
    """
    batched(trial.study).store(trial_id_of(trial))


def finished_trials(study: Study) -> list[FrozenTrial]:
    """Those that have finished, in the order in which this process saw it; of a study in memory by number."""
    storage = storage_of(study)
    if isinstance(storage, BatchedStorage):
        return storage.history(study_id_of(study)).finished
    return study.get_trials(deepcopy=False, states=[state for state in TrialState if state.is_finished()])


def as_it_is_now(study: Study) -> AbstractContextManager[None]:
    """Let Optuna read what other processes have done, also where it is told to find the trials as they were last read."""
    storage = storage_of(study)
    return storage.as_it_is_now() if isinstance(storage, BatchedStorage) else nullcontext()


def backend(study: Study) -> HeartbeatStorage:
    """The database of a study."""
    return batched(study).backend


def disconnect(storage: BaseStorage) -> None:
    """Close the idle connections of this process to a database; the next statement opens another."""
    assert isinstance(storage, BatchedStorage)
    storage.backend.engine.dispose()


def _cached(url: URL, grace_s: int, *, create: bool) -> BaseStorage:
    local = url.get_backend_name() == "sqlite"
    opened = HeartbeatStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=sqlite.engine_settings(sqlite_file(url)) if local else servers.engine_settings(url),
        grace_s=grace_s,
        create=create,
    )
    if local:
        sqlite.share_between_processes(opened.engine, sqlite_file(url))
    else:
        servers.share_between_machines(opened.engine)
        servers.check_engines(opened.engine)
    return BatchedStorage(opened)
