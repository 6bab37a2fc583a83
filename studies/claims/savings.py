"""Savings by FLOPs-awareness: the paper's search compared with one that selects parents by the error alone.

Both search the same table, in pairs with equal seeds, and recommend the cheapest circuit whose search estimate is within 0.01
of the best (`comparison.JudgedSearch.cheapest_within_tolerance`). Trainings that neither search used judge the recommendation.
"""

import math
from dataclasses import dataclass

from faqnas_optuna.comparison.judging import Contest, interval
from faqnas_optuna.training.statistics import accuracy_interval
from studies.claims.intervals import Interval

AWARE = "nsga2"
UNAWARE = "nsga2-error"


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Mean differences of the aware minus the unaware search, with t intervals over pairs of searches."""

    flops_ratio: Interval
    """Quantum FLOPs of the recommended circuits, aware divided by unaware; geometric mean."""
    accuracy: Interval
    """Difference in accuracy of the recommended circuits."""
    achieved_hypervolume: Interval
    """Difference in achieved hypervolume."""
    collapsed: Interval
    """Fraction of aware searches whose front is a single circuit, with Wilson's interval."""


def saving(contest: Contest) -> Saving:
    """Return the savings in a contest of at least two pairs of searches."""
    aware = contest.searches[AWARE]
    # Searches at the same place began from the same seed: the interval of a paired difference is narrower.
    pairs = list(zip(aware, contest.searches[UNAWARE], strict=True))
    share = sum(search.front == 1 for search in aware) / len(aware)
    low, high = accuracy_interval(share, len(aware))
    # A ratio of costs is symmetric on the log scale only.
    log_ratios = [math.log10(a.cheapest_within_tolerance_flops / b.cheapest_within_tolerance_flops) for a, b in pairs]
    return Saving(
        flops_ratio=_mean(log_ratios).mapped(lambda logarithm: 10.0**logarithm),
        accuracy=_mean([a.cheapest_within_tolerance - b.cheapest_within_tolerance for a, b in pairs]),
        # Hypervolumes are recorded during the search; the last is that of its end.
        achieved_hypervolume=_mean([a.achieved_hypervolume[-1] - b.achieved_hypervolume[-1] for a, b in pairs]),
        collapsed=Interval(value=share, low=low, high=high),
    )


def _mean(values: list[float]) -> Interval:
    value, low, high = interval(values)
    return Interval(value=value, low=low, high=high)
