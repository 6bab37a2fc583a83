"""Data in the memory of a program, from any library, as one pandas data frame or series."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def as_frame(data: Any, *, names: tuple[str, ...] | None = None) -> "pd.DataFrame":
    """Return samples as a data frame of their own, with a text as the name of each column.

    Args:
        data: a data frame of pandas, polars or Arrow, or anything that is an array (samples, features): a masked value of
            numpy is missing, and of a tensor only the values are taken.
        names: of the columns of an array; None for "0", "1", ….

    Raises:
        DataError: the data have another shape, or two columns of one name.
    """
    import pandas as pd

    frame = _to_pandas(data)
    if isinstance(frame, pd.DataFrame):
        return _named(frame)
    values = as_array(data)
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"samples must be an array (samples, features), or a data frame; they are {_described(data, values)}")
    if names is not None and values.shape[1] != len(names):
        raise DataError(f"samples must be (samples, {len(names)}); they are {values.shape}")
    return pd.DataFrame(values, columns=names).infer_objects().rename(columns=str)


def as_series(data: Any, *, name: str) -> "pd.Series[Any]":
    """Return one value for each sample, with another name and rows counted from 0.

    Raises:
        DataError: the data have another shape.
    """
    import pandas as pd

    series = _to_pandas(data)
    if isinstance(series, pd.Series):
        return series.rename(name).reset_index(drop=True)
    values = as_array(data)
    if values.ndim != 1:
        raise DataError(f"{name} must be an array (samples,) of classes; it is {_described(data, values)}")
    return pd.Series(values, name=name).infer_objects()


def as_array(data: Any) -> NDArray[Any]:
    """Return an array, with NaN or None for what is masked.

    Raises:
        DataError: the rows have different lengths, or the data are no array.
    """
    if hasattr(data, "detach"):
        data = data.detach().cpu()
    if isinstance(data, np.ma.MaskedArray):
        is_numeric = data.dtype.kind in "fiub"
        values = np.array(data.data, dtype=np.float64 if is_numeric else object)
        values[np.ma.getmaskarray(data)] = np.nan if is_numeric else None
        return values
    try:
        return np.asarray(data)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"samples must be an array, or a data frame: {error}") from error


def _to_pandas(data: Any) -> Any:
    """Return what pandas makes of a data frame or series of another library."""
    return data.to_pandas() if hasattr(data, "to_pandas") else data


def _named(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame of its own, whose rows are counted from 0."""
    if frame.columns.nlevels > 1:
        raise DataError("the columns of the data frame have several levels; give each column one name")
    named = frame.rename(columns=str).reset_index(drop=True)
    if twice := named.columns[named.columns.duplicated()].unique().tolist():
        raise DataError(f"the data frame has two columns {', '.join(map(repr, twice[:5]))}; give each a name of its own")
    if named.empty:
        raise DataError(f"the data frame has {len(named):,} rows and {named.shape[1]:,} columns; give it samples")
    return named


def _described(data: Any, values: NDArray[Any]) -> str:
    """Return the shape of an array, or the type of anything else."""
    return f"of the shape {values.shape}" if values.ndim else f"a {type(data).__name__}"
