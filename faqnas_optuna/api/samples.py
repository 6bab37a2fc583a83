"""Samples in the memory of a program as a data set."""

from typing import Any

from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.data import user_data
from faqnas_optuna.data.frames import as_frame, as_series
from faqnas_optuna.data.reading import NPZ_TARGET, Source
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError


def splits_of(x: Any, y: Any, config: StudyConfig) -> DataSplits:
    """Return samples as a data set, exactly as a file with these columns would become one.

    Args:
        x: (samples, features) an array or a data frame, with the column that `config.data.target` names if `y` is None.
        y: (samples,) the classes.

    Raises:
        ConfigError: the classes are given in no way, or in two.
        DataError: x and y have other shapes, or a column holds what a network cannot learn from.
    """
    target = config.data.target
    if (y is None) == (target is None):
        raise ConfigError("which are the classes? Give them as y, search(x, y), or by their column, search(frame, target=…)")
    frame = as_frame(x)
    if target is None:
        target = NPZ_TARGET
        while target in frame.columns:
            target = f"{target}_"
        classes = as_series(y, name="y")
        if len(classes) != len(frame):
            raise DataError(f"x has {len(frame):,} samples and y {len(classes):,}; give a class for each sample")
        frame = frame.assign(**{target: classes})
    return user_data.splits_of(Source(frame=frame), target, config.data, name=SAMPLES, seed=config.split_seed)
