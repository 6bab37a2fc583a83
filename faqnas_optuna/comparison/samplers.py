"""Search algorithms to compare, by name: Optuna's samplers with the settings that a search would have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler
from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, GeneValue, Genome, enumerate_genomes
from faqnas_optuna.config import Objectives, Sampler, SearchConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.literals import WHOLE
from faqnas_optuna.study.sampler import SeededSampler

PAPER = SearchConfig()
"""Settings of the paper, which are the defaults."""
MAX_REPEATS = 100
RACE = "race"
"""Name of the algorithm that is not a sampler."""


@dataclass(frozen=True, kw_only=True)
class Searcher:
    """A search algorithm: a sampler, and how often each circuit is trained."""

    name: str
    description: str
    """Description of the algorithm."""
    sampler: Callable[[int], BaseSampler] | None
    """Function that returns the sampler for the seed of a search; None for a race, which has none."""
    repeats: int = 1
    """Number of trainings per circuit."""
    pooled: bool = False
    """True if the front is chosen by errors that are pooled over all trainings of the search."""


class DistinctSampler(BaseSampler):
    """Sampler of random circuits, without replacement: every effective circuit has the same chance, and comes once.

    Args:
        seed: Seed of the random order.
    """

    def __init__(self, *, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(len(_distinct()))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        # Without a relative search space Optuna asks `sample_independent` for every gene.
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> GeneValue:
        # The number of the trial selects the circuit, so all genes of a trial come from the same one.
        index = int(self._order[trial.number % len(self._order)])
        value: GeneValue = _distinct()[index].to_params()[param_name]
        return value


@cache
def _distinct() -> Sequence[Genome]:
    """Return one genome for each effective circuit of the space."""
    # Samplers suggest genes, so a circuit must be represented by one of its genomes.
    return list({effective_circuit(genome.circuit): genome for genome in enumerate_genomes()}.values())


def _sampler(seed: int, **settings: Any) -> BaseSampler:
    """Return the sampler that a search with the paper's settings and these ones has."""
    return SeededSampler(PAPER.model_copy(update=settings), GENES, seed=seed)


_random = partial(_sampler, sampler=Sampler.RANDOM)


SEARCHERS = {
    searcher.name: searcher
    for searcher in (
        Searcher(name="nsga2", description="NSGA-II with the paper's settings: FAQNAS", sampler=_sampler),
        Searcher(
            name="nsga2-error",
            description="NSGA-II with parents selected by the error alone",
            sampler=partial(_sampler, objectives=Objectives.ERROR),
        ),
        Searcher(name="random", description="random genomes", sampler=_random),
        Searcher(
            name="nsga2-pooled", description="nsga2 with the front selected by pooled errors", sampler=_sampler, pooled=True
        ),
        Searcher(
            name="random-pooled", description="random with the front selected by pooled errors", sampler=_random, pooled=True
        ),
        Searcher(
            name="random-distinct",
            description="random circuits without repetition",
            sampler=lambda seed: DistinctSampler(seed=seed),
        ),
        Searcher(name="tpe", description="Optuna's TPESampler, multivariate", sampler=partial(_sampler, sampler=Sampler.TPE)),
        Searcher(name=RACE, description="Pareto halving: race, first stage", sampler=None),
        Searcher(
            name="nsga3",
            description="Optuna's NSGAIIISampler, with the paper's settings",
            sampler=partial(_sampler, sampler=Sampler.NSGA3),
        ),
        Searcher(name="gp", description="Optuna's GPSampler, which takes minutes", sampler=lambda seed: GPSampler(seed=seed)),
    )
}
# Of the others `gp` takes minutes, and the rest resemble one of these.
DEFAULT = ("nsga2", "nsga2-error", "nsga2-pooled", "random", "tpe")


def searcher(text: str) -> Searcher:
    """Return a search algorithm by its name, to which `:R` may be added for R trainings per circuit.

    >>> searcher("random:3").repeats
    3

    Raises:
        ConfigError: No algorithm has this name, or R is not a number from 1 to 100.
    """
    name, colon, repeats = text.partition(":")
    if name not in SEARCHERS:
        raise ConfigError(f"there is no searcher {name!r}{did_you_mean(name, SEARCHERS)}")
    if not colon:
        return SEARCHERS[name]
    if SEARCHERS[name].sampler is None:
        raise ConfigError(f"searcher {text!r}: a race decides itself how often it trains each circuit; write {name}")
    if not WHOLE.fullmatch(repeats) or not 1 <= int(repeats) <= MAX_REPEATS:
        raise ConfigError(
            f"searcher {text!r}: the number of trainings per circuit must be from 1 to {MAX_REPEATS}, as in {name}:3"
        )
    return replace(SEARCHERS[name], name=f"{name}:{int(repeats)}", repeats=int(repeats))
