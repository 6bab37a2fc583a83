"""Rank correlations of proxies with accuracies, with bootstrap intervals over circuits.

The intervals are percentiles over resamples of the effective circuits with replacement. A space has all of its circuits, so
that an interval shows how much a correlation depends on which circuits a space has. It covers neither other random seeds nor
other splits of the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import Table
from studies.claims.crossfit import Halves
from studies.claims.intervals import Interval

PERCENTILES = (2.5, 97.5)
"""Ends of an interval."""


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """Spearman's correlations of predictors with outcomes, by their names."""

    raw: Mapping[str, Mapping[str, Interval]]
    partial: Mapping[str, Mapping[str, Interval]]
    """Partial correlations given the conditions, of the predictors that are none of them."""


def correlate(
    predictors: Mapping[str, NDArray[np.float64]],
    outcomes: Mapping[str, NDArray[np.float64]],
    conditions: Sequence[str],
    *,
    resamples: int,
) -> Correlations:
    """Return the correlations of all predictors with all outcomes, all of them (circuits,).

    Args:
        conditions: Names of predictors for the partial correlations.
        resamples: Number of bootstrap resamples.
    """
    # Dense ranks are computed once: a resample changes the counts of the ranks, not their order.
    columns = [dense_ranks(values) for values in (*predictors.values(), *outcomes.values())]
    circuits = len(columns[0])
    names = list(predictors)
    places = [names.index(name) for name in conditions]
    generator = np.random.default_rng(0)

    def statistics(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        covariance = rank_covariance(columns, weights)
        both = [_scaled(covariance), _scaled(given(covariance, places))]
        return np.stack(both)[:, : len(names), len(names) :]

    # (2, predictors, outcomes), and the same with a leading axis of resamples.
    values = statistics(np.ones(circuits))
    replicates = np.array(
        [statistics(generator.multinomial(circuits, np.full(circuits, 1 / circuits)).astype(float)) for _ in range(resamples)]
    )
    low, high = np.percentile(replicates, PERCENTILES, axis=0)

    def intervals(kind: int, chosen: Sequence[str]) -> dict[str, dict[str, Interval]]:
        return {
            name: {
                outcome: Interval(value=float(values[index]), low=float(low[index]), high=float(high[index]))
                for column, outcome in enumerate(outcomes)
                for index in [(kind, names.index(name), column)]
            }
            for name in chosen
        }

    return Correlations(raw=intervals(0, names), partial=intervals(1, [name for name in names if name not in conditions]))


def dense_ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the ranks 0, 1, 2, … (n,) of values; equal values share a rank."""
    # Accuracies are sums of counts: smaller differences are rounding errors.
    ranks: NDArray[np.int64] = np.unique(values.round(9), return_inverse=True)[1]
    return ranks


def rank_covariance(columns: Sequence[NDArray[np.int64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance matrix of the ranks of columns (n,) of dense ranks, in which a row counts `weights` times."""
    ranks = np.stack([_mean_ranks(column, weights) for column in columns], axis=1)
    centred = ranks - weights @ ranks / weights.sum()
    covariance: NDArray[np.float64] = centred.T @ (weights[:, np.newaxis] * centred) / weights.sum()
    return covariance


def _mean_ranks(column: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks in which equal values share their mean rank."""
    counts = np.bincount(column, weights)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - counts / 2)[column]
    return ranks


def given(covariance: NDArray[np.float64], conditions: Sequence[int]) -> NDArray[np.float64]:
    """Return the covariance matrix of the residuals after linear regression on some of the variables."""
    # The pseudo-inverse allows conditions that are constant in a group.
    cross = covariance[:, conditions]
    residual: NDArray[np.float64] = covariance - cross @ np.linalg.pinv(covariance[np.ix_(conditions, conditions)]) @ cross.T
    return residual


def _scaled(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation matrix; 0 for variables without variance."""
    variances = np.diag(covariance)
    # Residuals of the conditions themselves are rounding errors.
    positive = variances > 1e-9 * variances.max()
    scale = np.where(positive, 1 / np.sqrt(np.where(positive, variances, 1)), 0)
    scaled: NDArray[np.float64] = covariance * scale * scale[:, np.newaxis]
    return scaled


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of two columns (n,); 0 if one is constant."""
    return float(_scaled(rank_covariance([dense_ranks(a), dense_ranks(b)], np.ones(len(a))))[0, 1])


def ceiling(table: Table, rows: NDArray[np.int64], part: str, epochs: int) -> float:
    """Return the maximum that the variance between random seeds allows a rank correlation with mean accuracy.

    It is the root of the reliability of the mean, which follows from the correlation of two halves of the seeds by the
    Spearman-Brown formula. For an odd number of seeds the halves are unequal, and it is slightly underestimated.
    """
    halves = Halves.of(np.arange(len(table.seeds)), len(table.seeds)).some
    right = table.right(part, epochs)[rows]
    pairs = zip((right @ halves.choosing).T, (right @ halves.judging).T, strict=True)
    # Spearman-Brown assumes Pearson's correlation, from which that of ranks differs little here.
    agreement = float(np.mean([spearman(a.astype(float), b.astype(float)) for a, b in pairs]))
    return float(np.sqrt(2 * agreement / (1 + agreement)))
