"""Heartbeats of running trials, and requeueing of trials whose heartbeats have stopped.

A heartbeat is a time by the clock of the database, and that clock may be set back or forward while trials run. A heartbeat that
changes is a sign of life whatever time it states, so silence is measured from the last change, on the clock of the process that
looks.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
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
from faqnas_optuna.storage.trial_statements import UNREADABLE, read_study_attributes, read_trials

logger = logging.getLogger(__name__)

DEFAULT_GRACE_S = 60
"""A trial whose worker was silent for so long is given up, and tried anew by another worker."""
BEATS_IN_GRACE = 6
MAX_RETRIES = 2
FAILURE = "failure"
"""The attribute of a failed trial that says why."""
GIVEN_UP = "given up"
"""How the reason begins if it was not the trial's own error."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A heartbeat and when this process first saw it."""

    beat: datetime
    """As stored."""
    seen_at: float
    """Seconds on the clock of this process."""
    is_witnessed: bool
    """Whether the process had looked at the study before, so that the heartbeat is no older than that look. Otherwise only the
    clock of the database knows its age."""


class Sightings:
    """The last heartbeats of running trials, by study. Several threads may look."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_study: dict[int, dict[int, Sighting]] = {}

    @property
    def studies(self) -> list[int]:
        """Ids of the studies that were looked at."""
        with self._lock:
            return list(self._by_study)

    def update(self, study_id: int, beats: Mapping[int, datetime], *, now: float) -> dict[int, Sighting]:
        """Take in the heartbeats of all running trials of a study, and return their sightings, by trial id."""
        with self._lock:
            before = self._by_study.get(study_id)
            known = before or {}
            sightings = {}
            for trial_id, beat in beats.items():
                last = known.get(trial_id)
                if last is None or last.beat != beat:
                    last = Sighting(beat=beat, seen_at=now, is_witnessed=before is not None)
                sightings[trial_id] = last
            self._by_study[study_id] = sightings
            return sightings

    def last(self, study_id: int, trial_id: int) -> Sighting | None:
        """Return the last sighting of a trial that was running then."""
        with self._lock:
            return self._by_study.get(study_id, {}).get(trial_id)


class HeartbeatStorage(DatabaseStorage):
    """Optuna's storage, with heartbeats that survive what they are there to survive.

    A trial is silent while its heartbeat does not change, as this process sees it. The clock of the database only gives the age
    of heartbeats which are older than the first look of this process, so that a newcomer need not wait for the whole grace
    period; they too must stand still for two beats.

    After an outage, or when the machine has slept, all who live are heard again before anybody is given up. A worker that has
    been in touch with the database for the grace period knows that there was no outage; a newcomer listens for two beats. And
    whatever a worker knows, the beats of others tell: a trial that was silent when somebody else was heard, a grace period ago.
    Whoever looks also writes, as a beat must: a lock that beats wait for may let reading through.

    Nobody beats less often than with the default grace period: workers with another one would give them up.
    """

    def __init__(self, url: str, *, engine_kwargs: dict[str, Any], grace_s: int, create: bool) -> None:
        super().__init__(url, engine_kwargs=engine_kwargs, create=create)
        self.grace_s = grace_s
        self.interval_s = max(1, min(grace_s, DEFAULT_GRACE_S) // BEATS_IN_GRACE)
        self._last_touch = _now()
        self._in_touch_since = self._last_touch - grace_s + 2 * self.interval_s
        self._sightings = Sightings()
        event.listen(self.engine, "handle_error", self._note_outage)

    def read_trials(self, study_id: int, *, after: int, among: set[int]) -> list[FrozenTrial]:
        """Read the trials of a study whose ids are above one or among some, by id.

        Raises:
            DamagedStudyError: the database holds a value that cannot be part of a trial.
        """
        try:
            return read_trials(self.engine, study_id, after=after, among=among)
        except UNREADABLE as error:
            raise DamagedStudyError.of(self.get_study_name_from_id(study_id), str(error)) from error

    def get_all_studies(self) -> list[FrozenStudy]:
        """By id, without those whose attributes cannot be read: one of them must not hide the others."""
        with suppress(*UNREADABLE):
            return super().get_all_studies()
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
        began = self._touch()
        try:
            super().record_heartbeat(trial_id)
        except AssertionError:
            # Optuna's: the trial was deleted with its study.
            logger.debug("trial id %d is no longer there", trial_id)
        except Exception as error:
            # Raised, whatever it is, it would end the thread that beats, and a live trial would be given up for ever after.
            logger.debug("a heartbeat of trial id %d is lost: %s", trial_id, database_reason(error))
        self._note_wait(began)

    def seconds_silent(self, study_id: int) -> dict[int, float]:
        """Return the age of each running trial's heartbeat by the database's clock, by trial id.

        A heartbeat that is ahead of that clock, which must have been set back, has no age.
        """
        now, beats = self._read_beats(study_id)
        ages = {trial_id: (now - beat).total_seconds() for trial_id, beat in beats.items()}
        return {trial_id: max(age, 0.0) for trial_id, age in ages.items() if age >= -self.interval_s}

    def stale_trials(self, study_id: int) -> list[int]:
        """Running trials whose workers are silent for longer than the grace period, by trial id."""
        began = self._touch()
        for trial_id in self._unheard_of(study_id):
            # Its worker died before the first heartbeat, or is about to send it. From this one on it has its grace period.
            self.record_heartbeat(trial_id)
        _, sightings = self._look(study_id)
        if sightings:
            self._wait_as_a_beat(min(sightings, key=lambda trial_id: sightings[trial_id].beat))
        if self._note_wait(began):
            return []
        stale = self._silent_for_too_long(study_id, began)
        return [] if self._note_wait(began) else stale

    def _silent_for_too_long(self, study_id: int, began: float) -> list[int]:
        now, sightings = self._look(study_id)
        is_in_touch = began - self._in_touch_since > self.grace_s
        stale, suspects = [], {}
        for trial_id, seen in sightings.items():
            age_s, unchanged_s = (now - seen.beat).total_seconds(), _now() - seen.seen_at
            is_old = not seen.is_witnessed and age_s > self.grace_s and unchanged_s > 2 * self.interval_s
            if is_in_touch and (unchanged_s > self.grace_s or is_old):
                stale.append(trial_id)
            elif age_s > self.grace_s:
                suspects[trial_id] = age_s
        if suspects:
            outlasted = self._others_heard_ago() + 2 * self.interval_s
            stale += [trial_id for trial_id, age_s in suspects.items() if age_s > outlasted]
        return stale

    def look_around(self) -> None:
        """See which heartbeats have changed, in all studies that this process looks at."""
        try:
            for study_id in self._sightings.studies:
                self._look(study_id)
        except Exception as error:
            # Raised, it would end the thread that beats.
            logger.debug("heartbeats could not be read: %s", database_reason(error))

    def _look(self, study_id: int) -> tuple[datetime, dict[int, Sighting]]:
        """Return the database's time, and the heartbeats of a study's running trials by trial id."""
        now, beats = self._read_beats(study_id)
        return now, self._sightings.update(study_id, beats, now=_now())

    def _read_beats(self, study_id: int) -> tuple[datetime, dict[int, datetime]]:
        """The database's time, and the heartbeats of a study's running trials by trial id."""
        trials, beats = TRIALS.c, HEARTBEATS.c
        query = (
            select(trials.trial_id, beats.heartbeat)
            .join(HEARTBEATS, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING)
        )
        with Session(self.engine) as session:
            now = _database_time(session)
            return now, {trial_id: beat for trial_id, beat in session.execute(query)}

    def give_up(self, study_id: int, trial_id: int, *, retry: bool) -> int | None:
        """Fail a stale trial and queue it anew, in one transaction.

        Args:
            retry: queue it anew, unless it has had its retries, or nothing was decided about it yet.

        Returns:
            The trial's number; None if it is not to be given up any more.
        """
        began = self._touch()
        with Session(self.engine) as session, session.begin():
            trial = self.locked_trial(session, study_id, trial_id)
            silent_s = self._still_silent(session, trial)
            if silent_s is None or self._note_wait(began):
                return None
            found = self.trial_of_row(trial)
            queued = _retry_of(found) if retry else None
            self._fail(session, trial, f"{found.user_attrs.get('worker', 'its worker')} was silent for {silent_s:.0f} s")
            if queued is not None:
                self.add_trial(session, study_id, queued)
            return int(trial.number)

    def _still_silent(self, session: Session, trial: Any) -> float | None:
        """For how long a trial was silent; None if it has ended, or was heard again since it was found stale."""
        beat = session.scalar(select(HEARTBEATS.c.heartbeat).where(HEARTBEATS.c.trial_id == trial.trial_id))
        seen = self._sightings.last(trial.study_id, trial.trial_id)
        if trial.state is not TrialState.RUNNING or beat is None or seen is None or beat != seen.beat:
            return None
        unchanged_s = _now() - seen.seen_at
        if seen.is_witnessed:
            return unchanged_s
        age_s = (_database_time(session) - seen.beat).total_seconds()
        return max(age_s, unchanged_s)

    def abandon(self, study_id: int, trial_id: int, reason: str) -> None:
        """Fail a running trial of this worker's own that it does not run, whatever came between."""
        with Session(self.engine) as session, session.begin():
            trial = self.locked_trial(session, study_id, trial_id)
            if trial.state is TrialState.RUNNING:
                self._fail(session, trial, reason)

    def _fail(self, session: Session, trial: Any, reason: str) -> None:
        # First: a trial that has failed is not written to.
        self.write_user_attr(session, trial.trial_id, FAILURE, f"{GIVEN_UP}: {reason}")
        trial.state = TrialState.FAIL
        trial.datetime_complete = datetime.now()

    def _wait_as_a_beat(self, trial_id: int) -> None:
        """Write what is there already, after whatever keeps heartbeats from being written."""
        unchanged = update(HEARTBEATS).where(HEARTBEATS.c.trial_id == trial_id).values(heartbeat=HEARTBEATS.c.heartbeat)
        with Session(self.engine) as session, session.begin():
            session.execute(unchanged)

    def _others_heard_ago(self) -> float:
        """Seconds since the last beat of anybody that is older than the grace period; infinite if there is none."""
        beat = HEARTBEATS.c.heartbeat
        with Session(self.engine) as session:
            now = _database_time(session)
            last = session.scalar(select(func.max(beat)).where(beat < now - timedelta(seconds=self.grace_s)))
        return math.inf if last is None else (now - last).total_seconds()

    def _unheard_of(self, study_id: int) -> list[int]:
        trials, beats = TRIALS.c, HEARTBEATS.c
        query = (
            select(trials.trial_id)
            .outerjoin(HEARTBEATS, beats.trial_id == trials.trial_id)
            .where(trials.study_id == study_id, trials.state == TrialState.RUNNING, beats.trial_id.is_(None))
        )
        with Session(self.engine) as session:
            return list(session.scalars(query))

    def _touch(self) -> float:
        """Begin to talk with the database; the time."""
        now = _now()
        if now - self._last_touch > 2 * self.interval_s:
            # A worker beats more often: this process, or the machine with all workers on it, was asleep.
            self._in_touch_since = now
        self._last_touch = now
        return now

    def _note_wait(self, began: float) -> bool:
        """Whether something took so long that others cannot have been heard meanwhile, for instance for a lock."""
        if waited := _now() - began > self.interval_s:
            self._in_touch_since = _now()
        return waited

    def _note_outage(self, context: ExceptionContext) -> None:
        if context.is_disconnect or context.connection is None:
            self._in_touch_since = _now()


def _database_time(session: Session) -> datetime:
    """By the clock and in the time zone that beats are recorded with."""
    now: Any = session.scalar(select(func.now()))
    without_zone: datetime = now.replace(tzinfo=None)
    return without_zone


def _now() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where there is one; Linux's monotonic clock does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@contextmanager
def beating(storage: HeartbeatStorage, trial_id: int) -> Iterator[None]:
    """Say again and again that a trial is alive, from a thread of its own; its first sign of life comes with its genes.

    The thread also listens to others: a trial may take longer than the grace period.

    Raises:
        PlatformError: the system allows no further thread.
    """
    done = Event()

    def beat() -> None:
        while not done.wait(storage.interval_s):
            storage.record_heartbeat(trial_id)
            storage.look_around()

    thread = Thread(target=beat, daemon=True, name="heartbeat")
    try:
        thread.start()
    except RuntimeError as error:
        raise PlatformError(NO_MORE_PROCESSES) from error
    try:
        yield
    finally:
        done.set()
        # It may hang on a dead connection; a last beat that comes late does no harm.
        thread.join(timeout=1)


def _retry_of(trial: FrozenTrial) -> FrozenTrial | None:
    """The trial to queue, with its history as Optuna's `RetryHeartbeatStaleTrialCallback` has it.

    None after the last retry; and if it was neither queued by hand nor given a generation yet: any other trial is as good.
    """
    history = [*trial.system_attrs.get("retry_history", []), trial.number]
    if len(history) > MAX_RETRIES or not trial.system_attrs:
        return None
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        # Its worker may have died between writing down an error and failing the trial.
        user_attrs={name: value for name, value in trial.user_attrs.items() if name != FAILURE},
        system_attrs={"failed_trial": trial.number, **trial.system_attrs, "retry_history": history},
    )
