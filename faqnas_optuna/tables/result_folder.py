"""Folder with the results so far of work that takes long, from which it resumes after an interruption."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from numpy.typing import NDArray

from faqnas_optuna.cache import from_npz, to_npz
from faqnas_optuna.errors import OutputError, StudyMismatchError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.study_file import document_differences

logger = logging.getLogger(__name__)

PLAN = "plan.json"


class ResultFolder:
    """Folder with files of arrays, and a file with the description of the work that they belong to.

    Args:
        folder: Path of the folder.
        document: Description of the work, in values that are equal after a round trip through JSON.
        noun: Kind of work, for messages.
        option: Option of the command that chooses another folder.
    """

    def __init__(self, folder: Path, document: Mapping[str, Any], *, noun: str, option: str) -> None:
        self.folder = folder
        self._document = document
        self._noun = noun
        self._option = option

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the folder, which is created if necessary.

        Raises:
            OutputError: Another process uses the folder, or it cannot be created.
            StudyMismatchError: The folder belongs to other work.
        """
        # Without waiting: the other process may take days.
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            self.folder.mkdir(exist_ok=True)
            acquisition = lock.acquire()
        except Timeout as error:
            raise OutputError(
                f"another process is writing to {self.folder}; wait until it ends, or choose another {self._option}"
            ) from error
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror}") from error
        with acquisition:
            self._check_document()
            yield

    def _check_document(self) -> None:
        """Check that the results in the folder belong to this work, or store its description in a new folder."""
        file = self.folder / PLAN
        try:
            document = json.loads(file.read_bytes())
        except FileNotFoundError:
            write_atomically(file, json.dumps(self._document, indent=1).encode())
            return
        except ValueError as error:
            raise OutputError(f"{file} is damaged; remove the folder to start again") from error
        # Results of another protocol or version must not be mixed with these.
        lines = document_differences(document, self._document)
        if lines:
            raise StudyMismatchError(
                f"{self.folder} belongs to another {self._noun}: {'; '.join(lines)}; remove it to start again,"
                f" or choose another {self._option}"
            )

    def names(self) -> list[str]:
        """Return the names of the files of arrays, sorted."""
        return sorted(file.stem for file in self.folder.glob("*.npz"))

    def read(self, name: str, *arrays: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a file; None if the file does not exist, or is damaged, which causes a warning."""
        file = self._file(name)
        try:
            return from_npz(file.read_bytes(), *arrays)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("%s is damaged (%s); repeating its trainings", file, error)
            return None

    def write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays to a file.

        Raises:
            OutputError: The file cannot be written.
        """
        # Atomically, so that an interruption leaves a whole file or none.
        write_atomically(self._file(name), to_npz(dict(arrays)))

    def remove(self) -> None:
        """Remove the folder, once its results are stored elsewhere."""
        # A folder that cannot be removed does no harm.
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
