"""Replay of a search whose trainings are looked up in a benchmark instead of being run.

A searcher sees only the trainings that it pays for. Each is one of the benchmark's seeds, in a random order for every search
and circuit. The remaining seeds are left for an unbiased judgement of the circuits that the search selects.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.samplers import Searcher
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.training.pooling import pooled_errors

SPACE = SpaceConfig()
"""Search space of the paper."""
# A converged sampler repeats known circuits for ever, which cost nothing: the budget alone would not end such a search.
MAX_SUGGESTIONS_PER_TRAINING = 3
"""Maximum number of suggestions per training; a search with more is ended, since it suggests hardly anything new."""
FREE_SUGGESTIONS = 60
"""Number of suggestions at the beginning to which that maximum does not apply."""


@dataclass(frozen=True, kw_only=True)
class TrainingBudget:
    """Budget of a search, as a number of trainings or in seconds of training."""

    trainings: int | None = None
    seconds: float | None = None

    @property
    def amount(self) -> float:
        """The budget, in its unit."""
        return float(self.trainings or 0) if self.seconds is None else self.seconds

    def cost_of(self, trainings: int, seconds: float) -> float:
        """Return the cost of trainings, in the unit of the budget.

        >>> TrainingBudget(seconds=60).cost_of(3, 7.5)
        7.5
        """
        return float(trainings) if self.seconds is None else seconds


@dataclass(frozen=True, kw_only=True)
class SearchStep:
    """A training of a search, or a suggestion of a circuit that had been trained before."""

    row: int
    """Index of the suggested circuit."""
    value: float | None
    """Validation accuracy of the training; None if the circuit had been trained before."""
    spent: float
    """Part of the budget that is spent after this step."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """A round of a race."""

    end: int
    """Number of trainings at the end of the round."""
    survivors: frozenset[int]
    """Rows of the circuits that may be on the front after the round."""


@dataclass(frozen=True, kw_only=True)
class SearchTrace:
    """Record of all steps of a search."""

    searcher: str
    """Name of the search algorithm."""
    seed: int
    pooled: bool
    """True if the front is chosen by errors that are pooled over all trainings of the search."""
    steps: tuple[SearchStep, ...]
    rounds: tuple[Round, ...] = ()
    """Rounds of a race; empty for a search."""

    @property
    def trainings(self) -> int:
        """Number of trainings."""
        return sum(step.value is not None for step in self.steps)


class PaidTrainings:
    """The trainings that a search has paid for.

    Args:
        benchmark: Source of the values.
        seed: Seed of the search, which decides the order of the trainings of each circuit.
    """

    def __init__(self, benchmark: Benchmark, *, seed: int) -> None:
        self._benchmark = benchmark
        self._seed = seed
        self.accuracies: defaultdict[int, list[float]] = defaultdict(list)
        """Validation accuracies of each effective circuit, in the order of its trainings."""
        self.count = 0
        self.seconds = 0.0

    def train(self, effective: int) -> float:
        """Pay for one more training of an effective circuit, and return its validation accuracy."""
        seed = self._benchmark.paid_seed(effective, len(self.accuracies[effective]), search=self._seed)
        value = self._benchmark.validation(effective, seed)
        self.accuracies[effective].append(value)
        self.count += 1
        self.seconds += self._benchmark.seconds(effective, seed)
        return value


def replay(searcher: Searcher, benchmark: Benchmark, budget: TrainingBudget, *, seed: int) -> SearchTrace:
    """Run a search until its budget is spent or it suggests hardly anything new.

    Args:
        searcher: Search algorithm.
        benchmark: Source of the values.
        budget: Budget of the search.
        seed: Seed of the sampler, and of the order in which the trainings of each circuit are paid for.
    """
    assert searcher.sampler is not None
    with warnings.catch_warnings():
        # Optuna warns that some of the samplers are experimental, which users of `compare` need not know.
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = searcher.sampler(seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    trainings = PaidTrainings(benchmark, seed=seed)
    steps: list[SearchStep] = []
    while budget.cost_of(trainings.count, trainings.seconds) < budget.amount:
        trial = study.ask()
        if trial.number >= FREE_SUGGESTIONS + MAX_SUGGESTIONS_PER_TRAINING * trainings.count:
            break
        row = benchmark.rows[suggest(trial, SPACE).circuit]
        effective = benchmark.effective[row]
        # As in a search, results of a known effective circuit are reused without training.
        is_new = not trainings.accuracies[effective]
        values = [trainings.train(effective) for _ in range(searcher.repeats)] if is_new else [None]
        # All trainings of one suggestion share the amount spent after the last of them.
        spent = budget.cost_of(trainings.count, trainings.seconds)
        steps += [SearchStep(row=row, value=value, spent=spent) for value in values]
        study.tell(trial, [float(benchmark.flops[row]), 1 - float(np.mean(trainings.accuracies[effective]))])
    return SearchTrace(searcher=searcher.name, seed=seed, pooled=searcher.pooled, steps=tuple(steps))


@dataclass(frozen=True, kw_only=True)
class FrontCircuit:
    """A circuit on the front of a search, with the values that the search knows."""

    row: int
    """Index of the circuit."""
    flops: int
    """Quantum FLOPs."""
    search_estimate: float
    """Search estimate: the mean validation accuracy of the trainings that were paid for, pooled if the searcher does so."""
    trainings: int
    """Number of trainings that were paid for."""


def estimated_front(trace: SearchTrace, benchmark: Benchmark, *, spent: float) -> list[FrontCircuit]:
    """Return the front by the search's own estimates, sorted by cost.

    Args:
        trace: Record of the search.
        benchmark: Source of the circuits and their costs.
        spent: Part of the budget up to which the search is considered.
    """
    survivors: frozenset[int] | None = None
    if trace.rounds:
        # The front of a race is that of its last complete round.
        complete = [one for one in trace.rounds if one.end <= spent]
        if not complete:
            return []
        spent = complete[-1].end
        survivors = complete[-1].survivors
    accuracies: defaultdict[int, list[float]] = defaultdict(list)
    # A dictionary serves as an ordered set.
    rows: dict[int, None] = {}
    for step in trace.steps:
        if step.spent > spent:
            break
        rows[step.row] = None
        if step.value is not None:
            accuracies[benchmark.effective[step.row]].append(step.value)
    # As in a search, circuits with equal effective circuits share their trainings.
    estimates = {effective: float(np.mean(values)) for effective, values in accuracies.items()}
    if trace.pooled and accuracies:
        circuits = [benchmark.circuits[effective] for effective in accuracies]
        counts = [len(values) for values in accuracies.values()]
        errors = pooled_errors(circuits, [1 - value for value in estimates.values()], counts)
        estimates = dict(zip(accuracies, (1 - errors).tolist(), strict=True))
    suggestions = []
    for row in rows:
        if survivors is not None and row not in survivors:
            continue
        effective = benchmark.effective[row]
        estimate = estimates[effective]
        trainings = len(accuracies[effective])
        suggestions.append(FrontCircuit(row=row, flops=benchmark.flops[row], search_estimate=estimate, trainings=trainings))
    return front(suggestions)


def front(circuits: Sequence[FrontCircuit]) -> list[FrontCircuit]:
    """Return the non-dominated circuits, sorted by cost; the first of several with equal values."""
    if not circuits:
        return []
    points = np.array([(circuit.flops, 1 - circuit.search_estimate) for circuit in circuits])
    indices = np.flatnonzero(non_dominated(points))
    # On a front equal cost means equal error. In reverse order the first of several circuits is entered last.
    first_by_cost = {circuits[index].flops: circuits[index] for index in reversed(indices)}
    return sorted(first_by_cost.values(), key=lambda circuit: circuit.flops)
