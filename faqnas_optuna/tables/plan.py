"""Plan of a table: the circuits and trainings, and the description that is stored with their values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from platform import python_version
from typing import Any, NamedTuple

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig, is_file
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study.cost_range import check_limits
from faqnas_optuna.tables.checkpoints import checkpoints
from faqnas_optuna.tables.schema import SCHEMA_VERSION
from faqnas_optuna.tables.space import PAPER_SPACE, all_circuits, effective_circuits, sample
from faqnas_optuna.training.limits import Limits

# An interruption loses at most one chunk per worker.
CHUNKS_PER_SEED = 100
"""Number of chunks that the trainings from one seed are divided into."""


class Chunk(NamedTuple):
    """Trainings that one worker runs before it reports."""

    seed: int
    number: int
    """Number of the chunk among those of the seed."""
    begin: int
    """Index of the first circuit in the plan."""
    end: int
    """Index after the last circuit."""

    @property
    def name(self) -> str:
        """Name of the chunk in files, such as `seed001-042`."""
        return f"seed{self.seed:03}-{self.number:03}"


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """Circuits of a table, and the trainings that their values come from."""

    config: StudyConfig
    """Data, split and training budget. The seed has no effect."""
    seeds: int
    """Number of seeds: each circuit is trained from the seeds 0, 1, …, `seeds` - 1."""
    fraction: float
    """Share of the effective circuits that the table contains, 1 for all."""
    effective_of: Mapping[Circuit, Circuit]
    """Effective circuit, which is the one to train, of each circuit of the table."""

    @classmethod
    def of(cls, config: StudyConfig, *, seeds: int, fraction: float = 1, among: Iterable[Circuit] | None = None) -> "TablePlan":
        """Return the plan of a table, given the settings and the share of the space.

        Args:
            config: Data, split and training budget.
            seeds: Number of trainings per circuit.
            fraction: Share of the effective circuits. All circuits that reduce to one of them are in the table.
            among: Circuits to choose from; None for the whole space.
        """
        # Sampled among effective circuits, so that the number of trainings is the requested share.
        effective_of = effective_circuits(all_circuits(config.space) if among is None else among)
        effective_sample = set(sample(effective_of.values(), fraction))
        chosen = {circuit: effective for circuit, effective in effective_of.items() if effective in effective_sample}
        return cls(config=config, seeds=seeds, fraction=fraction, effective_of=chosen)

    @cached_property
    def circuits(self) -> tuple[Circuit, ...]:
        """Circuits to train, in the order of training."""
        # In the order of their digests cheap and expensive circuits are mixed, so chunks take about the same time.
        return tuple(sorted(set(self.effective_of.values()), key=lambda circuit: circuit.digest))

    @property
    def trainings(self) -> int:
        """Total number of trainings."""
        return self.seeds * len(self.circuits)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Epochs after which the networks are evaluated."""
        return checkpoints(self.config.training.epochs)

    def chunks(self) -> list[Chunk]:
        """Return all trainings in chunks, seed by seed."""
        # An interrupted enumeration then has complete seeds, which can be compared, rather than parts of all.
        size = math.ceil(len(self.circuits) / CHUNKS_PER_SEED)
        starts = range(0, len(self.circuits), size)
        return [
            Chunk(seed, number, begin, min(begin + size, len(self.circuits)))
            for seed in range(self.seeds)
            for number, begin in enumerate(starts)
        ]


def circuits_within(limits: Limits) -> list[Circuit]:
    """Return the circuits of a study's space that are within its limits.

    Raises:
        ConfigError: The space has circuits that a table cannot describe, or no circuit is within the limits.
    """
    space = limits.config.space
    if space.is_wider:
        raise ConfigError("a table has circuits of the paper's space; leave out the genes' further values, or use race")
    check_limits(limits)
    return [circuit for circuit in all_circuits(space) if limits.allow(circuit)]


def table_document(plan: TablePlan, splits: DataSplits) -> dict[str, Any]:
    """Return the description of a table: its data, protocol, size and the versions that made it."""
    config = plan.config
    training = config.training
    # Absent from tables of the whole space, so that their files do not change.
    part = {} if config.space == PAPER_SPACE else {"space": config.space.model_dump(mode="json")}
    if config.limits.by_name:
        part["limits"] = config.limits.by_name
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": splits.name,
        "data": config.data.model_dump(mode="json", exclude={"split_seed"}),
        "data_fingerprint": splits.fingerprint,
        "sizes": {name: len(part) for name, part in parts.items()},
        "features": splits.n_features,
        "classes": list(splits.classes),
        "protocol": {
            "engine": str(config.engine),
            "learning_rate": training.learning_rate,
            "batch_size": training.batch_size,
            "epochs": training.epochs,
            "checkpoints": list(plan.checkpoints),
            "seeds": plan.seeds,
            "split_seed": config.split_seed,
        },
        **part,
        "fraction": plan.fraction,
        "circuits": len(plan.effective_of),
        "trained": len(plan.circuits),
        "versions": versions(),
        # The licence of a table from the user's data is up to the owner of the data.
        "licence": None if is_file(config.dataset) else LICENCE,
    }


LICENCE = "MIT"
PACKAGES = ("faqnas-optuna", "numba", "numpy", "scikit-learn", "pennylane", "torch", "pyarrow")
"""Packages whose version may change the values, the costs or the bytes of a table."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages, and the kind of processor."""
    # Numba vectorises sums for the processor, whose instructions decide their order and thereby their rounding.
    return {"python": python_version(), "processor": processor()} | {package: version(package) for package in PACKAGES}
