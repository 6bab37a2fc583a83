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
from faqnas_optuna.wording import counted

FARTHEST = 1e6
"""Standard deviations from the training mean: a number beyond is a fill value, which no angle of a circuit can tell."""
NUMBER_ARRAYS = ("means", "deviations", "lowest", "highest")


@dataclass(frozen=True, kw_only=True)
class Unfamiliar:
    """Values of one column that the training part did not have."""

    column: str
    what: str
    """Difference from the training part, such as "unseen in training"."""
    samples: int
    examples: tuple[str, ...] = ()
    """Some of the values, if they are categories."""

    @property
    def is_unseen(self) -> bool:
        """Whether the values are categories that the training part did not have."""
        return bool(self.examples)

    def __str__(self) -> str:
        examples = f" ({', '.join(map(repr, self.examples))})" if self.examples else ""
        return f"column {self.column!r}: {counted(self.samples, 'value')} {self.what}{examples}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "examples": list(self.examples)}


@dataclass(frozen=True, kw_only=True)
class RawFeatures:
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

    def rows(self, chosen: NDArray[np.int64]) -> "RawFeatures":
        """Some of the samples, in this order."""
        return RawFeatures(numbers=self.numbers[chosen], texts=self.texts[chosen])


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
    lowest: NDArray[np.float64]
    """(columns,) least value of the training part."""
    highest: NDArray[np.float64]
    """(columns,) greatest value of the training part."""

    @classmethod
    def fitted(cls, names: tuple[str, ...], numbers: NDArray[Any]) -> Self:
        """Fit the columns to numbers (samples, columns) of which none is missing."""
        means = numbers.mean(axis=0, dtype=np.float64)
        deviations = numbers.std(axis=0, dtype=np.float64)
        # A constant feature becomes 0 rather than 0/0, also where its variance is but rounding: scikit-learn's rule.
        noise = len(numbers) * np.finfo(np.float64).eps
        deviations[deviations**2 <= noise * deviations**2 + (noise * means) ** 2] = 1.0
        lowest = numbers.min(axis=0).astype(np.float64)
        highest = numbers.max(axis=0).astype(np.float64)
        return cls(names=names, fills=None, means=means, deviations=deviations, lowest=lowest, highest=highest)

    def apply(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """Standardised features (samples, columns)."""
        filled = numbers if self.fills is None else np.where(np.isnan(numbers), self.fills, numbers)
        standardised: NDArray[np.float64] = (filled - self.means) / self.deviations
        return standardised

    def to_json(self) -> dict[str, Any]:
        """Plain values; every float as it is, to the last bit."""
        fills = None if self.fills is None else self.fills.tolist()
        arrays = {name: getattr(self, name).tolist() for name in NUMBER_ARRAYS}
        return {"names": list(self.names), "fills": fills, **arrays}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        fills = None if entry["fills"] is None else np.asarray(entry["fills"], np.float64)
        arrays = {name: np.asarray(entry[name], np.float64) for name in NUMBER_ARRAYS}
        return cls(names=tuple(entry["names"]), fills=fills, **arrays)


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
        filled = np.where(absent(texts), np.array(self.fill, object), texts)
        return np.asarray(filled[:, None] == np.array(self.values, object), np.float64)

    def unseen(self, texts: NDArray[np.object_]) -> list[str]:
        """Return the values among texts (samples,) that the training part did not have."""
        seen = {None, *self.values}
        return [text for text in texts if text not in seen]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"name": self.name, "fill": self.fill, "values": list(self.values)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(name=entry["name"], fill=entry["fill"], values=tuple(entry["values"]))


def absent(texts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return the mask of the missing texts."""
    return np.array([text is None for text in texts], np.bool_)


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

    def apply(self, table: RawFeatures) -> NDArray[np.float32]:
        """What the network gets (samples, features)."""
        features = self.features(table)
        return (features if self.projection is None else self.projection.apply(features)).astype(np.float32)

    def check(self, table: RawFeatures, *, name: str) -> None:
        """Refuse a table of which a value cannot be used.

        Args:
            name: of the samples, for the error.

        Raises:
            DataError: a number is infinite, lacks where none lacked in training, or is farther than `FARTHEST` standard
                deviations from the training mean; names every such column.
        """
        problems = [
            f"column {column!r} {problem}"
            for place, column in enumerate(self.numbers.names)
            if (problem := self._problem(place, np.asarray(table.numbers[:, place], np.float64)))
        ]
        if problems:
            more = f"; and {len(problems) - 5} more columns" if problems[5:] else ""
            raise DataError(f"{name}: {'; '.join(problems[:5])}{more}")

    def _problem(self, place: int, values: NDArray[np.float64]) -> str | None:
        """Return what is wrong with a numeric column (samples,)."""
        scaling = self.numbers
        if (rows := np.flatnonzero(np.isinf(values))).size:
            return f"holds an infinite number in row {rows[0] + 1}; write a finite one"
        if scaling.fills is None and (rows := np.flatnonzero(np.isnan(values))).size:
            return f"lacks a value in row {rows[0] + 1}; this model needs all of them"
        distances = np.abs(values - scaling.means[place]) / scaling.deviations[place]
        if (rows := np.flatnonzero(distances > FARTHEST)).size:
            low, high = scaling.lowest[place], scaling.highest[place]
            return (
                f"holds {values[rows[0]]:g} in row {rows[0] + 1}, far outside the training range of {low:g} to {high:g};"
                " correct it, or leave it empty if it stands for a missing value"
            )
        return None

    def unfamiliar(self, table: RawFeatures) -> tuple[Unfamiliar, ...]:
        """Return, by column, how many values of a table are missing, or unlike any of the training part."""
        entries = []
        for place, column in enumerate(self.numbers.names):
            values = np.asarray(table.numbers[:, place], np.float64)
            low, high = self.numbers.lowest[place], self.numbers.highest[place]
            # As singles: data sets that have a name are stored so, and 4.3 is not below its own single.
            singles = values.astype(np.float32)
            outside = int(np.count_nonzero((singles < np.float32(low)) | (singles > np.float32(high))))
            entries.append(Unfamiliar(column=column, what=f"outside the training range {low:g} to {high:g}", samples=outside))
            entries.append(Unfamiliar(column=column, what="missing", samples=int(np.isnan(values).sum())))
        for place, category in enumerate(self.categories):
            texts = table.texts[:, place]
            unseen = category.unseen(texts)
            examples = tuple(dict.fromkeys(unseen))[:3]
            entries.append(Unfamiliar(column=category.name, what="unseen in training", samples=len(unseen), examples=examples))
            entries.append(Unfamiliar(column=category.name, what="missing", samples=int(absent(texts).sum())))
        return tuple(entry for entry in entries if entry.samples)

    def features(self, table: RawFeatures) -> NDArray[np.float64]:
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
