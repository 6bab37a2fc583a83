"""What is trained of a table, kept in a folder beside it until all is."""

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
    """What the trainings of a chunk have shown; arrays as in `Checkpoints`, with the circuits before."""

    chunk: Chunk
    right: NDArray[np.uint32]
    loss: NDArray[np.float32]
    seconds: NDArray[np.float32]
    """(circuits,)"""


def folder_of(table: Path) -> Path:
    """Where what is trained of a table is kept."""
    return table.with_name(f"{table.name}.parts")


class ChunkFolder:
    """Folder with a file for each chunk that is done, and a file with the plan that they are of."""

    def __init__(self, table: Path, plan: TablePlan, document: Mapping[str, Any]) -> None:
        self.folder = folder_of(table)
        self._plan = plan
        self._document = document

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from the folder, which is made if it is not there.

        Raises:
            OutputError: another process holds it, or it cannot be made.
            StudyMismatchError: it is of another table.
        """
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            self.folder.mkdir(exist_ok=True)
            held = lock.acquire()
        except Timeout as error:
            raise OutputError(f"another process works at {self.folder}; wait for it, or name another --out") from error
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror}") from error
        with held:
            self._check()
            yield

    def _check(self) -> None:
        """Refuse results that were trained otherwise."""
        file = self.folder / PLAN
        try:
            stored = json.loads(file.read_bytes())
        except FileNotFoundError:
            write_atomically(file, json.dumps(self._document, indent=1).encode())
            return
        except ValueError as error:
            raise OutputError(f"{file} is damaged; remove the folder to begin anew") from error
        if found := differences(stored, self._document):
            raise StudyMismatchError(
                f"{self.folder} has parts of another table: {'; '.join(found)}; remove it to begin anew, or name another --out"
            )

    def read(self) -> Iterator[ChunkResult]:
        """Those that are there; one that is damaged is to be made anew."""
        for chunk in self._plan.chunks():
            try:
                arrays = from_npz(self._file(chunk).read_bytes(), "right", "loss", "seconds")
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                logger.warning("%s is damaged (%s); training it anew", self._file(chunk), error)
                continue
            yield ChunkResult(chunk=chunk, **arrays)

    def keep(self, result: ChunkResult) -> None:
        """Write a result, whole.

        Raises:
            OutputError: there is no room.
        """
        arrays = {"right": result.right, "loss": result.loss, "seconds": result.seconds}
        write_atomically(self._file(result.chunk), to_npz(arrays))

    def remove(self) -> None:
        """All of it, when the table is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.name}.npz"
