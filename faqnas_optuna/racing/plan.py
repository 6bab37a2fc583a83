"""Circuits of a race: one for each function, at its lowest cost."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.functions import function_of
from faqnas_optuna.circuits.genome import PAPER_DEPTH, ROTATION_GENES, Circuit, GeneValue, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.racing.bounds import Floats
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.race_size import MAX_CIRCUITS, space_size
from faqnas_optuna.tables.plan import versions
from faqnas_optuna.training.limits import Limits, is_within
from faqnas_optuna.training.values import Costs


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Effective circuit in a race, with the cheapest circuit of the race that computes the same."""

    genome: Genome
    """Genome of the cheapest circuit."""
    effective: Circuit
    """Effective circuit, which is trained."""
    costs: Costs
    """Costs of the cheapest circuit."""
    cost: float
    """First objective of the cheapest circuit."""


@dataclass(frozen=True, kw_only=True)
class RacePlan:
    """Settings and circuits of a race."""

    config: StudyConfig
    """Space, protocol and cost. Repeats and the settings of a search have no effect."""
    entries: tuple[Entry, ...]
    """Circuits, sorted by cost."""
    resplit: bool = False
    """True if each training has a new split of the samples outside the test part."""

    @classmethod
    def of(
        cls,
        config: StudyConfig,
        splits: DataSplits,
        genomes: Iterable[Genome],
        *,
        resplit: bool = False,
        represent: Callable[[Circuit], Circuit] = function_of,
    ) -> "RacePlan":
        """Return the plan of a race between the circuits of some genomes that are within the limits of the study.

        Args:
            represent: Function that returns equal values for circuits of which only the cheapest is raced.

        Raises:
            ConfigError: No circuit is within the limits.
        """
        cheapest: dict[Circuit, Entry] = {}
        for genome in genomes:
            entry = _entry(genome, config, splits)
            # The cheapest circuit in terms of the cost may have too many parameters, and another one not.
            if not is_within(entry.costs, config):
                continue
            key = represent(genome.circuit)
            if key not in cheapest or _order(entry) < _order(cheapest[key]):
                cheapest[key] = entry
        if not cheapest:
            raise ConfigError(f"none of the circuits is within the limits, {', '.join(config.limits.by_name)}; raise them")
        entries = tuple(sorted(cheapest.values(), key=_order))
        return cls(config=config, entries=entries, resplit=resplit)

    @cached_property
    def costs(self) -> Floats:
        """(K,) costs of the circuits, in ascending order."""
        return np.array([entry.cost for entry in self.entries], np.float64)

    def document(self, splits: DataSplits) -> dict[str, Any]:
        """Return everything that decides the score of a training, as values for JSON."""
        config = self.config
        return {
            "dataset": splits.name,
            "data_fingerprint": splits.fingerprint,
            "training": config.training.model_dump(mode="json", exclude={"repeats"}),
            "engine": str(config.engine),
            "score": str(config.score),
            "seed": config.seed,
            "resplit": self.resplit,
            "circuits": [entry.effective.digest for entry in self.entries],
            "versions": versions(),
        }


def _entry(genome: Genome, config: StudyConfig, splits: DataSplits) -> Entry:
    circuit = genome.circuit
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes, device=config.device)
    return Entry(genome=genome, effective=effective_circuit(circuit), costs=costs, cost=costs.objective(config))


def _order(entry: Entry) -> tuple[float, int, str]:
    # Among equally expensive circuits the shallowest comes first; the digest makes the order definite.
    return entry.cost, entry.genome.depth, entry.genome.circuit.digest


def genomes_of(space: SpaceConfig) -> Iterator[Genome]:
    """Yield one genome for each choice of the active genes of a space.

    Raises:
        ConfigError: There are more than `MAX_CIRCUITS`.
    """
    size = space_size(space)
    if size > MAX_CIRCUITS:
        raise ConfigError(
            f"a race trains every circuit, at most {MAX_CIRCUITS:,}; this space has {size:,}: race a random sample with"
            " --sample N, or the circuits of a search with --among STUDY"
        )
    # Computed once: for each genome it would take most of the time.
    genes = space.genes
    frame = [gene for gene in genes if gene not in ROTATION_GENES]
    for values in product(*(genes[gene] for gene in frame)):
        chosen = dict(zip(frame, values, strict=True))
        for rotations in product(space.rotation, repeat=int(chosen["depth"])):
            yield Genome.from_params(_inactive(space) | chosen | dict(zip(ROTATION_GENES, rotations, strict=False)))


def sample_genomes(limits: Limits, count: int, generator: np.random.Generator) -> list[Genome]:
    """Draw genomes of different functions at random, within the limits of a study.

    Raises:
        ConfigError: The space has hardly more circuits than `count` within the limits.
    """
    space = limits.config.space
    genes = space.genes
    drawn: dict[Circuit, Genome] = {}
    # Each draw has the same probability for all genomes; repeated circuits are rejected.
    attempts = 100 * count
    if limits.config.limits.by_name:
        # Tight limits allow only a small share of the genomes.
        attempts = max(attempts, 50_000)
    # Larger samples are refused without a draw.
    for _ in range(attempts if count <= space_size(space) else 0):
        if len(drawn) == count:
            return list(drawn.values())
        params = {gene: choices[generator.integers(len(choices))] for gene, choices in genes.items()}
        genome = Genome.from_params(_inactive(space) | params)
        if limits.allow(genome.circuit):
            drawn.setdefault(function_of(genome.circuit), genome)
    raise ConfigError(
        f"--sample {count} is too close to the number of circuits to draw from; lower it, or race all of them without it"
    )


def _inactive(space: SpaceConfig) -> dict[str, GeneValue]:
    """Return a value for each rotation gene, of which those beyond the depth are inactive."""
    depth = max(max(space.depth), PAPER_DEPTH)
    return dict.fromkeys(ROTATION_GENES[:depth], str(space.rotation[0]))
