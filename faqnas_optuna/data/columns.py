"""What each column of a data frame is: numbers, categories, classes, or nothing a network can learn from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.preprocessing import Preprocessing, Table
from faqnas_optuna.data.splits import Label
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 50
"""A column of more different texts is taken for free text."""
FEWEST_SAMPLES = 5
"""Of a class, so that each part can have one."""
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}:\d{2}(:\d{2})?")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


class Kind(StrEnum):
    """What a column is taken for."""

    NUMBER = "number"
    CATEGORY = "category"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that becomes one or more features."""

    name: str
    kind: Kind
    values: NDArray[Any]
    """(samples,) numbers with NaN, or `str` with None, where a value is missing."""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(samples,) whether a value is missing."""
        if self.kind is Kind.NUMBER:
            return np.asarray(np.isnan(self.values), np.bool_)
        return np.array([value is None for value in self.values], bool)

    @property
    def counts_rows(self) -> bool:
        """Whether it does no more than count the samples, as an index does."""
        if self.kind is not Kind.NUMBER or len(self.values) < 2:
            return False
        return bool(np.all(np.diff(self.values) == 1))


def read_column(name: str, series: "pd.Series[Any]") -> Column:
    """A column as numbers or as texts.

    Raises:
        DataError: it holds dates, free text, numbers with text in between, infinite numbers, or nothing.
    """
    from pandas.api import types

    if types.is_complex_dtype(series.dtype):
        raise _unusable(name, "holds complex numbers")
    if types.is_bool_dtype(series.dtype) or types.is_numeric_dtype(series.dtype):
        return _numbers(name, series.to_numpy(np.float64, na_value=np.nan))
    if types.is_datetime64_any_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype):
        raise _unusable(name, "holds dates or times")
    present = series.dropna()
    if len(present) == 0:
        raise _unusable(name, "holds no value")
    if all(isinstance(value, bool | np.bool_) for value in present):
        return _numbers(name, series.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    return _texts(name, series, present)


def _numbers(name: str, values: NDArray[np.float64]) -> Column:
    if np.isnan(values).all():
        raise _unusable(name, "holds no value")
    if (infinite := np.flatnonzero(np.isinf(values))).size:
        raise DataError(
            f"column {name!r} holds an infinite number in row {infinite[0] + 1}; write a finite one, or leave it empty"
        )
    return Column(name=name, kind=Kind.NUMBER, values=values)


def _texts(name: str, series: "pd.Series[Any]", present: "pd.Series[Any]") -> Column:
    strange = next((value for value in present if not isinstance(value, str | int | float | bool | np.generic)), None)
    if strange is not None:
        raise _unusable(name, f"holds values of the type {type(strange).__name__}")
    texts = present.astype(str).str.strip()
    different = texts.unique()
    if all(DATE.fullmatch(text) for text in different):
        raise _unusable(name, f"holds dates or times, as {different[0]!r}")
    if comma := next((text for text in different if DECIMAL_COMMA.fullmatch(text)), None):
        raise DataError(f"column {name!r} writes numbers with a comma, as {comma!r}; write them with a point")
    _check_pure(name, texts)
    if len(different) > MOST_CATEGORIES or 2 * len(different) > max(len(texts), 4):
        raise _unusable(
            name, f"holds free text, {len(different):,} different ones in {len(texts):,} rows, as {different[0][:30]!r}"
        )
    values = np.full(len(series), None, object)
    values[series.notna().to_numpy()] = texts.to_numpy(object)
    return Column(name=name, kind=Kind.CATEGORY, values=values)


def _check_pure(name: str, texts: "pd.Series[str]") -> None:
    """Refuse texts most of which are numbers."""
    import pandas as pd

    is_text = pd.to_numeric(texts, errors="coerce").isna()
    if 0 < is_text.sum() < len(texts) / 2:
        # Rows are counted from 0 there.
        row, text = texts[is_text].index[0], texts[is_text].iloc[0]
        raise DataError(
            f"column {name!r} holds numbers, and {text[:30]!r} in row {row + 1}; mend that, leave it empty, or --drop {name}"
        )


def read_table(frame: "pd.DataFrame", preprocessing: Preprocessing) -> Table:
    """Samples for a model, whose columns are found by name.

    Raises:
        DataError: a column is missing, or holds what it should not.
    """
    categories = [category.name for category in preprocessing.categories]
    wanted = [*preprocessing.numbers.names, *categories]
    if missing := [name for name in wanted if name not in frame.columns]:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise DataError(f"column {missing[0]!r}{more} is missing; the model needs {len(wanted)} columns")
    numbers = [_as_numbers(name, frame[name]) for name in preprocessing.numbers.names]
    texts = [_as_texts(frame[name]) for name in categories]
    table = Table(
        numbers=np.column_stack(numbers) if numbers else np.empty((len(frame), 0)),
        texts=np.column_stack(texts) if texts else np.empty((len(frame), 0), object),
    )
    return preprocessing.checked(table)


def _as_numbers(name: str, series: "pd.Series[Any]") -> NDArray[np.float64]:
    import pandas as pd

    # Truth values that are missing in places come as objects, and as texts where a file has few rows.
    named = series.map({"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}) if series.dtype.kind not in "fiub" else series
    numbers = pd.to_numeric(series, errors="coerce").astype("Float64").fillna(named.astype("Float64"))
    wrong = (numbers.isna() & series.notna()).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"column {name!r} must hold numbers; row {row + 1} has {str(series.iloc[row])[:30]!r}")
    return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan), np.float64)


def _as_texts(series: "pd.Series[Any]") -> NDArray[np.object_]:
    values = np.full(len(series), None, object)
    present = series.notna().to_numpy()
    values[present] = series[present].astype(str).str.strip().to_numpy(object)
    return values


def read_classes(name: str, series: "pd.Series[Any]") -> tuple[NDArray[np.int64], tuple[Label, ...]]:
    """The class of each sample as an index (samples,), and what the classes are called, in order.

    Raises:
        DataError: a value is missing, there are fractions, one class alone, or a class of too few samples.
    """
    absent = series.isna()
    if absent.any():
        first = int(np.flatnonzero(absent.to_numpy())[0]) + 1
        raise DataError(
            f"the target {name!r} lacks a value in {absent.sum():,} rows, the first in row {first}; fill or delete them"
        )
    labels = list(map(_label, _whole(name, series)))
    classes = sorted(set(labels), key=lambda label: (isinstance(label, str), label))
    if len(classes) < 2:
        raise DataError(
            f"the target {name!r} has one class, {classes[0]!r}, in all {len(labels):,} rows; there must be two at least"
        )
    place = {label: index for index, label in enumerate(classes)}
    y = np.array([place[label] for label in labels], np.int64)
    counts = np.bincount(y)
    if counts.min() < FEWEST_SAMPLES:
        fewest = int(counts.argmin())
        many = (
            f"{len(classes):,} classes in {len(labels):,} rows"
            if len(classes) > len(labels) // 10
            else f"{len(classes)} classes"
        )
        raise DataError(
            f"each class needs {FEWEST_SAMPLES} samples at least; of the {many} of target {name!r},"
            f" {classes[fewest]!r} has {counts[fewest]}: name another column with --target, or join rare classes"
        )
    return y, tuple(classes)


def _whole(name: str, series: "pd.Series[Any]") -> Iterator[Any]:
    """The values of a target; whole numbers as such."""
    from pandas.api import types

    if types.is_datetime64_any_dtype(series.dtype):
        raise DataError(f"the target {name!r} holds dates; name a column of classes with --target")
    if not types.is_float_dtype(series.dtype):
        return iter(series.tolist())
    values = series.to_numpy(np.float64)
    fractions = values[~np.isfinite(values) | (values != np.round(values))]
    if len(fractions):
        raise DataError(
            f"the target {name!r} holds {fractions[0]:g}, and classes are texts or whole numbers; name another column with"
            " --target, or sort its values into classes: there is no regression here"
        )
    return iter(values.astype(np.int64).tolist())


def _label(value: Any) -> Label:
    """A class in plain values."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return str(value).strip()


def _unusable(name: str, why: str) -> DataError:
    return DataError(f"column {name!r} {why}, which a network cannot learn from; leave it out with --drop {name!r}")
