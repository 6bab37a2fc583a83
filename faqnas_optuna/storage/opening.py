"""Opening of databases as Optuna storages, and access to the storage of a study."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL

from faqnas_optuna.errors import NoStudiesError, StorageError
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage import servers, sqlite
from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.heartbeats import DEFAULT_GRACE_S, HeartbeatStorage
from faqnas_optuna.storage.optuna_internals import UnfinishedTablesError, storage_of, study_id_of, trial_id_of
from faqnas_optuna.storage.outages import (
    DATABASE_ERRORS,
    advice,
    database_reason,
    has_no_studies,
    may_come_up,
    retry_while_away,
)
from faqnas_optuna.storage.urls import is_sqlite, masked_url, parse, remove_secrets, sqlite_file


def open_storage(url: str, *, create: bool = False, grace_s: int = DEFAULT_GRACE_S) -> BaseStorage:
    """Connect to a database.

    Args:
        url: SQLAlchemy's URL of the database: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, `mysql://…`.
            Options after a `?` go to the driver, for instance `?sslmode=verify-full`.
        create: Whether to create a file or tables that do not exist.
        grace_s: Time in seconds after which the trial of a silent worker is given up.

    Raises:
        NoStudiesError: The file or tables do not exist, and `create` is False.
        StorageError: The database cannot be reached or opened.
    """
    with opening_errors(url):
        return _open(url, create=create, grace_s=grace_s)


def open_for_work(
    url: str, signals: Signals, *, timeout_s: float, create: bool = False, grace_s: int = DEFAULT_GRACE_S
) -> BaseStorage:
    """Connect to a database for writing, and wait for a server that is not up yet.

    `url`, `create` and `grace_s` are those of `open_storage`.

    Args:
        signals: Signals that end the waiting.
        timeout_s: Maximum time to wait for the server, in seconds.

    Raises:
        AskedToLeaveError: A signal ended the waiting.
        NoStudiesError: The file or tables do not exist, and `create` is False.
        StorageError: The database cannot be reached or opened, or accepts no changes.
    """

    def open_and_check() -> BaseStorage:
        storage = _open(url, create=create, grace_s=grace_s)
        assert isinstance(storage, BatchedStorage)
        if not is_sqlite(url):
            servers.check_writable(storage.backend.engine)
        return storage

    with opening_errors(url):
        return retry_while_away(open_and_check, signals, timeout_s=timeout_s, is_awaited=may_come_up)


def _open(url: str, *, create: bool, grace_s: int) -> BaseStorage:
    parsed = parse(url)
    if is_sqlite(url):
        sqlite.check_file(sqlite_file(parsed), create=create)
    if not create:
        # Optuna's constructor would write the revision that the other process is about to write, and make that fail.
        with suppress(UnfinishedTablesError):
            return _open_cached(parsed, grace_s, create=False)
    # Optuna's creation of tables fails if two processes do it at the same time. Existing tables are left unchanged.
    with storage_lock(url):
        return _open_cached(parsed, grace_s, create=True)


@contextmanager
def opening_errors(url: str) -> Iterator[None]:
    """Translate all errors that a database or its driver raises while it is opened to `StorageError`."""
    try:
        with translated_errors(url):
            yield
    except ImportError as error:
        raise StorageError(
            f"the driver for {masked_url(url)} is not installed; run: pip install 'faqnas-optuna[postgres]' or '[mysql]'"
        ) from error
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        # Optuna raises RuntimeError for tables of another version of Optuna. Drivers raise the last three for options that
        # they do not know.
        raise failure(url, error) from error


def number_of_studies(url: str) -> int:
    """Return the number of studies in a database.

    Raises:
        NoStudiesError: The database does not exist, or has never held a study.
        StorageError: The database cannot be reached or opened.
    """
    with translated_errors(url):
        return len(open_storage(url).get_all_studies())


def check_place(url: str) -> None:
    """Refuse an SQLite file that does not exist and cannot be created.

    Raises:
        StorageError: The file cannot be created, is no database of studies, or is not on a local file system.
    """
    if is_sqlite(url):
        sqlite.check_file(sqlite_file(parse(url)), create=True)


@contextmanager
def storage_lock(url: str, *, timeout_s: int = servers.LOCK_TIMEOUT_S) -> Iterator[Callable[[], bool]]:
    """Hold an exclusive lock of a database, for instance while tables or a study are created.

    Args:
        timeout_s: Maximum time to wait for another process, in seconds.

    Yields:
        Function that returns whether the lock is still held. A server releases the lock of a process that is disconnected or
        suspended for too long.

    Raises:
        StorageBusyError: Another process holds the lock for longer.
    """
    parsed = parse(url)
    if is_sqlite(url):
        with sqlite.file_lock(sqlite_file(parsed), timeout_s=timeout_s):
            # The lock of a file is held until it is released or the process ends.
            yield lambda: True
    else:
        with servers.server_lock(parsed, timeout_s=timeout_s) as is_held:
            yield is_held


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Translate the errors of a database and its driver to `StorageError`, whose message never contains a password."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise failure(url, error) from error


def failure(url: str, error: BaseException) -> StorageError:
    """Return the error for a database that cannot be used, with the reason and advice."""
    message = f"cannot use the database {masked_url(url)}: {remove_secrets(database_reason(error), url)}"
    fix = advice(error)
    if has_no_studies(error):
        return NoStudiesError(f"{message}; {fix}", command="start --dataset wine")
    return StorageError(f"{message}; {fix}" if fix else message)


def with_empty_cache(storage: BaseStorage) -> BaseStorage:
    """Return a storage for the same database without any trial in its cache."""
    # Optuna's cache does not notice that a study is deleted. SQLite assigns the ids of deleted studies again, so that a new
    # study would seem to have the trials of an old one.
    assert isinstance(storage, BatchedStorage)
    return BatchedStorage(storage.backend)


def study_lock(study: Study) -> AbstractContextManager[Callable[[], bool]]:
    """Hold the exclusive lock of the database of a study, which all its studies share; hold it only briefly."""
    return storage_lock(backend(study).url)


def batched(study: Study) -> BatchedStorage:
    """Return the storage of a study."""
    storage = storage_of(study)
    assert isinstance(storage, BatchedStorage)
    return storage


def store_trial(trial: Trial) -> None:
    """Store the pending changes of a running trial.

    Raises:
        UpdateFinishedTrialError: The trial was given up in the meantime.
    """
    batched(trial.study).store(trial_id_of(trial))


def finished_trials(study: Study) -> list[FrozenTrial]:
    """Return the finished trials in the order in which this process learned about them; for a study in memory, by number."""
    storage = storage_of(study)
    if isinstance(storage, BatchedStorage):
        return storage.history(study_id_of(study)).finished
    return study.get_trials(deepcopy=False, states=[state for state in TrialState if state.is_finished()])


def fresh_reads(study: Study) -> AbstractContextManager[None]:
    """Let Optuna read new trials before every use within the block, even inside `BatchedStorage.cached_reads`."""
    storage = storage_of(study)
    return storage.fresh_reads() if isinstance(storage, BatchedStorage) else nullcontext()


def backend(study: Study) -> HeartbeatStorage:
    """Return the storage behind the cache of a study's storage."""
    return batched(study).backend


def disconnect(storage: BaseStorage) -> None:
    """Close the idle connections of this process to a database; the next statement opens a new one."""
    assert isinstance(storage, BatchedStorage)
    storage.backend.engine.dispose()


def _open_cached(url: URL, grace_s: int, *, create: bool) -> BaseStorage:
    """Open a database and put the cache in front of it."""
    is_file = url.get_backend_name() == "sqlite"
    storage = HeartbeatStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=sqlite.engine_settings(sqlite_file(url)) if is_file else servers.engine_settings(url),
        grace_s=grace_s,
        create=create,
    )
    if is_file:
        sqlite.share_between_processes(storage.engine, sqlite_file(url))
    else:
        servers.share_between_machines(storage.engine)
        servers.check_engines(storage.engine)
    return BatchedStorage(storage)
