"""Optuna's NSGA-II with randomness that depends on the study's seed and the trial's number alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import GeneValue
from faqnas_optuna.config import Objectives, SearchConfig
from faqnas_optuna.storage.opening import as_it_is_now, finished_trials
from faqnas_optuna.storage.optuna_internals import storage_of, trial_id_of
from faqnas_optuna.study.records import GENERATION_KEY, generation_of
from faqnas_optuna.study.stopping import full_generations

LEAST_PARENTS = 2
"""A crossover needs as many."""


class _Memory:
    """Successful trials by generation, and the parents of each, kept from trial to trial."""

    def __init__(self, counts: Callable[[FrozenTrial], bool]) -> None:
        self._counts = counts
        self.generations: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
        self.parents: dict[int, list[FrozenTrial]] = {}
        self._seen = 0

    def take_in(self, finished: list[FrozenTrial]) -> None:
        """Add those that have finished since.

        Args:
            finished: all, in the order in which they were seen to have.
        """
        for trial in finished[self._seen :]:
            if trial.state is not TrialState.COMPLETE or not self._counts(trial):
                continue
            if (generation := generation_of(trial)) is not None:
                self.generations[generation].append(trial)
        self._seen = len(finished)

    def first_with_room(self, population: int) -> int:
        """The generation that new trials belong to: the last one or, where trials were deleted, the one that lacks them."""
        sizes = {generation: len(trials) for generation, trials in self.generations.items()}
        return full_generations(sizes, population)


def _as_it_is(trial: FrozenTrial) -> FrozenTrial:
    return trial


def _by_error(trial: FrozenTrial) -> FrozenTrial:
    """The trial as if all circuits cost the same: neither dominance nor crowding sees a value that all share."""
    seen = copy(trial)
    seen.values = [0.0, trial.values[1]]
    return seen


VIEWS: dict[Objectives, Callable[[FrozenTrial], FrozenTrial]] = {Objectives.BOTH: _as_it_is, Objectives.ERROR: _by_error}
"""What NSGA-II sees of a trial when it selects."""


class _RememberingNSGAIISampler(NSGAIISampler):
    """NSGA-II that does not read all trials anew for each one."""

    def __init__(self, memory: _Memory, objectives: Objectives, **settings: Any) -> None:
        super().__init__(**settings)
        self._memory = memory
        self._view = VIEWS[objectives]

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        if (known := generation_of(trial)) is not None:
            return known
        self._memory.take_in(finished_trials(study))
        assert self.population_size is not None
        generation = self._memory.first_with_room(self.population_size)
        storage_of(study).set_trial_system_attr(trial_id_of(trial), GENERATION_KEY, generation)
        return generation

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return self._seen(self._memory.generations[generation])

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        # Optuna keeps them in the study, for all workers, and reads that again for each trial.
        if generation in self._memory.parents:
            return self._memory.parents[generation]
        # Another worker may have chosen, just now, among trials that have finished since we have read them.
        with as_it_is_now(study):
            parents = super().get_parent_population(study, generation)
        if len(parents) < LEAST_PARENTS:
            # The others were deleted from the database.
            parents = []
        # Whoever has chosen them crosses them in the order of choice, whoever reads them in that of their numbers.
        self._memory.parents[generation] = self._seen(parents)
        return parents

    def _seen(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Trials by number, with the values that they are selected by."""
        return [self._view(trial) for trial in sorted(trials, key=lambda trial: trial.number)]


class SeededNSGAIISampler(BaseSampler):
    """NSGA-II that goes on after an interruption as if there had been none, and never repeats itself between workers.

    `NSGAIISampler` seeds one generator when it is made: a resumed study would repeat its first trials, and workers with one
    seed would suggest the same genomes. Here each trial gets a sampler of its own, seeded from (seed, trial number); all that
    NSGA-II remembers (generations, parents) is in the storage.

    Args:
        config: population size and probabilities.
        genes: the choices of every gene. Optuna would infer the space from finished trials, at a cost that grows with them.
        seed: the study's.
        counts: whether a successful trial belongs to its generation.
    """

    def __init__(
        self,
        config: SearchConfig,
        genes: Mapping[str, tuple[GeneValue, ...]],
        *,
        seed: int,
        counts: Callable[[FrozenTrial], bool] = lambda _: True,
    ) -> None:
        self._config = config
        self._seed = seed
        # A gene with one choice is left to `sample_independent`, as Optuna's samplers do.
        self._space = {gene: CategoricalDistribution(choices) for gene, choices in genes.items() if len(choices) > 1}
        self._memory = _Memory(counts)
        self._nsga2, self._random = self._samplers(trial_number=0)

    def _samplers(self, *, trial_number: int) -> tuple[NSGAIISampler, RandomSampler]:
        """One that crosses, and one that draws genes anew.

        `NSGAIISampler` has both, but gives them one seed. Where they begin together, as here in each trial, the number that
        decides on a crossover would also choose the first gene that is drawn.
        """
        crossing, drawing = np.random.SeedSequence([self._seed, trial_number]).generate_state(2)
        nsga2 = _RememberingNSGAIISampler(
            self._memory,
            self._config.objectives,
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
