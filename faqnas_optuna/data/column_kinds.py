"""Kinds of columns, inferred from the training data, and the values of a column of known kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.cells import BOOLEANS, NUMBER, TEXT, as_objects, booleans, number_mask, numbers, texts
from faqnas_optuna.data.division import PARTS_BY_WORD
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures, absent
from faqnas_optuna.data.problems import Problems
from faqnas_optuna.data.schema import Kind, Schema
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from faqnas_optuna.data.reading import Source

MOST_CATEGORIES = 50
"""A column with more different texts is an identifier or free text."""
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(?i:am|pm))?(Z| ?[+-]\d{2}:?\d{2}| ?UTC)?"
_DAY = (
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[ -]?{_MONTH}[ -]?(\d{{4}}|\d{{2}})|{_MONTH} \d{{1,2}},? \d{{4}}|\d{{4}}[ -]{_MONTH}[ -]\d{{1,2}}"
)
DATE = re.compile(rf"((?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?({_DAY})([T ,]+{_TIME})?|{_TIME}")
CODE = r"[+-]?0[0-9]+"
"""A number with a leading zero, as 007: a code, whose digits are no quantity."""
DECORATED = {
    "a percent sign": re.compile(rf"{NUMBER}\s*%"),
    "a currency sign": re.compile(r"[+-]?\s*[$€£¥₹]\s*[\d.,]+|[+-]?[\d.,]+\s*[$€£¥₹]"),
    "hexadecimal digits": re.compile(r"0[xX][0-9a-fA-F]+"),
    "a comma, which may mean thousands or a decimal point": re.compile(r"[+-]?\d*,\d+|[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    "points or spaces between thousands": re.compile(r"[+-]?\d{1,3}([. ]\d{3})+(,\d+)?"),
}
"""Ways to write a number that would be guesswork to read."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that becomes one or more features."""

    name: str
    kind: Kind
    values: NDArray[Any]
    """(samples,) numbers with NaN, or `str` with None, where a value is missing."""

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.kind is Kind.CATEGORY

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Mask (samples,) of the missing values."""
        if self.is_text:
            return absent(self.values)
        return np.asarray(np.isnan(self.values), np.bool_)


def infer_kind(series: "pd.Series[Any]", *, decimal_comma: bool) -> Kind:
    """Return what a column of the training data is.

    A type that already says so decides: numbers, truth values, dates, and pandas' categories. Text decides by what all its
    cells look like: numbers, unless a leading zero makes codes of them; truth values; dates; else categories, or an
    identifier if there are more than `MOST_CATEGORIES` of them.

    Raises:
        DataError: the cells cannot be read without guessing, or there is none.
    """
    import pandas as pd
    from pandas.api import types

    if types.is_complex_dtype(series.dtype):
        raise DataError("holds complex numbers")
    if not series.notna().any():
        raise DataError("holds no value")
    if types.is_datetime64_any_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype):
        return Kind.DATE
    if isinstance(series.dtype, pd.CategoricalDtype):
        return Kind.CATEGORY
    if types.is_bool_dtype(series.dtype):
        return Kind.BOOLEAN
    if types.is_numeric_dtype(series.dtype):
        return Kind.NUMBER
    if all(hasattr(value, "isoformat") for value in series.dropna()):
        return Kind.DATE
    return _kind_of_texts(texts(series), decimal_comma=decimal_comma)


def _kind_of_texts(cells: "pd.Series[str]", *, decimal_comma: bool) -> Kind:
    import pandas as pd

    present = cells.dropna()
    if present.empty:
        raise DataError("holds no value")
    different = pd.Series(present.unique(), dtype=TEXT)
    if different.str.lower().isin(BOOLEANS).all():
        return Kind.BOOLEAN
    is_number = number_mask(different, decimal_comma=decimal_comma)
    is_code = bool(different.str.fullmatch(CODE).any())
    if is_number.all() and not is_code:
        _check_one_decimal_mark(different)
        return Kind.NUMBER
    listed = different.tolist()
    if all(DATE.fullmatch(text) for text in listed):
        return Kind.DATE
    _check_undecorated(listed, is_number)
    if not is_code:
        _check_pure(present, decimal_comma=decimal_comma)
    if {PARTS_BY_WORD.get(text.casefold()) for text in listed} >= {"train", "test"} and len(listed) <= len(PARTS_BY_WORD):
        raise DataError("names parts (train and test); rename it to 'split' to divide the samples by it")
    if len(listed) > MOST_CATEGORIES or 2 * len(listed) > max(len(present), 4):
        return Kind.IDENTIFIER
    return Kind.CATEGORY


def _check_one_decimal_mark(different: "pd.Series[str]") -> None:
    comma = different[different.str.contains(",", regex=False)]
    point = different[different.str.contains(".", regex=False)]
    if len(comma) and len(point):
        raise DataError(f"mixes decimal commas and points, as {comma.iloc[0]!r} and {point.iloc[0]!r}; write all with a point")


def _check_undecorated(different: Sequence[str], is_number: NDArray[np.bool_]) -> None:
    """Refuse numbers with signs or separators of their own."""
    others = [text for text, plain in zip(different, is_number, strict=True) if not plain]
    ornaments = [next((name for name, form in DECORATED.items() if form.fullmatch(text)), None) for text in others]
    if others and all(ornaments):
        raise DataError(f"writes numbers with {ornaments[0]}, as {others[0]!r}; write plain numbers, as 1234.5")


def _check_pure(present: "pd.Series[str]", *, decimal_comma: bool) -> None:
    """Refuse texts most of which are numbers."""
    is_text = ~number_mask(present, decimal_comma=decimal_comma)
    if 0 < is_text.sum() < len(present) / 2:
        strange = present[is_text]
        # Rows are counted from 0 there.
        raise DataError(
            f"holds numbers, and {strange.iloc[0][:30]!r} in row {strange.index[0] + 1}; correct that, leave it empty, or if"
            " all are codes say so with --category"
        )


def read_column(name: str, kind: Kind, series: "pd.Series[Any]", *, decimal_comma: bool = False) -> Column:
    """Return the values of a column that becomes features.

    Raises:
        DataError: a cell is not of that kind.
    """
    match kind:
        case Kind.CATEGORY:
            return Column(name=name, kind=kind, values=as_objects(texts(series)))
        case Kind.BOOLEAN:
            return Column(name=name, kind=kind, values=booleans(series))
        case Kind.NUMBER:
            return Column(name=name, kind=kind, values=numbers(series, decimal_comma=decimal_comma))
        case _:
            raise AssertionError(f"{kind} columns are no features")


def table_of(columns: Sequence[Column], samples: int) -> RawFeatures:
    """Return columns as one table, numbers and texts apart."""
    numbers = [column.values for column in columns if not column.is_text]
    words = [column.values for column in columns if column.is_text]
    return RawFeatures(
        numbers=np.column_stack(numbers) if numbers else np.empty((samples, 0)),
        texts=np.column_stack(words) if words else np.empty((samples, 0), object),
    )


def read_table(source: "Source", schema: Schema, preprocessing: Preprocessing, *, name: str = "samples") -> RawFeatures:
    """Return samples for a model, whose columns are found by name and read by the training data's schema.

    Args:
        name: of the file, for errors.

    Raises:
        DataError: columns are missing, or hold what they should not; names all of them.
    """
    frame = source.frame
    if missing := [column for column in schema.features if column not in frame.columns]:
        listed = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if missing[5:] else "")
        raise DataError(
            f"{name}: {'column' if len(missing) == 1 else 'columns'} {listed} missing; the model needs"
            f" {len(schema.features)} columns"
        )
    problems, columns = Problems(name), []
    for column in (*preprocessing.numbers.names, *(category.name for category in preprocessing.categories)):
        with problems.collected(column, droppable=False):
            columns.append(read_column(column, schema.kinds[column], frame[column], decimal_comma=source.decimal_comma))
    problems.check()
    table = table_of(columns, len(frame))
    preprocessing.check(table, name=name)
    return table
