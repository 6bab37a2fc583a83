"""Classes of samples: whole numbers, truth values or texts, read from texts by the same rules for all formats."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.cells import BOOLEANS, number_mask, texts
from faqnas_optuna.data.splits import Label
from faqnas_optuna.errors import DataError
from faqnas_optuna.wording import counted

if TYPE_CHECKING:
    import pandas as pd

MIN_SAMPLES = 5
"""Minimum number of samples of a class, so that each part can have one."""
WHOLE = re.compile(r"([+-]?(?:0|[1-9][0-9]*))(?:\.0*)?")
"""Pattern of a whole number, with or without a decimal point; a leading zero makes a code of it, such as 007."""
MAX_LABEL = 2**63 - 1
"""Maximum absolute value of a whole number as a class."""


def label_texts(name: str, series: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the class of each sample (samples,) as a text.

    Args:
        name: Name of the column, for the error.

    Raises:
        DataError: The column holds dates, or values that are neither texts, numbers nor truth values.
    """
    from pandas.api import types

    # As texts, nearly every date would be a class of its own.
    if types.is_datetime64_any_dtype(series.dtype):
        raise DataError(f"the target {name!r} holds dates; name a column of classes with --target")
    try:
        return texts(series)
    except DataError as error:
        raise DataError(f"the target {name!r} {error}; classes are texts, whole numbers, or true and false") from error


def infer_classes(name: str, cells: "pd.Series[str]") -> tuple[Label, ...]:
    """Return the classes of the training data, sorted.

    Args:
        name: Name of the column, for errors.
        cells: Class of each sample as a text (samples,).

    Raises:
        DataError: A value is missing, a number is not whole, or there are fewer than two classes.

    >>> import pandas as pd
    >>> infer_classes("species", pd.Series(["10", "9.0", "9"], dtype="string[pyarrow]"))
    (9, 10)
    """
    absent = np.flatnonzero(cells.isna().to_numpy(bool))
    if absent.size:
        raise DataError(
            f"the target {name!r} lacks a value in {counted(absent.size, 'row')}, the first in row {absent[0] + 1};"
            " fill in the values or delete the rows"
        )
    distinct = sorted(set(cells))
    classes: list[Label] = list(distinct)
    # Sorted by value, not in the order of the file, so that the index of a class does not depend on the order of the rows.
    if all(text.lower() in BOOLEANS for text in distinct):
        classes = [*sorted({bool(BOOLEANS[text.lower()]) for text in distinct})]
    elif all(WHOLE.fullmatch(text) for text in distinct):
        # Sorted as numbers: the texts would sort 10 before 9.
        numbers = sorted({int(text.partition(".")[0]) for text in distinct})
        largest = next((number for number in numbers if abs(number) > MAX_LABEL), None)
        if largest is not None:
            raise DataError(f"the target {name!r} holds whole numbers beyond 64 bits, such as {largest}; write them as texts")
        classes = [*numbers]
    elif number_mask(cells, decimal_comma=True).all() and not any(re.fullmatch(r"[+-]?0[0-9]+", text) for text in distinct):
        # All cells are numbers, none is a code such as 007, and some have a fraction: a target for regression.
        fraction = next(text for text in distinct if not WHOLE.fullmatch(text))
        raise DataError(
            f"the target {name!r} holds {fraction}, and classes are texts or whole numbers; name another column with"
            " --target, or group its values into classes; regression is not supported"
        )
    if len(classes) < 2:
        raise DataError(
            f"the target {name!r} has one class, {classes[0]!r}, in all {len(cells):,} rows; at least two classes are needed"
        )
    return tuple(classes)


def class_indices(name: str, cells: "pd.Series[str]", classes: Sequence[Label]) -> NDArray[np.int64]:
    """Return class indices (samples,), -1 for missing classes.

    Args:
        name: Name of the column, for the error.
        cells: Class of each sample as a text (samples,).
        classes: Names of the classes, by index.

    Raises:
        DataError: A cell holds another class.
    """
    index_of = {_key(str(label), classes): index for index, label in enumerate(classes)}
    distinct = cells.dropna().unique().tolist()
    unknown = [text for text in distinct if _key(text, classes) not in index_of]
    if unknown:
        expected = ", ".join(map(str, classes[:20]))
        listed = ", ".join(map(repr, unknown[:5]))
        raise DataError(f"column {name!r} holds {listed}, and the classes are {expected}; correct it, or rename the column")
    indices = {text: index_of[_key(text, classes)] for text in distinct}
    return np.asarray(cells.map(indices).fillna(-1).to_numpy(np.int64), np.int64)


def check_counts(name: str, y: NDArray[np.int64], classes: Sequence[Label]) -> None:
    """Refuse classes that are too small to be divided between the parts.

    Args:
        name: Name of the column, for the error.
        y: Class indices (samples,).
        classes: Names of the classes, by index.

    Raises:
        DataError: A class has fewer than `MIN_SAMPLES` samples.
    """
    counts = np.bincount(y, minlength=len(classes))
    if counts.min() >= MIN_SAMPLES:
        return
    rare = [f"{classes[index]!r} has {counts[index]}" for index in np.flatnonzero(counts < MIN_SAMPLES)[:5]]
    # Many classes in few rows suggest that the target is not a column of classes at all.
    of = f"{len(classes):,} classes in {len(y):,} rows" if len(classes) > len(y) // 10 else f"{len(classes)} classes"
    raise DataError(
        f"each class needs at least {MIN_SAMPLES} samples; of the {of} of target {name!r}, {', '.join(rare)}: name another"
        " column with --target, or merge rare classes"
    )


def _key(text: str, classes: Sequence[Label]) -> str:
    """Return a key that is equal for all spellings of a class, such as 7 and 7.0, or true and TRUE."""
    # The truth values come first, because a `bool` is an `int` too.
    if all(isinstance(label, bool) for label in classes):
        return text.lower()
    if all(isinstance(label, int) for label in classes) and (match := WHOLE.fullmatch(text)):
        return str(int(match[1]))
    return text
