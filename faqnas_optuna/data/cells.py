"""Cells of a column as texts, numbers or truth values: one set of rules for every file format and data frame."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TEXT = "string[pyarrow]"
"""Pandas' type of texts with missing values."""
MISSING = frozenset(
    ("", "?", "-nan", "-NaN", "<NA>", "#N/A", "#N/A N/A", "#NA", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN")
    + ("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)
"""Texts that mean a missing value: those of `pandas.read_csv`, and the question mark of UCI's files."""
NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity))"
WHOLE_WITH_POINT = r"^([+-]?(?:0|[1-9][0-9]*))\.0$"
DECIMAL_COMMA = r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?"
BOOLEANS = {"true": 1.0, "false": 0.0}
"""Truth values by their text, in any case."""


def texts(series: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the cells as stripped texts, missing where they hold none or one of `MISSING`.

    A whole number has the same text whatever its type: 7, 7.0 and "7.0" are all "7", since programs write a column of whole
    numbers with a point where a value is missing.

    Raises:
        DataError: a cell holds neither text, number nor truth value.
    """
    import pandas as pd
    from pandas.api import types

    if isinstance(series.dtype, pd.CategoricalDtype):
        categories = texts(pd.Series(series.cat.categories, name=series.name))
        codes = series.cat.codes.to_numpy()
        taken = categories.array.take(codes, allow_fill=True)
        return pd.Series(taken, index=series.index, name=series.name)
    if types.is_string_dtype(series.dtype) and not types.is_object_dtype(series.dtype):
        stripped = series.astype(TEXT).str.strip().str.replace(WHOLE_WITH_POINT, r"\1", regex=True)
        return stripped.mask(stripped.isin(MISSING))
    cells = series.astype(object).where(series.notna(), None)
    return texts(pd.Series([_text(cell) for cell in cells], index=series.index, name=series.name, dtype=TEXT))


def _text(cell: Any) -> str | None:
    """Return the text of a cell."""
    if cell is None:
        return None
    if isinstance(cell, str):
        return cell
    if isinstance(cell, np.generic):
        return _text(cell.item())
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if _is_number(cell):
        return str(cell)
    raise DataError(f"holds values of the type {type(cell).__name__}")


def _is_number(cell: Any) -> bool:
    """Tell a number (int, bool, Decimal, Fraction, …) by what it can be converted to."""
    return hasattr(cell, "__float__") and not hasattr(cell, "__len__") and not hasattr(cell, "isoformat")


def number_mask(cells: "pd.Series[str]", *, decimal_comma: bool) -> NDArray[np.bool_]:
    """Return which texts (samples,) are numbers; a missing one is not."""
    pattern = f"{NUMBER}|{DECIMAL_COMMA}" if decimal_comma else NUMBER
    return np.asarray(cells.str.fullmatch(pattern).fillna(False).to_numpy(bool), np.bool_)


def numbers(series: "pd.Series[Any]", *, decimal_comma: bool = False) -> NDArray[np.float64]:
    """Return the cells as numbers (samples,), NaN where one is missing.

    Args:
        decimal_comma: whether a text may write 0,5 for 0.5.

    Raises:
        DataError: a cell is not a finite number.
    """
    values = _parsed(series, decimal_comma=decimal_comma)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(f"holds an infinite number in row {infinite[0] + 1}; write a finite one, or leave it empty")
    return values


def _parsed(series: "pd.Series[Any]", *, decimal_comma: bool) -> NDArray[np.float64]:
    import pyarrow
    from pandas.api import types
    from pyarrow import compute

    if types.is_complex_dtype(series.dtype):
        raise DataError("holds complex numbers")
    if types.is_bool_dtype(series.dtype) or types.is_numeric_dtype(series.dtype):
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan), np.float64)
    cells = texts(series)
    _check_cells(cells, number_mask(cells, decimal_comma=decimal_comma), "numbers")
    if decimal_comma:
        cells = cells.str.replace(",", ".", regex=False)
    # Arrow parses to the nearest double, as Python does, but refuses a leading plus.
    plain = compute.replace_substring_regex(pyarrow.array(cells.array), pattern=r"^\+", replacement="")
    values: NDArray[np.float64] = compute.cast(plain, pyarrow.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)


def booleans(series: "pd.Series[Any]") -> NDArray[np.float64]:
    """Return truth values as 1 and 0 (samples,), NaN where one is missing.

    Raises:
        DataError: a cell is neither true, false, 1 nor 0.
    """
    from pandas.api import types

    if types.is_bool_dtype(series.dtype):
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan), np.float64)
    cells = texts(series)
    known = {**BOOLEANS, "1": 1.0, "0": 0.0}
    values = np.asarray(cells.str.lower().map(known).to_numpy(np.float64, na_value=np.nan), np.float64)
    _check_cells(cells, ~np.isnan(values), "true or false")
    return values


def _check_cells(cells: "pd.Series[str]", is_right: NDArray[np.bool_], wanted: str) -> None:
    """Refuse a column with a text that is not what is wanted."""
    strange = np.flatnonzero(cells.notna().to_numpy(bool) & ~is_right)
    if strange.size:
        row = int(strange[0])
        raise DataError(f"must hold {wanted}; row {row + 1} has {cells.iloc[row][:30]!r}")


def as_objects(cells: "pd.Series[str]") -> NDArray[np.object_]:
    """Return texts (samples,) as `str`, None where one is missing."""
    return np.asarray(cells.astype(object).where(cells.notna(), None).to_numpy(object), object)
