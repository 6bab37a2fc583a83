"""URL of a database → Optuna storage, with the settings that each kind of database needs to be shared.

SQLite ignores `SELECT … FOR UPDATE`, by which Optuna lets only one worker take a queued trial. Here such a statement, like any
that writes, takes the write lock first (`BEGIN IMMEDIATE`), and reading takes none (write-ahead log).
"""

import json
import random
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from optuna import Study
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback, _CachedStorage, get_storage
from optuna.storages._rdb import models
from optuna.trial import Trial
from sqlalchemy import Select, delete, event, insert, select
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from faqnas_optuna.errors import StorageError

HEARTBEAT_S = 10
"""A worker says so often that its trial is alive."""
GRACE_S = 60
"""A trial that was silent for so long is given up, and tried anew by another worker."""
MAX_RETRIES = 2
LOCK_TIMEOUT_S = 60
LOCK_STEP_S = 0.0002
HAS_WRITE_LOCK = "has_write_lock"

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
"""The drivers that the extras install; a plain `postgresql://` means one of them."""


def open_storage(url: str, *, create: bool = False) -> BaseStorage:
    """Connect to a database, for workers and readers alike.

    Args:
        url: SQLAlchemy's: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, `mysql://…`.
        create: make what is not there, file and tables; without it, that is an error.

    Raises:
        StorageError: the database cannot be reached or opened.
    """
    parsed = _parse(url)
    try:
        with translated_errors(url):
            if parsed.get_backend_name() != "sqlite":
                return _cached(parsed, {"pool_pre_ping": True}, create=create)
            _check_sqlite_file(_sqlite_file(parsed), create=create)
            # Making the tables races between processes.
            with creation_lock(url) if create else nullcontext():
                return _cached(parsed, {}, create=create)
    except ImportError as error:
        raise StorageError(
            f"the driver for {masked(url)} is not installed; run: pip install 'faqnas-optuna[postgres]' or '[mysql]'"
        ) from error
    except (OSError, RuntimeError) as error:
        # RuntimeError: Optuna found tables of another of its versions.
        raise StorageError(f"cannot use the database {masked(url)}: {str(error).splitlines()[0]}") from error


@contextmanager
def creation_lock(url: str) -> Iterator[None]:
    """Hold off other processes while a database or a study is made.

    Raises:
        StorageError: another process keeps the lock.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        yield
        return
    file = _sqlite_file(parsed)
    lock_file = file.with_name(f"{file.name}.lock")
    try:
        with FileLock(lock_file, timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout as error:
        raise StorageError(f"another process has kept {lock_file} for {LOCK_TIMEOUT_S} s; end it and try again") from error


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Turn the errors of the database and its driver into a `StorageError` that never shows a password."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise StorageError(f"cannot use the database {masked(url)}: {reason}") from error


def set_trial_user_attrs(trial: Trial, attributes: Mapping[str, Any]) -> None:
    """Write many attributes of a running trial at once: all of them or none, and ten times faster than one by one.

    Args:
        trial: of a study in a storage of `open_storage`.
        attributes: JSON values by name.

    Raises:
        UpdateFinishedTrialError: the trial was given up in the meantime.
    """
    backend, trial_id = _backend(trial.study), trial._trial_id
    table = models.TrialUserAttributeModel
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    with Session(backend.engine) as session, session.begin():
        state: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True).state
        backend.check_trial_is_updatable(trial_id, state)
        session.execute(delete(table).where(table.trial_id == trial_id, table.key.in_(attributes)))
        session.execute(insert(table), rows)


def get_study_user_attr(study: Study, name: str) -> Any:
    """One attribute of a study, None if it is not there: Optuna would read all of them, and a long study has hundreds."""
    table = models.StudyUserAttributeModel
    query = select(table.value_json).where(table.study_id == study._study_id, table.key == name)
    with Session(_backend(study).engine) as session:
        value = session.scalar(query)
    return None if value is None else json.loads(value)


def _backend(study: Study) -> RDBStorage:
    cached = study._storage
    assert isinstance(cached, _CachedStorage)
    return cached._backend


def masked(url: str) -> str:
    """The URL with *** for its password."""
    return _parse(url).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The message must not repeat what may hold a password.
        raise StorageError(
            "the storage is no database URL; write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def _sqlite_file(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise StorageError("an SQLite storage must be a file that workers can share; write sqlite:///FILE.db")
    return Path(url.database).absolute()


def _check_sqlite_file(file: Path, *, create: bool) -> None:
    if not file.exists() and not create:
        raise StorageError(
            f"there is no database {file}: start a study with 'faqnas-optuna start --dataset wine',"
            " or name another database with --storage or FAQNAS_STORAGE"
        )
    if not file.parent.is_dir():
        raise StorageError(f"cannot make the database {file}: the directory {file.parent} does not exist")


def _cached(url: URL, engine_kwargs: dict[str, Any], *, create: bool) -> BaseStorage:
    with warnings.catch_warnings():
        # The heartbeat has been marked experimental since Optuna 2.8.
        warnings.simplefilter("ignore", ExperimentalWarning)
        backend = RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs=engine_kwargs,
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES),
            skip_table_creation=not create,
        )
    if url.get_backend_name() == "sqlite":
        event.listen(backend.engine, "connect", _prepare_sqlite_connection)
        event.listen(backend.engine, "begin", _begin_undecided)
        event.listen(backend.engine, "before_cursor_execute", _begin_as_needed)
        # The connection that made the tables was opened before the listeners were there.
        backend.engine.dispose()
    return get_storage(backend)


def _prepare_sqlite_connection(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `_begin_as_needed` does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    # From here on we wait ourselves, see `_begin_immediate`.
    connection.execute("PRAGMA busy_timeout=0")


def _begin_undecided(connection: Connection) -> None:
    connection.info[HAS_WRITE_LOCK] = False


def _begin_as_needed(
    connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _executemany: bool
) -> None:
    """Read from a snapshot without a lock, and take the write lock before the first statement that may write.

    What was read before then may have changed meanwhile, as it may in PostgreSQL; `SELECT … FOR UPDATE` counts as a write.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.info[HAS_WRITE_LOCK]:
        return
    statement = context.compiled.statement if context.compiled else None
    if isinstance(statement, Select) and statement._for_update_arg is None:
        if not raw.in_transaction:
            raw.execute("BEGIN")
        return
    if raw.in_transaction:
        raw.execute("COMMIT")
    _begin_immediate(raw)
    connection.info[HAS_WRITE_LOCK] = True


def _begin_immediate(raw: Any) -> None:
    """Wait for the write lock, in steps as short as the transactions that hold it.

    SQLite's own waiting doubles up to 100 ms, after which two workers are no faster than one.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            raw.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise OperationalError("BEGIN IMMEDIATE", None, error) from error
            time.sleep(random.uniform(LOCK_STEP_S / 2, LOCK_STEP_S))
