"""Simulated races, whose true mean scores are known."""

import numpy as np

from faqnas_optuna.racing.bounds import Floats, Histograms, Integers
from faqnas_optuna.racing.scores import Block, Scores


class SimulatedTrainings:
    """Trainings of circuits with known means; each score is the share of `samples` that are predicted correctly.

    Args:
        means: (K,) expected scores.
        samples: Number of validation samples.
        spread: Standard deviation of the probability of a correct prediction between random seeds.
    """

    def __init__(self, means: Floats, *, samples: int, spread: float, seed: int) -> None:
        self._means = means
        self._samples = samples
        self._spread = spread
        self._seed = seed
        self._scores = Scores(len(means))
        self.targets: Integers = np.zeros(len(means), np.int64)

    def __call__(self, targets: Integers) -> Histograms:
        """Train each circuit until it has `targets` (K,) trainings, and return the histograms."""
        self.targets = targets.copy()
        for block in self._scores.missing(targets):
            self._scores.insert(block, self._train(block))
        return self._scores.histograms(targets)

    def _train(self, block: Block) -> Floats:
        generator = np.random.default_rng([self._seed, block.circuit, block.begin])
        mean = self._means[block.circuit]
        # Symmetric around the mean, and within 0 and 1, so that the mean of the scores is exact.
        room = min(self._spread, mean, 1 - mean)
        shares = mean + room * generator.choice([-1.0, 1.0], size=block.end - block.begin)
        return np.asarray(generator.binomial(self._samples, shares) / self._samples, np.float64)
