"""Reliability of one training: the agreement of two trainings of one circuit.

If several circuits are trained several times each, the intraclass correlation ICC(1,1) (Shrout and Fleiss 1979,
DOI 10.1037/0033-2909.86.2.420) is the share of the variance of their scores that lies between circuits, rather than between
trainings of one circuit. It shows how well a single score serves to compare circuits.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.training.statistics import TOLERANCE

WANTED = 0.8
"""Common minimum reliability of measurements that are used for comparisons (Nunnally 1978)."""
MAX_REPEATS = 50


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Reliability of one training, with its confidence interval and the sample that it was estimated from."""

    value: float
    """ICC(1,1); negative if trainings of one circuit differ more than circuits do."""
    low: float
    """Lower end of the 95 % confidence interval."""
    high: float
    """Upper end of the 95 % confidence interval."""
    circuits: int
    trainings: int
    """Number of trainings of each circuit."""

    def of_mean(self, repeats: int) -> float:
        """Return the reliability of the mean of R trainings, R·r / (1 + (R − 1)·r) (Spearman 1910, Brown 1910).

        Examples:
            >>> Reliability(value=0.5, low=0.3, high=0.7, circuits=24, trainings=4).of_mean(4)
            0.8
        """
        value = max(self.value, 0.0)
        return repeats * value / (1 + (repeats - 1) * value)

    @property
    def repeats(self) -> int:
        """Smallest number of trainings whose mean reaches a reliability of 0.8, at most 50."""
        if self.value <= 0:
            return MAX_REPEATS
        # Solved for R. Rounding before `ceil` keeps a result such as 4.000000001 from becoming 5.
        minimum = round(WANTED * (1 - self.value) / (self.value * (1 - WANTED)), 9)
        return min(max(math.ceil(minimum), 1), MAX_REPEATS)


def intraclass_correlation(scores: NDArray[np.float64]) -> Reliability | None:
    """Return ICC(1,1) with its 95 % confidence interval, from a one-way analysis of variance.

    Args:
        scores: (circuits, trainings), at least two of each.

    Returns:
        None if all scores are equal, for which the ICC is undefined.
    """
    # scipy takes longer to load than everything else that a reader of this module needs.
    from scipy.special import fdtri

    # Mean squares between circuits and within them.
    n, k = scores.shape
    means = scores.mean(axis=1)
    between = k * float(means.var(ddof=1))
    within = float(((scores - means[:, None]) ** 2).sum()) / (n * (k - 1))
    # Not `within == 0`: the mean of equal values may differ from them by rounding.
    if np.ptp(scores) <= TOLERANCE:
        return None
    if within <= TOLERANCE**2:
        return Reliability(value=1.0, low=1.0, high=1.0, circuits=n, trainings=k)
    ratio = between / within
    # The F distribution gives an interval of the ratio, and the ICC is a monotonic function of the ratio.
    low_ratio = ratio / float(fdtri(n - 1, n * (k - 1), 0.975))
    high_ratio = ratio * float(fdtri(n * (k - 1), n - 1, 0.975))
    value, low, high = ((f - 1) / (f + k - 1) for f in (ratio, low_ratio, high_ratio))
    return Reliability(value=value, low=low, high=high, circuits=n, trainings=k)
