"""What one gets who chooses circuits by half of a table's seeds: the other half tells, and so no choice flatters itself.

For every number of quantum FLOPs the most accurate circuit is chosen that costs no more, by the validation part and one half of
the seeds, and judged by the test part and the other half. What is told is the mean over all ways to halve the seeds.
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
"""Of which rankings are compared: that takes long, and they differ little."""


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Ways to halve some seeds of a table; of an odd number the lesser half chooses."""

    choosing: NDArray[np.int64]
    """(seeds, splits) one for each seed that chooses."""
    judging: NDArray[np.int64]
    """(seeds, splits) one for each that judges."""

    @classmethod
    def of(cls, seeds: NDArray[np.int64], total: int) -> "Halves":
        """All ways to halve some of a total."""
        chosen = np.array([*combinations(seeds, len(seeds) // 2)]).T
        choosing, judging = np.zeros((2, total, chosen.shape[1]), np.int64)
        np.put_along_axis(choosing, chosen, 1, axis=0)
        judging[seeds] = 1 - choosing[seeds]
        return cls(choosing=choosing, judging=judging)

    @property
    def some(self) -> "Halves":
        """A few of them, evenly spread."""
        step = -(-self.choosing.shape[1] // SOME_SPLITS)
        return Halves(choosing=self.choosing[:, ::step], judging=self.judging[:, ::step])


class CircuitsByCost:
    """A table's circuits by price."""

    def __init__(self, table: Table) -> None:
        self.seeds = len(table.seeds)
        costs = table.column("quantum_flops_profiler").astype(np.int64)
        self.flops, firsts = np.unique(np.sort(costs), return_index=True)
        """(prices,) what circuits cost, from the cheapest."""
        ends = np.log10(np.append(self.flops, BOX_MARGIN * self.flops[-1]))
        self.widths: NDArray[np.float64] = np.diff(ends) / (ends[-1] - ends[0])
        """(prices,) the share of the axis of log₁₀ quantum FLOPs from each to the next, as hypervolumes have it."""
        self._table = table
        self._order = np.argsort(costs, kind="stable")
        self._lasts = np.append(firsts[1:], len(costs)) - 1
        networks, self._trained = np.unique(table.column("trained"), return_inverse=True)
        self._networks = np.array([table.index(network) for network in networks.tolist()])

    def choose(self, epochs: int, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of the most accurate circuits for each price; of equals the cheapest, and of these the first.

        Args:
            epochs: after which is chosen.
            seeds: (seeds, k) one for each seed that chooses.

        Returns:
            (prices, k)
        """
        right = (self._table.right("validation", epochs) @ seeds)[self._order]
        most = np.maximum.accumulate(right, axis=0)
        gains = np.ones(right.shape, np.bool_)
        gains[1:] = most[1:] > most[:-1]
        places = np.maximum.accumulate(np.where(gains, np.arange(len(right))[:, np.newaxis], 0), axis=0)
        rows: NDArray[np.int64] = self._order[places[self._lasts]]
        return rows

    def judge(self, rows: NDArray[np.int64], epochs: int, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        """(prices, k) the mean test accuracies of what was chosen.

        Args:
            rows: (prices, k) of the table.
            epochs: after which is judged.
            seeds: (seeds, k) one for each seed that judges.
        """
        shares = seeds / (seeds.sum(axis=0) * self._table.document["sizes"]["test"])
        return np.take_along_axis(self._table.right("test", epochs) @ shares, rows, axis=0)

    def overlap(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> float:
        """The mean share of a front (prices, k) whose networks are on another front."""
        pairs = zip(self._trained[rows].T, self._trained[others].T, strict=True)
        return float(np.mean([np.isin(np.unique(front), other).mean() for front, other in pairs]))

    def tau(self, epochs: int, halves: Halves, judged: int) -> float:
        """The mean of Kendall's τ-b over ways to halve: one half ranks all networks, the other does after other epochs.

        Zero where a half ranks all alike.
        """
        rankings = self._table.right("validation", epochs)[self._networks] @ halves.choosing
        others = self._table.right("validation", judged)[self._networks] @ halves.judging
        return float(np.mean([kendall_tau(a, b) or 0.0 for a, b in zip(rankings.T, others.T, strict=True)]))


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """How accuracy rises with quantum FLOPs, and where it becomes level, by the best fit of a line that goes on level."""

    flops: Interval
    """Up to which it rises."""
    flops_share: Interval
    """The same by the quantum FLOPs of the dearest circuit."""
    rise: Interval
    """In accuracy, from the cheapest circuit to what is chosen there."""
    beyond: Interval
    """In accuracy, from there to what is chosen at any price."""
    quantum_ratio: Interval
    """The quantum FLOPs of the dearest circuit that is chosen, by those of the cheapest."""
    classical_ratio: Interval
    """The same of the classical FLOPs."""
    curve: NDArray[np.float64]
    """(prices,) accuracy of what is chosen for each price."""
    line: NDArray[np.float64]
    """(prices,) what was fitted."""
    classical_flops: NDArray[np.float64]
    """(prices,) those of what is chosen, on average."""


def saturation(by_cost: CircuitsByCost, table: Table, epochs: int) -> Saturation:
    """What is chosen at each price, and accuracy = a + b · min(log₁₀ FLOPs, knee) by least squares over that axis."""
    x, costs = np.log10(by_cost.flops), [table.column(name) for name in ("quantum_flops_profiler", "classical_flops")]

    def chosen(seeds: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
        halves = Halves.of(seeds, by_cost.seeds)
        rows = by_cost.choose(epochs, halves.choosing)
        ratios = [float(np.log10(cost[rows[-1]] / cost[rows[0]]).mean()) for cost in costs]
        return by_cost.judge(rows, epochs, halves.judging).mean(axis=1), costs[1][rows].mean(axis=1), ratios

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        curve, _, ratios = chosen(seeds)
        place = knee(x, by_cost.widths, curve)
        return np.array([x[place], curve[place] - curve[0], curve[-1] - curve[place], *ratios])

    flops, rise, beyond, quantum, classical = jackknife(statistics, by_cost.seeds)
    curve, classical_flops, _ = chosen(np.arange(by_cost.seeds))
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
    """The place on the axis (n,) from which on a line is level that fits a curve (n,) best, by least squares.

    Args:
        weights: (n,) they sum to one.
    """
    lines = np.minimum(x, x[1:, np.newaxis])
    lines = lines - (lines @ weights)[:, np.newaxis]
    explained = (lines @ (weights * curve)) ** 2 / (lines**2 @ weights)
    return int(explained.argmax()) + 1


def levelled(
    x: NDArray[np.float64], weights: NDArray[np.float64], curve: NDArray[np.float64], place: int
) -> NDArray[np.float64]:
    """(n,) that line."""
    line = np.minimum(x, x[place])
    line = line - weights @ line
    fitted: NDArray[np.float64] = weights @ curve + line * ((weights * line) @ curve / (weights @ line**2))
    return fitted


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Whether few epochs choose what many would."""

    tau: Interval
    """Kendall's τ-b of the rankings of all networks, each by other seeds."""
    tau_alike: Interval
    """The same if both rank after many epochs: as much as luck allows."""
    overlap: Interval
    """The share of the front that is on the front by other seeds after many epochs."""
    overlap_alike: Interval
    """The same if both are of many."""
    regret: Interval
    """How much less accurate after many epochs is what few choose, over the axis of log₁₀ quantum FLOPs."""


def agreements(by_cost: CircuitsByCost, few: Sequence[int], many: int) -> dict[int, Agreement]:
    """Hold what is chosen after few epochs against what is chosen after many, both judged after many."""
    kinds = (*few, many)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        halves = Halves.of(seeds, by_cost.seeds)
        fronts = [by_cost.choose(epochs, halves.choosing) for epochs in kinds]
        others = by_cost.choose(many, halves.judging)
        worth = [float(by_cost.widths @ by_cost.judge(rows, many, halves.judging).mean(axis=1)) for rows in fronts]
        taus = [by_cost.tau(epochs, halves.some, many) for epochs in kinds]
        return np.array([*taus, *(by_cost.overlap(rows, others) for rows in fronts), *(worth[-1] - one for one in worth)])

    found = jackknife(statistics, by_cost.seeds)
    taus, overlaps, regrets = (found[place * len(kinds) : (place + 1) * len(kinds)] for place in range(3))
    return {
        epochs: Agreement(tau=tau, tau_alike=taus[-1], overlap=overlap, overlap_alike=overlaps[-1], regret=regret)
        for epochs, tau, overlap, regret in zip(few, taus, overlaps, regrets, strict=False)
    }
