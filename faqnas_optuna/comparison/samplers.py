"""The searchers that are held against each other, by name: samplers of Optuna, with the settings that a search would have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, GeneValue, Genome, enumerate_genomes
from faqnas_optuna.config import Objectives, SearchConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.literals import WHOLE
from faqnas_optuna.study.sampler import SeededNSGAIISampler

PAPER = SearchConfig()
MOST_REPEATS = 100


@dataclass(frozen=True, kw_only=True)
class Searcher:
    """How circuits are suggested, and how often each is trained."""

    name: str
    description: str
    """What it is, in words."""
    sampler: Callable[[int], BaseSampler]
    """By the seed of a search."""
    repeats: int = 1
    """Trainings of each circuit."""
    pooled: bool = False
    """Whether its front is chosen by what all of its trainings say together."""


class DistinctSampler(BaseSampler):
    """Circuits at random, all with the same chance, none with the effective gates of one before it."""

    def __init__(self, *, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(len(_distinct()))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> GeneValue:
        place = int(self._order[trial.number % len(self._order)])
        chosen: GeneValue = _distinct()[place].to_params()[param_name]
        return chosen


@cache
def _distinct() -> Sequence[Genome]:
    """A genome for each set of effective gates."""
    return list({effective_circuit(genome.circuit): genome for genome in enumerate_genomes()}.values())


def _paper(seed: int, objectives: Objectives = Objectives.BOTH) -> BaseSampler:
    return SeededNSGAIISampler(PAPER.model_copy(update={"objectives": objectives}), GENES, seed=seed)


def _nsga3(seed: int) -> BaseSampler:
    return NSGAIIISampler(
        population_size=PAPER.population, crossover_prob=PAPER.crossover, mutation_prob=PAPER.mutation, seed=seed
    )


SEARCHERS = {
    searcher.name: searcher
    for searcher in (
        Searcher(name="nsga2", description="NSGA-II with the paper's settings: FAQNAS", sampler=_paper),
        Searcher(
            name="nsga2-error",
            description="the same with parents selected by the error alone",
            sampler=lambda seed: _paper(seed, Objectives.ERROR),
        ),
        Searcher(name="random", description="genomes at random", sampler=lambda seed: RandomSampler(seed=seed)),
        Searcher(
            name="nsga2-pooled",
            description="nsga2 with its front chosen by all trainings together",
            sampler=_paper,
            pooled=True,
        ),
        Searcher(
            name="random-pooled",
            description="random with its front chosen so",
            sampler=lambda seed: RandomSampler(seed=seed),
            pooled=True,
        ),
        Searcher(
            name="random-distinct",
            description="circuits at random, each at most once",
            sampler=lambda seed: DistinctSampler(seed=seed),
        ),
        # One gene at a time it would take nine times as long.
        Searcher(
            name="tpe",
            description="Optuna's TPESampler, all genes together",
            sampler=lambda seed: TPESampler(seed=seed, multivariate=True),
        ),
        Searcher(name="nsga3", description="Optuna's NSGAIIISampler, with the paper's settings", sampler=_nsga3),
        Searcher(name="gp", description="Optuna's GPSampler, which takes minutes", sampler=lambda seed: GPSampler(seed=seed)),
    )
}
DEFAULT = ("nsga2", "nsga2-error", "nsga2-pooled", "random", "tpe")


def searcher(written: str) -> Searcher:
    """One by its name, with `:R` behind it for R trainings of each circuit.

    Raises:
        ConfigError: there is none of the name, or R is no such number.
    """
    name, colon, repeats = written.partition(":")
    if name not in SEARCHERS:
        raise ConfigError(f"there is no searcher {name!r}{did_you_mean(name, SEARCHERS)}")
    if not colon:
        return SEARCHERS[name]
    if not WHOLE.fullmatch(repeats) or not 1 <= int(repeats) <= MOST_REPEATS:
        raise ConfigError(f"searcher {written!r}: trainings of each circuit are a number from 1 to {MOST_REPEATS}, as {name}:3")
    return replace(SEARCHERS[name], name=f"{name}:{int(repeats)}", repeats=int(repeats))
