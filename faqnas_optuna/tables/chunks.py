"""Results of the chunks of a table, in a folder beside it, from which an interrupted enumeration resumes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.tables.plan import Chunk, TablePlan
from faqnas_optuna.tables.result_folder import ResultFolder


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """Results of the trainings of a chunk."""

    chunk: Chunk
    right: NDArray[np.uint32]
    """Numbers of correct predictions, of shape (circuits, checkpoints, 3)."""
    loss: NDArray[np.float32]
    """Mean negative log-likelihoods, of shape (circuits, checkpoints, 3)."""
    seconds: NDArray[np.float32]
    """Durations, of shape (circuits,)."""


def chunk_folder(table: Path, document: Mapping[str, Any]) -> ResultFolder:
    """Return the folder with one file per finished chunk of a table.

    Args:
        table: File of the table.
        document: Description of the table, a `table_document`.
    """
    return ResultFolder(folder_of(table), document, noun="table", option="--out")


def folder_of(table: Path) -> Path:
    """Return the path of the folder with the results so far of a table."""
    return table.with_name(f"{table.name}.parts")


def read_chunks(folder: ResultFolder, plan: TablePlan) -> Iterator[ChunkResult]:
    """Yield the results so far. The chunk of a damaged file is trained again."""
    for chunk in plan.chunks():
        arrays = folder.read(chunk.name, "right", "loss", "seconds")
        if arrays is not None:
            yield ChunkResult(chunk=chunk, **arrays)


def write_chunk(folder: ResultFolder, result: ChunkResult) -> None:
    """Write the result of a chunk to its file.

    Raises:
        OutputError: The file cannot be written.
    """
    folder.write(result.chunk.name, {"right": result.right, "loss": result.loss, "seconds": result.seconds})
