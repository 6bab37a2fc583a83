"""Last sign of activity in the trials of a database, read in one statement."""

from dataclasses import dataclass

from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import bindparam, func, select

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.optuna_internals import HEARTBEATS, STUDY_USER_ATTRS, TRIALS
from faqnas_optuna.storage.outages import DATABASE_ERRORS, database_reason
from faqnas_optuna.storage.trial_reading import reading
from faqnas_optuna.storage.urls import remove_secrets

_MARKED = select(STUDY_USER_ATTRS.c.study_id).where(STUDY_USER_ATTRS.c.key == bindparam("attribute"))
_IS_OURS = TRIALS.c.study_id.in_(_MARKED)
# Heartbeats of running trials only, which are few: all others have ended after their last heartbeat.
_BEATS = select(func.max(HEARTBEATS.c.heartbeat)).join(TRIALS).where(TRIALS.c.state == TrialState.RUNNING, _IS_OURS)
_READ = select(
    func.now(),
    select(func.count()).select_from(_MARKED.subquery()).scalar_subquery(),
    select(func.max(TRIALS.c.datetime_complete)).where(_IS_OURS).scalar_subquery(),
    _BEATS.scalar_subquery(),
)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Activity in the studies of a database."""

    studies: int
    silent_s: float | None
    """Seconds since a trial last began, sent a heartbeat or finished; None without any trial."""


def read_activity(storage: BaseStorage, attribute: str) -> Activity:
    """Return the activity in the studies that have an attribute of this name.

    Raises:
        StorageError: The database cannot be read. The message is one line without its password.
    """
    assert isinstance(storage, BatchedStorage)
    try:
        with reading(storage.backend.engine).connect() as connection:
            now, studies, *signs = connection.execute(_READ, {"attribute": attribute}).one()
    except DATABASE_ERRORS as error:
        raise StorageError(remove_secrets(database_reason(error), storage.backend.url)) from error
    # All times are in UTC. Only PostgreSQL's present time states its zone.
    ages_s = [(now.replace(tzinfo=None) - sign).total_seconds() for sign in signs if sign is not None]
    # Clocks of workers may be ahead of the database's.
    return Activity(studies=studies, silent_s=max(0.0, min(ages_s)) if ages_s else None)
