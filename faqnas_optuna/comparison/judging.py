"""Comparison of search algorithms by the true values of the circuits that they recommend.

The circuits on the front of a search, by the search's own estimates, are judged by the test accuracies of trainings that the
search has not seen. The criterion is the *achieved* hypervolume: at each budget of quantum FLOPs a user takes the circuit that
the front recommends, and gets its true accuracy. It is the hypervolume in (log₁₀ FLOPs, error) with true errors in place of
estimated ones, but on the front of the estimates. The front of the true values would be optimistically biased, since it selects
circuits once more by the values that judge them.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import optuna

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.raced import replay_race
from faqnas_optuna.comparison.replay import FrontCircuit, SearchTrace, TrainingBudget, estimated_front, replay
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.study.pareto import BOX_MARGIN
from faqnas_optuna.training.statistics import Comparison, compare, holm, mean_interval
from faqnas_optuna.workers.pool import shared_out

LOOKS = 16
"""Number of times that a search is judged, at equal steps of its budget."""
WITHIN = 0.01
"""Tolerance in accuracy below the best search estimate, for the choice of a cheaper circuit."""


@dataclass(frozen=True, kw_only=True)
class JudgedSearch:
    """The results of a search, judged by trainings that it has not seen."""

    achieved_hypervolume: tuple[float, ...]
    """Achieved hypervolume at each of `LOOKS` parts of the budget, the last at the end."""
    estimated_hypervolume: float
    """Hypervolume by the search's own estimates."""
    optimism: float
    """Overestimate of the circuit with the best search estimate: its estimate minus its mean unseen validation accuracy."""
    best: float
    """Test accuracy of the circuit with the best search estimate."""
    cheapest_within_tolerance: float
    """Test accuracy of the cheapest circuit whose search estimate is at most `WITHIN` below the best."""
    cheapest_within_tolerance_flops: int
    """Quantum FLOPs of that circuit."""
    front: int
    """Number of circuits on the front."""
    circuits: int
    """Number of effective circuits that were trained."""
    trainings: int
    spent: float
    """Part of the budget that was spent; less than the budget if the search suggested hardly anything new."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Judged searches of several search algorithms."""

    searches: dict[str, tuple[JudgedSearch, ...]]
    """Searches by the name of the algorithm, in the order of their seeds."""

    def final(self, name: str) -> list[float]:
        """Return the achieved hypervolume at the end of each search of an algorithm."""
        return [search.achieved_hypervolume[-1] for search in self.searches[name]]

    def comparisons_with(self, reference: str) -> dict[str, tuple[Comparison, float]]:
        """Return the paired comparison of every other algorithm with a reference, and its p with Holm's correction."""
        # Searches with one seed form a pair: they see the trainings of each circuit in the same order.
        others = [name for name in self.searches if name != reference]
        comparisons = [compare(self.final(name), self.final(reference)) for name in others]
        corrected = holm([comparison.p for comparison in comparisons])
        return {name: (comparison, p) for name, comparison, p in zip(others, comparisons, corrected, strict=True)}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of values and the ends of its 95 % t interval, which equal the mean for a single value."""
    mean = fmean(values)
    # A single search has no spread; its document and figure have the same form all the same.
    if len(values) == 1:
        return mean, mean, mean
    low, high = mean_interval(mean, stdev(values), len(values))
    return mean, low, high


def run_contest(
    names: Sequence[str],
    benchmark: Benchmark,
    budget: TrainingBudget,
    *,
    searches: int,
    processes: int,
    on_done: Callable[[int], None] = lambda count: None,
) -> Contest:
    """Run and judge all searches in worker processes.

    Args:
        names: Search algorithms, as `searcher` takes them.
        benchmark: Source of the values.
        budget: Budget of each search.
        searches: Number of searches per algorithm, with the seeds 0, 1, ….
        processes: Number of worker processes.
        on_done: Callback with the number of finished searches, called first with 0.

    Raises:
        WorkerDiedError: A worker process died.
    """
    # Seed by seed, so that slow algorithms are spread over the whole time and no process ends up with all of them.
    tasks = [(name, seed) for seed in range(searches) for name in names]
    results: dict[tuple[str, int], JudgedSearch] = {}
    on_done(0)
    for task, result in shared_out(_search, (benchmark, budget), tasks, processes=processes):
        results[task] = result
        on_done(len(results))
    return Contest(searches={name: tuple(results[name, seed] for seed in range(searches)) for name in names})


def _search(shared: tuple[Benchmark, TrainingBudget], task: tuple[str, int]) -> tuple[tuple[str, int], JudgedSearch]:
    """Run and judge one search in a worker process, and return it with its task, the name of an algorithm and a seed."""
    benchmark, budget = shared
    name, seed = task
    # Optuna logs the creation of every study in memory; the level is set here, since workers do not inherit it.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    algorithm = searcher(name)
    if algorithm.sampler is None:
        trace = replay_race(name, benchmark, budget, seed=seed)
    else:
        trace = replay(algorithm, benchmark, budget, seed=seed)
    return task, judge(trace, benchmark, budget)


def judge(trace: SearchTrace, benchmark: Benchmark, budget: TrainingBudget) -> JudgedSearch:
    """Judge the results of a search by trainings that it has not seen at any time."""
    trainings = Counter(benchmark.effective[step.row] for step in trace.steps if step.value is not None)

    def truth(value: Callable[[int, int], float], circuit: FrontCircuit) -> float:
        effective = benchmark.effective[circuit.row]
        # Trainings that the search paid for later are excluded too, so that a circuit has one true value throughout.
        unseen = benchmark.unseen_seeds(effective, trainings[effective], search=trace.seed)
        return fmean(value(effective, seed) for seed in unseen)

    fronts = [estimated_front(trace, benchmark, spent=budget.amount * part / LOOKS) for part in range(1, LOOKS)]
    # The last training may have exceeded the budget, and belongs to the final front all the same.
    final_front = estimated_front(trace, benchmark, spent=math.inf)
    volumes = [
        achieved_hypervolume(front, [truth(benchmark.test, circuit) for circuit in front], benchmark.flops_range)
        for front in (*fronts, final_front)
    ]
    # What a user would take from the front, with and without regard to the cost.
    best = max(final_front, key=lambda circuit: circuit.search_estimate)
    # The front is sorted by cost.
    cheapest_within_tolerance = next(
        circuit for circuit in final_front if circuit.search_estimate >= best.search_estimate - WITHIN
    )
    return JudgedSearch(
        achieved_hypervolume=tuple(volumes),
        estimated_hypervolume=achieved_hypervolume(
            final_front, [circuit.search_estimate for circuit in final_front], benchmark.flops_range
        ),
        optimism=best.search_estimate - truth(benchmark.validation, best),
        best=truth(benchmark.test, best),
        cheapest_within_tolerance=truth(benchmark.test, cheapest_within_tolerance),
        cheapest_within_tolerance_flops=cheapest_within_tolerance.flops,
        front=len(final_front),
        circuits=len({benchmark.effective[step.row] for step in trace.steps}),
        trainings=trace.trainings,
        spent=trace.steps[-1].spent,
    )


def achieved_hypervolume(front: Sequence[FrontCircuit], accuracies: Sequence[float], flops_range: tuple[int, int]) -> float:
    """Return the achieved hypervolume of a front.

    It is the share, from 0 to 1, of the box of (log₁₀ quantum FLOPs, accuracy) below the accuracy of the circuit that a user
    would take at each cost: the most expensive affordable one of the front.

    Args:
        front: Circuits of the front, sorted by cost.
        accuracies: Accuracy of each circuit.
        flops_range: Quantum FLOPs of the cheapest and the most expensive circuit of the space. The box ends at `BOX_MARGIN`
            times the latter.
    """
    cheapest, most_expensive = flops_range
    width = math.log10(BOX_MARGIN * most_expensive / cheapest)
    starts = [math.log10(circuit.flops / cheapest) / width for circuit in front]
    # Each circuit is taken up to the cost of the next, the last up to the end of the box.
    ends = [*starts, 1.0][1:]
    return sum((end - start) * accuracy for start, end, accuracy in zip(starts, ends, accuracies, strict=True))
