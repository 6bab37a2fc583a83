"""Statistics of repeated trainings: confidence intervals, paired comparisons and rank correlation.

Values that differ by at most `TOLERANCE` count as equal: as differences of accuracies, 0.9 - 0.8 and 0.8 - 0.7 are equal, but
as floating-point numbers they are not.
"""

# scipy is imported inside the functions that use it, because importing it takes longer than everything else that commands which
# only read a study import.

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
TOLERANCE = 1e-9
"""Largest difference of equal values: far above rounding errors and far below the effect of one sample on an accuracy."""


def mean_interval(mean: float, deviation: float, count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Student's t interval of a mean: mean ± t · deviation / √count, with count - 1 degrees of freedom.

    The interval is not clipped: for accuracies near 1 it can extend above 1.

    Args:
        deviation: Sample standard deviation (divided by count - 1).
        count: Number of values, at least 2.
    """
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * deviation / math.sqrt(count)
    return mean - half, mean + half


def bounded_interval(mean: float, deviation: float, count: int, *, lowest: float = 0.0) -> tuple[float, float] | None:
    """Return Student's t interval of a mean of values between `lowest` and 1, clipped to these bounds; None if all are
    equal."""
    # Equal values do not mean that the variance is zero: with a handful of test samples they are common.
    if deviation <= TOLERANCE:
        return None
    low, high = mean_interval(mean, deviation, count)
    return max(low, lowest), min(high, 1.0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of two samples of paired values from 0 to 1, a and b."""

    difference: float
    """Mean of a - b."""
    interval: tuple[float, float] | None
    """95 % t interval of the mean difference, within -1 and 1; None if all differences are equal."""
    p: float
    """Two-sided p value of the Wilcoxon signed-rank test, exact also with ties."""
    smallest_p: float
    """Smallest p value that this number of non-zero differences can give: that of differences with the same sign."""
    rank_biserial: float
    """Matched-pairs rank-biserial correlation, from -1 (b is larger in every pair) to 1 (a is larger in every pair)."""
    pairs: int


def compare(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Compare paired values, for example those of two networks trained from the same seeds.

    Args:
        a: At least two values.
        b: As many values, in the same order.

    >>> compare([0.9, 0.8, 0.9, 0.7], [0.8, 0.7, 0.7, 0.7]).p
    0.25
    """
    differences = np.subtract(a, b, dtype=np.float64)
    differences[np.abs(differences) <= TOLERANCE] = 0
    # Zeros are ranked with the other differences and dropped afterwards. Dropping them first can make a result significant that
    # moved towards the null hypothesis (Pratt 1959, DOI 10.1080/01621459.1959.10501526).
    signs = np.sign(differences).astype(np.int64)
    doubled = _doubled_ranks(np.abs(differences))
    ranks = doubled[signs != 0]
    balance = int(doubled @ signs)
    mean = fmean(differences)
    return Comparison(
        difference=mean,
        interval=bounded_interval(mean, stdev(differences), len(differences), lowest=-1.0),
        p=_two_sided(ranks, balance),
        smallest_p=min(1.0, 2.0 ** (1 - len(ranks))),
        # The share of the ranks in favour of a, minus the share in favour of b (Kerby 2014, DOI 10.2466/11.IT.3.1). The
        # denominator includes the ranks of zeros: otherwise a single difference among many zeros would have an effect of 1.
        rank_biserial=balance / int(doubled.sum()),
        pairs=len(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values of a family, adjusted for multiple comparisons (Holm 1979, JSTOR 4615733).

    >>> holm([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.04]
    """
    # The k-th smallest of m is multiplied by m - k + 1, raised to at least the adjusted value before it, and limited to 1.
    adjusted = [0.0] * len(p_values)
    minimum = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        minimum = max(minimum, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = minimum
    return adjusted


def smallest_possible(pairs: Sequence[int]) -> list[float]:
    """Return the smallest p values that the comparisons of a family can reach, adjusted by Holm's method.

    Args:
        pairs: Number of non-zero differences of each comparison.
    """
    return holm([2.0 ** (1 - count) for count in pairs])


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Kendall's τ-b of two rankings of the same items, from -1 to 1; None if all items tie in one of them."""
    # Ranks instead of values, so that values within `TOLERANCE` tie.
    groups = [_groups(np.asarray(values, np.float64)) for values in (a, b)]
    if any(len(np.unique(ranking)) < 2 for ranking in groups):
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(*groups).statistic)


def _groups(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return dense ranks 0, 1, …, (n,), of values (n,); equal values share a rank."""
    order = np.argsort(values, kind="stable")
    groups = np.zeros(len(values), np.int64)
    groups[order[1:]] = np.cumsum(np.diff(values[order]) > TOLERANCE)
    return groups


def _doubled_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return twice the ranks 1, 2, …, (n,), of values (n,); equal values share the mean of their ranks."""
    # Twice a mean rank is an integer, which the exact distribution needs.
    groups = _groups(values)
    last = np.cumsum(np.bincount(groups))
    first = np.concatenate([[1], last[:-1] + 1])
    doubled: NDArray[np.int64] = (first + last)[groups]
    return doubled


def _two_sided(ranks: NDArray[Any], balance: int) -> float:
    """Return the probability that ranks (n,) with random signs have a sum at least as far from zero as `balance`."""
    # Under the null hypothesis each sign is a fair coin. probabilities[s] is that of positive ranks with the sum s.
    probabilities = np.zeros(int(ranks.sum()) + 1)
    probabilities[0] = 1
    for rank in ranks:
        probabilities[rank:] += probabilities[:-rank]
        probabilities /= 2
    sums = 2 * np.arange(len(probabilities)) - (len(probabilities) - 1)
    return float(probabilities[np.abs(sums) >= abs(balance)].sum())


def accuracy_interval(accuracy: float, n_validation: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of the accuracy of one trained network (DOI 10.1080/01621459.1927.10502953).

    It covers the sampling error of the validation part, not the variance between trainings.
    """
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * n_validation), n_validation).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
