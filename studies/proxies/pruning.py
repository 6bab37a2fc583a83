"""Simulation of a stage before a race that drops the worse half of the circuits by a proxy.

The stage keeps half of the effective circuits, those with the higher values of the proxy. The most accurate circuit of at most
each price is then selected among them as in `studies.claims.crossfit`: by the validation part and one half of the seeds; the
test part and the other half judge it. The regret is the loss of achieved hypervolume compared with a selection among all
circuits, where a price without a circuit has an accuracy of 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import Table
from studies.claims.crossfit import CircuitsByCost, Halves
from studies.claims.intervals import Interval, jackknife

RANDOM = "random"
"""Name of the stage that drops a random half, the baseline of a useful proxy."""
RANDOM_STAGES = 10
"""Number of random stages over which the results are averaged."""
FEWEST_FLOPS = "fewest FLOPs"
"""Name of the stage that keeps the cheaper half, which a proxy that is smaller for deeper circuits may imitate."""
ONE_EPOCH = "one epoch"
"""Name of the stage that trains each circuit for one epoch from one of the seeds that select."""


class Scope(StrEnum):
    """Circuits of which a stage drops the worse half."""

    SPACE = "space"
    """All circuits together."""
    QUBITS = "qubits"
    """The circuits of each number of qubits separately, so that circuits of all costs remain."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Result of a stage."""

    front_lost: float
    """Fraction of the networks on the front by the mean validation accuracy over all seeds that are dropped."""
    regret: Interval
    """Loss of achieved hypervolume, with the jackknife's interval over the seeds."""
    beyond_random: Interval
    """Regret minus that of the random stages, whose interval is paired by seeds."""


def simulate(
    table: Table,
    epochs: int,
    proxies: Mapping[str, NDArray[np.float64]],
    qubits: NDArray[np.int64],
    networks: NDArray[np.int64],
) -> dict[Scope, dict[str, Stage]]:
    """Return the results of stages by each proxy, by one epoch of training, and at random.

    Args:
        proxies: (networks,) values for each effective circuit; the higher are kept.
        qubits: (networks,) numbers of qubits.
        networks: (rows,) index of the effective circuit of each row of the table.
    """
    groups = {Scope.SPACE: np.zeros_like(qubits), Scope.QUBITS: qubits}
    return {scope: _simulate(table, epochs, proxies, groups[scope], networks) for scope in Scope}


def _simulate(
    table: Table,
    epochs: int,
    proxies: Mapping[str, NDArray[np.float64]],
    groups: NDArray[np.int64],
    networks: NDArray[np.int64],
) -> dict[str, Stage]:
    """Return the results of the stages that drop the worse half of each group."""
    by_cost = CircuitsByCost(table)
    fixed = {name: better_half(values, groups) for name, values in proxies.items()}
    # Several random halves, since the regret of a single one depends on a few circuits of the front.
    generator = np.random.default_rng(0)
    random = [better_half(generator.random(len(groups)), groups) for _ in range(RANDOM_STAGES)]
    # All rows of a network have the same trainings: the first one represents it.
    rows = np.unique(networks, return_index=True)[1]
    # (networks, seeds)
    after_one = table.right("validation", table.epochs[0])[rows].astype(np.float64)
    trained = np.stack([better_half(values, groups) for values in after_one.T], axis=1)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        halves = Halves.of(seeds, by_cost.seeds).some
        # The stage by training uses the first of the seeds that select, so that it shares no training with those that judge.
        by_training = trained[:, halves.choosing.argmax(axis=0)]
        masks = [mask[:, np.newaxis] for mask in (*fixed.values(), *random)]
        regrets = regrets_of(by_cost, epochs, halves, [*masks, by_training], networks)
        # Differences are taken before the jackknife, so that what all stages share does not widen their intervals.
        baseline = regrets[len(fixed) : -1].mean()
        results = np.array([*regrets[: len(fixed)], baseline, regrets[-1]])
        return np.concatenate([results, results - baseline])

    front = networks[[table.index(entry.circuit) for entry in table.front(epochs)]]
    lost = {name: float(np.mean(~mask[front])) for name, mask in fixed.items()}
    lost[RANDOM] = float(np.mean([~mask[front] for mask in random]))
    lost[ONE_EPOCH] = float(np.mean(~trained[front]))
    intervals = jackknife(statistics, by_cost.seeds)
    pairs = zip(intervals[: len(lost)], intervals[len(lost) :], strict=True)
    return {
        name: Stage(front_lost=lost[name], regret=regret, beyond_random=beyond)
        for name, (regret, beyond) in zip(lost, pairs, strict=True)
    }


def better_half(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which items (n,) are in the better half of their group, rounded up; ties go to the first."""
    mask = np.zeros(len(values), np.bool_)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        order = members[np.argsort(-values[members], kind="stable")]
        mask[order[: -(-len(order) // 2)]] = True
    return mask


def regrets_of(
    by_cost: CircuitsByCost,
    epochs: int,
    halves: Halves,
    masks: list[NDArray[np.bool_]],
    networks: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the mean loss of achieved hypervolume (masks,) by a selection among the circuits of each mask.

    Args:
        masks: (networks, 1) or (networks, splits) effective circuits that a stage keeps.
    """

    def achieved(among: NDArray[np.bool_] | None) -> float:
        rows = by_cost.choose(epochs, halves.choosing, among)
        accuracies = by_cost.judge(rows, epochs, halves.judging)
        # A dropped circuit is selected only where the stage leaves none.
        if among is not None:
            accuracies = accuracies * np.take_along_axis(np.broadcast_to(among, (len(among), rows.shape[1])), rows, axis=0)
        return float((by_cost.widths @ accuracies).mean())

    complete = achieved(None)
    return np.array([complete - achieved(mask[networks]) for mask in masks])
