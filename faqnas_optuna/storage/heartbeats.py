"""Heartbeats of running trials, and requeueing of trials whose heartbeats have stopped.

A heartbeat is a time on the clock of the database, which may be set back or forward while trials run. Any change of a heartbeat
is a sign of life, whatever time it states. Silence is therefore measured from the last change, on the clock of the observing
process.
"""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

from optuna import create_trial
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event, func, select, update
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from faqnas_optuna.errors import DamagedStudyError, PlatformError
from faqnas_optuna.machine import NO_MORE_PROCESSES
from faqnas_optuna.storage.optuna_internals import (
    HEARTBEATS,
    STUDIES,
    STUDY_SYSTEM_ATTRS,
    STUDY_USER_ATTRS,
    TRIALS,
    DatabaseStorage,
    FrozenStudy,
)
from faqnas_optuna.storage.outages import database_reason
from faqnas_optuna.storage.sightings import Sighting, Sightings
from faqnas_optuna.storage.trial_reading import UNREADABLE, read_study_attributes, read_trials

logger = logging.getLogger(__name__)

DEFAULT_GRACE_S = 60
"""Default grace period: time in seconds after which the trial of a silent worker is given up and requeued."""
BEATS_IN_GRACE = 6
"""Number of heartbeats in a grace period."""
MAX_RETRIES = 2
"""Maximum number of times that a trial is requeued."""
RETRY_HISTORY = "retry_history"
"""Name of Optuna's system attribute with the numbers of the trials that a trial repeats."""
FIXED_PARAMS = "fixed_params"
"""Name of Optuna's system attribute with the parameters of a trial that was queued."""
FAILURE = "failure"
"""Name of the attribute that holds the reason of a failed trial."""
GIVEN_UP = "given up"
"""Beginning of the reason of a trial that failed because its worker was silent."""


class HeartbeatStorage(DatabaseStorage):
    """Optuna's storage with heartbeats that tolerate outages, suspended machines and wrong clocks.

    A trial is silent while this process observes no change of its heartbeat. Only for heartbeats that are older than the first
    reading of this process does the clock of the database give the age, so that a new process need not wait for a whole grace
    period. Such a heartbeat must also be unchanged for two intervals.

    After an outage, or after the machine was suspended, all live workers must have a chance to beat before any trial is given
    up. A worker that has been in contact with the database for the grace period knows that there was no outage. A new worker
    waits for two intervals. Other heartbeats are evidence too: if some worker beat more than a grace period ago, the database
    worked then, and a trial that was already silent at that time can be given up at once.
    """

    def __init__(self, url: str, *, engine_kwargs: dict[str, Any], grace_s: int, create: bool) -> None:
        super().__init__(url, engine_kwargs=engine_kwargs, create=create)
        self.grace_s = grace_s
        # A worker with a longer grace period beats as often as by default. Otherwise workers with the default would give its
        # trials up.
        self.interval_s = max(1, min(grace_s, DEFAULT_GRACE_S) // BEATS_IN_GRACE)
        self._last_contact = _now()
        # As if the contact had lasted for a grace period less the two intervals that a new worker waits.
        self._in_contact_since = self._last_contact - grace_s + 2 * self.interval_s
        self._sightings = Sightings()
        event.listen(self.engine, "handle_error", self._note_outage)

    def read_trials(self, study_id: int, *, after: int, among: set[int]) -> list[FrozenTrial]:
        """Read the trials of a study whose ids are greater than `after` or in `among`, sorted by id.

        Raises:
            DamagedStudyError: The database holds a value that cannot be part of a trial.
        """
        try:
            return read_trials(self.engine, study_id, after=after, among=among)
        except UNREADABLE as error:
            raise DamagedStudyError.of(self.get_study_name_from_id(study_id), str(error)) from error

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies sorted by id, without those whose attributes cannot be read."""
        with suppress(*UNREADABLE):
            return super().get_all_studies()
        # Optuna cannot list any study if one is damaged, so they are read one by one.
        with Session(self.engine) as session:
            names = session.execute(select(STUDIES.c.study_id, STUDIES.c.study_name)).all()
        studies = []
        for study_id, name in sorted(names):
            with suppress(KeyError, DamagedStudyError):
                studies.append(self._frozen_study(study_id, name))
        return studies

    def _frozen_study(self, study_id: int, name: str) -> FrozenStudy:
        return FrozenStudy(
            study_name=name,
            direction=None,
            directions=self.get_study_directions(study_id),
            user_attrs=read_study_attributes(self.engine, study_id, STUDY_USER_ATTRS),
            system_attrs=read_study_attributes(self.engine, study_id, STUDY_SYSTEM_ATTRS),
            study_id=study_id,
        )

    def record_heartbeat(self, trial_id: int) -> None:
        """Write the current time as the heartbeat of a trial; errors are only logged."""
        began = self._note_contact()
        try:
            super().record_heartbeat(trial_id)
        except AssertionError:
            # Raised by Optuna if the trial was deleted with its study.
            logger.debug("trial id %d is no longer there", trial_id)
        except Exception as error:
            # Any error would end the heartbeat thread. The running trial would then be given up although its worker is alive.
            logger.debug("a heartbeat of trial id %d is lost: %s", trial_id, database_reason(error))
        self._note_wait(began)

    def seconds_silent(self, study_id: int) -> dict[int, float]:
        """Return the age of each running trial's heartbeat on the clock of the database, in seconds by trial id.

        A heartbeat in the future is left out, because the clock must have been set back.
        """
        now, beats = self._read_beats(study_id)
        ages = {trial_id: (now - beat).total_seconds() for trial_id, beat in beats.items()}
        return {trial_id: max(age, 0.0) for trial_id, age in ages.items() if age >= -self.interval_s}

    def stale_trials(self, study_id: int) -> list[int]:
        """Return the ids of the running trials whose workers are silent for longer than the grace period."""
        began = self._note_contact()
        for trial_id in self._trials_without_heartbeat(study_id):
            # The worker died before its first heartbeat, or is about to write it. Its grace period begins now.
            self.record_heartbeat(trial_id)
        _, sightings = self._read_sightings(study_id)
        if sightings:
            self._wait_as_a_beat(min(sightings, key=lambda trial_id: sightings[trial_id].beat))
        # If this process had to wait, other workers may have had to, and could not beat.
        if self._note_wait(began):
            return []
        stale = self._silent_for_too_long(study_id, began)
        return [] if self._note_wait(began) else stale

    def _silent_for_too_long(self, study_id: int, began: float) -> list[int]:
        """Return the ids of the trials that are stale at a time `began`, by the rules of this class."""
        now, sightings = self._read_sightings(study_id)
        is_in_contact = began - self._in_contact_since > self.grace_s
        stale = []
        suspects = {}
        for trial_id, sighting in sightings.items():
            age_s = (now - sighting.beat).total_seconds()
            unchanged_s = _now() - sighting.seen_at
            is_old = not sighting.is_witnessed and age_s > self.grace_s and unchanged_s > 2 * self.interval_s
            if is_in_contact and (unchanged_s > self.grace_s or is_old):
                stale.append(trial_id)
            elif age_s > self.grace_s:
                suspects[trial_id] = age_s
        if suspects:
            # A heartbeat proves that the database worked at its time. A trial whose last heartbeat is more than two intervals
            # older than such a proof was silent even then.
            maximum_s = self._seconds_since_proven_contact() + 2 * self.interval_s
            stale += [trial_id for trial_id, age_s in suspects.items() if age_s > maximum_s]
        return stale

    def refresh_sightings(self) -> None:
        """Record which heartbeats have changed, in all studies that this process observes."""
        try:
            for study_id in self._sightings.studies:
                self._read_sightings(study_id)
        except Exception as error:
            # Any error would end the heartbeat thread.
            logger.debug("heartbeats could not be read: %s", database_reason(error))

    def _read_sightings(self, study_id: int) -> tuple[datetime, dict[int, Sighting]]:
        """Read the heartbeats of a study; return the time of the database, and the sightings by trial id."""
        now, beats = self._read_beats(study_id)
        return now, self._sightings.update(study_id, beats, now=_now())

    def _read_beats(self, study_id: int) -> tuple[datetime, dict[int, datetime]]:
        """Return the time of the database, and the heartbeats of a study's running trials by trial id."""
        trials = TRIALS.c
        beats = HEARTBEATS.c
        query = (
            select(trials.trial_id, beats.heartbeat)
            .join(HEARTBEATS, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING)
        )
        with Session(self.engine) as session:
            now = _database_time(session)
            return now, {trial_id: beat for trial_id, beat in session.execute(query)}

    def give_up(self, study_id: int, trial_id: int, *, retry: bool) -> int | None:
        """Fail a stale trial and, in the same transaction, requeue it.

        Args:
            retry: Requeue the trial, unless it has used up its retries or has no genes yet.

        Returns:
            Number of the trial; None if it has finished or its worker has been heard again.
        """
        began = self._note_contact()
        with Session(self.engine) as session, session.begin():
            row = self.locked_trial(session, study_id, trial_id)
            silent_s = self._silence_s(session, row)
            if silent_s is None or self._note_wait(began):
                return None
            trial = self.trial_of_row(row)
            successor = _retry_of(trial) if retry else None
            self._fail(session, row, f"{trial.user_attrs.get('worker', 'its worker')} was silent for {silent_s:.0f} s")
            if successor is not None:
                self.add_trial(session, study_id, successor)
            return int(row.number)

    def _silence_s(self, session: Session, row: Any) -> float | None:
        """Return how many seconds a trial was silent; None if it has finished or its heartbeat has changed again."""
        beat = session.scalar(select(HEARTBEATS.c.heartbeat).where(HEARTBEATS.c.trial_id == row.trial_id))
        sighting = self._sightings.last(row.study_id, row.trial_id)
        if row.state is not TrialState.RUNNING or beat is None or sighting is None or beat != sighting.beat:
            return None
        unchanged_s = _now() - sighting.seen_at
        if sighting.is_witnessed:
            return unchanged_s
        age_s = (_database_time(session) - sighting.beat).total_seconds()
        return max(age_s, unchanged_s)

    def abandon(self, study_id: int, trial_id: int, reason: str) -> None:
        """Fail a trial that this worker has begun but does not finish, and requeue it if it was queued by a user.

        A trial that has finished is left unchanged.
        """
        with Session(self.engine) as session, session.begin():
            row = self.locked_trial(session, study_id, trial_id)
            if row.state is TrialState.RUNNING:
                trial = self.trial_of_row(row)
                self._fail(session, row, reason)
                # The sampler replaces any other trial by a new suggestion.
                successor = _retry_of(trial) if FIXED_PARAMS in trial.system_attrs else None
                if successor is not None:
                    self.add_trial(session, study_id, successor)

    def _fail(self, session: Session, row: Any, reason: str) -> None:
        # The reason comes first, because attributes of a finished trial cannot be set.
        self.write_user_attr(session, row.trial_id, FAILURE, f"{GIVEN_UP}: {reason}")
        row.state = TrialState.FAIL
        row.datetime_complete = datetime.now()

    def _wait_as_a_beat(self, trial_id: int) -> None:
        """Write a heartbeat without changing it, which waits for any lock that also delays the heartbeats of others."""
        # Reading would not wait: a lock on rows or on an SQLite file may let readers through.
        unchanged = update(HEARTBEATS).where(HEARTBEATS.c.trial_id == trial_id).values(heartbeat=HEARTBEATS.c.heartbeat)
        with Session(self.engine) as session, session.begin():
            session.execute(unchanged)

    def _seconds_since_proven_contact(self) -> float:
        """Return the age of the latest heartbeat of any trial that is older than the grace period; infinite without any.

        Some worker was in contact with the database at that time.
        """
        beat = HEARTBEATS.c.heartbeat
        with Session(self.engine) as session:
            now = _database_time(session)
            last = session.scalar(select(func.max(beat)).where(beat < now - timedelta(seconds=self.grace_s)))
        return math.inf if last is None else (now - last).total_seconds()

    def _trials_without_heartbeat(self, study_id: int) -> list[int]:
        """Return the ids of the running trials that have no heartbeat."""
        trials = TRIALS.c
        beats = HEARTBEATS.c
        query = (
            select(trials.trial_id)
            .outerjoin(HEARTBEATS, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING, beats.trial_id.is_(None))
        )
        with Session(self.engine) as session:
            return list(session.scalars(query))

    def _note_contact(self) -> float:
        """Record that this process begins to use the database, and return the time."""
        now = _now()
        if now - self._last_contact > 2 * self.interval_s:
            # Heartbeats are more frequent, so this process, or the machine with all its workers, was suspended.
            self._in_contact_since = now
        self._last_contact = now
        return now

    def _note_wait(self, began: float) -> bool:
        """Return whether so much time has passed since `began` that other workers may not have been able to beat."""
        has_waited = _now() - began > self.interval_s
        if has_waited:
            self._in_contact_since = _now()
        return has_waited

    def _note_outage(self, context: ExceptionContext) -> None:
        # Without a connection, the error happened while connecting.
        if context.is_disconnect or context.connection is None:
            self._in_contact_since = _now()


def _database_time(session: Session) -> datetime:
    """Return the time on the clock and in the time zone of the heartbeats."""
    now: Any = session.scalar(select(func.now()))
    without_zone: datetime = now.replace(tzinfo=None)
    return without_zone


def _now() -> float:
    """Return the seconds on a monotonic clock that also advances while the machine is suspended, if the system has one."""
    # Linux's clock for `time.monotonic` stops while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@contextmanager
def beating(storage: HeartbeatStorage, trial_id: int) -> Iterator[None]:
    """Record heartbeats of a trial in a thread while the block runs.

    The first heartbeat is written together with the trial's genes, not here.

    Raises:
        PlatformError: The operating system allows no further thread.
    """
    has_ended = Event()

    def beat() -> None:
        while not has_ended.wait(storage.interval_s):
            storage.record_heartbeat(trial_id)
            # A trial may take longer than the grace period; without these readings, this worker would know nothing about the
            # others at its end.
            storage.refresh_sightings()

    thread = Thread(target=beat, daemon=True, name="heartbeat")
    try:
        thread.start()
    except RuntimeError as error:
        raise PlatformError(NO_MORE_PROCESSES) from error
    try:
        yield
    finally:
        has_ended.set()
        # The thread may hang on a dead connection. A late last heartbeat does no harm.
        thread.join(timeout=1)


def _retry_of(trial: FrozenTrial) -> FrozenTrial | None:
    """Return the queued trial that repeats a trial; None if the trial has used up its retries or has no genes yet.

    The attributes that link the two are those of Optuna's `RetryHeartbeatStaleTrialCallback`.
    """
    history = [*trial.system_attrs.get(RETRY_HISTORY, []), trial.number]
    # Without system attributes, the trial was neither queued by a user nor given a generation. Any new trial replaces it.
    if len(history) > MAX_RETRIES or not trial.system_attrs:
        return None
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        # The worker may have died after it stored an error and before it failed the trial.
        user_attrs={name: value for name, value in trial.user_attrs.items() if name != FAILURE},
        system_attrs={"failed_trial": trial.number, **trial.system_attrs, RETRY_HISTORY: history},
    )
