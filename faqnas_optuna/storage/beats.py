"""Heartbeats as one process sees them change.

A heartbeat is a time by the clock of the database, and that clock may be set back or forward while trials run. A heartbeat that
changes is a sign of life whatever time it states, so silence is measured from the last change, on the clock of the process that
looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock


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
