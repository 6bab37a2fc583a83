"""What decides the values of a table, and what is told with them."""

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
from faqnas_optuna.tables.checkpoints import checkpoints
from faqnas_optuna.tables.schema import SCHEMA_VERSION
from faqnas_optuna.tables.space import all_circuits, effective_circuits, sample

CHUNKS_A_SEED = 100
"""In so many pieces the trainings from one seed are handed out: an interruption loses as much of each worker's."""


class Chunk(NamedTuple):
    """What a worker trains before it reports."""

    seed: int
    number: int
    begin: int
    """Of the plan's circuits the first, and the first that is none of it."""
    end: int

    @property
    def name(self) -> str:
        return f"seed{self.seed:03}-{self.number:03}"


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """What is to be trained."""

    config: StudyConfig
    """Data, split and training budget; its seed is of no account."""
    seeds: int
    """Each circuit is trained from the seeds 0, 1, …, `seeds` - 1."""
    fraction: float
    effective_of: Mapping[Circuit, Circuit]
    """The effective circuit of each circuit of the table, which is trained for it."""

    @classmethod
    def of(cls, config: StudyConfig, *, seeds: int, fraction: float = 1, among: Iterable[Circuit] | None = None) -> "TablePlan":
        """All circuits with the effective gates of a sample.

        Args:
            among: what the sample is taken of; None for the whole space.
        """
        effective_of = effective_circuits(all_circuits() if among is None else among)
        sampled = set(sample(effective_of.values(), fraction))
        chosen = {circuit: effective for circuit, effective in effective_of.items() if effective in sampled}
        return cls(config=config, seeds=seeds, fraction=fraction, effective_of=chosen)

    @cached_property
    def circuits(self) -> tuple[Circuit, ...]:
        """Those that are trained, in the order in which they are: by digest, so that any run of them is a fair mixture."""
        return tuple(sorted(set(self.effective_of.values()), key=lambda circuit: circuit.digest))

    @property
    def trainings(self) -> int:
        return self.seeds * len(self.circuits)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        return checkpoints(self.config.training.epochs)

    def chunks(self) -> list[Chunk]:
        """All trainings, seed by seed: what is cut short has whole seeds."""
        size = math.ceil(len(self.circuits) / CHUNKS_A_SEED)
        starts = range(0, len(self.circuits), size)
        return [
            Chunk(seed, number, begin, min(begin + size, len(self.circuits)))
            for seed in range(self.seeds)
            for number, begin in enumerate(starts)
        ]


def table_document(plan: TablePlan, splits: DataSplits) -> dict[str, Any]:
    """What a table says of itself."""
    config, training = plan.config, plan.config.training
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
        "fraction": plan.fraction,
        "circuits": len(plan.effective_of),
        "trained": len(plan.circuits),
        "versions": versions(),
        # Data of one's own have the licence that their owner gives.
        "licence": None if is_file(config.dataset) else LICENCE,
    }


LICENCE = "MIT"
PACKAGES = ("faqnas-optuna", "numba", "numpy", "scikit-learn", "pennylane", "torch", "pyarrow")
"""On which the values of a table depend, its costs, or its bytes."""


def versions() -> dict[str, str]:
    """Versions by package, and the processor, for which numba orders sums."""
    return {"python": python_version(), "processor": processor()} | {package: version(package) for package in PACKAGES}


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """A phrase for each entry in which what two tables say of themselves differs."""
    before, after = _flat(stored), _flat(asked)
    return [
        f"{name}: stored {before.get(name)}, requested {after.get(name)}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
