"""Samples that a program has in its memory as a data set."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_X_y

from faqnas_optuna.data.splits import DataSplits, split_and_scale
from faqnas_optuna.errors import DataError

FEWEST = 5
"""Samples of a class of which a fifth is one."""


def splits_of(x: ArrayLike, y: ArrayLike, *, name: str, seed: int) -> DataSplits:
    """Samples `x` (samples, features), an array or a data frame of numbers, with labels `y` (samples,), split and scaled.

    Raises:
        DataError: a value is missing or no number, there is a single class, or one is too small to be in every part.
    """
    try:
        values, labels = check_X_y(x, y, dtype=np.float32)
        check_classification_targets(labels)
    except (ValueError, TypeError) as error:
        raise DataError(f"the samples cannot be searched over: {str(error).splitlines()[0]}") from error
    classes, indices = np.unique(labels, return_inverse=True)
    counts = np.bincount(indices)
    if len(classes) < 2 or counts.min() < FEWEST:
        label = classes.tolist()[counts.argmin()]
        raise DataError(
            f"a search needs two classes or more, and {FEWEST} samples or more of each, for its three parts; here are"
            f" {len(classes)}, and of {label!r} {counts.min()}"
        )
    columns = tuple(str(column) for column in getattr(x, "columns", range(values.shape[1])))
    return split_and_scale(name, values, indices.astype(np.int64), seed=seed, columns=columns, classes=_plain(classes))


def _plain(classes: Any) -> tuple[str | int, ...]:
    """Labels as texts or whole numbers."""
    return tuple(label if isinstance(label, str | int) else str(label) for label in classes.tolist())
