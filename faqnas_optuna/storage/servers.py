"""PostgreSQL, MySQL and MariaDB databases that workers on several machines share."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from faqnas_optuna.errors import StorageBusyError, StorageError

LOCK_TIMEOUT_S = 60
"""Time after which a lock that another process holds is an error, in seconds."""
UNCHECKED_S = 1.0
"""Idle time after which a connection is tested before it is used, in seconds."""
RETURNED = "returned"
"""Key of the time at which a connection was returned to SQLAlchemy's pool."""
IDLE_S = 60
"""Idle time after which the server ends a transaction (PostgreSQL) or connection (MySQL), in seconds.

Otherwise a worker that is suspended within a transaction would block all others.
"""

_POSTGRESQL = {
    # With these values an unreachable server is noticed within seconds, even if it never closes the connection.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # With the encoding SQL_ASCII, psycopg would return bytes instead of text.
    "client_encoding": "utf8",
    # PgBouncer may run each transaction on another connection, where a prepared statement does not exist.
    "prepare_threshold": None,
}
_MYSQL = {
    "connect_timeout": 10,
    "read_timeout": LOCK_TIMEOUT_S + 10,
    "write_timeout": 60,
    # Optuna's tables need a storage engine with transactions; the server's default may be another one.
    "init_command": "SET default_storage_engine = InnoDB",
}
_CONNECT_ARGS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}

# Heartbeats are times in the time zone of the session. At a change to summer time all running trials would look silent for an
# hour. psycopg reads dates in ISO order only. PgBouncer tracks both settings and keeps them for each client.
_SET_POSTGRESQL = ("SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'",)
# By default MySQL locks the ranges that a transaction has read, so transactions that insert neighbouring rows would deadlock.
_SET_MYSQL = (
    "SET time_zone = '+00:00'",
    f"SET wait_timeout = {IDLE_S}",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_SETTINGS = {"postgresql": _SET_POSTGRESQL, "mysql": _SET_MYSQL, "mariadb": _SET_MYSQL}

WITHOUT_TRANSACTION = "without_transaction"
"""Execution option of an engine for single statements, which saves the two round trips of a transaction on PostgreSQL."""
_BEGIN_POSTGRESQL = (
    # One round trip. The settings are local to the transaction, because PgBouncer then gives the connection to other clients.
    f"BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_S}s'"
)

_LOCK_NAME = "faqnas-optuna"
_LOCK_NUMBER = int(hashlib.sha256(_LOCK_NAME.encode()).hexdigest()[:15], 16)
LOCK_SLICE_MS = 50
"""Time that one attempt to take the server's lock waits, in milliseconds."""
MAX_PAUSE_S = 0.25
"""Maximum pause between two attempts, in seconds."""
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's SQLSTATE of a lock timeout."""

_TABLES_WITHOUT_TRANSACTIONS = text(
    "SELECT t.table_name, t.engine FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine"
    " WHERE t.table_schema = DATABASE() AND t.table_name IN"
    " ('studies', 'trials', 'trial_values', 'trial_params', 'trial_heartbeats', 'trial_user_attributes',"
    " 'trial_system_attributes', 'study_user_attributes', 'study_system_attributes', 'study_directions')"
    " AND COALESCE(e.transactions, 'NO') <> 'YES' ORDER BY t.table_name"
)

FILE_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "sslrootcert")
"""Driver options that name a file."""


def engine_settings(url: URL) -> dict[str, Any]:
    """Return the arguments for SQLAlchemy's `create_engine`.

    Raises:
        StorageError: An option of the URL has a value that the driver cannot use.
    """
    # These arguments override the options of the URL, so an option that the user has set is left out.
    defaults: dict[str, Any] = {
        name: value for name, value in _CONNECT_ARGS[url.get_backend_name()].items() if name not in url.query
    }
    if url.get_backend_name() != "postgresql" and url.password:
        # PyMySQL would encode a text as Latin-1.
        defaults["password"] = url.password.encode()
    # Idle connections are replaced before MySQL closes them, which would look like an outage.
    return {"connect_args": defaults | _typed_options(url), "pool_recycle": IDLE_S // 2}


def _typed_options(url: URL) -> dict[str, Any]:
    """Return the options of a URL whose values the driver does not accept as text.

    Raises:
        StorageError: A value is not allowed, or the file that it names does not exist.
    """
    typed: dict[str, Any] = {}
    for name, value in url.query.items():
        if name in FILE_OPTIONS and value != "system" and not Path(str(value)).is_file():
            raise StorageError(
                f"{name} in the URL of the storage names the file {value}, which does not exist; correct the path"
            )
        if name == "prepare_threshold":
            if value != "None":
                raise StorageError(
                    "prepared statements are turned off, so that PgBouncer can be used;"
                    f" remove prepare_threshold={value} from the URL of the storage"
                )
            typed[name] = None
        if name in ("ssl_disabled", "ssl_verify_identity"):
            if value not in ("true", "false"):
                raise StorageError(f"{name} in the URL of the storage must be true or false; it is {value!r}")
            typed[name] = value == "true"
    return typed


def share_between_machines(engine: Engine) -> None:
    """Set up an engine so that a worker that hangs or is suspended does not block the others forever."""
    is_postgresql = engine.dialect.name == "postgresql"

    def prepare(connection: Any, _record: object) -> None:
        if is_postgresql:
            # The driver must not begin transactions on its own; `_begin_postgresql` does.
            connection.autocommit = True
        cursor = connection.cursor()
        for setting in _SETTINGS[engine.url.get_backend_name()]:
            cursor.execute(setting)
        cursor.close()
        connection.commit()

    def note_return(_connection: Any, record: Any) -> None:
        record.info[RETURNED] = time.monotonic()

    def check(connection: Any, record: Any, _proxy: object) -> None:
        # SQLAlchemy's `pool_pre_ping` would add a round trip to every transaction.
        if time.monotonic() - record.info.get(RETURNED, time.monotonic()) > UNCHECKED_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                # SQLAlchemy replaces the connection on this error.
                raise DisconnectionError("the connection is dead") from error

    event.listen(engine, "connect", prepare)
    if is_postgresql:
        event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "checkin", note_return)
    # After a restart of the server, all connections in the pool are dead; this check replaces them.
    event.listen(engine, "checkout", check)
    # Connections that were opened before the listeners existed are not prepared.
    engine.dispose()


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get(WITHOUT_TRANSACTION):
        connection.exec_driver_sql(_BEGIN_POSTGRESQL)


def check_engines(engine: Engine) -> None:
    """Refuse MySQL tables without transactions, from which other workers would read half-written trials.

    Raises:
        StorageError: The storage engine of a table has no transactions.
    """
    if engine.dialect.name == "postgresql":
        return
    with engine.connect() as connection:
        rows = connection.execute(_TABLES_WITHOUT_TRANSACTIONS).all()
    if rows:
        name, kind = rows[0]
        raise StorageError(
            f"the table {name} of the database {engine.url.database} has the storage engine {kind}, which has no transactions,"
            " so that trials would be damaged; name an empty database, whose tables will be created with InnoDB"
        )


def check_writable(engine: Engine) -> None:
    """Check that the server accepts changes, with a change that affects no row.

    Raises:
        SQLAlchemyError: The server is a standby or read-only, or the user may not write.
    """
    with engine.begin() as connection:
        connection.execute(text("UPDATE studies SET study_name = study_name WHERE study_id < 0"))


@lru_cache
def lock_engine(url: URL) -> Engine:
    """Return an engine that opens a connection for each use; it is cached, because a new engine first makes ten queries."""
    engine = create_engine(url, poolclass=NullPool, **engine_settings(url))
    share_between_machines(engine)
    return engine


@contextmanager
def server_lock(url: URL, *, timeout_s: int = LOCK_TIMEOUT_S) -> Iterator[Callable[[], bool]]:
    """Hold an exclusive lock of the server.

    Args:
        timeout_s: Maximum time to wait for another process, in seconds.

    Yields:
        Function that returns whether the lock is still held. The server releases the lock of a process that is disconnected or
        suspended for too long.

    Raises:
        StorageBusyError: Another process holds the lock for longer.
        SQLAlchemyError: The server does not answer.
    """
    with lock_engine(url).connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        take = _take_postgresql_lock if is_postgresql else _take_mysql_lock
        if not take(connection, timeout_s):
            raise StorageBusyError(f"another process has held the lock of the server for {timeout_s} s; end that process")

        def is_held() -> bool:
            # The lock ends with its connection or transaction, neither of which is ever replaced.
            try:
                return bool(connection.scalar(text("SELECT 1")))
            except SQLAlchemyError:
                return False

        try:
            yield is_held
        finally:
            # If the connection is lost, so is the lock. The work inside the block is complete and must not fail because of it.
            with suppress(SQLAlchemyError):
                if not is_postgresql:
                    connection.execute(text(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"))
                connection.rollback()


def _take_postgresql_lock(connection: Connection, timeout_s: float) -> bool:
    """Take PostgreSQL's advisory lock; return False after a timeout.

    The lock ends with the transaction, so that it also works behind PgBouncer, which reserves a connection for a transaction
    only.
    """
    # Between short attempts the connection is free. Otherwise waiting processes could occupy all connections of PgBouncer, and
    # the process that holds the lock would get none.
    began = time.monotonic()
    while True:
        try:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SLICE_MS}ms'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"))
            return True
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            connection.rollback()
        elapsed_s = time.monotonic() - began
        if elapsed_s > timeout_s:
            return False
        # Random pauses spread the attempts of many workers, and grow so that a long wait costs little.
        time.sleep(random.uniform(0, min(elapsed_s / 4, MAX_PAUSE_S)))


def _take_mysql_lock(connection: Connection, timeout_s: float) -> bool:
    # The result is 0 after a timeout and NULL after an error.
    return bool(connection.scalar(text(f"SELECT GET_LOCK('{_LOCK_NAME}', {timeout_s})")))
