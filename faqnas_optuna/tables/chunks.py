"""Folder beside a table with the results so far, from which an interrupted enumeration resumes."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from faqnas_optuna.cache import from_npz, to_npz
from faqnas_optuna.errors import OutputError, StudyMismatchError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.tables.plan import Chunk, TablePlan, differences

logger = logging.getLogger(__name__)

PLAN = "plan.json"


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


def folder_of(table: Path) -> Path:
    """Return the folder with the results so far of a table."""
    return table.with_name(f"{table.name}.parts")


class ChunkFolder:
    """Folder with one file per finished chunk, and a file with the description of their table.

    Args:
        table: File of the table.
        plan: Plan of the table.
        document: Description of the table, a `table_document`.
    """

    def __init__(self, table: Path, plan: TablePlan, document: Mapping[str, Any]) -> None:
        self.folder = folder_of(table)
        self._plan = plan
        self._document = document

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the folder, which is created if necessary.

        Raises:
            OutputError: Another process uses the folder, or it cannot be created.
            StudyMismatchError: The folder belongs to another table.
        """
        # Without waiting: the other process may take days.
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            self.folder.mkdir(exist_ok=True)
            acquisition = lock.acquire()
        except Timeout as error:
            raise OutputError(
                f"another process is writing to {self.folder}; wait until it ends, or choose another --out"
            ) from error
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror}") from error
        with acquisition:
            self._check_document()
            yield

    def _check_document(self) -> None:
        """Check that the results in the folder belong to the table, or store its description in a new folder."""
        file = self.folder / PLAN
        try:
            document = json.loads(file.read_bytes())
        except FileNotFoundError:
            write_atomically(file, json.dumps(self._document, indent=1).encode())
            return
        except ValueError as error:
            raise OutputError(f"{file} is damaged; remove the folder to start again") from error
        # Results of another protocol or version must not get into the table.
        lines = differences(document, self._document)
        if lines:
            raise StudyMismatchError(
                f"{self.folder} belongs to another table: {'; '.join(lines)}; remove it to start again, or choose another --out"
            )

    def read(self) -> Iterator[ChunkResult]:
        """Yield the results so far. A damaged file is skipped with a warning, so that its chunk is trained again."""
        for chunk in self._plan.chunks():
            try:
                arrays = from_npz(self._file(chunk).read_bytes(), "right", "loss", "seconds")
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                logger.warning("%s is damaged (%s); repeating its trainings", self._file(chunk), error)
                continue
            yield ChunkResult(chunk=chunk, **arrays)

    def write(self, result: ChunkResult) -> None:
        """Write the result of a chunk to its file.

        Raises:
            OutputError: The file cannot be written.
        """
        # Atomically, so that an interruption leaves a whole file or none.
        arrays = {"right": result.right, "loss": result.loss, "seconds": result.seconds}
        write_atomically(self._file(result.chunk), to_npz(arrays))

    def remove(self) -> None:
        """Remove the folder, once the table is written."""
        # A folder that cannot be removed does no harm: the table is complete.
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.name}.npz"
