"""The data that settings name: a data set that we know, or a file."""

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
    """Where the files of data are; none of a data set that we know by name."""

    data: Path | None = None
    test: Path | None = None

    @property
    def absolute(self) -> "Files":
        """The same from any working directory."""
        return Files(data=self.data and self.data.absolute(), test=self.test and self.test.absolute())

    def located(self, data_dir: Path | None) -> "Files":
        """The same, but for what is not there but in the directory of data."""
        return Files(data=_located(self.data, data_dir), test=_located(self.test, data_dir))

    @classmethod
    def from_json(cls, entry: Mapping[str, str | None]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{name: None if path is None else Path(path) for name, path in entry.items()})

    def to_json(self) -> dict[str, str | None]:
        """Plain values."""
        return {name: None if path is None else str(path) for name, path in vars(self).items()}


def _located(path: Path | None, data_dir: Path | None) -> Path | None:
    if path and data_dir and not path.exists() and (data_dir / path.name).exists():
        return data_dir / path.name
    return path


def without_directories(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Files | None]:
    """Nested settings with files of data by name alone, since where they are decides nothing; and where they are.

    Generated data get the one name that is theirs.

    Raises:
        ConfigError: the data are in a file of another kind.
        DataError: they are generated, and not with these keys.
    """
    dataset, data = settings["dataset"], settings.get("data")
    if not (isinstance(dataset, str) and is_file(dataset)):
        if isinstance(dataset, str) and (recipe := named.recipe_of(dataset)):
            return {**settings, "dataset": recipe.name}, None
        # Behind a colon stands what was meant as keys.
        if Path(str(dataset).partition(":")[0]).suffix:
            raise ConfigError(f"{dataset}: data are read from {', '.join(FILE_SUFFIXES)}; write them as one of these")
        return dict(settings), None
    test_file = data.get("test_file") if isinstance(data, Mapping) else None
    files = Files(data=Path(dataset), test=Path(test_file) if isinstance(test_file, str) else None)
    changes = {"dataset": Path(dataset).name, "data.test_file": files.test and files.test.name}
    return override(settings, changes), files


def check_known(config: StudyConfig, files: Files | None) -> None:
    """Refuse data of which it is plain, before anything is loaded, that they are not there.

    Raises:
        DataError: the name is unknown, or there is no such file.
    """
    if not is_file(config.dataset):
        named.check_known(config.dataset)
        return
    from faqnas_optuna.data.reading import check_file

    for path in _found(config, files or Files(), None):
        if path:
            check_file(path)


def load_splits(
    config: StudyConfig,
    *,
    files: Files | None = None,
    data_dir: Path | None = None,
    exceptions: Mapping[str, str] | None = None,
) -> DataSplits:
    """The data of a study, split and scaled.

    Args:
        files: where they were last; None of data that are no file.
        data_dir: where they are looked for, by name, if they are not there, and the IDX files of a name.
        exceptions: stored schema of files (`Schema.exceptions`); None to infer it.

    Raises:
        DataError: they are not on this machine, are damaged, or cannot be used.
    """
    if config.dataset == SAMPLES:
        raise DataError("the samples are in the memory of a program; the search goes on there, by search(x, y, …)")
    if not is_file(config.dataset):
        return named.load(config.dataset, seed=config.split_seed, data_dir=data_dir, pca=config.data.pca)
    # It brings scikit-learn, which readers do without.
    from faqnas_optuna.data.user_data import load_file

    path, test = _found(config, files or Files(), data_dir)
    assert path is not None
    return load_file(path, config.data, seed=config.split_seed, test_path=test, exceptions=exceptions)


def _found(config: StudyConfig, files: Files, data_dir: Path | None) -> tuple[Path | None, Path | None]:
    """The files of a study, where they are now."""
    wanted = ((config.dataset, files.data), (config.data.test_file, files.test))
    found = [_find(name, last, data_dir) if name else None for name, last in wanted]
    return found[0], found[1]


def _find(name: str, last: Path | None, data_dir: Path | None) -> Path:
    """A file in the directory that is named, or else where it was."""
    places = [place for place in (data_dir and data_dir / name, last) if place]
    for place in places:
        if place.exists():
            return place
    looked = " nor in ".join(str(place.parent) for place in places) or "any directory that is named"
    raise DataError(f"{name} is not in {looked}; name its directory with --data-dir or FAQNAS_DATA_DIR")
