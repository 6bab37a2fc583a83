"""Optuna's NSGA-II with randomness that depends on the study's seed and the trial's number alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import GeneValue
from faqnas_optuna.config import SearchConfig


class SeededNSGAIISampler(BaseSampler):
    """NSGA-II that goes on after an interruption as if there had been none, and never repeats itself between workers.

    `NSGAIISampler` seeds one generator when it is made: a resumed study would repeat its first trials, and workers with one
    seed would suggest the same genomes. Here each trial gets a sampler of its own, seeded from (seed, trial number); all that
    NSGA-II remembers (generations, parents) is in the storage.

    Args:
        config: population size and probabilities.
        genes: the choices of every gene. Optuna would infer the space from finished trials, at a cost that grows with them.
        seed: the study's.
    """

    def __init__(self, config: SearchConfig, genes: Mapping[str, tuple[GeneValue, ...]], *, seed: int) -> None:
        self._config = config
        self._seed = seed
        # A gene with one choice is left to `sample_independent`, as Optuna's samplers do.
        self._space = {gene: CategoricalDistribution(choices) for gene, choices in genes.items() if len(choices) > 1}
        self._nsga2, self._random = self._samplers(trial_number=0)

    def _samplers(self, *, trial_number: int) -> tuple[NSGAIISampler, RandomSampler]:
        """One that crosses, and one that draws genes anew.

        `NSGAIISampler` has both, but gives them one seed. Where they begin together, as here in each trial, the number that
        decides on a crossover would also choose the first gene that is drawn.
        """
        crossing, drawing = np.random.SeedSequence([self._seed, trial_number]).generate_state(2)
        nsga2 = NSGAIISampler(
            population_size=self._config.population,
            crossover_prob=self._config.crossover,
            mutation_prob=self._config.mutation,
            seed=int(crossing),
        )
        return nsga2, RandomSampler(seed=int(drawing))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._nsga2, self._random = self._samplers(trial_number=trial.number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._space)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self._nsga2.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._nsga2.after_trial(study, trial, state, values)
