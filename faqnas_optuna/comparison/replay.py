"""A search whose trainings are looked up instead of done: what it suggests, pays for, and believes after each training.

A searcher sees of a circuit what it has paid for, and nothing else: one training is one of the table's seeds, in an order that
is drawn for each search and circuit. What the circuits that it chooses *are* is told by the seeds that are left.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.samplers import Searcher
from faqnas_optuna.config import SpaceConfig
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.training.pooling import pooled_errors

SPACE = SpaceConfig()
MOST_SUGGESTIONS = 3
"""So many for each training, after which a search is taken to have nothing left to suggest that it does not know."""
AT_FIRST = 60
"""Suggestions that are free of that."""


@dataclass(frozen=True, kw_only=True)
class TrainingBudget:
    """What a search may spend, in one of the two."""

    trainings: int | None = None
    seconds: float | None = None

    @property
    def amount(self) -> float:
        """In its own unit."""
        return float(self.trainings or 0) if self.seconds is None else self.seconds

    def spent(self, trainings: int, seconds: float) -> float:
        """How much of it such a search has spent."""
        return float(trainings) if self.seconds is None else seconds


@dataclass(frozen=True, kw_only=True)
class SearchStep:
    """A training of a search, or a suggestion that cost none."""

    row: int
    """The circuit that was suggested."""
    value: float | None
    """The validation accuracy of the training; None of a circuit that was trained before."""
    spent: float
    """Of the budget, with this training."""


@dataclass(frozen=True, kw_only=True)
class SearchTrace:
    """All that a search did."""

    searcher: str
    seed: int
    pooled: bool
    """Whether the front is chosen by what all trainings say together."""
    steps: tuple[SearchStep, ...]

    @property
    def trainings(self) -> int:
        return sum(step.value is not None for step in self.steps)


class PaidTrainings:
    """What a search has paid for."""

    def __init__(self, benchmark: Benchmark, *, seed: int) -> None:
        self._benchmark = benchmark
        self._seed = seed
        self.accuracies: defaultdict[int, list[float]] = defaultdict(list)
        """The validation accuracies of each circuit that was trained, in order."""
        self.count = 0
        self.seconds = 0.0

    def train(self, effective: int) -> float:
        """Pay for one more training of a circuit."""
        seed = int(seeds_of(self._benchmark, effective, search=self._seed)[len(self.accuracies[effective])])
        value = self._benchmark.validation(effective, seed)
        self.accuracies[effective].append(value)
        self.count += 1
        self.seconds += self._benchmark.seconds(effective, seed)
        return value


def seeds_of(benchmark: Benchmark, effective: int, *, search: int) -> NDArray[np.int64]:
    """(seeds,) in which order a search pays for the trainings of a circuit."""
    return np.random.default_rng([search, effective]).permutation(benchmark.seeds)


def replay(searcher: Searcher, benchmark: Benchmark, budget: TrainingBudget, *, seed: int) -> SearchTrace:
    """Search until the budget is spent, or nothing new is suggested.

    Args:
        seed: of the search, and of which trainings it pays for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = searcher.sampler(seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    paid = PaidTrainings(benchmark, seed=seed)
    steps: list[SearchStep] = []
    while budget.spent(paid.count, paid.seconds) < budget.amount:
        trial = study.ask()
        if trial.number >= AT_FIRST + MOST_SUGGESTIONS * paid.count:
            break
        row = benchmark.rows[suggest(trial, SPACE).circuit]
        effective = benchmark.effective[row]
        values = [paid.train(effective) for _ in range(searcher.repeats)] if not paid.accuracies[effective] else [None]
        spent = budget.spent(paid.count, paid.seconds)
        steps += [SearchStep(row=row, value=value, spent=spent) for value in values]
        study.tell(trial, [float(benchmark.flops[row]), 1 - float(np.mean(paid.accuracies[effective]))])
    return SearchTrace(searcher=searcher.name, seed=seed, pooled=searcher.pooled, steps=tuple(steps))


@dataclass(frozen=True, kw_only=True)
class FrontCircuit:
    """A circuit on a front as a search believes it to be."""

    row: int
    flops: int
    search_estimate: float
    """The mean validation accuracy of the trainings that were paid for."""
    trainings: int


def estimated_front(trace: SearchTrace, benchmark: Benchmark, *, spent: float) -> list[FrontCircuit]:
    """The front that a search believes in when it has spent so much, from the cheapest."""
    paid: defaultdict[int, list[float]] = defaultdict(list)
    rows: dict[int, None] = {}
    for step in trace.steps:
        if step.spent > spent:
            break
        rows[step.row] = None
        if step.value is not None:
            paid[benchmark.effective[step.row]].append(step.value)
    estimate = {effective: float(np.mean(values)) for effective, values in paid.items()}
    if trace.pooled and paid:
        circuits, counts = [benchmark.circuits[effective] for effective in paid], [len(values) for values in paid.values()]
        errors = pooled_errors(circuits, [1 - value for value in estimate.values()], counts)
        estimate = dict(zip(paid, (1 - errors).tolist(), strict=True))
    return front(
        [
            FrontCircuit(
                row=row, flops=benchmark.flops[row], search_estimate=estimate[effective], trainings=len(paid[effective])
            )
            for row in rows
            if (effective := benchmark.effective[row]) in paid
        ]
    )


def front(circuits: Sequence[FrontCircuit]) -> list[FrontCircuit]:
    """Those that no other beats in both, from the cheapest; of equals the first."""
    if not circuits:
        return []
    points = np.array([(one.flops, 1 - one.search_estimate) for one in circuits])
    kept = np.flatnonzero(non_dominated(points))
    first = {circuits[place].flops: circuits[place] for place in reversed(kept)}
    return sorted(first.values(), key=lambda one: one.flops)
