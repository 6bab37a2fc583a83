"""Sources of a study's data: a named data set, files, or samples in memory."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faqnas_optuna.api.settings import ResolvedSettings
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.loading import Files, check_exists, load_splits
from faqnas_optuna.data.splits import DataSplits

if TYPE_CHECKING:
    # At run time this import would load Optuna where an unknown data set is refused.
    from faqnas_optuna.study.study import StoredStudy


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Source of a study's data, which are loaded when they are needed."""

    files: Files | None = None
    """Paths of the files; None for the paths stored with the study."""
    data_dir: Path | None = None
    """Directory of files that have moved, and of IDX files."""
    samples: DataSplits | None = None
    """Samples in the memory of this process, which other processes cannot load."""

    @classmethod
    def located(cls, settings: ResolvedSettings, data_dir: Path | None) -> Self:
        """Return the source of a new study's data.

        Raises:
            DataError: The data set is unknown, or the file does not exist.
        """
        files = settings.files and settings.files.located(data_dir)
        # Here and not while loading: a misspelt name is refused before the database is opened.
        check_exists(settings.config, files)
        return cls(files=files, data_dir=data_dir)

    @property
    def absolute(self) -> "DataSource":
        """Return the source with absolute paths."""
        return replace(self, files=self.files and self.files.absolute, data_dir=self.data_dir and self.data_dir.absolute())

    @property
    def worker_dir(self) -> Path | None:
        """Directory in which other processes look for the data."""
        return self.files.data.absolute().parent if self.files and self.files.data else self.data_dir

    @property
    def _loading_dir(self) -> Path | None:
        """Directory to search first; None if the paths of the files are known."""
        return None if self.files and self.files.data else self.data_dir

    def load(self, config: StudyConfig) -> DataSplits:
        """Load the data for a new study.

        Raises:
            DataError: The data are absent, damaged or unusable.
        """
        if self.samples is None:
            return load_splits(config, files=self.files, data_dir=self._loading_dir)
        return self.samples

    def load_for(self, study: "StoredStudy[Any]") -> DataSplits:
        """Load the data of an existing study.

        Raises:
            DataError: The data are not on this machine.
            StudyMismatchError: The study was created with other data or other versions.
        """
        from faqnas_optuna.study.study import load_data

        if self.samples is None:
            return load_data(study, self._loading_dir, files=self.files)
        # Samples in memory are compared by their fingerprint; files are compared as they are loaded.
        study.check_data(self.samples)
        return self.samples
