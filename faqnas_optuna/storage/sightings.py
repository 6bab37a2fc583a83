"""Heartbeats as this process observed them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Heartbeat of a trial, and the time at which this process first observed it."""

    beat: datetime
    """Heartbeat as stored."""
    seen_at: float
    """Time of the first observation, in seconds on the clock of this process."""
    is_witnessed: bool
    """True if the process had read the study before, so that the heartbeat is newer than that reading.

    Otherwise only the clock of the database can give its age.
    """


class Sightings:
    """Last observed heartbeats of running trials, by study. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_study: dict[int, dict[int, Sighting]] = {}

    @property
    def studies(self) -> list[int]:
        """Ids of the studies whose heartbeats were read."""
        with self._lock:
            return list(self._by_study)

    def update(self, study_id: int, beats: Mapping[int, datetime], *, now: float) -> dict[int, Sighting]:
        """Record the heartbeats of all running trials of a study, and return their sightings by trial id."""
        with self._lock:
            previous = self._by_study.get(study_id)
            sightings = {}
            for trial_id, beat in beats.items():
                sighting = previous.get(trial_id) if previous else None
                if sighting is None or sighting.beat != beat:
                    sighting = Sighting(beat=beat, seen_at=now, is_witnessed=previous is not None)
                sightings[trial_id] = sighting
            # Trials that are no longer running drop out.
            self._by_study[study_id] = sightings
            return sightings

    def last(self, study_id: int, trial_id: int) -> Sighting | None:
        """Return the sighting of a trial in the last reading; None if the trial was not running then."""
        with self._lock:
            return self._by_study.get(study_id, {}).get(trial_id)
