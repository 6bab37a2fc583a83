"""Data of a call from Python: a name, a file, or samples in memory."""

import warnings
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import path_of
from faqnas_optuna.api.settings import ResolvedSettings, resolve_settings
from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.data import user_data
from faqnas_optuna.data.findings import relevant
from faqnas_optuna.data.frames import as_frame, as_series
from faqnas_optuna.data.reading import NPZ_TARGET, Source
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError, DataWarning


def resolve_data(
    data: Any, y: Any, settings: Mapping[str, Any], *, config: Path | str | None, data_dir: Path | str | None, caller: str
) -> tuple[ResolvedSettings, DataSource]:
    """Return the settings of a call, and the source of its data.

    Args:
        data: Name of a data set, path of a file, or samples; None for the data set that `config` names.
        y: (samples,) classes of the samples.
        settings: Settings by plain name.
        config: Study file.
        data_dir: Directory of data files.
        caller: Name of the called function, for error messages.

    Raises:
        ConfigError: A setting is unknown or has an invalid value, or the classes are given wrongly.
        DataError: The data are unknown or unusable.
    """
    is_named = isinstance(data, str | PathLike) or (data is None and y is None)
    if is_named and y is not None:
        raise ConfigError(f"y belongs to samples, as in {caller}(x, y); for a file, target names the column of the classes")
    file = None if config is None else Path(config)
    dataset: str | None = SAMPLES
    if is_named:
        dataset = None if data is None else fspath(data)
    resolved = resolve_settings(dataset, settings, source=caller, file=file)
    if is_named:
        # Absolute paths: the study stores them, and a program may change its working directory.
        return resolved, DataSource.located(resolved, path_of(data_dir)).absolute
    return resolved, DataSource(samples=_splits_of(data, y, resolved.config, caller))


def _splits_of(x: Any, y: Any, config: StudyConfig, caller: str) -> DataSplits:
    """Return samples as a data set, by the same rules as a file with these columns.

    Args:
        x: (samples, features) array or data frame, with the column `config.data.target` if `y` is None.
        y: (samples,) classes.

    Raises:
        ConfigError: The classes are not given, or given twice.
        DataError: The lengths of x and y differ, or a column is unusable.
    """
    target = config.data.target
    if (y is None) == (target is None):
        raise ConfigError(f"give the classes either as y, {caller}(x, y), or by their column, {caller}(frame, target=…)")
    frame = as_frame(x)
    if target is None:
        target = NPZ_TARGET
        # The name of the class column must not be that of a feature.
        while target in frame.columns:
            target = f"{target}_"
        classes = as_series(y, name="y")
        if len(classes) != len(frame):
            raise DataError(f"x has {len(frame):,} samples but y {len(classes):,} classes; give one class per sample")
        frame = frame.assign(**{target: classes})
    # The path of a data file, so that a column is classified as number or category by the same rules.
    return user_data.splits_of(Source(frame=frame), target, config.data, name=SAMPLES, seed=config.split_seed)


def warn_of_findings(config: StudyConfig, splits: DataSplits) -> None:
    """Warn about suspicious data at the line that calls `search` or `race`."""
    for finding in relevant(splits.findings, config.score):
        # Skip this function, the service and its caller.
        warnings.warn(f"{finding.message}.", DataWarning, stacklevel=4)
