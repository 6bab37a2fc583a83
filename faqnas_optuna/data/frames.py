"""Conversion of data in memory, from any library, to a pandas data frame or series."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def as_frame(data: Any, *, names: tuple[str, ...] | None = None) -> "pd.DataFrame":
    """Return samples as a new data frame whose columns are named by texts.

    Args:
        data: Data frame of pandas, polars or Arrow, or array-like (samples, features). A masked value of numpy is missing.
        names: Names of the columns of an array; None for "0", "1", ….

    Raises:
        DataError: The data have another shape, or two columns have the same name.
    """
    import pandas as pd

    frame = _to_pandas(data)
    if isinstance(frame, pd.DataFrame):
        return _rename(frame)
    values = as_array(data)
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"samples must be an array (samples, features), or a data frame; they are {_description(data, values)}")
    if names is not None and values.shape[1] != len(names):
        raise DataError(f"samples must be (samples, {len(names)}); they are {values.shape}")
    # An array of mixed numbers and texts has the type `object`; its columns may still be purely numeric.
    return pd.DataFrame(values, columns=names).infer_objects().rename(columns=str)


def as_series(data: Any, *, name: str) -> "pd.Series[Any]":
    """Return values (samples,) as a series with this name and an index from 0.

    Raises:
        DataError: The data are not one-dimensional.
    """
    import pandas as pd

    series = _to_pandas(data)
    if isinstance(series, pd.Series):
        return series.rename(name).reset_index(drop=True)
    values = as_array(data)
    if values.ndim != 1:
        raise DataError(f"{name} must be an array (samples,) of classes; it is {_description(data, values)}")
    return pd.Series(values, name=name).infer_objects()


def as_array(data: Any) -> NDArray[Any]:
    """Return data as an array, with NaN or None for masked values.

    Raises:
        DataError: The rows have different lengths, or the data cannot be converted.
    """
    # A torch tensor, recognised without importing torch: numpy cannot convert one that needs a gradient or is on a GPU.
    if hasattr(data, "detach"):
        data = data.detach().cpu()
    if isinstance(data, np.ma.MaskedArray):
        # `np.asarray` would return the values under the mask.
        is_numeric = data.dtype.kind in "fiub"
        values = np.array(data.data, dtype=np.float64 if is_numeric else object)
        values[np.ma.getmaskarray(data)] = np.nan if is_numeric else None
        return values
    try:
        return np.asarray(data)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"samples must be an array, or a data frame: {error}") from error


def _to_pandas(data: Any) -> Any:
    """Convert a data frame or series of polars, Arrow or another library to pandas; return anything else unchanged."""
    return data.to_pandas() if hasattr(data, "to_pandas") else data


def _rename(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a copy of a data frame with texts as column names and an index from 0."""
    if frame.columns.nlevels > 1:
        raise DataError("the columns of the data frame have several levels; give each column one name")
    renamed = frame.rename(columns=str).reset_index(drop=True)
    # Names may become equal only as texts, such as 1 and "1".
    duplicates = renamed.columns[renamed.columns.duplicated()].unique().tolist()
    if duplicates:
        raise DataError(f"the data frame has two columns {', '.join(map(repr, duplicates[:5]))}; give each its own name")
    if renamed.empty:
        raise DataError(f"the data frame has {len(renamed):,} rows and {renamed.shape[1]:,} columns; pass samples")
    return renamed


def _description(data: Any, values: NDArray[Any]) -> str:
    """Describe the shape of an array, or the type of a scalar, for an error."""
    return f"of the shape {values.shape}" if values.ndim else f"a {type(data).__name__}"
