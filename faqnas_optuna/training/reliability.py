"""How far two trainings of one circuit agree, which tells what a circuit's score is worth when circuits are compared.

Where some circuits were trained several times each, the share of the variance of their scores that lies between circuits,
rather than between trainings of one, is the intraclass correlation ICC(1,1) (Shrout and Fleiss 1979,
DOI 10.1037/0033-2909.86.2.420): the *reliability* of one training.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.training.statistics import TOLERANCE

WANTED = 0.8
"""A usual demand on what is used to compare (Nunnally 1978)."""
MOST_REPEATS = 50


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Of one training, with what it was measured on."""

    value: float
    """ICC(1,1); below 0 if trainings of one circuit differ by more than circuits do."""
    low: float
    high: float
    """Ends of the 95 % interval."""
    circuits: int
    trainings: int
    """Of each circuit."""

    def of_mean(self, repeats: int) -> float:
        """That of the mean of so many trainings (Spearman 1910, Brown 1910): R·r / (1 + (R − 1)·r)."""
        value = max(self.value, 0.0)
        return repeats * value / (1 + (repeats - 1) * value)

    @property
    def repeats(self) -> int:
        """The least number of trainings whose mean has the reliability that is wanted, at most 50."""
        if self.value <= 0:
            return MOST_REPEATS
        # Rounded first: 0.8 · 0.5 / (0.5 · 0.2) must be 4.
        needed = round(WANTED * (1 - self.value) / (self.value * (1 - WANTED)), 9)
        return min(max(math.ceil(needed), 1), MOST_REPEATS)


def intraclass_correlation(scores: NDArray[np.float64]) -> Reliability | None:
    """ICC(1,1) with its 95 % interval, from a one-way analysis of variance.

    Args:
        scores: (circuits, trainings), at least two of each.

    Returns:
        None if all are equal: then there is nothing to tell apart.
    """
    from scipy.special import fdtri

    n, k = scores.shape
    means = scores.mean(axis=1)
    between = k * float(means.var(ddof=1))
    within = float(((scores - means[:, None]) ** 2).sum()) / (n * (k - 1))
    # The mean of equal values may differ from them by rounding.
    if np.ptp(scores) <= TOLERANCE:
        return None
    if within <= TOLERANCE**2:
        return Reliability(value=1.0, low=1.0, high=1.0, circuits=n, trainings=k)
    ratio = between / within
    of_low = ratio / float(fdtri(n - 1, n * (k - 1), 0.975))
    of_high = ratio * float(fdtri(n * (k - 1), n - 1, 0.975))
    value, low, high = ((f - 1) / (f + k - 1) for f in (ratio, of_low, of_high))
    return Reliability(value=value, low=low, high=high, circuits=n, trainings=k)
