"""Summary of a race, which is part of the description of its study."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class RaceSummary:
    """Budget of a race, and how far it has come."""

    sample: int | None = None
    """Number of circuits that were drawn at random from the space; None for all of them."""
    among: str | None = None
    """Name of the search whose circuits are raced; None for the circuits of the space."""
    budget: int
    """Trainings of the first stage."""
    within: float | None
    """Requested ε of the certificate; None for the first stage alone."""
    level: float
    """Confidence level of the certificate."""
    resplit: bool = False
    """True if each training has a new split of the samples outside the test part."""
    trainings: int = 0
    """Number of trainings so far."""
    costs: int = 0
    """Number of distinct costs."""
    epsilon: float = 1.0
    """Maximum by which a circuit can be better than the front at its cost."""
    is_complete: bool = False
    """False while the race runs, and after an interruption."""

    @property
    def scope(self) -> str:
        """Circuits that the result is about, to follow "no circuit"."""
        if self.among is not None:
            return f"of study {self.among!r}"
        return "of the space" if self.sample is None else f"of {self.sample:,} drawn at random from the space"

    @property
    def is_certified(self) -> bool:
        """True if the front is certified within the requested ε."""
        return self.within is not None and self.epsilon <= self.within

    @property
    def bound(self) -> float:
        """ε that is guaranteed, for print."""
        if self.is_certified and self.within is not None:
            return self.within
        # Rounded up, so that the printed bound holds as well.
        return min(math.ceil(1000 * self.epsilon) / 1000, 1.0)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore a summary from the result of `to_json`."""
        return cls(**entry)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as values for JSON."""
        return dict(vars(self))
