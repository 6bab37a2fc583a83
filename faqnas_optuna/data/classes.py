"""Classes of samples: whole numbers, truth values or texts, read from texts by one rule for every format."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.cells import BOOLEANS, number_mask, texts
from faqnas_optuna.data.splits import Label
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_SAMPLES = 5
"""Samples of a class, so that each part can have one."""
WHOLE = re.compile(r"([+-]?(?:0|[1-9][0-9]*))(?:\.0*)?")
LARGEST_LABEL = 2**63 - 1


def label_texts(name: str, series: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the class of each sample as a text, missing where there is none.

    Raises:
        DataError: the column holds dates, or values that are no classes.
    """
    from pandas.api import types

    if types.is_datetime64_any_dtype(series.dtype):
        raise DataError(f"the target {name!r} holds dates; name a column of classes with --target")
    try:
        return texts(series)
    except DataError as error:
        raise DataError(f"the target {name!r} {error}; classes are texts, whole numbers, or true and false") from error


def infer_classes(name: str, cells: "pd.Series[str]") -> tuple[Label, ...]:
    """Return the classes of the training data, in order.

    Raises:
        DataError: a value is missing, there are fractions, or fewer than two classes.
    """
    absent = np.flatnonzero(cells.isna().to_numpy(bool))
    if absent.size:
        raise DataError(
            f"the target {name!r} lacks a value in {absent.size:,} rows, the first in row {absent[0] + 1}; fill or delete them"
        )
    different = sorted(set(cells))
    classes: list[Label] = list(different)
    if all(text.lower() in BOOLEANS for text in different):
        classes = [*sorted({bool(BOOLEANS[text.lower()]) for text in different})]
    elif all(WHOLE.fullmatch(text) for text in different):
        numbers = sorted({int(text.partition(".")[0]) for text in different})
        if largest := next((number for number in numbers if abs(number) > LARGEST_LABEL), None):
            raise DataError(f"the target {name!r} holds whole numbers beyond 64 bits, as {largest}; write them as texts")
        classes = [*numbers]
    elif number_mask(cells, decimal_comma=True).all() and not any(re.fullmatch(r"[+-]?0[0-9]+", text) for text in different):
        fraction = next(text for text in different if not WHOLE.fullmatch(text))
        raise DataError(
            f"the target {name!r} holds {fraction}, and classes are texts or whole numbers; name another column with"
            " --target, or sort its values into classes: there is no regression here"
        )
    if len(classes) < 2:
        raise DataError(f"the target {name!r} has one class, {classes[0]!r}, in all {len(cells):,} rows; give at least two")
    return tuple(classes)


def class_indices(name: str, cells: "pd.Series[str]", classes: Sequence[Label]) -> NDArray[np.int64]:
    """Return the index of the class of each sample (samples,), -1 where the class is missing.

    Raises:
        DataError: a sample is of another class.
    """
    place = {_key(str(label), classes): index for index, label in enumerate(classes)}
    different = cells.dropna().unique().tolist()
    unknown = [text for text in different if _key(text, classes) not in place]
    if unknown:
        known = ", ".join(map(str, classes[:20]))
        listed = ", ".join(map(repr, unknown[:5]))
        raise DataError(f"column {name!r} holds {listed}, and the classes are {known}; correct it, or rename the column")
    indices = {text: place[_key(text, classes)] for text in different}
    return np.asarray(cells.map(indices).fillna(-1).to_numpy(np.int64), np.int64)


def check_counts(name: str, y: NDArray[np.int64], classes: Sequence[Label]) -> None:
    """Refuse classes that cannot be divided between the parts.

    Raises:
        DataError: a class has fewer than `FEWEST_SAMPLES`.
    """
    counts = np.bincount(y, minlength=len(classes))
    if counts.min() >= FEWEST_SAMPLES:
        return
    rare = [f"{classes[index]!r} has {counts[index]}" for index in np.flatnonzero(counts < FEWEST_SAMPLES)[:5]]
    of = f"{len(classes):,} classes in {len(y):,} rows" if len(classes) > len(y) // 10 else f"{len(classes)} classes"
    raise DataError(
        f"each class needs at least {FEWEST_SAMPLES} samples; of the {of} of target {name!r}, {', '.join(rare)}: name another"
        " column with --target, or join rare classes"
    )


def _key(text: str, classes: Sequence[Label]) -> str:
    """Return what two spellings of a class have in common."""
    if all(isinstance(label, bool) for label in classes):
        return text.lower()
    if all(isinstance(label, int) for label in classes) and (whole := WHOLE.fullmatch(text)):
        return str(int(whole[1]))
    return text
