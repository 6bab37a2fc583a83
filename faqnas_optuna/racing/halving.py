"""Pareto halving: train all circuits a little and then, again and again, the more promising half.

Sequential halving (Karnin, Koren and Somekh 2013, proceedings.mlr.press/v28/karnin13) for a front instead of a single best
circuit: the most promising circuits are those whose mean score is closest to the best mean of a circuit that costs no more.
Each round spends an equal share of the budget, so that the remaining circuits have ever more trainings.
"""

import math
from collections.abc import Callable

import numpy as np

from faqnas_optuna.racing.bounds import Histograms, Integers

Train = Callable[[Integers], Histograms]
"""Function that trains each circuit until it has a number of trainings (K,), and returns the histograms of their scores."""

FINALISTS = 32
"""Minimum number of circuits that are kept; up to twice as many are left after the last round."""


def rounds_of(n_circuits: int) -> int:
    """Return the number of rounds for `n_circuits`: all of them take part in the first, half of them in the second, and so on.

    >>> rounds_of(6786)
    8
    """
    return max(math.ceil(math.log2(n_circuits / FINALISTS)), 1)


def halve(
    train: Train, n_circuits: int, budget: int, *, on_round: Callable[[Integers], None] = lambda circuits: None
) -> tuple[Histograms, Integers]:
    """Spend a budget of trainings on circuits that are sorted by cost.

    Args:
        train: Runs the trainings.
        n_circuits: Number of circuits, K.
        budget: Maximum number of trainings, at least K.
        on_round: Callback with the circuits that a round is about to train.

    Returns:
        Histograms of all circuits, and the indices of the finalists, sorted.
    """
    finalists = np.arange(n_circuits)
    targets = np.zeros(n_circuits, np.int64)
    histograms = None
    for remaining_rounds in range(rounds_of(n_circuits), 0, -1):
        if histograms is not None:
            finalists = _promising_half(histograms, finalists)
        on_round(finalists)
        remaining = budget - int(targets.sum())
        # A small budget suffices for one training each in the first rounds, and perhaps for none in the last.
        least = min(remaining // len(finalists), 1)
        targets[finalists] += max(remaining // remaining_rounds // len(finalists), least)
        histograms = train(targets)
    assert histograms is not None
    return histograms, finalists


def _promising_half(histograms: Histograms, circuits: Integers) -> Integers:
    """Return the half of the circuits whose means are closest to the best mean up to them in the order of cost, sorted."""
    means = histograms.means[circuits]
    gaps = np.maximum.accumulate(means) - means
    size = max(FINALISTS, math.ceil(len(circuits) / 2))
    # A stable sort prefers the cheaper of two equally promising circuits.
    return circuits[np.sort(np.argsort(gaps, kind="stable")[:size])]
