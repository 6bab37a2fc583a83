"""Where the data of a study come from: a data set known by name, files, or samples in memory."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faqnas_optuna.api.settings import ResolvedSettings
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.loading import Files, check_known, load_splits
from faqnas_optuna.data.splits import DataSplits

if TYPE_CHECKING:
    # At run time it would bring Optuna where an unknown data set is refused.
    from faqnas_optuna.study.study import StoredStudy


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """The data of a study, to be loaded when they are needed."""

    files: Files | None = None
    """Where the files are; None for where they were when the study was made."""
    data_dir: Path | None = None
    """Directory of files that are not where they were, and of IDX files."""
    samples: DataSplits | None = None
    """Data in the memory of this process, which no other process can load."""

    @classmethod
    def located(cls, settings: ResolvedSettings, data_dir: Path | None) -> Self:
        """Return the source of a new study's data.

        Raises:
            DataError: the data set is unknown, or there is no such file.
        """
        files = settings.files and settings.files.located(data_dir)
        check_known(settings.config, files)
        return cls(files=files, data_dir=data_dir)

    @property
    def absolute(self) -> "DataSource":
        """The source with absolute paths, valid in any working directory."""
        return replace(self, files=self.files and self.files.absolute, data_dir=self.data_dir and self.data_dir.absolute())

    @property
    def worker_dir(self) -> Path | None:
        """Directory in which other processes look for the data."""
        return self.files.data.absolute().parent if self.files and self.files.data else self.data_dir

    @property
    def _loading_dir(self) -> Path | None:
        """Directory that is searched first: none where files are named, whose paths were located already."""
        return None if self.files and self.files.data else self.data_dir

    def load(self, config: StudyConfig) -> DataSplits:
        """Load the data of a study that is yet to be made.

        Raises:
            DataError: the data are not on this machine, are damaged, or cannot be used.
        """
        if self.samples is None:
            return load_splits(config, files=self.files, data_dir=self._loading_dir)
        return self.samples

    def load_for(self, study: "StoredStudy[Any]") -> DataSplits:
        """Load the data of a study that exists.

        Raises:
            DataError: the data are not on this machine.
            StudyMismatchError: the study was made with other data, or other versions.
        """
        from faqnas_optuna.study.study import load_data

        if self.samples is None:
            return load_data(study, self._loading_dir, files=self.files)
        study.check_data(self.samples)
        return self.samples
