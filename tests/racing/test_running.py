from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faqnas_optuna.racing.bounds import Histograms, Integers
from faqnas_optuna.racing.running import Race
from tests.support.races import SimulatedTrainings

CIRCUITS = 80


class Interrupted(SimulatedTrainings):
    """Trainings that are interrupted as soon as a number of them is exceeded."""

    limit = 0

    def __call__(self, targets: Integers) -> Histograms:
        if targets.sum() > self.limit:
            raise KeyboardInterrupt
        return super().__call__(targets)

    @property
    def trainings(self) -> Integers:
        return self.targets

    def histograms(self, targets: Integers) -> Histograms:
        return super().__call__(targets)


@pytest.mark.parametrize("limit", [700, 1280, 3500], ids=["halving", "first round of certification", "later round"])
def test_a_race_has_a_front_wherever_it_is_interrupted(limit: int) -> None:
    trainings = Interrupted(np.linspace(0.3, 0.7, CIRCUITS), samples=12, spread=0.1, seed=0)
    trainings.limit = limit
    plan: Any = SimpleNamespace(entries=range(CIRCUITS), costs=np.arange(1.0, CIRCUITS + 1))
    train: Any = trainings
    race = Race(plan, train)
    with pytest.raises(KeyboardInterrupt):
        race.run(16 * CIRCUITS, 0.05)
    result = race.result()
    assert not result.is_complete and len(result.front) > 0
    assert (np.diff(result.means[result.front]) > 0).all()
    assert (result.possible <= result.certain + result.epsilon + 1e-12).all()
