"""PostgreSQL and MySQL as databases that workers on many machines share."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from faqnas_optuna.errors import StorageBusyError

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
}
_MYSQL = {"connect_timeout": 10, "read_timeout": LOCK_TIMEOUT_S + 10, "write_timeout": 60}
_CONNECT_ARGS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}

# Heartbeats are compared by the server's clock, in the time zone of each session: one that changes to summer time would
# give up every live trial.
_SET_POSTGRESQL = (
    # In one journey to the server.
    f"SET TIME ZONE 'UTC'; SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET idle_in_transaction_session_timeout = '{IDLE_S}s'",
)
# What a transaction has read is locked by MySQL unless told otherwise: two that add rows side by side would end one another.
_SET_MYSQL = (
    "SET time_zone = '+00:00'",
    f"SET wait_timeout = {IDLE_S}",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_SETTINGS = {"postgresql": _SET_POSTGRESQL, "mysql": _SET_MYSQL, "mariadb": _SET_MYSQL}

_LOCK_NAME = "faqnas-optuna"
_LOCK_NUMBER = int(hashlib.sha256(_LOCK_NAME.encode()).hexdigest()[:15], 16)
_LOCK_POSTGRESQL = (
    "SET lock_timeout = '{timeout_s}s'",
    f"SELECT pg_advisory_lock({_LOCK_NUMBER})",
    f"SELECT pg_advisory_unlock({_LOCK_NUMBER})",
)
_LOCK_MYSQL = ("DO 0", f"SELECT GET_LOCK('{_LOCK_NAME}', {{timeout_s}})", f"SELECT RELEASE_LOCK('{_LOCK_NAME}')")
_LOCKS = {"postgresql": _LOCK_POSTGRESQL, "mysql": _LOCK_MYSQL, "mariadb": _LOCK_MYSQL}
"""How to wait for a lock of the server's that ends with the connection, to take it, and to release it."""


def engine_settings(url: URL) -> dict[str, Any]:
    """What to give to SQLAlchemy's `create_engine`."""
    # What stands in the URL is the user's wish; given here too, it would have no effect.
    ours = {name: value for name, value in _CONNECT_ARGS[url.get_backend_name()].items() if name not in url.query}
    # Connections that MySQL is about to close for being idle are replaced before, so that they are not taken for an outage.
    return {"connect_args": ours, "pool_recycle": IDLE_S // 2}


def share_between_machines(engine: Engine) -> None:
    """Set an engine up so that a worker that hangs or sleeps does not hold the others up for ever."""

    def prepare(connection: Any, _record: object) -> None:
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
    event.listen(engine, "checkin", note_return)
    # After a restart of the server, the connections of before are found dead and replaced.
    event.listen(engine, "checkout", check)
    # Connections that were opened before the listener was there.
    engine.dispose()


@lru_cache
def _lock_engine(url: URL) -> Engine:
    """Makes a connection for each lock. The engine is kept: a new one asks the server ten things about itself first."""
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
        SQLAlchemyError: the server does not answer, or says the same in its own words.
    """
    wait, take, release = (statement.format(timeout_s=timeout_s) for statement in _LOCKS[url.get_backend_name()])
    with _lock_engine(url).connect() as connection:
        connection.execute(text(wait))
        # MySQL says 0 if it has waited in vain, and nothing if something else is wrong.
        if connection.scalar(text(take)) in (0, None):
            raise StorageBusyError(f"another process has kept its lock of the server for {timeout_s} s")

        def is_held() -> bool:
            # It lives as long as its connection, which is never made anew.
            try:
                return bool(connection.scalar(text("SELECT 1")))
            except SQLAlchemyError:
                return False

        try:
            yield is_held
        finally:
            # If the connection is gone the lock is too, and what was done inside is done.
            with suppress(SQLAlchemyError):
                connection.execute(text(release))
