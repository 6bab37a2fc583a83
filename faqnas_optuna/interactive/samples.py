"""Samples that a program has in its memory as a data set."""

from typing import TYPE_CHECKING, Any

import numpy as np

from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.data import own
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd


def splits_of(x: Any, y: Any, config: StudyConfig) -> DataSplits:
    """Samples as a file with these columns would be: split, and each column made into features.

    Args:
        x: (samples, features) an array, or a data frame, with the column that `config.data.target` names if `y` is None.
        y: (samples,) the classes.

    Raises:
        ConfigError: the classes are given in no way, or in two.
        DataError: they have other shapes, or a column holds what a network cannot learn from.
    """
    target = config.data.target
    if (y is None) == (target is None):
        raise ConfigError("which are the classes? Give them as y, search(x, y), or by their column, search(frame, target=…)")
    frame = _frame(x)
    own.check_columns(SAMPLES, frame, [target] if target else [], "target")
    classes = _classes(y) if target is None else frame.pop(target)
    if len(classes) != len(frame):
        raise DataError(f"x has {len(frame):,} samples and y {len(classes):,}; give a class for each sample")
    return own.splits_of(frame, classes, config.data, name=SAMPLES, seed=config.split_seed)


def _frame(x: Any) -> "pd.DataFrame":
    """A data frame of its own, whose columns are called by their numbers if they have no names."""
    import pandas as pd

    if isinstance(x, pd.DataFrame):
        return x.rename(columns=str)
    values = np.asarray(x)
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"x must be an array (samples, features), or a data frame; it is {_told(x, values)}")
    return pd.DataFrame(values).infer_objects().rename(columns=str)


def _classes(y: Any) -> "pd.Series[Any]":
    import pandas as pd

    if isinstance(y, pd.Series):
        return y.rename("y")
    values = np.asarray(y)
    if values.ndim != 1:
        raise DataError(f"y must be an array (samples,) of classes; it is {_told(y, values)}")
    return pd.Series(values, name="y").infer_objects()


def _told(given: Any, values: "np.ndarray[Any, Any]") -> str:
    """What it is that was given, in a word or a shape."""
    return f"of the shape {values.shape}" if values.ndim else f"a {type(given).__name__}"
