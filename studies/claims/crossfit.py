"""Cross-fitting: circuits are selected by half of a table's seeds and judged by the other half, which avoids selection bias.

For each number of quantum FLOPs the most accurate circuit of at most this cost is selected by the validation part and one half
of the seeds, and judged by the test part and the other half. Results are means over all ways to halve the seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import Table
from faqnas_optuna.study.pareto import BOX_MARGIN
from faqnas_optuna.training.statistics import kendall_tau
from studies.claims.intervals import Interval, jackknife

SOME_SPLITS = 8
"""Number of ways to halve the seeds for which rankings are compared: this is slow, and the results differ little."""


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Ways to halve some seeds of a table; of an odd number the smaller half selects."""

    choosing: NDArray[np.int64]
    """(seeds, splits) 1 where a seed selects in a split, else 0."""
    judging: NDArray[np.int64]
    """(seeds, splits) 1 where a seed judges in a split, else 0."""

    @classmethod
    def of(cls, seeds: NDArray[np.int64], total: int) -> "Halves":
        """Return all ways to halve some seeds.

        Args:
            seeds: Indices of the seeds; the others neither select nor judge.
            total: Number of seeds of the table.
        """
        selecting = np.array([*combinations(seeds, len(seeds) // 2)]).T
        choosing, judging = np.zeros((2, total, selecting.shape[1]), np.int64)
        np.put_along_axis(choosing, selecting, 1, axis=0)
        judging[seeds] = 1 - choosing[seeds]
        return cls(choosing=choosing, judging=judging)

    @property
    def some(self) -> "Halves":
        """Up to `SOME_SPLITS` of the splits, evenly spread."""
        # Rounded up, so that at most this number remains.
        step = -(-self.choosing.shape[1] // SOME_SPLITS)
        return Halves(choosing=self.choosing[:, ::step], judging=self.judging[:, ::step])


class CircuitsByCost:
    """Circuits of a table, ordered by quantum FLOPs.

    A price is one of the distinct numbers of quantum FLOPs.
    """

    def __init__(self, table: Table) -> None:
        self.seeds = len(table.seeds)
        costs = table.column("quantum_flops_profiler").astype(np.int64)
        self.flops, firsts = np.unique(np.sort(costs), return_index=True)
        """(prices,) distinct quantum FLOPs, ascending."""
        # The box of hypervolumes reaches a little beyond the most expensive circuit.
        ends = np.log10(np.append(self.flops, BOX_MARGIN * self.flops[-1]))
        self.widths: NDArray[np.float64] = np.diff(ends) / (ends[-1] - ends[0])
        """(prices,) fraction of the axis of log₁₀ quantum FLOPs from each price to the next, with the ends of hypervolumes."""
        self._table = table
        # Row numbers by cost, ties in the order of the table; `_lasts` has the last place of each price in this order.
        self._order = np.argsort(costs, kind="stable")
        self._lasts = np.append(firsts[1:], len(costs)) - 1
        # Circuits that differ only in inert gates share one trained network.
        networks, self._trained = np.unique(table.column("trained"), return_inverse=True)
        self._networks = np.array([table.index(network) for network in networks.tolist()])

    def choose(self, epochs: int, seeds: NDArray[np.int64], among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return the rows of the most accurate circuits of at most each price; ties go to the cheapest, then to the first.

        Args:
            epochs: Number of epochs of the trainings that select.
            seeds: (seeds, k) 1 for each seed that selects, else 0.
            among: (rows, k) circuits that can be selected, by default all; at a price without any, the result is another row.

        Returns:
            (prices, k) rows of the table.
        """
        # Numbers of correct answers from the cheapest circuit on, and their running maximum.
        right = self._table.right("validation", epochs) @ seeds
        if among is not None:
            right = np.where(among, right, -1)
        right = right[self._order]
        best = np.maximum.accumulate(right, axis=0)
        improves = np.ones(right.shape, np.bool_)
        improves[1:] = best[1:] > best[:-1]
        # The last place that improved, which is the first to reach the maximum.
        places = np.maximum.accumulate(np.where(improves, np.arange(len(right))[:, np.newaxis], 0), axis=0)
        rows: NDArray[np.int64] = self._order[places[self._lasts]]
        return rows

    def judge(self, rows: NDArray[np.int64], epochs: int, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean test accuracies (prices, k) of the selected circuits.

        Args:
            rows: (prices, k) rows of the table.
            epochs: Number of epochs of the trainings that judge.
            seeds: (seeds, k) 1 for each seed that judges, else 0.
        """
        # Numbers of correct answers are summed over the seeds that judge: their share is a mean accuracy.
        shares = seeds / (seeds.sum(axis=0) * self._table.document["sizes"]["test"])
        return np.take_along_axis(self._table.right("test", epochs) @ shares, rows, axis=0)

    def overlap(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> float:
        """Return the mean fraction of the networks of a front (prices, k) that are on another front, too."""
        # One circuit is the best at several prices: a front is the set of them.
        pairs = zip(self._trained[rows].T, self._trained[others].T, strict=True)
        return float(np.mean([np.isin(np.unique(front), other).mean() for front, other in pairs]))

    def tau(self, epochs: int, halves: Halves, judged: int) -> float:
        """Return the mean of Kendall's τ-b between rankings of all networks, over ways to halve the seeds.

        One half ranks by trainings of `epochs`, the other by trainings of `judged` epochs. A constant ranking counts as zero.
        """
        rankings = self._table.right("validation", epochs)[self._networks] @ halves.choosing
        others = self._table.right("validation", judged)[self._networks] @ halves.judging
        return float(np.mean([kendall_tau(a, b) or 0.0 for a, b in zip(rankings.T, others.T, strict=True)]))


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """Growth of accuracy with quantum FLOPs up to a threshold, by the best fit of a line that is level beyond it."""

    flops: Interval
    """Threshold in quantum FLOPs."""
    flops_share: Interval
    """Threshold, divided by the quantum FLOPs of the most expensive circuit."""
    rise: Interval
    """Gain in accuracy from the cheapest circuit to the one selected at the threshold."""
    beyond: Interval
    """Gain in accuracy from the threshold to the circuit selected without a limit."""
    quantum_ratio: Interval
    """Quantum FLOPs of the most expensive selected circuit, divided by those of the cheapest."""
    classical_ratio: Interval
    """Ratio of the classical FLOPs of these two circuits."""
    curve: NDArray[np.float64]
    """(prices,) mean accuracy of the circuits selected at each price."""
    line: NDArray[np.float64]
    """(prices,) fitted line."""
    classical_flops: NDArray[np.float64]
    """(prices,) mean classical FLOPs of the circuits selected at each price."""


def saturation(by_cost: CircuitsByCost, table: Table, epochs: int) -> Saturation:
    """Return the selection at each price and the fit of accuracy = a + b · min(log₁₀ FLOPs, threshold) by least squares."""
    x = np.log10(by_cost.flops)
    costs = [table.column(name) for name in ("quantum_flops_profiler", "classical_flops")]

    def select(seeds: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
        halves = Halves.of(seeds, by_cost.seeds)
        rows = by_cost.choose(epochs, halves.choosing)
        ratios = [float(np.log10(cost[rows[-1]] / cost[rows[0]]).mean()) for cost in costs]
        return by_cost.judge(rows, epochs, halves.judging).mean(axis=1), costs[1][rows].mean(axis=1), ratios

    # Without the seed that the jackknife leaves out, which neither selects nor judges.
    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        curve, _, ratios = select(seeds)
        place = knee(x, by_cost.widths, curve)
        return np.array([x[place], curve[place] - curve[0], curve[-1] - curve[place], *ratios])

    # Ratios and thresholds are positive: their intervals are computed on the log scale.
    flops, rise, beyond, quantum, classical = jackknife(statistics, by_cost.seeds)
    curve, classical_flops, _ = select(np.arange(by_cost.seeds))
    return Saturation(
        flops=flops.mapped(_power),
        flops_share=flops.mapped(lambda power: _power(power) / int(by_cost.flops[-1])),
        rise=rise,
        beyond=beyond,
        quantum_ratio=quantum.mapped(_power),
        classical_ratio=classical.mapped(_power),
        curve=curve,
        classical_flops=classical_flops,
        line=levelled(x, by_cost.widths, curve, knee(x, by_cost.widths, curve)),
    )


def _power(logarithm: float) -> float:
    return float(10**logarithm)


def knee(x: NDArray[np.float64], weights: NDArray[np.float64], curve: NDArray[np.float64]) -> int:
    """Return the index on the axis (n,) of the threshold at which min(x, threshold) fits a curve (n,) best.

    >>> import numpy as np
    >>> knee(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 0.25), np.array([0.5, 0.7, 0.7, 0.7]))
    1

    Args:
        weights: (n,) weights of the squared errors, which sum to one.
    """
    # Each row is a candidate; the best one explains most of the curve's variance after both are centred.
    lines = np.minimum(x, x[1:, np.newaxis])
    lines = lines - (lines @ weights)[:, np.newaxis]
    explained = (lines @ (weights * curve)) ** 2 / (lines**2 @ weights)
    return int(explained.argmax()) + 1


def levelled(
    x: NDArray[np.float64], weights: NDArray[np.float64], curve: NDArray[np.float64], place: int
) -> NDArray[np.float64]:
    """Return the fitted line (n,) whose threshold is the index `place`."""
    # Weighted least squares with one regressor: after centring, the slope is a ratio of inner products.
    line = np.minimum(x, x[place])
    line = line - weights @ line
    fitted: NDArray[np.float64] = weights @ curve + line * ((weights * line) @ curve / (weights @ line**2))
    return fitted


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of selections after few and after many epochs."""

    tau: Interval
    """Kendall's τ-b between rankings of all networks by few and by many epochs, from different seeds."""
    tau_alike: Interval
    """Kendall's τ-b if both rankings are by many epochs: the maximum that seed variance allows."""
    overlap: Interval
    """Fraction of the front after few epochs that is on the front after many epochs, from different seeds."""
    overlap_alike: Interval
    """The fraction if both fronts are after many epochs."""
    regret: Interval
    """Loss in accuracy after many epochs by selecting after few, averaged over the axis of log₁₀ quantum FLOPs."""


def agreements(by_cost: CircuitsByCost, few: Sequence[int], many: int) -> dict[int, Agreement]:
    """Compare selections after few epochs with those after many; trainings of many epochs judge both."""
    epoch_counts = (*few, many)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        halves = Halves.of(seeds, by_cost.seeds)
        fronts = [by_cost.choose(epochs, halves.choosing) for epochs in epoch_counts]
        # The front of the judging half shares no training with the others.
        others = by_cost.choose(many, halves.judging)
        accuracies = [float(by_cost.widths @ by_cost.judge(rows, many, halves.judging).mean(axis=1)) for rows in fronts]
        taus = [by_cost.tau(epochs, halves.some, many) for epochs in epoch_counts]
        overlaps = [by_cost.overlap(rows, others) for rows in fronts]
        return np.array([*taus, *overlaps, *(accuracies[-1] - accuracy for accuracy in accuracies)])

    intervals = jackknife(statistics, by_cost.seeds)
    n = len(epoch_counts)
    taus, overlaps, regrets = (intervals[start : start + n] for start in (0, n, 2 * n))
    # The last interval of each kind compares many epochs with themselves: the best value that the others can reach.
    return {
        epochs: Agreement(tau=tau, tau_alike=taus[-1], overlap=overlap, overlap_alike=overlaps[-1], regret=regret)
        for epochs, tau, overlap, regret in zip(few, taus, overlaps, regrets, strict=False)
    }
