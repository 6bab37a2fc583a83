"""URL of a database → Optuna storage, with the settings that each kind of database needs to be shared."""

import hashlib
import json
import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna import Study
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback, _CachedStorage, get_storage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, delete, insert, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from faqnas_optuna import sqlite
from faqnas_optuna.errors import StorageError

logger = logging.getLogger(__name__)

DEFAULT_GRACE_S = 60
"""A trial whose worker was silent for so long is given up, and tried anew by another worker."""
BEATS_IN_GRACE = 6
MAX_RETRIES = 2
LOCK_TIMEOUT_S = 60
STOP = "stop"
"""The study attribute that tells all workers to leave."""

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
"""The drivers that the extras install; a plain `postgresql://` means one of them."""
CONNECT_ARGS: dict[str, dict[str, Any]] = {
    # An unreachable server is noticed in seconds, also where a connection has gone dead in silence.
    "postgresql": {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    },
    "mysql": {"connect_timeout": 10, "read_timeout": 60, "write_timeout": 60},
    "mariadb": {"connect_timeout": 10, "read_timeout": 60, "write_timeout": 60},
}
LASTING = ("disk is full", "readonly database", "no such table", "malformed", "does not exist", "authentication failed")
"""What a database says of troubles that waiting does not mend."""
DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError)
"""What Optuna and SQLAlchemy raise when the database does not do as asked."""


def open_storage(url: str, *, create: bool = False, grace_s: int = DEFAULT_GRACE_S) -> BaseStorage:
    """Connect to a database, for workers and readers alike.

    Args:
        url: SQLAlchemy's: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, `mysql://…`; what follows a `?`
            goes to the driver, for instance `?sslmode=verify-full`.
        create: make what is not there, file and tables; without it, that is an error.
        grace_s: how long a worker may be silent before its trial is given up.

    Raises:
        StorageError: the database cannot be reached or opened.
    """
    parsed = _parse(url)
    kind = parsed.get_backend_name()
    try:
        with translated_errors(url):
            if kind == "sqlite":
                sqlite.check_file(_sqlite_file(parsed), create=create)
            if not create:
                return _cached(parsed, grace_s, create=False)
            # Making the tables races between processes.
            with creation_lock(url):
                return _cached(parsed, grace_s, create=True)
    except ImportError as error:
        raise StorageError(
            f"the driver for {masked(url)} is not installed; run: pip install 'faqnas-optuna[postgres]' or '[mysql]'"
        ) from error
    except (OSError, RuntimeError) as error:
        # RuntimeError: Optuna found tables of another of its versions.
        raise StorageError(f"cannot use the database {masked(url)}: {str(error).splitlines()[0]}") from error


@contextmanager
def creation_lock(url: str) -> Iterator[None]:
    """Hold off other processes, on whatever machine, while a database or a study is made.

    Raises:
        StorageError: another process keeps the lock.
    """
    parsed = _parse(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        file = _sqlite_file(parsed)
        lock_file = file.with_name(f"{file.name}.lock")
        try:
            with FileLock(lock_file, timeout=LOCK_TIMEOUT_S):
                yield
        except Timeout as error:
            message = f"another process has kept {lock_file} for {LOCK_TIMEOUT_S} s; end it and try again"
            raise StorageError(message) from error
        return
    take, release = _SERVER_LOCKS[kind]
    engine = create_engine(parsed, poolclass=NullPool, connect_args=CONNECT_ARGS.get(kind, {}))
    with engine.connect() as connection:
        connection.execute(text(take))
        try:
            yield
        finally:
            connection.execute(text(release))


_LOCK_NAME = "faqnas-optuna"
_LOCK_NUMBER = int(hashlib.sha256(_LOCK_NAME.encode()).hexdigest()[:15], 16)
_SERVER_LOCKS = {
    "postgresql": (f"SELECT pg_advisory_lock({_LOCK_NUMBER})", f"SELECT pg_advisory_unlock({_LOCK_NUMBER})"),
    "mysql": (f"SELECT GET_LOCK('{_LOCK_NAME}', {LOCK_TIMEOUT_S})", f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"),
    "mariadb": (f"SELECT GET_LOCK('{_LOCK_NAME}', {LOCK_TIMEOUT_S})", f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"),
}
"""How to take and to release a lock of the server's that ends with the connection."""


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Turn the errors of the database and its driver into a `StorageError` that never shows a password."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise StorageError(f"cannot use the database {masked(url)}: {database_reason(error)}") from error


def database_reason(error: BaseException) -> str:
    """What the driver says, in one line: not the statement, nor its values."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def set_trial_user_attrs(study: Study, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Write many attributes of a running trial at once: all of them or none, and ten times faster than one by one.

    Raises:
        UpdateFinishedTrialError: the trial was given up in the meantime.
    """
    backend = _backend(study)
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


def study_lock(study: Study) -> AbstractContextManager[None]:
    """Hold off the other workers of all studies in this storage, for as long as it takes to begin a trial."""
    return creation_lock(_backend(study).url)


def is_passing(error: BaseException) -> bool:
    """Whether a database that fails like this may be back in a moment."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    reason = database_reason(error)
    return isinstance(cause, (OperationalError, InterfaceError, DisconnectionError, PoolTimeoutError)) and not any(
        lasting in reason for lasting in LASTING
    )


def heartbeat_interval(study: Study) -> int:
    """Seconds between two signs of life of a trial."""
    return _backend(study).heartbeat_interval or 1


def masked(url: str) -> str:
    """The URL with *** for its password."""
    return _parse(url).render_as_string(hide_password=True)


class _Storage(RDBStorage):
    """Optuna's storage, with heartbeats that survive what they are there to survive."""

    def record_heartbeat(self, trial_id: int) -> None:
        try:
            super().record_heartbeat(trial_id)
        except DATABASE_ERRORS as error:
            # Raised, it would end the thread that beats, and a live trial would be given up for ever after.
            logger.debug("a heartbeat of trial id %d is lost: %s", trial_id, database_reason(error))

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._silent_since: defaultdict[int, dict[int, float]] = defaultdict(dict)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Also trials whose worker died before the first heartbeat, which Optuna leaves alone.

        How long they have been silent is measured here, since no clock of another machine is to be trusted.
        """
        trials, beats = models.TrialModel, models.TrialHeartbeatModel
        query = (
            select(trials.trial_id)
            .outerjoin(beats, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING, beats.trial_id.is_(None))
        )
        with Session(self.engine) as session:
            silent = list(session.scalars(query))
        now = time.monotonic()
        since = {trial_id: self._silent_since[study_id].get(trial_id, now) for trial_id in silent}
        self._silent_since[study_id] = since
        grace = self.grace_period or 0
        return super()._get_stale_trial_ids(study_id) + [one for one, first in since.items() if now - first > grace]


class _RetryWhileRunning(RetryHeartbeatStaleTrialCallback):
    """Queue a trial that was given up anew, unless the study has stopped."""

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        logger.warning("trial %d is given up: its worker was silent for too long", trial.number)
        if get_study_user_attr(study, STOP) is None:
            super().__call__(study, trial)


def give_up_stale_trials(study: Study) -> None:
    """Fail the trials whose workers are gone, and queue them anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _backend(study: Study) -> RDBStorage:
    cached = study._storage
    assert isinstance(cached, _CachedStorage)
    return cached._backend


def is_sqlite(url: str) -> bool:
    """Whether the storage is a file, which only the processes of one machine can share."""
    return _parse(url).get_backend_name() == "sqlite"


def absolute(url: str) -> str:
    """The URL as it holds in any working directory, password included."""
    parsed = _parse(url)
    if is_sqlite(url):
        parsed = parsed.set(database=str(_sqlite_file(parsed)))
    return parsed.render_as_string(hide_password=False)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The message must not repeat what may hold a password.
        raise StorageError(
            "the storage is no database URL; write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", *DRIVERS):
        raise StorageError(f"a storage is an SQLite, PostgreSQL or MySQL database; {parsed.get_backend_name()} is none of them")
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def _sqlite_file(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise StorageError("an SQLite storage must be a file that workers can share; write sqlite:///FILE.db")
    return Path(url.database).absolute()


def _cached(url: URL, grace_s: int, *, create: bool) -> BaseStorage:
    kind = url.get_backend_name()
    engine_kwargs: dict[str, Any] = {"connect_args": CONNECT_ARGS.get(kind, {})}
    if kind != "sqlite":
        # After a restart of the server, the connections of before are found dead and replaced.
        engine_kwargs["pool_pre_ping"] = True
    with warnings.catch_warnings():
        # The heartbeat has been marked experimental since Optuna 2.8.
        warnings.simplefilter("ignore", ExperimentalWarning)
        backend = _Storage(
            url.render_as_string(hide_password=False),
            engine_kwargs=engine_kwargs,
            heartbeat_interval=max(1, grace_s // BEATS_IN_GRACE),
            grace_period=grace_s,
            heartbeat_stale_trial_callback=_RetryWhileRunning(max_retry=MAX_RETRIES),
            skip_table_creation=not create,
        )
    if kind == "sqlite":
        sqlite.share_between_processes(backend.engine)
    return get_storage(backend)
