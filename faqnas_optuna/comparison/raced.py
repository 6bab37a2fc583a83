"""Replay of the first stage of a race, whose trainings are looked up in a benchmark."""

import numpy as np

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.replay import PaidTrainings, Round, SearchStep, SearchTrace, TrainingBudget
from faqnas_optuna.racing.bounds import Histograms, Integers
from faqnas_optuna.racing.halving import halve
from faqnas_optuna.racing.scores import Block, Scores

BUDGET_PER_CIRCUIT = 3
"""Budget per raced circuit, in trainings. A budget that is too small for the whole space is spent on a random sample."""


def replay_race(name: str, benchmark: Benchmark, budget: TrainingBudget, *, seed: int) -> SearchTrace:
    """Run the first stage of a race with a budget of trainings.

    Args:
        name: Name of the search algorithm.
        benchmark: Source of the values.
        budget: Budget in trainings.
        seed: Seed of the sample, and of the order in which the trainings of each circuit are paid for.
    """
    assert budget.trainings is not None
    rows = _sample(benchmark, max(budget.trainings // BUDGET_PER_CIRCUIT, 1), seed)
    trainings = PaidTrainings(benchmark, seed=seed)
    scores = Scores(len(rows))
    steps: list[SearchStep] = []
    ends: list[int] = []
    open_rows: list[frozenset[int]] = []

    # Halving asks for histograms, as those of a live race; here a call looks scores up and records the steps.
    def train(targets: Integers) -> Histograms:
        possible = np.minimum(targets, benchmark.max_trainings)
        for place, target in enumerate(possible.tolist()):
            effective = benchmark.effective[rows[place]]
            begin = len(trainings.accuracies[effective])
            values = [trainings.train(effective) for _ in range(begin, target)]
            # As in a search, all trainings of one call share the amount spent after the last of them.
            spent = budget.cost_of(trainings.count, trainings.seconds)
            steps.extend(SearchStep(row=rows[place], value=value, spent=spent) for value in values)
            if values:
                scores.insert(Block(place, begin, target), np.array(values))
        ends.append(trainings.count)
        return scores.histograms(possible)

    def enter(places: Integers) -> None:
        open_rows.append(frozenset(rows[place] for place in places.tolist()))

    halve(train, len(rows), budget.trainings, on_round=enter)
    # The survivors of a round are the circuits of the next; all circuits of the last round are finalists.
    survivors = [*open_rows[1:], open_rows[-1]]
    rounds = tuple(Round(end=end, survivors=rows) for end, rows in zip(ends, survivors, strict=True))
    return SearchTrace(searcher=name, seed=seed, pooled=False, steps=tuple(steps), rounds=rounds)


def _sample(benchmark: Benchmark, count: int, seed: int) -> list[int]:
    """Return the rows of at most `count` effective circuits, drawn at random, each at its lowest cost and sorted by cost."""
    # Of the circuits with one effective circuit, a race takes the cheapest.
    cheapest: dict[int, int] = {}
    for row in sorted(range(len(benchmark.flops)), key=lambda row: benchmark.flops[row]):
        cheapest.setdefault(benchmark.effective[row], row)
    rows = list(cheapest.values())
    if count >= len(rows):
        return rows
    places = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    return [rows[place] for place in np.sort(places).tolist()]
