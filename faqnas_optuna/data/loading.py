"""Loading of the data that the settings of a study name: a named data set or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from faqnas_optuna.config import FILE_SUFFIXES, SAMPLES, StudyConfig, is_file
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError
from faqnas_optuna.study_file import override


@dataclass(frozen=True, kw_only=True)
class Files:
    """Paths of the data files of a study; both None for a named data set."""

    data: Path | None = None
    test: Path | None = None

    @property
    def absolute(self) -> "Files":
        """Absolute paths of the files."""
        return Files(data=self.data and self.data.absolute(), test=self.test and self.test.absolute())

    def located(self, data_dir: Path | None) -> "Files":
        """Return the paths, with a file that does not exist replaced by the file of that name in `data_dir` if there is one."""
        return Files(data=_locate(self.data, data_dir), test=_locate(self.test, data_dir))

    @classmethod
    def from_json(cls, entry: Mapping[str, str | None]) -> Self:
        """Restore the paths from the result of `to_json`."""
        return cls(**{name: None if path is None else Path(path) for name, path in entry.items()})

    def to_json(self) -> dict[str, str | None]:
        """Return the paths as values for JSON."""
        return {name: None if path is None else str(path) for name, path in vars(self).items()}


def _locate(path: Path | None, data_dir: Path | None) -> Path | None:
    if path and data_dir and not path.exists() and (data_dir / path.name).exists():
        return data_dir / path.name
    return path


def without_directories(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Files | None]:
    """Return settings that name data files without their directories, and the paths of these files.

    The directory of a file does not affect the results, so it is not part of the configuration. Generated data get their
    canonical name.

    Args:
        settings: Nested settings of a study.

    Raises:
        ConfigError: The data file has an unknown format.
        DataError: Generated data have an unknown key, or a value that is out of range.
    """
    dataset = settings["dataset"]
    data = settings.get("data")
    if not (isinstance(dataset, str) and is_file(dataset)):
        recipe = named.recipe_of(dataset) if isinstance(dataset, str) else None
        if recipe:
            return {**settings, "dataset": recipe.name}, None
        # The name may be followed by a colon and keys, whose values may contain a point.
        if Path(str(dataset).partition(":")[0]).suffix:
            raise ConfigError(
                f"{dataset}: a data file must end in {', '.join(FILE_SUFFIXES)}; convert it to one of these formats"
            )
        return dict(settings), None
    test_file = data.get("test_file") if isinstance(data, Mapping) else None
    files = Files(data=Path(dataset), test=Path(test_file) if isinstance(test_file, str) else None)
    changes = {"dataset": Path(dataset).name, "data.test_file": files.test and files.test.name}
    return override(settings, changes), files


def check_exists(config: StudyConfig, files: Files | None) -> None:
    """Check, without loading the data, that they exist.

    Raises:
        DataError: The data set is unknown, or a file does not exist.
    """
    if not is_file(config.dataset):
        named.check_name(config.dataset)
        return
    from faqnas_optuna.data.reading import check_file

    for path in _current_paths(config, files or Files(), None):
        if path:
            check_file(path)


def load_splits(
    config: StudyConfig,
    *,
    files: Files | None = None,
    data_dir: Path | None = None,
    non_numeric: Mapping[str, str] | None = None,
) -> DataSplits:
    """Load the data of a study, split and standardised.

    Args:
        config: Configuration of the study.
        files: Last known paths of the data files; None for a named data set.
        data_dir: Directory of the data files by name, which precedes the last known paths, or of IDX files.
        non_numeric: Stored schema of the files (`Schema.non_numeric`); None to infer it.

    Raises:
        DataError: The data are not on this machine, are damaged, or cannot be used.
    """
    if config.dataset == SAMPLES:
        raise DataError("the samples are in the memory of a Python program; continue the search there with search(x, y, …)")
    if not is_file(config.dataset):
        return named.load(config.dataset, seed=config.split_seed, data_dir=data_dir, pca=config.data.pca)
    # Imported late because this module imports scikit-learn, which commands that only read a study must not import.
    from faqnas_optuna.data.user_data import load_file

    path, test_path = _current_paths(config, files or Files(), data_dir)
    assert path is not None
    return load_file(path, config.data, seed=config.split_seed, test_path=test_path, non_numeric=non_numeric)


def _current_paths(config: StudyConfig, files: Files, data_dir: Path | None) -> tuple[Path | None, Path | None]:
    """Return the paths of the data file and of the test file of a study, None for a file that it does not have."""
    path = _find(config.dataset, files.data, data_dir) if config.dataset else None
    test_path = _find(config.data.test_file, files.test, data_dir) if config.data.test_file else None
    return path, test_path


def _find(name: str, last_path: Path | None, data_dir: Path | None) -> Path:
    """Return the path of a file in `data_dir` or, failing that, its last known path."""
    # The directory precedes: a user who names one may have moved the data, or use a copy on a faster disk.
    candidates = [path for path in (data_dir and data_dir / name, last_path) if path]
    for path in candidates:
        if path.exists():
            return path
    searched = f" in {' or '.join(str(path.parent) for path in candidates)}" if candidates else ""
    raise DataError(f"cannot find {name}{searched}; name its directory with --data-dir or FAQNAS_DATA_DIR")
