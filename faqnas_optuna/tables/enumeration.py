"""Training of every circuit of a space: distribution to workers, intermediate results, and the finished table."""

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
from faqnas_optuna.study_file import document_differences
from faqnas_optuna.tables.checkpoints import train_to_checkpoints
from faqnas_optuna.tables.chunks import ChunkResult, chunk_folder, read_chunks, write_chunk
from faqnas_optuna.tables.plan import Chunk, TablePlan, table_document, versions
from faqnas_optuna.tables.result_folder import ResultFolder
from faqnas_optuna.tables.schema import read_document, seconds_file
from faqnas_optuna.tables.writing import TableValues, seconds_bytes, table_bytes
from faqnas_optuna.training.evaluation import prepare

logger = logging.getLogger(__name__)

RESUME_HINT = "Finished trainings are kept; repeat the command to resume"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Data and settings that are common to all chunks; sent to each worker once."""

    circuits: tuple[Circuit, ...]
    """Circuits to train, which chunks refer to by index."""
    splits: DataSplits
    training: TrainingConfig
    versions: dict[str, str]
    """Versions that the table records, and that every worker must have."""


HandOut = Callable[[Callable[[Job, Chunk], ChunkResult], Job, Iterable[Chunk]], Iterator[ChunkResult]]
"""Function that has chunks trained by workers and yields their results in any order."""


def train_chunk(job: Job, chunk: Chunk) -> ChunkResult:
    """Run the trainings of a chunk, in a worker.

    Raises:
        StudyMismatchError: The worker has other versions than the table records.
        TrainingError: A training diverged.
    """
    lines = document_differences(job.versions, versions())
    if lines:
        raise StudyMismatchError(
            f"the worker on {node()} has other versions, {'; '.join(lines)}; install the same versions everywhere"
        )
    # Compiled now, the kernels do not add to the duration of the first training.
    load_kernels()
    circuits = job.circuits[chunk.begin : chunk.end]
    results = [train_to_checkpoints(circuit, job.splits, job.training, seed=chunk.seed) for circuit in circuits]
    return ChunkResult(
        chunk=chunk,
        right=np.stack([result.right for result in results]),
        loss=np.stack([result.loss for result in results]),
        seconds=np.array([result.seconds for result in results], np.float32),
    )


def make_table(plan: TablePlan, splits: DataSplits, file: Path, hand_out: HandOut, *, on_done: Callable[[int], None]) -> None:
    """Run the missing trainings of a plan, and write the table, with a file of durations beside it.

    After an interruption or error the same call continues from the results so far.

    Args:
        plan: Circuits and trainings.
        splits: Data of the trainings.
        file: File of the table.
        hand_out: Function that hands chunks to workers and yields their results in any order.
        on_done: Callback with the number of finished trainings, first with those of earlier runs.

    Raises:
        ClusterError: The connection to the cluster was lost.
        OutputError: A file cannot be written, or another process is making the table.
        StudyMismatchError: The file or the results so far are of another plan, or a worker has other versions.
        TrainingError: A training diverged.
        WorkerDiedError: A worker died.
    """
    # Through JSON and back, so that it compares equal to the same document read from a file.
    document = json.loads(json.dumps(table_document(plan, splits)))
    if table_exists(file, document):
        return
    folder = chunk_folder(file, document)
    values = TableValues.empty(plan)
    with folder.locked():
        # Another process may have finished the table before this one had the lock.
        if not table_exists(file, document):
            try:
                _train(plan, splits, folder, values, hand_out, on_done)
            except (ClusterError, OutputError, WorkerDiedError) as error:
                raise type(error)(f"{error}. {RESUME_HINT}") from error
            logger.info("writing %s", file)
            # The table comes last: where it exists, the durations do too.
            write_atomically(seconds_file(file), seconds_bytes(plan, values, _seconds_document(document)))
            write_atomically(file, table_bytes(plan, values, document))
        folder.remove()


def table_exists(file: Path, document: dict[str, Any]) -> bool:
    """Return whether the table with this description exists.

    Raises:
        DataError: The file exists and is not a table.
        StudyMismatchError: The file is another table.
    """
    if not file.exists():
        return False
    lines = document_differences(read_document(file), document)
    if lines:
        raise StudyMismatchError(f"{file} is another table: {'; '.join(lines)}; choose another --out, or remove the file")
    return True


def _train(
    plan: TablePlan,
    splits: DataSplits,
    folder: ResultFolder,
    values: TableValues,
    hand_out: HandOut,
    on_done: Callable[[int], None],
) -> None:
    """Read the results so far, and have the remaining chunks trained."""
    # Kernels are compiled and operations counted here, once, where forked workers inherit them.
    prepare(plan.config.engines)
    job = Job(circuits=plan.circuits, splits=splits, training=plan.config.training, versions=versions())
    # A dictionary serves as an ordered set.
    remaining = dict.fromkeys(plan.chunks())
    trainings = 0
    for result in read_chunks(folder, plan):
        values.insert(result)
        del remaining[result.chunk]
        trainings += len(result.seconds)
    on_done(trainings)
    for result in hand_out(train_chunk, job, remaining):
        write_chunk(folder, result)
        values.insert(result)
        trainings += len(result.seconds)
        on_done(trainings)


def _seconds_document(table: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the durations: data and protocol of the table, processor and time of completion."""
    origin = {"processor": _processor_name(), "finished": datetime.now(UTC).isoformat(timespec="seconds")}
    return {name: table[name] for name in ("schema_version", "dataset", "data_fingerprint", "protocol")} | origin


def _processor_name() -> str:
    """Return the model name of the processor, or LLVM's name of it if the system does not provide one."""
    try:
        # Only Linux has this file.
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor())
