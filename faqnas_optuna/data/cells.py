"""Conversion of the cells of a column to texts, numbers or truth values, by the same rules for all formats and data frames."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TEXT = "string[pyarrow]"
"""Type of pandas for texts that may be missing."""
MISSING = frozenset(
    ("", "?", "-nan", "-NaN", "<NA>", "#N/A", "#N/A N/A", "#NA", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN")
    + ("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)
"""Texts that mean a missing value: those of `pandas.read_csv`, and the question mark of UCI's files."""
NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity))"
"""Pattern of a number; infinities are recognised here to be refused with a message of their own."""
WHOLE_WITH_POINT = r"^([+-]?(?:0|[1-9][0-9]*))\.0$"
"""Pattern of a whole number with a decimal point, such as 7.0."""
DECIMAL_COMMA = r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?"
"""Pattern of a number with a decimal comma, such as 0,5."""
BOOLEANS = {"true": 1.0, "false": 0.0}
"""Truth values by their text in lower case."""


def texts(series: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the cells as stripped texts; empty cells and those of `MISSING` are missing.

    A whole number has the same text for all types: 7, 7.0 and "7.0" all become "7".

    Raises:
        DataError: A cell holds something other than a text, number or truth value.

    >>> import pandas as pd
    >>> texts(pd.Series([" yes ", 7.0, None, "n/a"])).tolist()
    ['yes', '7', <NA>, <NA>]
    """
    import pandas as pd
    from pandas.api import types

    if isinstance(series.dtype, pd.CategoricalDtype):
        # Each category is converted once, however often it occurs. A missing value has the code -1, which `take` fills.
        categories = texts(pd.Series(series.cat.categories, name=series.name))
        codes = series.cat.codes.to_numpy()
        values = categories.array.take(codes, allow_fill=True)
        return pd.Series(values, index=series.index, name=series.name)
    if types.is_string_dtype(series.dtype) and not types.is_object_dtype(series.dtype):
        # Many programs write a column of whole numbers as 7.0 as soon as one value is missing.
        stripped = series.astype(TEXT).str.strip().str.replace(WHOLE_WITH_POINT, r"\1", regex=True)
        return stripped.mask(stripped.isin(MISSING))
    # An object column may hold anything; its cells become texts one by one, and then follow the rules above.
    cells = series.astype(object).where(series.notna(), None)
    return texts(pd.Series([_text(cell) for cell in cells], index=series.index, name=series.name, dtype=TEXT))


def _text(cell: Any) -> str | None:
    """Return the text of a cell, None if it is missing."""
    if cell is None:
        return None
    if isinstance(cell, str):
        return cell
    if isinstance(cell, np.generic):
        return _text(cell.item())
    if isinstance(cell, float):
        # As `texts` does for strings: a whole number has no decimal point.
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if _is_number(cell):
        return str(cell)
    raise DataError(f"holds values of the type {type(cell).__name__}")


def _is_number(cell: Any) -> bool:
    """Return whether a cell is a number (int, bool, Decimal, Fraction, …)."""
    # Sized objects, such as arrays of one element, and dates are no numbers even if they convert to float.
    return hasattr(cell, "__float__") and not hasattr(cell, "__len__") and not hasattr(cell, "isoformat")


def number_mask(cells: "pd.Series[str]", *, decimal_comma: bool) -> NDArray[np.bool_]:
    """Return the mask (samples,) of the texts that are numbers; a missing text counts as no number.

    Args:
        decimal_comma: Whether 0,5 is a number too.
    """
    # `fullmatch` is missing for a missing cell, hence the fill.
    pattern = f"{NUMBER}|{DECIMAL_COMMA}" if decimal_comma else NUMBER
    return np.asarray(cells.str.fullmatch(pattern).fillna(False).to_numpy(bool), np.bool_)


def numbers(series: "pd.Series[Any]", *, decimal_comma: bool = False) -> NDArray[np.float64]:
    """Return the cells as numbers (samples,), NaN where one is missing.

    Args:
        decimal_comma: Whether texts may use a decimal comma, as in 0,5.

    Raises:
        DataError: A cell is not a finite number.
    """
    values = _parse_numbers(series, decimal_comma=decimal_comma)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(f"holds an infinite number in row {infinite[0] + 1}; write a finite one, or leave it empty")
    return values


def _parse_numbers(series: "pd.Series[Any]", *, decimal_comma: bool) -> NDArray[np.float64]:
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
        DataError: A cell is neither true, false, 1 nor 0.
    """
    from pandas.api import types

    if types.is_bool_dtype(series.dtype):
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan), np.float64)
    cells = texts(series)
    # A file for `predict` may write 1 and 0 where the training data had true and false.
    value_of = {**BOOLEANS, "1": 1.0, "0": 0.0}
    values = np.asarray(cells.str.lower().map(value_of).to_numpy(np.float64, na_value=np.nan), np.float64)
    _check_cells(cells, ~np.isnan(values), "true or false")
    return values


def _check_cells(cells: "pd.Series[str]", is_valid: NDArray[np.bool_], expected: str) -> None:
    """Refuse a column with a cell that is neither valid nor missing.

    Args:
        is_valid: Mask (samples,) of the valid cells.
        expected: Description of valid cells, for the error.
    """
    invalid = np.flatnonzero(cells.notna().to_numpy(bool) & ~is_valid)
    if invalid.size:
        row = int(invalid[0])
        raise DataError(f"must hold {expected}; row {row + 1} has {cells.iloc[row][:30]!r}")


def as_objects(cells: "pd.Series[str]") -> NDArray[np.object_]:
    """Return texts (samples,) as an array of `str`, None where one is missing."""
    return np.asarray(cells.astype(object).where(cells.notna(), None).to_numpy(object), object)
