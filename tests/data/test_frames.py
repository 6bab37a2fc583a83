"""Data in memory, in the containers of several libraries."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch

from faqnas_optuna.data.frames import as_frame, as_series
from faqnas_optuna.errors import DataError

X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame(X, columns=["a", "b"]),
        pyarrow.table({"a": X[:, 0], "b": X[:, 1]}),
        pyarrow.RecordBatch.from_pydict({"a": X[:, 0], "b": X[:, 1]}),
        pd.DataFrame(X, columns=["a", "b"], index=[5, 5, 7]),
    ],
)
def test_a_frame_of_any_library_keeps_its_names(data: Any) -> None:
    assert as_frame(data).equals(pd.DataFrame(X, columns=["a", "b"]))


def test_a_frame_of_polars_keeps_its_names() -> None:
    polars = pytest.importorskip("polars")
    assert as_frame(polars.DataFrame({"a": X[:, 0], "b": X[:, 1]})).equals(pd.DataFrame(X, columns=["a", "b"]))
    assert as_series(polars.Series(["x", "y"]), name="y").tolist() == ["x", "y"]


@pytest.mark.parametrize("data", [X, X.tolist(), torch.from_numpy(X).requires_grad_(), np.ma.masked_array(X, mask=False)])
def test_an_array_of_any_library_has_numbered_columns(data: Any) -> None:
    assert as_frame(data).equals(pd.DataFrame(X, columns=["0", "1"]))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_a_masked_value_is_missing(dtype: Any) -> None:
    masked = np.ma.masked_array(X.astype(dtype), mask=[[True, False], [False, False], [False, True]])
    assert as_frame(masked).isna().to_numpy().tolist() == masked.mask.tolist()
    labels = np.ma.masked_array(["a", "b"], mask=[False, True])
    assert as_series(labels, name="y").isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "has two columns 'a'; give each its own name"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), "have several levels"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "has two columns '1'"),
        (pd.DataFrame({"a": []}), "has 0 rows and 1 columns"),
        (X[0], r"of the shape \(2,\)"),
        (None, "a NoneType"),
        ([[1, 2], [3]], "must be an array, or a data frame"),
    ],
)
def test_what_has_no_rows_and_columns_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_frame(data)
