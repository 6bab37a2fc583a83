"""Optuna's samplers with randomness that depends only on the study's seed and the trial."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import count
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseGASampler, BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import Circuit, GeneValue, Genome
from faqnas_optuna.config import Objectives, Sampler, SearchConfig
from faqnas_optuna.storage.opening import finished_trials, fresh_reads
from faqnas_optuna.storage.optuna_internals import storage_of, trial_id_of
from faqnas_optuna.study.records import GENERATION_KEY, PLACE_KEY, generation_of, leaves_place, place_of
from faqnas_optuna.study.stopping import full_generations

MIN_PARENTS = 2
"""Minimum number of parents for a crossover."""
MAX_DRAWS = 20
"""Maximum number of genomes that a sampler draws for a trial before random genomes replace them."""


class _Memory:
    """Successful trials by generation, and the parents of each generation, kept between trials."""

    def __init__(self, counts: Callable[[FrozenTrial], bool]) -> None:
        self._counts = counts
        self.generations: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
        self.parents: dict[int, list[FrozenTrial]] = {}
        self._n_read = 0

    def update(self, finished: list[FrozenTrial]) -> None:
        """Add the trials that have finished since the last call.

        Args:
            finished: All finished trials, in the order in which this process learned about them.
        """
        for trial in finished[self._n_read :]:
            if trial.state is not TrialState.COMPLETE or not self._counts(trial):
                continue
            generation = generation_of(trial)
            if generation is not None:
                self.generations[generation].append(trial)
        self._n_read = len(finished)

    def first_with_room(self, population: int) -> int:
        """Return the first generation that is not full, to which new trials belong."""
        # If trials were deleted from the database, this is not the last generation.
        sizes = {generation: len(trials) for generation, trials in self.generations.items()}
        return full_generations(sizes, population)


def _unchanged(trial: FrozenTrial) -> FrozenTrial:
    return trial


def _with_equal_cost(trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of a trial with a cost of 0; a value that all trials share affects neither dominance nor crowding."""
    changed = copy(trial)
    changed.values = [0.0, trial.values[1]]
    return changed


VIEWS: dict[Objectives, Callable[[FrozenTrial], FrozenTrial]] = {
    Objectives.BOTH: _unchanged,
    Objectives.ERROR: _with_equal_cost,
}
"""Function that returns a trial with the values by which a genetic algorithm selects it."""


class _Remembering(BaseGASampler):
    """Genetic algorithm that remembers trials and parents instead of reading all of them for every trial."""

    def __init__(self, memory: _Memory, config: SearchConfig, *, seed: int) -> None:
        # The next class is one of Optuna's genetic algorithms.
        settings: dict[str, Any] = {"crossover_prob": config.crossover, "mutation_prob": config.mutation, "seed": seed}
        super().__init__(population_size=config.population, **settings)
        self._memory = memory
        self._view = VIEWS[config.objectives]
        self._is_synchronous = config.synchronous

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        generation = generation_of(trial)
        if generation is not None:
            return generation
        self._memory.update(finished_trials(study))
        assert self.population_size is not None
        generation = self._memory.first_with_room(self.population_size)
        storage_of(study).set_trial_system_attr(trial_id_of(trial), GENERATION_KEY, generation)
        return generation

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return self._view_all(self._memory.generations[generation])

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        # Optuna stores the parents in the study, for all workers, and would read them for every trial.
        if generation in self._memory.parents:
            return self._memory.parents[generation]
        # Another worker may have selected parents among trials that finished after our last reading.
        with fresh_reads(study):
            parents = super().get_parent_population(study, generation)
        if len(parents) < MIN_PARENTS:
            # The other parents were deleted from the database.
            parents = []
        # The worker that selects the parents has them in the order of selection, all others by number. Sorting makes the
        # crossover the same on all workers.
        self._memory.parents[generation] = self._view_all(parents)
        # With one worker and without `synchronous`, the first child of a generation is the one of Optuna's own sampler.
        return self._memory.parents[generation] if self._is_synchronous else parents

    def _view_all(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Return trials sorted by place, with the values by which the algorithm selects them."""
        return [self._view(trial) for trial in sorted(trials, key=place_of)]


class _RememberingNSGAIISampler(_Remembering, NSGAIISampler):
    """NSGA-II that remembers trials and parents."""


class _RememberingNSGAIIISampler(_Remembering, NSGAIIISampler):
    """NSGA-III that remembers trials and parents."""


class SeededSampler(BaseSampler):
    """Sampler that continues after an interruption as if there had been none, and whose workers never repeat each other.

    Optuna's samplers seed their generators once, when they are created. A resumed study would repeat its first trials, and
    workers with the same seed would suggest the same genomes. Here every trial has its own sampler, seeded from
    (seed, trial number), and the generations and parents are in the storage. Every sampler has generations, by which a search
    stops, though only the genetic algorithms select parents from them.

    If a circuit is not allowed, its trial draws again, so that genomes have the distribution of the sampler under the condition
    that they are allowed. After `MAX_DRAWS` draws, genomes are random, since TPE may suggest one region again and again.
    Optuna's own way, `constraints_func`, would need trials of circuits that are not allowed, which have no error to report
    because they are never trained; only some samplers heed it, and none strictly.

    In a synchronous search the place of a trial replaces its number: a trial that repeats a lost one has its place, so that
    the search suggests the same genomes whichever workers die.

    Args:
        config: Sampler, population size and probabilities.
        genes: Choices of every gene. Optuna would infer them from finished trials, in a time that grows with their number.
        seed: Random seed of the study.
        counts: Returns whether a successful trial counts as a member of its generation.
        allow: Returns whether a circuit may be suggested; None for all. At least one circuit of the space must be allowed.
    """

    def __init__(
        self,
        config: SearchConfig,
        genes: Mapping[str, tuple[GeneValue, ...]],
        *,
        seed: int,
        counts: Callable[[FrozenTrial], bool] = lambda _: True,
        allow: Callable[[Circuit], bool] | None = None,
    ) -> None:
        self._config = config
        self._seed = seed
        self._genes = genes
        self._allow = allow
        # As in Optuna's samplers, `sample_independent` handles a gene with only one choice.
        self._space = {gene: CategoricalDistribution(choices) for gene, choices in genes.items() if len(choices) > 1}
        self._memory = _Memory(counts)
        self._seed_samplers(place=0)

    def _seed_samplers(self, *, place: int) -> None:
        """Create the samplers of a trial: one for genes that depend on other trials, and one for genes drawn at random."""
        # `NSGAIISampler` contains a random sampler with the same seed. Both start with every trial here, so the random number
        # that decides on a crossover would also decide the first drawn gene.
        relative_seed, random_seed = map(int, np.random.SeedSequence([self._seed, place]).generate_state(2))
        self._genetic = self._genetic_algorithm(relative_seed)
        self._random = RandomSampler(seed=random_seed)
        self._relative: BaseSampler = self._genetic
        if self._config.sampler is Sampler.RANDOM:
            self._relative = self._random
        elif self._config.sampler is Sampler.TPE:
            self._relative = _tpe_sampler(relative_seed)

    def _genetic_algorithm(self, seed: int) -> _Remembering:
        """Return the genetic algorithm; it also assigns the generations of the other samplers."""
        is_nsga3 = self._config.sampler is Sampler.NSGA3
        make = _RememberingNSGAIIISampler if is_nsga3 else _RememberingNSGAIISampler
        with warnings.catch_warnings():
            # Optuna marks NSGA-III as experimental, which its user has chosen.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return make(self._memory, self._config, seed=seed)

    # Optuna calls the methods below in this order for every trial.
    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        place = trial.number
        # Otherwise trials depend on the timing of the workers anyway, and those of other workers may be unread.
        if self._config.synchronous:
            place = _assign_place(study, trial)
        self._seed_samplers(place=place)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        # A copy, because Optuna may change what it gets.
        return dict(self._space)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        # Stores the generation of the trial, which each sampler needs.
        self._genetic.get_trial_generation(study, trial)
        if self._allow is None:
            return self._relative.sample_relative(study, trial, search_space)
        genomes = self._genomes(study, trial)
        params = next(genome for genome in genomes if self._allow(genome.circuit)).to_params()
        return {gene: params[gene] for gene in search_space}

    def _genomes(self, study: Study, trial: FrozenTrial) -> Iterator[Genome]:
        """Yield genomes that the sampler suggests for one trial, of which those after `MAX_DRAWS` are random."""
        for draw in count():
            params = self._relative.sample_relative(study, trial, dict(self._space)) if draw < MAX_DRAWS else {}
            # In the order in which a trial without limits draws them: limits that allow all circuits change no genome.
            for gene, choices in self._genes.items():
                if gene not in self._space:
                    params[gene] = choices[0]
                elif gene not in params:
                    params[gene] = self.sample_independent(study, trial, gene, self._space[gene])
            yield Genome.from_params(params)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._relative.after_trial(study, trial, state, values)


def _tpe_sampler(seed: int) -> TPESampler:
    """Return Optuna's TPE sampler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Multivariate, since sampling one gene at a time would take nine times as long.
        return TPESampler(seed=seed, multivariate=True)


def _assign_place(study: Study, trial: FrozenTrial) -> int:
    """Return the place of a trial, and store it if it is not the number of the trial.

    The caller holds the lock of the study and has read its trials.
    """
    if place_of(trial) != trial.number:
        # A requeued trial has its place already.
        return place_of(trial)
    others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
    places = {place_of(other) for other in others if not leaves_place(other)}
    place = next(place for place in count() if place not in places)
    if place != trial.number:
        storage_of(study).set_trial_system_attr(trial_id_of(trial), PLACE_KEY, place)
    return place
