"""Confidence bounds for the mean of values in [0, 1] that hold at all times at once, from histograms of the values.

The bounds are those of betting (Waudby-Smith and Ramdas, arXiv 2010.09686; Orabona and Jun, arXiv 2110.14099). To test that the
mean is at most m, a gambler with a capital of 1 repeatedly bets a fraction c of the capital on values above m. After the values
x₁, x₂, … the capital is

    E(m) = Σ_k w_k Π_s (1 + c_k (x_s / m - 1)),

averaged over fixed fractions c_k with weights w_k. If the mean is at most m, E(m) is a non-negative supermartingale, and by
Ville's inequality it ever reaches 1 / α with probability at most α. E(m) falls as m rises, so that L = inf {m : E(m) < 1 / α}
is below the mean at all times with probability at least 1 - α. An upper bound of x is 1 - the lower bound of 1 - x.

A product does not depend on the order of its factors: a bound follows from the histogram of a circuit's scores alone. It does
not matter which circuits are trained when, as long as each decision is made before the next score is seen. The values may have
any distribution.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Small fractions are best for many values close to the bound, large ones for a few values far from it.
FRACTIONS = np.array([0.02, 0.04, 0.07, 0.12, 0.2, 0.33, 0.5, 0.7, 0.95])
"""Fractions of the capital that are bet, with equal weights."""
BISECTIONS = 20
"""Number of bisections: the bounds have an error below 1e-6, on the safe side."""


@dataclass(frozen=True, kw_only=True)
class Histograms:
    """Scores of several circuits as counts of distinct values, without those that do not occur.

    >>> histograms = Histograms.of_counts(np.array([[0, 2, 2], [1, 0, 0]]), np.array([0.0, 0.5, 1.0]))
    >>> histograms.means
    array([0.75, 0.  ])
    """

    values: Floats
    """(M,) distinct scores of each circuit, in the order of the circuits."""
    counts: Integers
    """(M,) number of occurrences of each."""
    starts: Integers
    """(K,) index of the first value of each circuit. Each circuit has at least one."""

    @classmethod
    def of_counts(cls, counts: NDArray[np.integer], values: Floats) -> Self:
        """Return the histograms for counts (K, V) of the values (V,); each circuit must have at least one count."""
        circuits, columns = np.nonzero(counts)
        starts = np.searchsorted(circuits, np.arange(len(counts)))
        return cls(values=values[columns], counts=counts[circuits, columns].astype(np.int64), starts=starts)

    @cached_property
    def lengths(self) -> Integers:
        """(K,) number of distinct values of each circuit."""
        return np.append(self.starts[1:], len(self.values)) - self.starts

    @property
    def sizes(self) -> Integers:
        """(K,) number of scores of each circuit."""
        return np.asarray(np.add.reduceat(self.counts, self.starts))

    @property
    def means(self) -> Floats:
        """(K,) mean score of each circuit."""
        return np.asarray(np.add.reduceat(self.counts * self.values, self.starts) / self.sizes)

    @property
    def variances(self) -> Floats:
        """(K,) variance of each circuit's scores, with the number of scores as divisor."""
        squares = np.add.reduceat(self.counts * self.values**2, self.starts) / self.sizes
        # Rounding can make the difference negative.
        return np.maximum(squares - self.means**2, 0)

    @property
    def complements(self) -> Self:
        """Histograms of 1 - score."""
        return type(self)(values=1 - self.values, counts=self.counts, starts=self.starts)

    def among(self, circuits: Integers) -> Self:
        """Return the histograms of some circuits (k,), in that order."""
        lengths = self.lengths[circuits]
        starts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(self.starts[circuits] - starts, lengths)
        return type(self)(values=self.values[rows], counts=self.counts[rows], starts=starts)


def log_capital(histograms: Histograms, means: Floats) -> Floats:
    """Return ln E(m) of each circuit (K,) for means m in (0, 1], one per circuit."""
    gains = histograms.values / np.repeat(means, histograms.lengths) - 1
    logs = histograms.counts * np.log1p(FRACTIONS[:, np.newaxis] * gains)
    sums = np.add.reduceat(logs, histograms.starts, axis=1)
    largest = sums.max(axis=0)
    # The mean of the exponentials, without overflow.
    return np.asarray(largest + np.log(np.exp(sums - largest).mean(axis=0)))


def lower_bounds(histograms: Histograms, alpha: float) -> Floats:
    """Return a lower bound (K,) of the mean score of each circuit, each at level 1 - `alpha`."""
    threshold = -np.log(alpha)
    low = np.zeros(len(histograms.starts))
    high = histograms.means
    # Scores that are all zero have no bound above zero; any positive number avoids a division by zero.
    positive = np.maximum(high, 1e-9)
    for _ in range(BISECTIONS):
        middle = (low + positive) / 2
        is_excluded = log_capital(histograms, middle) >= threshold
        low = np.where(is_excluded, middle, low)
        positive = np.where(is_excluded, positive, middle)
    return low


def upper_bounds(histograms: Histograms, alpha: float) -> Floats:
    """Return an upper bound (K,) of the mean score of each circuit, each at level 1 - `alpha`."""
    return 1 - lower_bounds(histograms.complements, alpha)
