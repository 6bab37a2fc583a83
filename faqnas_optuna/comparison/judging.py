"""Searchers held against each other by what the circuits that they choose are, not by what they believe of them.

Of each search the front that it believes in is taken, and each circuit of it is judged by the test accuracies of trainings that
the search has not seen. What counts is the *achieved* hypervolume: whoever has so many quantum FLOPs takes the best that the
front promises for them, and gets what that is. It is the hypervolume of (log₁₀ FLOPs, error) with the truth in place of the
promise. The front of the true values of what was chosen would flatter: it chooses the luckier ones once more.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import optuna

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.replay import FrontCircuit, SearchTrace, TrainingBudget, estimated_front, replay, seeds_of
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.study.pareto import BOX_MARGIN
from faqnas_optuna.training.statistics import Comparison, compare, holm, mean_interval
from faqnas_optuna.workers.pool import shared_out

LOOKS = 16
"""How often in its course a search is judged, at equal steps of its budget."""
WITHIN = 0.01
"""How far below the best that is promised the cheapest circuit may be."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What has become of a search."""

    achieved_hypervolume: tuple[float, ...]
    """The achieved_hypervolume share after each of `LOOKS` parts of the budget, the last at its end."""
    estimated_hypervolume: float
    """What it would be if all circuits were what they promise."""
    optimism: float
    """Of the circuit that promises most, by how much its validation accuracy was better than by the trainings not seen."""
    best: float
    """The test accuracy of that."""
    cheapest_within_tolerance: float
    """The test accuracy of the cheapest that promises no more than `WITHIN` less."""
    cheapest_within_tolerance_flops: int
    front: int
    circuits: int
    """That were trained."""
    trainings: int
    spent: float
    """Of the budget: less than all of it if nothing new was suggested."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """All searches of all searchers."""

    judged: dict[str, tuple[Judged, ...]]
    """By searcher, search by search."""

    def final(self, name: str) -> list[float]:
        """The achieved_hypervolume share of each search at its end."""
        return [one.achieved_hypervolume[-1] for one in self.judged[name]]

    def against(self, reference: str) -> dict[str, tuple[Comparison, float]]:
        """Each other searcher held against one: pair by pair, with its p by Holm."""
        others = [name for name in self.judged if name != reference]
        found = [compare(self.final(name), self.final(reference)) for name in others]
        adjusted = holm([one.p for one in found])
        return {name: (one, p) for name, one, p in zip(others, found, adjusted, strict=True)}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of values with its 95 % t interval; of a single one the value itself."""
    mean = fmean(values)
    return (mean, *mean_interval(mean, stdev(values), len(values))) if len(values) > 1 else (mean, mean, mean)


def run_contest(
    names: Sequence[str],
    benchmark: Benchmark,
    budget: TrainingBudget,
    *,
    searches: int,
    processes: int,
    on_done: Callable[[int], None] = lambda done: None,
) -> Contest:
    """Run and judge every search.

    Args:
        names: Searchers.
        searches: Number of searches of each searcher.
        on_done: Called with the number of searches that have ended, first with 0.

    Raises:
        WorkerDiedError: A process has ended before its search.
    """
    tasks = [(name, seed) for seed in range(searches) for name in names]
    found: dict[tuple[str, int], Judged] = {}
    on_done(0)
    for task, judged in shared_out(_search, (benchmark, budget), tasks, processes=processes):
        found[task] = judged
        on_done(len(found))
    return Contest(judged={name: tuple(found[name, seed] for seed in range(searches)) for name in names})


def _search(shared: tuple[Benchmark, TrainingBudget], task: tuple[str, int]) -> tuple[tuple[str, int], Judged]:
    """Run and judge one search, in a process of its own; return it with its task, a searcher and a seed."""
    (benchmark, budget), (name, seed) = shared, task
    # Who starts a study in memory is told so, in every process anew.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trace = replay(searcher(name), benchmark, budget, seed=seed)
    return task, judge(trace, benchmark, budget)


def judge(trace: SearchTrace, benchmark: Benchmark, budget: TrainingBudget) -> Judged:
    """Judge a search by the trainings that it has not seen at all."""
    trainings = Counter(benchmark.effective[step.row] for step in trace.steps if step.value is not None)

    def truth(value: Callable[[int, int], float], one: FrontCircuit) -> float:
        effective = benchmark.effective[one.row]
        unseen = seeds_of(benchmark, effective, search=trace.seed)[trainings[effective] :]
        return fmean(value(effective, int(seed)) for seed in unseen)

    looks = [estimated_front(trace, benchmark, spent=budget.amount * part / LOOKS) for part in range(1, LOOKS + 1)]
    # The last training may have cost more than was left.
    end = estimated_front(trace, benchmark, spent=math.inf)
    shares = [
        achieved_hypervolume(front, [truth(benchmark.test, one) for one in front], benchmark.flops_range)
        for front in (*looks[:-1], end)
    ]
    best = max(end, key=lambda one: one.search_estimate)
    cheapest_within_tolerance = next(one for one in end if one.search_estimate >= best.search_estimate - WITHIN)
    return Judged(
        achieved_hypervolume=tuple(shares),
        estimated_hypervolume=achieved_hypervolume(end, [one.search_estimate for one in end], benchmark.flops_range),
        optimism=best.search_estimate - truth(benchmark.validation, best),
        best=truth(benchmark.test, best),
        cheapest_within_tolerance=truth(benchmark.test, cheapest_within_tolerance),
        cheapest_within_tolerance_flops=cheapest_within_tolerance.flops,
        front=len(end),
        circuits=len({benchmark.effective[step.row] for step in trace.steps}),
        trainings=trace.trainings,
        spent=trace.steps[-1].spent,
    )


def achieved_hypervolume(front: Sequence[FrontCircuit], accuracies: Sequence[float], flops_range: tuple[int, int]) -> float:
    """The share of the box of (log₁₀ quantum FLOPs, accuracy) below what one gets who goes by a front.

    Args:
        front: from the cheapest.
        accuracies: of its circuits.
        flops_range: quantum FLOPs of the cheapest and the dearest circuit; the box ends at `BOX_MARGIN` times the latter.
    """
    cheapest, dearest = flops_range
    width = math.log10(BOX_MARGIN * dearest / cheapest)
    places = [math.log10(one.flops / cheapest) / width for one in front]
    ends = [*places, 1.0][1:]
    return sum((end - begin) * accuracy for begin, end, accuracy in zip(places, ends, accuracies, strict=True))
