"""What a search saves by knowing the FLOPs: the paper's, held against the same that selects by the error alone.

Both search a table, pair by pair from the same seeds, and take the cheapest circuit that promises within 0.01 of the best
(`comparison.JudgedSearch.cheapest_within_tolerance`). What that is, trainings tell that neither has seen.
"""

import math
from dataclasses import dataclass

from faqnas_optuna.comparison.judging import Contest, interval
from faqnas_optuna.training.statistics import accuracy_interval
from studies.claims.intervals import Interval

AWARE, UNAWARE = "nsga2", "nsga2-error"


@dataclass(frozen=True, kw_only=True)
class Saving:
    """The one search less the other, as means over pairs of searches with t intervals."""

    flops_ratio: Interval
    """The quantum FLOPs of what the aware search takes, by those of the other: the geometric mean."""
    accuracy: Interval
    """By how much more accurate it is."""
    achieved_hypervolume: Interval
    """By how much more its front attains."""
    collapsed: Interval
    """The share of the aware searches whose front is a single circuit, with Wilson's interval."""


def saving(contest: Contest) -> Saving:
    """What became of pairs of searches, at least two."""
    aware, unaware = contest.searches[AWARE], contest.searches[UNAWARE]
    pairs = list(zip(aware, unaware, strict=True))
    share = sum(one.front == 1 for one in aware) / len(aware)
    low, high = accuracy_interval(share, len(aware))
    return Saving(
        flops_ratio=_mean(
            [math.log10(a.cheapest_within_tolerance_flops / b.cheapest_within_tolerance_flops) for a, b in pairs]
        ).mapped(lambda power: 10.0**power),
        accuracy=_mean([a.cheapest_within_tolerance - b.cheapest_within_tolerance for a, b in pairs]),
        achieved_hypervolume=_mean([a.achieved_hypervolume[-1] - b.achieved_hypervolume[-1] for a, b in pairs]),
        collapsed=Interval(value=share, low=low, high=high),
    )


def _mean(values: list[float]) -> Interval:
    value, low, high = interval(values)
    return Interval(value=value, low=low, high=high)
