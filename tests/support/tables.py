"""Small tables, computed in the process of the tests."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from faqnas_optuna.circuits.genome import Rotation, Topology, enumerate_genomes
from faqnas_optuna.config import DataConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.tables.chunks import ChunkResult
from faqnas_optuna.tables.enumeration import Job, make_table
from faqnas_optuna.tables.plan import Chunk, TablePlan

SPACE = SpaceConfig(n_qubits=(2, 3), depth=(1, 2), topology=(Topology.LINEAR,), rotation=(Rotation.RX, Rotation.RZ))
SEEDS = 2
EPOCHS = 5


def plan_of(**changes: Any) -> TablePlan:
    config = StudyConfig(dataset="iris", data=DataConfig(split_seed=0), training=TrainingConfig(epochs=EPOCHS))
    # A small part of the space, so that a table takes seconds.
    among = [genome.circuit for genome in enumerate_genomes(SPACE.genes)]
    return TablePlan.of(**{"config": config, "seeds": SEEDS, "among": among, **changes})


def here(work: Callable[[Job, Chunk], ChunkResult], shared: Job, tasks: Iterable[Chunk]) -> Iterator[ChunkResult]:
    """Run tasks in this process, with the signature of a pool."""
    return (work(shared, task) for task in tasks)


def make(file: Path, splits: DataSplits, plan: TablePlan | None = None, hand_out: Any = here) -> list[int]:
    """Make a table and return the numbers of finished trainings that were reported."""
    reports: list[int] = []
    make_table(plan or plan_of(), splits, file, hand_out, on_done=reports.append)
    return reports


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
