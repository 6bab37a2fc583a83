"""PostgreSQL and MySQL as databases that workers on many machines share."""

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
UNCHECKED_S = 1.0
"""A connection that was idle for longer is tried before it is used."""
RETURNED = "returned"
IDLE_S = 60
"""So long a worker may hold locks without a word. One that is suspended in a transaction would stop all others."""

_POSTGRESQL = {
    # An unreachable server is noticed in seconds, also where a connection has gone dead in silence.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # With another encoding, or none (SQL_ASCII), psycopg returns bytes for text.
    "client_encoding": "utf8",
    # PgBouncer may give each transaction another connection, where what was prepared does not exist.
    "prepare_threshold": None,
}
_MYSQL = {
    "connect_timeout": 10,
    "read_timeout": LOCK_TIMEOUT_S + 10,
    "write_timeout": 60,
    # Before Optuna makes its tables: other engines have no transactions.
    "init_command": "SET default_storage_engine = InnoDB",
}
_CONNECT_ARGS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}

# Heartbeats are compared by the server's clock, in the time zone of each session: one that changes to summer time would
# give up every live trial. psycopg reads dates in ISO order only. PgBouncer knows both settings and keeps them for its client.
_SET_POSTGRESQL = ("SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'",)
# What a transaction has read is locked by MySQL unless told otherwise: two that add rows side by side would end one another.
_SET_MYSQL = (
    "SET time_zone = '+00:00'",
    f"SET wait_timeout = {IDLE_S}",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_SETTINGS = {"postgresql": _SET_POSTGRESQL, "mysql": _SET_MYSQL, "mariadb": _SET_MYSQL}

WITHOUT_TRANSACTION = "without_transaction"
"""Execution option of an engine for single statements: on PostgreSQL a transaction would be two more journeys."""
_BEGIN_POSTGRESQL = (
    # In one journey, and for this transaction alone: PgBouncer gives the connection to others afterwards.
    f"BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_S}s'"
)

_LOCK_NAME = "faqnas-optuna"
_LOCK_NUMBER = int(hashlib.sha256(_LOCK_NAME.encode()).hexdigest()[:15], 16)
LOCK_SLICE_MS = 50
LONGEST_PAUSE_S = 0.25
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's SQLSTATE of a lock that was waited for in vain."""

_TABLES_WITHOUT_TRANSACTIONS = text(
    "SELECT t.table_name, t.engine FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine"
    " WHERE t.table_schema = DATABASE() AND t.table_name IN"
    " ('studies', 'trials', 'trial_values', 'trial_params', 'trial_heartbeats', 'trial_user_attributes',"
    " 'trial_system_attributes', 'study_user_attributes', 'study_system_attributes', 'study_directions')"
    " AND COALESCE(e.transactions, 'NO') <> 'YES' ORDER BY t.table_name"
)

FILE_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "sslrootcert")
"""Options that name a file which must exist."""


def engine_settings(url: URL) -> dict[str, Any]:
    """Return the arguments for SQLAlchemy's `create_engine`.

    Raises:
        StorageError: an option of the URL has a value that the driver cannot use.
    """
    # An option of the URL is the user's wish; given here too, it would have no effect.
    ours: dict[str, Any] = {
        name: value for name, value in _CONNECT_ARGS[url.get_backend_name()].items() if name not in url.query
    }
    if url.get_backend_name() != "postgresql" and url.password:
        # PyMySQL encodes text as Latin-1.
        ours["password"] = url.password.encode()
    # Connections that MySQL is about to close for being idle are replaced before, so that they are not taken for an outage.
    return {"connect_args": ours | _typed_options(url), "pool_recycle": IDLE_S // 2}


def _typed_options(url: URL) -> dict[str, Any]:
    """Return the options of a URL that its driver needs as numbers or truth values.

    Raises:
        StorageError: a value is neither, or the file that it names does not exist.
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
                    "no statement is prepared here, so that PgBouncer can be used:"
                    f" leave prepare_threshold={value} out of the URL of the storage"
                )
            typed[name] = None
        if name in ("ssl_disabled", "ssl_verify_identity"):
            if value not in ("true", "false"):
                raise StorageError(f"{name} in the URL of the storage is true or false; it is {value!r}")
            typed[name] = value == "true"
    return typed


def share_between_machines(engine: Engine) -> None:
    """Set an engine up so that a worker that hangs or sleeps does not hold the others up for ever."""
    is_postgresql = engine.dialect.name == "postgresql"

    def prepare(connection: Any, _record: object) -> None:
        if is_postgresql:
            # The driver must not begin transactions by itself: `_begin_postgresql` does.
            connection.autocommit = True
        cursor = connection.cursor()
        for setting in _SETTINGS[engine.url.get_backend_name()]:
            cursor.execute(setting)
        cursor.close()
        connection.commit()

    def note_return(_connection: Any, record: Any) -> None:
        record.info[RETURNED] = time.monotonic()

    def check(connection: Any, record: Any, _proxy: object) -> None:
        # Not SQLAlchemy's `pool_pre_ping`, which would be a journey more for each of a trial's transactions.
        if time.monotonic() - record.info.get(RETURNED, time.monotonic()) > UNCHECKED_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError("the connection is dead") from error

    event.listen(engine, "connect", prepare)
    if is_postgresql:
        event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "checkin", note_return)
    # After a restart of the server, the connections of before are found dead and replaced.
    event.listen(engine, "checkout", check)
    # Connections that were opened before the listener was there.
    engine.dispose()


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get(WITHOUT_TRANSACTION):
        connection.exec_driver_sql(_BEGIN_POSTGRESQL)


def check_engines(engine: Engine) -> None:
    """Refuse MySQL tables whose storage engine has no transactions: others would read half-written trials.

    Raises:
        StorageError: names such a table, and its storage engine.
    """
    if engine.dialect.name == "postgresql":
        return
    with engine.connect() as connection:
        rows = connection.execute(_TABLES_WITHOUT_TRANSACTIONS).all()
    if rows:
        name, kind = rows[0]
        raise StorageError(
            f"the table {name} of the database {engine.url.database} has the storage engine {kind}, which has no transactions,"
            " so that trials would be damaged; name an empty database, whose tables will be made with InnoDB"
        )


def check_writable(engine: Engine) -> None:
    """Try a change that affects no row, which a standby, a read-only server and a user without rights refuse.

    Raises:
        SQLAlchemyError: the server refuses it.
    """
    with engine.begin() as connection:
        connection.execute(text("UPDATE studies SET study_name = study_name WHERE study_id < 0"))


@lru_cache
def lock_engine(url: URL) -> Engine:
    """Return an engine that makes a connection for each use. It is kept: a new one asks the server ten things about itself."""
    engine = create_engine(url, poolclass=NullPool, **engine_settings(url))
    share_between_machines(engine)
    return engine


@contextmanager
def server_lock(url: URL, *, timeout_s: int = LOCK_TIMEOUT_S) -> Iterator[Callable[[], bool]]:
    """Hold off all who take this lock on the same server.

    Args:
        timeout_s: so long another process may keep it.

    Yields:
        Whether it is still held: the server takes it from a process that is cut off, or suspended for too long.

    Raises:
        StorageBusyError: another process keeps it.
        SQLAlchemyError: the server does not answer.
    """
    with lock_engine(url).connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        take = _take_postgresql_lock if is_postgresql else _take_mysql_lock
        if not take(connection, timeout_s):
            raise StorageBusyError(f"another process has kept its lock of the server for {timeout_s} s")

        def is_held() -> bool:
            # It lives as long as its connection and transaction, which are never made anew.
            try:
                return bool(connection.scalar(text("SELECT 1")))
            except SQLAlchemyError:
                return False

        try:
            yield is_held
        finally:
            # If the connection is gone the lock is too, and what was done inside is done.
            with suppress(SQLAlchemyError):
                if not is_postgresql:
                    connection.execute(text(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')"))
                connection.rollback()


def _take_postgresql_lock(connection: Connection, timeout_s: float) -> bool:
    """Wait for a lock that ends with its transaction, which has a connection to the server of its own behind PgBouncer too.

    It is waited for in slices: those who wait would otherwise keep all connections of PgBouncer from the holder.
    """
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
        waited = time.monotonic() - began
        if waited > timeout_s:
            return False
        time.sleep(random.uniform(0, min(waited / 4, LONGEST_PAUSE_S)))


def _take_mysql_lock(connection: Connection, timeout_s: float) -> bool:
    # It is 0 after waiting in vain, and null if something else is wrong.
    return bool(connection.scalar(text(f"SELECT GET_LOCK('{_LOCK_NAME}', {timeout_s})")))
