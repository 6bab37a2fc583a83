"""Confidence intervals by the jackknife over seeds.

A table has all circuits of the space, so the seeds are the only random sample. Each seed is left out in turn, for all circuits
at once (Quenouille 1956, DOI 10.1093/biomet/43.3-4.353; Tukey 1958). The 95 % intervals use Student's t with S − 1 degrees of
freedom for S seeds, so they are wide for three seeds. For statistics that are not smooth, such as the place of a threshold or
the membership of a front, the jackknife is not consistent and gives only the order of magnitude.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.training.statistics import mean_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def mapped(self, function: Callable[[float], float]) -> "Interval":
        """Return the interval on another scale; the function must be increasing."""
        return Interval(value=function(self.value), low=function(self.low), high=function(self.high))


def jackknife(statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], seeds: int) -> list[Interval]:
    """Return the intervals of statistics (k,) that are computed from several trainings of each circuit.

    Args:
        statistic: Function of the indices of the seeds to use.
        seeds: Number of seeds, at least three, since most statistics need the two that remain.
    """
    all_seeds = np.arange(seeds)
    # (seeds, k)
    replicates = np.array([statistic(np.delete(all_seeds, seed)) for seed in all_seeds])
    # The jackknife's variance is (S − 1) / S · Σ (θᵢ − θ̄)². `mean_interval` expects the standard deviation of single
    # values, whose variance is S times as large as that of the mean.
    deviations = np.sqrt(seeds * (seeds - 1)) * replicates.std(axis=0)
    intervals = []
    for value, deviation in zip(statistic(all_seeds).tolist(), deviations.tolist(), strict=True):
        low, high = mean_interval(value, deviation, seeds)
        intervals.append(Interval(value=value, low=low, high=high))
    return intervals
