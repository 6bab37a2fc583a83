"""Preprocessing of data frames with columns of any kind, as a scikit-learn transformer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from faqnas_optuna.data.column_kinds import infer_kind, read_column, read_table, table_of
from faqnas_optuna.data.fitting import fit
from faqnas_optuna.data.frames import as_frame
from faqnas_optuna.data.preprocessing import RawFeatures
from faqnas_optuna.data.problems import Problems
from faqnas_optuna.data.reading import Source
from faqnas_optuna.data.schema import Kind, Schema
from faqnas_optuna.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

NAME = "samples"
"""Name of the samples in errors."""
DECLARABLE = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY, Kind.IDENTIFIER, Kind.DATE, Kind.LEFT_OUT)
"""Kinds that a column can be declared to have; columns of the last three are not used."""


class TabularPreprocessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transformer of data frames into the features of a network, by the rules for data files.

    Numbers and truth values are standardised, and categories become one feature for each value. Missing values are filled with
    the median or the most frequent category. Identifiers and dates are not used. A category that `fit` has not seen is 0 in
    all its features.

    Args:
        kinds: Kinds of some columns by name: `number`, `boolean`, `category` or `left out`. The others are inferred.

    Attributes:
        n_features_in_, feature_names_in_: Number and names of the columns.
        schema_: Kind of each column.
        preprocessing_: Fitted preprocessing.
    """

    def __init__(self, *, kinds: Mapping[str, str] | None = None) -> None:
        self.kinds = kinds

    def fit(self, X: Any, y: Any = None) -> Self:
        """Infer the kinds of the columns and fit their preprocessing.

        Args:
            X: Data frame of pandas, polars or Arrow, or array-like (samples, columns).
            y: Not used.

        Raises:
            DataError: A column cannot be read, or none can be used.
            ParameterError: A declared kind or its column does not exist. It is a ValueError.
        """
        # Fitted attributes end in an underscore, as scikit-learn expects.
        frame = as_frame(X)
        self.schema_ = Schema(kinds=infer_kinds(frame, self.kinds))
        columns = [read_column(name, self.schema_.kinds[name], frame[name]) for name in self.schema_.features]
        if not columns:
            raise DataError(f"{NAME}: no column can be used as a feature; add columns of numbers, truth values or categories")
        # A part of the samples may lack all values of a column that has some elsewhere.
        if empty := [column.name for column in columns if column.is_missing.all()]:
            raise DataError(f"{NAME}: column {empty[0]!r} holds no value; leave it out")
        table = table_of(columns, len(frame))
        numbers = tuple(column.name for column in columns if not column.is_text)
        categories = tuple(column.name for column in columns if column.is_text)
        self.preprocessing_ = fit(table, numbers=numbers, categories=categories, pca=None)
        self.preprocessing_.check(table, name=NAME)
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array(frame.columns, object)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the features (samples, features) of samples, whose columns are found by name.

        Raises:
            DataError: A column is missing or has invalid values.
        """
        table = self.table(X)
        return self.preprocessing_.apply(table)

    def table(self, X: Any) -> RawFeatures:
        """Return samples before preprocessing."""
        check_is_fitted(self)
        source = Source(frame=as_frame(X, names=tuple(self.feature_names_in_)))
        return read_table(source, self.schema_, self.preprocessing_, name=NAME)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features: those of columns, and `column_value` for each value of a category."""
        check_is_fitted(self)
        categories = self.preprocessing_.categories
        of_values = (f"{category.name}_{value}" for category in categories for value in category.values)
        return np.array([*self.preprocessing_.numbers.names, *of_values], object)


def infer_kinds(frame: "pd.DataFrame", declared: Mapping[str, str] | None = None) -> dict[str, Kind]:
    """Return the kind of each column of a data frame with texts as column names.

    Raises:
        DataError: The kind of a column cannot be inferred.
        ParameterError: A declared kind or its column does not exist.
    """
    kinds: dict[str, Kind] = {}
    if not isinstance(declared, Mapping | None):
        raise ParameterError(f"kinds must be a dictionary from columns to kinds; it is {declared!r}")
    for name, kind in (declared or {}).items():
        if name not in frame.columns or kind not in DECLARABLE:
            raise ParameterError(
                f"kinds must name columns of the data, each with {', '.join(DECLARABLE)}; it has {name!r}: {str(kind)!r}"
            )
        kinds[name] = Kind(kind)
    # All columns are checked, so that one message lists every problem.
    problems = Problems(NAME)
    for name in frame.columns:
        if name not in kinds:
            with problems.collected(name, droppable=False):
                kinds[name] = infer_kind(frame[name], decimal_comma=False)
    problems.check()
    return {name: kinds[name] for name in frame.columns}


def mixed_frame(data: Any) -> "pd.DataFrame | None":
    """Return a data frame that holds texts, truth values, dates or missing values; None for numbers and for arrays."""
    from pandas.api import types

    if not hasattr(data, "columns"):
        return None
    frame = as_frame(data)
    is_numeric = all(types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype) for dtype in frame.dtypes)
    # Numbers alone are left to scikit-learn's own checks.
    return None if is_numeric and not frame.isna().any(axis=None) else frame
