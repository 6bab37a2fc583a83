"""URL of a database → Optuna storage, with the settings that each kind of database needs to be shared."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from optuna import Study
from optuna.storages import BaseStorage, _CachedStorage, get_storage
from optuna.storages._rdb import models
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage import servers, sqlite
from faqnas_optuna.storage.heartbeats import DEFAULT_GRACE_S, HeartbeatStorage
from faqnas_optuna.storage.outages import DATABASE_ERRORS, advice, database_reason, helpful_command
from faqnas_optuna.storage.servers import DRIVERS

HARMLESS = frozenset(
    {
        "application_name",
        "charset",
        "connect_timeout",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "port",
        "read_timeout",
        "ssl_ca",
        "ssl_cert",
        "ssl_disabled",
        "ssl_key",
        "ssl_verify_cert",
        "ssl_verify_identity",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
        "timeout",
        "unix_socket",
        "user",
        "write_timeout",
    }
)
"""Options of drivers whose values are shown in messages. Those of all others may hold a secret."""
USER_AND_PASSWORD = re.compile(r"[^:]+://([^:/]*(:[^@]*)?@)?")
"""What comes before the host, as SQLAlchemy reads it."""
ESCAPES = "in a password, @ is written %40, / %2F, : %3A, ? %3F, and % %25"


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
            with storage_lock(url):
                return _cached(parsed, grace_s, create=True)
    except ImportError as error:
        raise StorageError(
            f"the driver for {masked(url)} is not installed; run: pip install 'faqnas-optuna[postgres]' or '[mysql]'"
        ) from error
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        # RuntimeError: Optuna found tables of another of its versions. The three last: a driver does not know an option.
        raise failure(url, error) from error


@contextmanager
def storage_lock(url: str) -> Iterator[Callable[[], bool]]:
    """Hold off other processes, on whatever machine, for instance while a database or a study is made.

    Yields:
        Whether the lock is still held: a server takes it from a process that is cut off, or suspended for too long.

    Raises:
        StorageBusyError: another process keeps the lock.
    """
    parsed = _parse(url)
    if is_sqlite(url):
        with sqlite.file_lock(_sqlite_file(parsed)):
            # The lock of a file lives as long as its process.
            yield lambda: True
    else:
        with servers.server_lock(parsed) as is_held:
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
    told = f"cannot use the database {masked(url)}: {_scrubbed(database_reason(error), url)}"
    helps = advice(error)
    return StorageError(f"{told}; {helps}" if helps else told, command=helpful_command(error))


def set_trial_user_attrs(study: Study, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Write many attributes of a running trial at once: all of them or none, and ten times faster than one by one.

    Raises:
        UpdateFinishedTrialError: the trial was given up in the meantime.
    """
    storage = backend(study)
    table = models.TrialUserAttributeModel
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    with Session(storage.engine) as session, session.begin():
        state: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True).state
        storage.check_trial_is_updatable(trial_id, state)
        session.execute(delete(table).where(table.trial_id == trial_id, table.key.in_(attributes)))
        session.execute(insert(table), rows)


def get_study_user_attr(study: Study, name: str) -> Any:
    """One attribute of a study, None if it is not there: Optuna would read all of them, and a long study has hundreds."""
    table = models.StudyUserAttributeModel
    query = select(table.value_json).where(table.study_id == study._study_id, table.key == name)
    with Session(backend(study).engine) as session:
        value = session.scalar(query)
    return None if value is None else json.loads(value)


def unread(storage: BaseStorage) -> BaseStorage:
    """The same database with no trial in Optuna's cache, which knows nothing of studies that were deleted.

    SQLite gives their ids again: a new study would be taken to have the trials of an old one.
    """
    assert isinstance(storage, _CachedStorage)
    return get_storage(storage._backend)


def study_lock(study: Study) -> AbstractContextManager[Callable[[], bool]]:
    """Hold off the other workers of all studies in this storage, for a moment."""
    return storage_lock(backend(study).url)


def masked(url: str) -> str:
    """The URL with *** for its password, and for whatever else may be one."""
    parsed = _parse(url)
    hidden = {name: "***" for name in parsed.query if name not in HARMLESS}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True).replace(quote_plus("***"), "***")


def secrets(url: str) -> list[str]:
    """What `masked` hides."""
    parsed = _parse(url)
    values = [value for name, found in parsed.normalized_query.items() if name not in HARMLESS for value in found]
    return [secret for secret in (parsed.password, *values) if secret]


def _scrubbed(reason: str, url: str) -> str:
    """What a driver says, should it repeat a secret, as it is or as a URL has it. A short one may also be part of a word."""
    for secret in sorted(secrets(url), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            reason = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", reason)
    return reason


def backend(study: Study) -> HeartbeatStorage:
    """What Optuna's cache of a study stands before."""
    cached = study._storage
    assert isinstance(cached, _CachedStorage)
    assert isinstance(cached._backend, HeartbeatStorage)
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
            f"the storage is no database URL; write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE; {ESCAPES}"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", *DRIVERS):
        raise StorageError(f"a storage is an SQLite, PostgreSQL or MySQL database; {parsed.get_backend_name()} is none of them")
    if parsed.get_backend_name() != "sqlite" and "@" in USER_AND_PASSWORD.sub("", url, count=1):
        # A password ends at its first @: the rest would be taken for the host, and shown.
        raise StorageError(f"there is one @ too many in the URL of the storage: {ESCAPES}")
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def _sqlite_file(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise StorageError("an SQLite storage must be a file that workers can share; write sqlite:///FILE.db")
    return Path(url.database).absolute()


def _cached(url: URL, grace_s: int, *, create: bool) -> BaseStorage:
    local = url.get_backend_name() == "sqlite"
    opened = HeartbeatStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={} if local else servers.engine_settings(url),
        grace_s=grace_s,
        create=create,
    )
    if local:
        sqlite.share_between_processes(opened.engine)
    else:
        servers.share_between_machines(opened.engine)
    return get_storage(opened)
