"""What databases say when they do not do as asked, and whether waiting helps."""

import logging
import re

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

DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError, StorageBusyError)
"""What our locks, Optuna and SQLAlchemy raise when the database does not do as asked."""
# PostgreSQL calls it an internal error when it has ended the transaction of a worker that was asleep.
PASSING = (OperationalError, InterfaceError, InternalError, DisconnectionError, PoolTimeoutError, StorageBusyError)
FULL = ("disk is full", "No space left on device", "Disk full")
"""What SQLite, PostgreSQL and MySQL say of a full disk."""
REFUSED = ("authentication failed", "Access denied")
ABSENT = ('" does not exist', "Unknown database")
EMPTY = ("version_info",)
"""The table that Optuna reads first."""
LASTING = (*FULL, *REFUSED, *ABSENT, "readonly database", "no such table", "doesn't exist", "malformed")
"""What a database says of troubles that waiting does not mend."""
ADVICE = {
    FULL: "free some space on the disk of the database",
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


def helpful_command(error: BaseException) -> str | None:
    """What to type after `faqnas-optuna`, where the advice ends with a command."""
    return "start --dataset wine" if advice(error) == ADVICE[EMPTY] else None


def _cause(error: BaseException) -> BaseException:
    """The first error of SQLAlchemy's, which Optuna may have wrapped."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    # Optuna asks again when a large query fails, within the transaction that has just broken.
    if isinstance(error, PendingRollbackError) and error.__context__:
        error = error.__context__
    return error
