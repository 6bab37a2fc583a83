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
"""So long a worker waits for a database that has gone away."""
LONGEST_DELAY_S = 15.0

DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError, StorageBusyError)
"""What our locks, Optuna and SQLAlchemy raise when the database does not do as asked."""
# PostgreSQL calls it an internal error when it has ended the transaction of a worker that was asleep.
PASSING = (OperationalError, InterfaceError, InternalError, DisconnectionError, PoolTimeoutError, StorageBusyError)
FULL = ("disk is full", "No space left on device", "Disk full")
"""What SQLite, PostgreSQL and MySQL say of a full disk."""
REFUSED = ("authentication failed", "Access denied")
ABSENT = ('" does not exist', "Unknown database")
READ_ONLY = ("readonly database",)
EMPTY = ("alembic_version",)
"""The table that is read first."""
LASTING = (*FULL, *REFUSED, *ABSENT, *READ_ONLY, "no such table", "doesn't exist", "malformed")
"""What a database says of troubles that waiting does not mend."""
ADVICE = {
    FULL: "free some space on the disk of the database",
    READ_ONLY: "you may read it, not write it; its owner can let you, or copy it to a place of your own",
    EMPTY: "it holds no studies; begin one with",
    ABSENT: "create it, or name another",
    REFUSED: "check user and password",
    ("refused", "timeout expired", "timed out", "unreachable", "name resolution", "Name or service"): (
        "check host and port, and that the server runs and listens to this machine"
    ),
}
"""What helps, by what databases say."""
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
    """Whether a database that fails like this may be back in a moment."""
    reason = database_reason(error)
    return isinstance(_cause(error), PASSING) and not any(lasting in reason for lasting in LASTING)


def advice(error: BaseException) -> str | None:
    """What a user can do about it; None if the reason says all that we know."""
    reason = database_reason(error)
    return next((advice for signs, advice in ADVICE.items() if any(sign in reason for sign in signs)), None)


def patiently(action: Callable[[], T], signals: Signals, *, timeout_s: float, keep_on: bool = False) -> T:
    """Do something again and again while the database is away, for as long as it may be.

    Args:
        keep_on: after a first signal too, for a finished trial is to be stored. A second one ends this in any case.

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
                if not is_passing(error) or time.monotonic() + delay > deadline:
                    raise
                logger.warning("the database does not answer (%s); trying again in %g s", database_reason(error), delay)
                if keep_on:
                    time.sleep(delay)
                else:
                    signals.wait(delay)
                delay = min(2 * delay, LONGEST_DELAY_S)
    raise AskedToLeaveError


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
