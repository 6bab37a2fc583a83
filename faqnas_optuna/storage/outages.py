"""Classification of database errors, advice for users, and retries during an outage."""

import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DisconnectionError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from faqnas_optuna.errors import StorageBusyError
from faqnas_optuna.signals import AskedToLeaveError, Signals

logger = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE_TIMEOUT_S = 600.0
"""Default time for which a worker retries while a database is away or not up yet."""
MAX_DELAY_S = 15.0
"""Maximum delay between two attempts."""

DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError, StorageBusyError)
"""Errors that SQLAlchemy, Optuna and our locks raise if the database fails."""
# PostgreSQL reports an internal error after it has ended the transaction of a worker that was suspended.
TRANSIENT = (OperationalError, InterfaceError, InternalError, DisconnectionError, PoolTimeoutError, StorageBusyError)
"""Types of errors that may pass, unless the message matches one of `PERMANENT`."""

# Patterns of the messages of SQLite, PostgreSQL, MySQL, MariaDB, PgBouncer and their drivers. Only messages distinguish these
# errors: drivers raise the same types for them, and often without a code.
FULL = re.compile(r"disk is full|No space left on device|Disk full")
REFUSED = re.compile(r"authentication failed|Access denied|role \"[^\"]*\" does not exist")
NOT_ADMITTED = re.compile(r"no pg_hba\.conf entry|is not allowed to connect|is not permitted to log in")
ABSENT = re.compile(r"database \"[^\"]*\" does not exist|no such database|Unknown database")
READ_ONLY_FILE = re.compile(r"readonly database")
READ_ONLY = re.compile(r"read[- ]only", re.IGNORECASE)
FORBIDDEN = re.compile(r"permission denied for|command denied to user|Access denied for user .* to database")
EMPTY = re.compile(r"alembic_version")
"""Name of the table that is read first; an error that names it means that there are no tables."""
ENCRYPTION = re.compile(r"certificate|private key|support SSL|SSL error")
SLOTS = re.compile(r"too many (clients|connections)|connection slots|max_user_connections|no more connections", re.IGNORECASE)
UNKNOWN_HOST = re.compile(r"Name or service not known|nodename nor servname|No address associated with hostname")
STARTING = re.compile(
    r"refused|time(out expired|d out)|unreachable|No route to host|Temporary failure in name resolution|starting up|"
    r"shutting down|shutdown|recovery mode|not yet accepting connections|reset by peer|closed the connection|"
    r"closed unexpectedly|Lost connection|gone away|on socket .* failed: No such file|Can't connect to|try again later|"
    r"cannot connect to server"
)
"""Messages about a server that is down, starting or stopping."""
BROKEN = re.compile(r"no such table|does(n't| not) exist|malformed")
PERMANENT = (FULL, REFUSED, NOT_ADMITTED, ABSENT, READ_ONLY_FILE, FORBIDDEN, BROKEN)
"""Messages about problems that waiting does not solve."""
ADVICE = {
    FULL: "free some space on the disk of the database",
    READ_ONLY_FILE: "you have no write access: ask its owner for it, or copy it to a directory of yours",
    READ_ONLY: "it is read-only: name the primary server, or ask its owner for write access",
    FORBIDDEN: "ask the owner of the database for the right to create and change tables (GRANT)",
    EMPTY: "it contains no studies; start one with",
    ABSENT: "create it, or name another",
    REFUSED: "check user and password",
    NOT_ADMITTED: "ask the administrator of the server to admit this user from this machine",
    SLOTS: "raise the server's limit of connections (max_connections), start fewer workers, or put PgBouncer in front of it",
    ENCRYPTION: "check the encryption options in the URL, and the files that they name",
    UNKNOWN_HOST: "check host and port, and that the server is running and accepts connections from this machine",
    STARTING: "check host and port, and that the server is running and accepts connections from this machine",
}
"""Advice for users, by pattern of the message. The first match applies, so special patterns come before general ones."""
PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)\S*")
"""User and everything after it in a URL; a driver may truncate a URL, so that no @ marks the end of the password."""


def silence_libraries() -> None:
    """Turn off the logging of Optuna and SQLAlchemy, whose errors this package reports in one line each."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)


def database_reason(error: BaseException) -> str:
    """Return the first line of the driver's message, or the type of the error if it has none.

    The statement and its values are left out, and passwords in URLs are masked.
    """
    lines = str(getattr(_cause(error), "orig", None) or _cause(error)).strip().splitlines()
    return PASSWORD.sub(r"\1***", lines[0]) if lines else type(_cause(error)).__name__


def is_transient(error: BaseException) -> bool:
    """Return whether a database that worked before and fails with this error may soon work again.

    A read-only server counts as transient, since it may be a standby that is about to take over; a read-only SQLite
    file does not.
    """
    reason = database_reason(error)
    return isinstance(_cause(error), TRANSIENT) and not any(pattern.search(reason) for pattern in PERMANENT)


def may_come_up(error: BaseException) -> bool:
    """Return whether a database that has not been reached yet may soon be up, or have a free connection.

    This is stricter than `is_transient`: a mistake in a URL must be reported at once.
    """
    reason = database_reason(error)
    is_starting = STARTING.search(reason) and not UNKNOWN_HOST.search(reason)
    return bool(SLOTS.search(reason) or is_starting) and is_transient(error)


def advice(error: BaseException) -> str | None:
    """Return what a user can do about an error; None if there is nothing to add to its message."""
    reason = database_reason(error)
    return next((advice for pattern, advice in ADVICE.items() if pattern.search(reason)), None)


def retry_while_away(
    action: Callable[[], T],
    signals: Signals,
    *,
    timeout_s: float,
    release: Callable[[], object] = lambda: None,
    keep_on: bool = False,
    is_awaited: Callable[[BaseException], bool] = is_transient,
) -> T:
    """Retry an action while the database is away.

    Args:
        action: Action that uses the database; it must be safe to repeat.
        timeout_s: Seconds after the first failure during which the action is retried; then the error is raised.
        release: Closes the idle connections of this process.
        keep_on: Whether to continue after a first signal, so that a finished trial is stored; a second signal always ends
            the retries.
        is_awaited: Decides which errors are retried.

    Raises:
        AskedToLeaveError: A signal ended the retries.
    """
    deadline = None
    delay = 0.25
    with signals.giving_up():
        while True:
            try:
                return action()
            except DATABASE_ERRORS as error:
                if signals.first and not keep_on:
                    break
                deadline = deadline or time.monotonic() + timeout_s
                if not is_awaited(error) or time.monotonic() + delay > deadline:
                    raise
                logger.warning("the database %s (%s); trying again in %g s", _state(error), database_reason(error), delay)
                # Workers that kept one connection while waiting for another could block each other on a server whose
                # connections are all in use.
                release()
                # `signals.wait` ends at a first signal, which must not end a delay before a finished trial is stored.
                if keep_on:
                    time.sleep(delay)
                else:
                    signals.wait(delay)
                delay = min(2 * delay, MAX_DELAY_S)
    raise AskedToLeaveError


def _state(error: BaseException) -> str:
    """Describe the state of the database for a warning."""
    reason = database_reason(error)
    if READ_ONLY.search(reason):
        return "accepts no changes"
    return "has no free connection" if SLOTS.search(reason) else "does not answer"


def has_no_studies(error: BaseException) -> bool:
    """Return whether an error means that the database works but never held a study."""
    return advice(error) == ADVICE[EMPTY]


def _cause(error: BaseException) -> BaseException:
    """Return SQLAlchemy's original error, which Optuna may have wrapped."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    # If a large query fails, Optuna tries another one within the same transaction, which fails because of the first.
    if isinstance(error, PendingRollbackError) and error.__context__:
        error = error.__context__
    return error
