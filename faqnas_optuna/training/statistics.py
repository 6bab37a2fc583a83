"""What may be said of two things that were each trained a few times: intervals, paired comparisons, agreement of rankings.

Values count as equal within `TOLERANCE`: 0.9 - 0.8 and 0.8 - 0.7 are one difference of accuracies, and floats of their own.
scipy is imported where it is used: it takes longer to load than all else that a reader loads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
TOLERANCE = 1e-9
"""Far above the rounding of accuracies and far below the share that one sample has of them."""


def mean_interval(mean: float, deviation: float, count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's t interval of a mean: mean ± t · deviation / √count, with count - 1 degrees of freedom.

    It is not clipped: of accuracies near 1 it may end above 1, and whoever shows it says no more than that.

    Args:
        deviation: the sample standard deviation, which divides by count - 1.
        count: of values, at least 2.
    """
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * deviation / math.sqrt(count)
    return mean - half, mean + half


def bounded_interval(mean: float, deviation: float, count: int, *, lowest: float = 0.0) -> tuple[float, float] | None:
    """Return Student's t interval of a mean of values between a bound and 1, within these.

    Return None where all values are equal: their spread is then unknown, not zero, as with a handful of test samples.
    """
    if deviation <= TOLERANCE:
        return None
    low, high = mean_interval(mean, deviation, count)
    return max(low, lowest), min(high, 1.0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two samples of paired values from 0 to 1, a and b."""

    difference: float
    """Mean of a - b."""
    interval: tuple[float, float] | None
    """95 % t interval of that mean, within -1 and 1; None where all differences are equal."""
    p: float
    """Of the two-sided Wilcoxon signed-rank test, exact also with ties."""
    smallest_p: float
    """The least p that as many pairs with a difference can give: there, every one of them speaks for the same side."""
    rank_biserial: float
    """Matched-pairs rank-biserial correlation: from -1, b is larger in every pair, to 1, a is larger in every pair."""
    pairs: int


def compare(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Compare values that come in pairs, as of two networks trained from the same seeds.

    Equal differences share the mean of their ranks, and those of zero are ranked with the others and then left out: to leave
    them out before can make a sample significant by moving it towards the null (Pratt 1959, DOI
    10.1080/01621459.1959.10501526). Given ranks and zeros, each of the other signs is a fair coin under the null, which gives
    the exact distribution. The rank-biserial correlation is the share of the ranks that speaks for a, less that for b
    (Kerby 2014, DOI 10.2466/11.IT.3.1); the ranks of zeros speak for neither, so that one pair with a difference among many
    without is no effect of 1.

    Args:
        a: at least two values.
        b: as many, in the same order.
    """
    differences = np.subtract(a, b, dtype=np.float64)
    differences[np.abs(differences) <= TOLERANCE] = 0
    signs, doubled = np.sign(differences).astype(np.int64), _doubled_ranks(np.abs(differences))
    ranks, balance = doubled[signs != 0], int(doubled @ signs)
    mean = fmean(differences)
    return Comparison(
        difference=mean,
        interval=bounded_interval(mean, stdev(differences), len(differences), lowest=-1.0),
        p=_two_sided(ranks, balance),
        smallest_p=min(1.0, 2.0 ** (1 - len(ranks))),
        rank_biserial=balance / int(doubled.sum()),
        pairs=len(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of a family, adjusted so that all may be held against one level (Holm 1979, JSTOR 4615733).

    The k-th smallest of m is multiplied by m - k + 1, becomes no less than those before it, and at most 1.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted


def smallest_possible(pairs: Sequence[int]) -> list[float]:
    """Return the smallest p of each comparison of a family that its number of pairs allows, adjusted by Holm's method."""
    return holm([2.0 ** (1 - count) for count in pairs])


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's τ-b of two rankings of the same things, from -1 to 1; None of fewer than two, or if one ranks all alike."""
    groups = [_groups(np.asarray(values, np.float64)) for values in (a, b)]
    if any(len(np.unique(ranking)) < 2 for ranking in groups):
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(*groups).statistic)


def _groups(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) numbers 0, 1, …, in the order of the values (n,); equal ones share theirs."""
    order = np.argsort(values, kind="stable")
    groups = np.zeros(len(values), np.int64)
    groups[order[1:]] = np.cumsum(np.diff(values[order]) > TOLERANCE)
    return groups


def _doubled_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) twice the ranks 1, 2, … of values (n,), equal ones sharing their mean: twice that is a whole number."""
    groups = _groups(values)
    last = np.cumsum(np.bincount(groups))
    first = np.concatenate([[1], last[:-1] + 1])
    doubled: NDArray[np.int64] = (first + last)[groups]
    return doubled


def _two_sided(ranks: NDArray[Any], balance: int) -> float:
    """The chance that ranks (n,) with fair signs have a sum at least as far from zero as `balance`."""
    # [s] is the chance that the ranks with a plus sum up to s.
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1
    for rank in ranks:
        chances[rank:] += chances[:-rank]
        chances /= 2
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return float(chances[np.abs(sums) >= abs(balance)].sum())


def accuracy_interval(accuracy: float, n_validation: int) -> tuple[float, float]:
    """Wilson's, 95 %: what so few samples can tell of one training (DOI 10.1080/01621459.1927.10502953).

    It knows nothing of how far another training would come to something else.
    """
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * n_validation), n_validation).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
