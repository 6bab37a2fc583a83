"""Inference of the kind of a column from the training data, and reading of columns of known kind."""

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

MAX_CATEGORIES = 50
"""Maximum number of distinct texts of a categorical column; a column with more is an identifier or free text."""
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(?i:am|pm))?(Z| ?[+-]\d{2}:?\d{2}| ?UTC)?"
_DAY = (
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[ -]?{_MONTH}[ -]?(\d{{4}}|\d{{2}})|{_MONTH} \d{{1,2}},? \d{{4}}|\d{{4}}[ -]{_MONTH}[ -]\d{{1,2}}"
)
DATE = re.compile(rf"((?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?({_DAY})([T ,]+{_TIME})?|{_TIME}")
"""Pattern of a date, a time of day, or both."""
CODE = r"[+-]?0[0-9]+"
"""Pattern of a number with a leading zero, such as 007: a code, not a quantity."""
DECORATED = {
    "a percent sign": re.compile(rf"{NUMBER}\s*%"),
    "a currency sign": re.compile(r"[+-]?\s*[$€£¥₹]\s*[\d.,]+|[+-]?[\d.,]+\s*[$€£¥₹]"),
    "hexadecimal digits": re.compile(r"0[xX][0-9a-fA-F]+"),
    "a comma, which may mean thousands or a decimal point": re.compile(r"[+-]?\d*,\d+|[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    "points or spaces between thousands": re.compile(r"[+-]?\d{1,3}([. ]\d{3})+(,\d+)?"),
}
"""Number formats that are refused because reading them would be a guess, by description."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Column that becomes one or more features."""

    name: str
    kind: Kind
    values: NDArray[Any]
    """Values (samples,): numbers with NaN, or `str` with None, for missing values."""

    @property
    def is_text(self) -> bool:
        """True if the values are texts."""
        return self.kind is Kind.CATEGORY

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Mask (samples,) of the missing values."""
        if self.is_text:
            return absent(self.values)
        return np.asarray(np.isnan(self.values), np.bool_)


def infer_kind(series: "pd.Series[Any]", *, decimal_comma: bool) -> Kind:
    """Infer the kind of a column of the training data.

    The type of the column decides if it is one of numbers, truth values, dates or pandas' categories. Otherwise the form of all
    cells decides: truth values; numbers, unless a leading zero makes them codes; dates. Any other texts are categories, or
    identifiers if more than `MAX_CATEGORIES` of them are distinct or they occur less than twice on average.

    Args:
        decimal_comma: Whether texts such as 0,5 are numbers.

    Raises:
        DataError: The column is empty, or its cells cannot be read without guessing.
    """
    import pandas as pd
    from pandas.api import types

    # pandas counts complex numbers among the numeric types.
    if types.is_complex_dtype(series.dtype):
        raise DataError("holds complex numbers")
    if not series.notna().any():
        raise DataError("holds no value")
    # Truth values come before numbers, because pandas counts them among the numeric types.
    if types.is_datetime64_any_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype):
        return Kind.DATE
    if isinstance(series.dtype, pd.CategoricalDtype):
        return Kind.CATEGORY
    if types.is_bool_dtype(series.dtype):
        return Kind.BOOLEAN
    if types.is_numeric_dtype(series.dtype):
        return Kind.NUMBER
    # Python's dates and times come in columns of the type `object`.
    if all(hasattr(value, "isoformat") for value in series.dropna()):
        return Kind.DATE
    return _kind_of_texts(texts(series), decimal_comma=decimal_comma)


def _kind_of_texts(cells: "pd.Series[str]", *, decimal_comma: bool) -> Kind:
    import pandas as pd

    present = cells.dropna()
    if present.empty:
        raise DataError("holds no value")
    distinct = pd.Series(present.unique(), dtype=TEXT)
    if distinct.str.lower().isin(BOOLEANS).all():
        return Kind.BOOLEAN
    is_number = number_mask(distinct, decimal_comma=decimal_comma)
    is_code = bool(distinct.str.fullmatch(CODE).any())
    if is_number.all() and not is_code:
        _check_one_decimal_mark(distinct)
        return Kind.NUMBER
    listed = distinct.tolist()
    # After numbers, so that years such as 2024 are numbers.
    if all(DATE.fullmatch(text) for text in listed):
        return Kind.DATE
    # A number that is misread, or a column of numbers that is taken for categories, would go unnoticed, so doubtful
    # columns are refused.
    _check_undecorated(listed, is_number)
    if not is_code:
        _check_pure(present, decimal_comma=decimal_comma)
    # As a feature, such a column would be useless, and the parts that the data set defines would be ignored.
    if {PARTS_BY_WORD.get(text.casefold()) for text in listed} >= {"train", "test"} and len(listed) <= len(PARTS_BY_WORD):
        raise DataError("names parts (train and test); rename it to 'split' to divide the samples by it")
    # Texts that occur less than twice on average hardly recur in the other parts.
    if len(listed) > MAX_CATEGORIES or 2 * len(listed) > max(len(present), 4):
        return Kind.IDENTIFIER
    return Kind.CATEGORY


def _check_one_decimal_mark(distinct: "pd.Series[str]") -> None:
    """Refuse numbers some of which have a decimal comma and some a decimal point."""
    comma = distinct[distinct.str.contains(",", regex=False)]
    point = distinct[distinct.str.contains(".", regex=False)]
    if len(comma) and len(point):
        raise DataError(
            f"mixes decimal commas and points, such as {comma.iloc[0]!r} and {point.iloc[0]!r}; write all with a point"
        )


def _check_undecorated(distinct: Sequence[str], is_number: NDArray[np.bool_]) -> None:
    """Refuse texts that are all numbers, some of them in a format of `DECORATED`."""
    others = [text for text, is_plain in zip(distinct, is_number, strict=True) if not is_plain]
    decorations = [next((name for name, form in DECORATED.items() if form.fullmatch(text)), None) for text in others]
    if others and all(decorations):
        raise DataError(f"writes numbers with {decorations[0]}, such as {others[0]!r}; write plain numbers, such as 1234.5")


def _check_pure(present: "pd.Series[str]", *, decimal_comma: bool) -> None:
    """Refuse texts most of which are numbers, since the others are probably errors or unusual marks of missing values."""
    is_text = ~number_mask(present, decimal_comma=decimal_comma)
    if 0 < is_text.sum() < len(present) / 2:
        exceptions = present[is_text]
        # The index of the series counts the rows of the file from 0.
        raise DataError(
            f"holds numbers, and {exceptions.iloc[0][:30]!r} in row {exceptions.index[0] + 1}; correct that"
            " cell, leave it empty, or declare the column with --category if its values are codes"
        )


def read_column(name: str, kind: Kind, series: "pd.Series[Any]", *, decimal_comma: bool = False) -> Column:
    """Read the values of a column that becomes features.

    Args:
        kind: A number, boolean or category.
        decimal_comma: Whether texts such as 0,5 are numbers.

    Raises:
        DataError: A cell is not of this kind.
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
    """Return the columns as one table, numbers and texts in separate arrays."""
    number_columns = [column.values for column in columns if not column.is_text]
    text_columns = [column.values for column in columns if column.is_text]
    return RawFeatures(
        numbers=np.column_stack(number_columns) if number_columns else np.empty((samples, 0)),
        texts=np.column_stack(text_columns) if text_columns else np.empty((samples, 0), object),
    )


def read_table(source: "Source", schema: Schema, preprocessing: Preprocessing, *, name: str = "samples") -> RawFeatures:
    """Read the feature columns of new samples for a model, by the schema of the training data.

    Args:
        name: Name of the file, for errors.

    Raises:
        DataError: Columns are absent, or hold values of another kind; the message names these columns.
    """
    frame = source.frame
    absent_columns = [column for column in schema.features if column not in frame.columns]
    if absent_columns:
        more = f" and {len(absent_columns) - 5} more" if absent_columns[5:] else ""
        listed = ", ".join(map(repr, absent_columns[:5])) + more
        raise DataError(
            f"{name}: {'column' if len(absent_columns) == 1 else 'columns'} {listed} missing; the model needs"
            f" {len(schema.features)} columns"
        )
    problems = Problems(name)
    columns = []
    # In the order of the preprocessing; the new samples may have their columns in another order.
    for column in (*preprocessing.numbers.names, *(category.name for category in preprocessing.categories)):
        with problems.collected(column, droppable=False):
            columns.append(read_column(column, schema.kinds[column], frame[column], decimal_comma=source.decimal_comma))
    problems.check()
    table = table_of(columns, len(frame))
    preprocessing.check(table, name=name)
    return table
