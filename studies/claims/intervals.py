"""Intervals of what is computed from several trainings of each circuit: the jackknife over seeds.

The circuits of a table are all that there are: nothing is drawn but the seeds, so each of these is left out in turn, for all
circuits at once (Quenouille 1956, DOI 10.1093/biomet/43.3-4.353; Tukey 1958). Intervals are 95 %, by Student's t with one
degree of freedom less than there are seeds: three seeds tell little, and it shows. Of what jumps, as the place of a threshold
or which circuits are on a front, the jackknife tells no more than roughly how far it moves: there it is no consistent estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.training.statistics import mean_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def mapped(self, function: Callable[[float], float]) -> "Interval":
        """The same on another scale, by a function that grows."""
        return Interval(value=function(self.value), low=function(self.low), high=function(self.high))


def jackknife(statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], seeds: int) -> list[Interval]:
    """Intervals of statistics (k,) of the seeds whose numbers they are given.

    Args:
        seeds: how many there are, at least three: most statistics need two.
    """
    every = np.arange(seeds)
    parts = np.array([statistic(np.delete(every, one)) for one in every])
    # Variance of the statistic: (S − 1) / S · Σ (θᵢ − θ̄)². A mean of S values with this deviation would have the same.
    deviations = np.sqrt(seeds * (seeds - 1)) * parts.std(axis=0)
    found = []
    for value, deviation in zip(statistic(every).tolist(), deviations.tolist(), strict=True):
        low, high = mean_interval(value, deviation, seeds)
        found.append(Interval(value=value, low=low, high=high))
    return found
