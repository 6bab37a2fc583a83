"""What databases say when they do not do as asked, whether waiting helps, and waiting."""

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
"""So long a worker waits for a database that has gone away or is not up yet."""
LONGEST_DELAY_S = 15.0

DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError, StorageBusyError)
"""What our locks, Optuna and SQLAlchemy raise when the database does not do as asked."""
# PostgreSQL calls it an internal error when it has ended the transaction of a worker that was asleep.
PASSING = (OperationalError, InterfaceError, InternalError, DisconnectionError, PoolTimeoutError, StorageBusyError)
FULL = re.compile(r"disk is full|No space left on device|Disk full")
REFUSED = re.compile(r"authentication failed|Access denied|role \"[^\"]*\" does not exist")
NOT_ADMITTED = re.compile(r"no pg_hba\.conf entry|is not allowed to connect|is not permitted to log in")
ABSENT = re.compile(r"database \"[^\"]*\" does not exist|no such database|Unknown database")
READ_ONLY_FILE = re.compile(r"readonly database")
READ_ONLY = re.compile(r"read[- ]only", re.IGNORECASE)
FORBIDDEN = re.compile(r"permission denied for|command denied to user|Access denied for user .* to database")
EMPTY = re.compile(r"alembic_version")
"""The table that is read first."""
ENCRYPTION = re.compile(r"certificate|private key|support SSL|SSL error")
SLOTS = re.compile(r"too many (clients|connections)|connection slots|max_user_connections|no more connections", re.IGNORECASE)
UNKNOWN_HOST = re.compile(r"Name or service not known|nodename nor servname|No address associated with hostname")
STARTING = re.compile(
    r"refused|time(out expired|d out)|unreachable|No route to host|Temporary failure in name resolution|starting up|"
    r"shutting down|shutdown|recovery mode|not yet accepting connections|reset by peer|closed the connection|"
    r"closed unexpectedly|Lost connection|gone away|on socket .* failed: No such file|Can't connect to|try again later|"
    r"cannot connect to server"
)
"""What drivers, servers and PgBouncer say of a server that is not up, or not yet."""
BROKEN = re.compile(r"no such table|does(n't| not) exist|malformed")
LASTING = (FULL, REFUSED, NOT_ADMITTED, ABSENT, READ_ONLY_FILE, FORBIDDEN, BROKEN)
"""Troubles that waiting does not mend."""
ADVICE = {
    FULL: "free some space on the disk of the database",
    READ_ONLY_FILE: "you may read it, not write it; its owner can let you, or copy it to a place of your own",
    READ_ONLY: "it takes no changes from you: name the server that does, or let its owner allow you to write",
    FORBIDDEN: "let the owner of the database allow your user to create and change tables there (GRANT)",
    EMPTY: "it holds no studies; begin one with",
    ABSENT: "create it, or name another",
    REFUSED: "check user and password",
    NOT_ADMITTED: "let the administrator of the server admit this user from this machine",
    SLOTS: "raise the server's limit of connections (max_connections), start fewer workers, or put PgBouncer before it",
    ENCRYPTION: "check what the URL says of encryption: its options, and the files that they name",
    UNKNOWN_HOST: "check host and port, and that the server runs and listens to this machine",
    STARTING: "check host and port, and that the server runs and listens to this machine",
}
"""What helps, by what databases say; the first that applies."""
PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)\S*")
"""In a URL, with its user before it, and all that follows: a database may cut a URL short, so that no @ ends the password."""


def silence_libraries() -> None:
    """What Optuna and SQLAlchemy have to say, partly with tracebacks, is told here, in one line each."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)


def database_reason(error: BaseException) -> str:
    """What the driver says, in one line: not the statement, nor its values, nor the password of a URL."""
    lines = str(getattr(_cause(error), "orig", None) or _cause(error)).strip().splitlines()
    return PASSWORD.sub(r"\1***", lines[0]) if lines else type(_cause(error)).__name__


def is_passing(error: BaseException) -> bool:
    """Whether a database that was in use and fails like this may be back in a moment.

    A server that takes no changes may be a standby that is about to take over.
    """
    reason = database_reason(error)
    return isinstance(_cause(error), PASSING) and not any(lasting.search(reason) for lasting in LASTING)


def may_come_up(error: BaseException) -> bool:
    """Whether a database that was not reached yet may be up in a moment, or have a connection to spare.

    Only what is known to pass is waited for: a mistake in a URL is to be reported at once.
    """
    reason = database_reason(error)
    is_known = SLOTS.search(reason) or (STARTING.search(reason) and not UNKNOWN_HOST.search(reason))
    return bool(is_known) and is_passing(error)


def advice(error: BaseException) -> str | None:
    """Return what a user can do about an error; None if its reason says all that is known."""
    reason = database_reason(error)
    return next((advice for sign, advice in ADVICE.items() if sign.search(reason)), None)


def patiently(
    action: Callable[[], T],
    signals: Signals,
    *,
    timeout_s: float,
    release: Callable[[], object] = lambda: None,
    keep_on: bool = False,
    is_awaited: Callable[[BaseException], bool] = is_passing,
) -> T:
    """Retry an action while the database is away, within a time limit.

    Args:
        release: closes the idle connections of this process before it waits. Workers that keep one while they wait for a second
            could wait for each other when a server has none to spare.
        keep_on: retry after a first signal too, for a finished trial is to be stored. A second one ends this in any case.
        is_awaited: tells which errors are worth a retry.

    Raises:
        AskedToLeaveError: a signal ended the waiting.
    """
    deadline, delay = None, 0.25
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
                release()
                if keep_on:
                    time.sleep(delay)
                else:
                    signals.wait(delay)
                delay = min(2 * delay, LONGEST_DELAY_S)
    raise AskedToLeaveError


def _state(error: BaseException) -> str:
    reason = database_reason(error)
    if READ_ONLY.search(reason):
        return "takes no changes"
    return "has no connection to spare" if SLOTS.search(reason) else "does not answer"


def is_of_no_studies(error: BaseException) -> bool:
    """Whether the database can be used, and never held a study."""
    return advice(error) == ADVICE[EMPTY]


def _cause(error: BaseException) -> BaseException:
    """The first error of SQLAlchemy's, which Optuna may have wrapped."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    # Optuna asks again when a large query fails, within the transaction that has just broken.
    if isinstance(error, PendingRollbackError) and error.__context__:
        error = error.__context__
    return error
