"""From columns of a table to features of a network, by numbers that were fitted on the training part alone.

    numbers ── missing values filled ── standardised ──┐
                                                       ├── principal components, if asked for ── features
    texts   ── missing values filled ── one-hot ───────┘

Whoever has the numbers of a `Preprocessing`, as from a file, needs nothing but numpy to apply it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """Samples as they come, by kind of column."""

    numbers: NDArray[Any]
    """(samples, numeric columns), of any type of numbers; NaN where a value is missing."""
    texts: NDArray[np.object_]
    """(samples, categorical columns) of `str`; None where a value is missing."""

    @classmethod
    def of_numbers(cls, numbers: NDArray[Any]) -> Self:
        """A table (samples, columns) without categories."""
        return cls(numbers=numbers, texts=np.empty((len(numbers), 0), object))

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: NDArray[np.int64]) -> "Table":
        """Some of the samples, in this order."""
        return Table(numbers=self.numbers[chosen], texts=self.texts[chosen])


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numeric columns, each standardised with its mean and deviation."""

    names: tuple[str, ...]
    fills: NDArray[np.float64] | None
    """(columns,) what stands for a missing value; None if there may be none."""
    means: NDArray[np.float64]
    """(columns,)"""
    deviations: NDArray[np.float64]
    """(columns,), 1 of a column that is constant."""

    @classmethod
    def fitted(cls, names: tuple[str, ...], numbers: NDArray[Any]) -> Self:
        """By numbers (samples, columns) of which none is missing."""
        means, deviations = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
        # A constant feature becomes 0 rather than 0/0.
        deviations[deviations == 0] = 1.0
        return cls(names=names, fills=None, means=means, deviations=deviations)

    def apply(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """Standardised features (samples, columns)."""
        filled = numbers if self.fills is None else np.where(np.isnan(numbers), self.fills, numbers)
        standardised: NDArray[np.float64] = (filled - self.means) / self.deviations
        return standardised

    def to_json(self) -> dict[str, Any]:
        """Plain values; every float as it is, to the last bit."""
        fills = None if self.fills is None else self.fills.tolist()
        return {"names": list(self.names), "fills": fills, "means": self.means.tolist(), "deviations": self.deviations.tolist()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        fills = None if entry["fills"] is None else np.asarray(entry["fills"], np.float64)
        means, deviations = (np.asarray(entry[name], np.float64) for name in ("means", "deviations"))
        return cls(names=tuple(entry["names"]), fills=fills, means=means, deviations=deviations)


@dataclass(frozen=True, kw_only=True)
class Category:
    """A column of texts, which becomes a feature for each of its values."""

    name: str
    fill: str
    """What stands for a missing value."""
    values: tuple[str, ...]
    """Those of the training part, in order. Another one is 0 in all features."""

    def apply(self, texts: NDArray[np.object_]) -> NDArray[np.float64]:
        """Features (samples, values), 1 where the value is, of texts (samples,)."""
        filled = [self.fill if text is None else text for text in texts]
        return np.array([[text == value for value in self.values] for text in filled], np.float64).reshape(len(texts), -1)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"name": self.name, "fill": self.fill, "values": list(self.values)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(name=entry["name"], fill=entry["fill"], values=tuple(entry["values"]))


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Principal components of the features, each divided by its deviation."""

    means: NDArray[np.float64]
    """(features,)"""
    components: NDArray[np.float64]
    """(components, features)"""
    deviations: NDArray[np.float64]
    """(components,), 1 of a component without any."""

    def apply(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whitened components (samples, components) of features (samples, features)."""
        components: NDArray[np.float64] = ((features - self.means) @ self.components.T) / self.deviations
        return components

    def to_json(self) -> dict[str, Any]:
        """Plain values; every float as it is, to the last bit."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{name: np.asarray(values, np.float64) for name, values in entry.items()})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """All that is done to a table."""

    numbers: Numbers
    categories: tuple[Category, ...] = ()
    projection: Projection | None = None

    @property
    def n_features(self) -> int:
        """Features of a sample."""
        if self.projection is not None:
            return len(self.projection.components)
        return len(self.numbers.names) + sum(len(category.values) for category in self.categories)

    def apply(self, table: Table) -> NDArray[np.float32]:
        """What the network gets (samples, features)."""
        features = self.features(table)
        return (features if self.projection is None else self.projection.apply(features)).astype(np.float32)

    def checked(self, table: Table) -> Table:
        """The table, if all its values can be used.

        Raises:
            DataError: a number is infinite, or is missing where none was in training.
        """
        for place, name in enumerate(self.numbers.names):
            column = table.numbers[:, place]
            if np.isinf(column).any():
                raise DataError(
                    f"column {name!r} holds an infinite number in row {np.isinf(column).argmax() + 1}; write a finite one"
                )
            if self.numbers.fills is None and np.isnan(column).any():
                raise DataError(
                    f"column {name!r} lacks a value in row {np.isnan(column).argmax() + 1}; this model needs all of them"
                )
        return table

    def features(self, table: Table) -> NDArray[np.float64]:
        """The features (samples, features) before they are projected."""
        texts = [category.apply(table.texts[:, place]) for place, category in enumerate(self.categories)]
        return np.concatenate([self.numbers.apply(table.numbers), *texts], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "numbers": self.numbers.to_json(),
            "categories": [category.to_json() for category in self.categories],
            "projection": None if self.projection is None else self.projection.to_json(),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        projection = entry["projection"]
        return cls(
            numbers=Numbers.from_json(entry["numbers"]),
            categories=tuple(Category.from_json(category) for category in entry["categories"]),
            projection=None if projection is None else Projection.from_json(projection),
        )
