import numpy as np
import pytest

from faqnas_optuna.racing.halving import FINALISTS, halve, rounds_of
from tests.support.races import SimulatedTrainings


@pytest.mark.parametrize(("circuits", "rounds"), [(2, 1), (32, 1), (33, 1), (64, 1), (65, 2), (6786, 8)])
def test_number_of_rounds(circuits: int, rounds: int) -> None:
    assert rounds_of(circuits) == rounds


def test_the_budget_is_spent_on_ever_fewer_circuits() -> None:
    means = np.linspace(0.2, 0.8, 500)
    trainings = SimulatedTrainings(means, samples=20, spread=0.1, seed=0)
    rounds: list[int] = []
    histograms, finalists = halve(trainings, 500, 8000, on_round=lambda circuits: rounds.append(len(circuits)))
    assert rounds == [500, 250, 125, 63]
    assert len(finalists) == 63
    # Equal shares of 2,000 trainings, less what does not divide evenly.
    assert 7500 < histograms.sizes.sum() <= 8000
    assert histograms.sizes.min() == 4 and histograms.sizes[finalists].min() == histograms.sizes.max()


@pytest.mark.parametrize("budget", [100, 130, 199, 1000])
def test_a_small_budget_is_not_exceeded(budget: int) -> None:
    trainings = SimulatedTrainings(np.full(100, 0.5), samples=10, spread=0, seed=0)
    histograms, finalists = halve(trainings, 100, budget)
    assert histograms.sizes.min() >= 1 and histograms.sizes.sum() <= budget
    assert len(finalists) == 50


def test_the_best_circuits_at_their_costs_are_found() -> None:
    # Accuracy rises with cost along a front; all other circuits are worse by 0.15.
    front = np.arange(30, 400, 50)
    ceiling = np.interp(np.arange(400), front, np.linspace(0.4, 0.8, 8))
    means = np.where(np.isin(np.arange(400), front), ceiling, ceiling - 0.15)
    trainings = SimulatedTrainings(means, samples=36, spread=0.1, seed=1)
    histograms, finalists = halve(trainings, 400, 16 * 400)
    assert set(front.tolist()) <= set(finalists.tolist())
    # Their means are higher than those of all cheaper finalists.
    assert all(histograms.means[step] == histograms.means[finalists[finalists <= step]].max() for step in front)


def test_races_smaller_than_the_number_of_finalists_keep_all_circuits() -> None:
    trainings = SimulatedTrainings(np.linspace(0.2, 0.8, 5), samples=10, spread=0, seed=0)
    histograms, finalists = halve(trainings, 5, 50)
    assert finalists.tolist() == [0, 1, 2, 3, 4] and histograms.sizes.tolist() == [10] * 5
    assert len(finalists) < FINALISTS
