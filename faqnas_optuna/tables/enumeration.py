"""Training every circuit of the space: handing the trainings out, keeping what is done, and writing the table."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from platform import node
from typing import Any

import numpy as np

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.errors import ClusterError, OutputError, StudyMismatchError, WorkerDiedError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.tables.checkpoints import train_to_checkpoints
from faqnas_optuna.tables.chunks import ChunkFolder, ChunkResult
from faqnas_optuna.tables.plan import Chunk, TablePlan, differences, table_document, versions
from faqnas_optuna.tables.schema import read_document, seconds_file
from faqnas_optuna.tables.writing import TableValues, seconds_bytes, table_bytes
from faqnas_optuna.training.evaluation import prepare

logger = logging.getLogger(__name__)

KEPT = "What is trained is kept; the same command goes on"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all workers are told."""

    circuits: tuple[Circuit, ...]
    splits: DataSplits
    training: TrainingConfig
    versions: dict[str, str]
    """Those of the table; a worker must have the same."""


HandOut = Callable[[Callable[[Job, Chunk], ChunkResult], Job, Iterable[Chunk]], Iterator[ChunkResult]]
"""Has chunks trained, and gives what each has shown, in any order."""


def train_chunk(job: Job, chunk: Chunk) -> ChunkResult:
    """What a worker does.

    Raises:
        StudyMismatchError: it has other versions than the table is to be of.
        TrainingError: a training diverged.
    """
    if found := differences(job.versions, versions()):
        raise StudyMismatchError(f"the worker on {node()} has other versions, {'; '.join(found)}; let all have the same")
    load_kernels()
    circuits = job.circuits[chunk.begin : chunk.end]
    shown = [train_to_checkpoints(circuit, job.splits, job.training, seed=chunk.seed) for circuit in circuits]
    return ChunkResult(
        chunk=chunk,
        right=np.stack([one.right for one in shown]),
        loss=np.stack([one.loss for one in shown]),
        seconds=np.array([one.seconds for one in shown], np.float32),
    )


def make_table(plan: TablePlan, splits: DataSplits, file: Path, hand_out: HandOut, *, on_done: Callable[[int], None]) -> None:
    """Have all trainings of a plan made that are not yet, and write the table with what they took beside it.

    Whatever ends it, the same call goes on with what is left.

    Args:
        on_done: called with the number of trainings that are done: first with those that were before.

    Raises:
        ClusterError: the cluster that did it is gone.
        OutputError: a file cannot be written, or another process makes it.
        StudyMismatchError: the file, or what there is of it, is of another plan; or a worker has other versions.
        TrainingError: a training diverged.
        WorkerDiedError: a worker did.
    """
    # As it comes back from a file.
    document = json.loads(json.dumps(table_document(plan, splits)))
    if is_made(file, document):
        return
    folder, values = ChunkFolder(file, plan, document), TableValues.empty(plan)
    with folder.held():
        # Another process may have made it before this one came to hold them.
        if not is_made(file, document):
            try:
                _train(plan, splits, folder, values, hand_out, on_done)
            except (ClusterError, OutputError, WorkerDiedError) as error:
                raise type(error)(f"{error}. {KEPT}") from error
            logger.info("writing %s", file)
            write_atomically(seconds_file(file), seconds_bytes(plan, values, _seconds_document(document)))
            write_atomically(file, table_bytes(plan, values, document))
        folder.remove()


def is_made(file: Path, document: dict[str, Any]) -> bool:
    """Whether the table is there already.

    Raises:
        DataError: there is a file that is no table.
        StudyMismatchError: there is another table.
    """
    if not file.exists():
        return False
    if found := differences(read_document(file), document):
        raise StudyMismatchError(f"{file} is another table: {'; '.join(found)}; name another --out, or remove it")
    return True


def _train(
    plan: TablePlan,
    splits: DataSplits,
    folder: ChunkFolder,
    values: TableValues,
    hand_out: HandOut,
    on_done: Callable[[int], None],
) -> None:
    """Have what is missing trained."""
    prepare(plan.config.engines)
    job = Job(circuits=plan.circuits, splits=splits, training=plan.config.training, versions=versions())
    left = dict.fromkeys(plan.chunks())
    done = 0
    for result in folder.read():
        values.take_in(result)
        del left[result.chunk]
        done += len(result.seconds)
    on_done(done)
    for result in hand_out(train_chunk, job, left):
        folder.keep(result)
        values.take_in(result)
        done += len(result.seconds)
        on_done(done)


def _seconds_document(table: dict[str, Any]) -> dict[str, Any]:
    """What the file of seconds says of itself."""
    made = {"processor": _processor_name(), "finished": datetime.now(UTC).isoformat(timespec="seconds")}
    return {name: table[name] for name in ("schema_version", "dataset", "data_fingerprint", "protocol")} | made


def _processor_name() -> str:
    """As its maker calls it, where the system tells; else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor())
