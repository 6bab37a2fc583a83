"""Preprocessing of table columns into network features, with parameters fitted on the training part only.

    numbers ── missing values filled ── standardised ──┐
                                                       ├── principal components, if requested ── features
    texts   ── missing values filled ── one-hot ───────┘

Applying a `Preprocessing` needs only numpy; fitting one needs scikit-learn (`data.fitting`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError
from faqnas_optuna.wording import counted

MAX_DEVIATIONS = 1e6
"""Maximum distance from the training mean, in standard deviations.

A number farther away is probably a fill value such as 1e30, and a rotation by such an angle is meaningless.
"""
NUMBER_ARRAYS = ("means", "deviations", "lowest", "highest")
"""Fields of `Numbers` that are arrays in every instance."""


@dataclass(frozen=True, kw_only=True)
class Unfamiliar:
    """Values of one column that do not occur in the training part."""

    column: str
    what: str
    """Difference from the training part, such as "unseen in training"."""
    samples: int
    examples: tuple[str, ...] = ()
    """Some of the values, if they are categories."""

    @property
    def is_unseen(self) -> bool:
        """True for categories that do not occur in the training part."""
        return bool(self.examples)

    def __str__(self) -> str:
        examples = f" ({', '.join(map(repr, self.examples))})" if self.examples else ""
        return f"column {self.column!r}: {counted(self.samples, 'value')} {self.what}{examples}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return {**vars(self), "examples": list(self.examples)}


@dataclass(frozen=True, kw_only=True)
class RawFeatures:
    """Samples before preprocessing, numbers and texts in separate arrays."""

    numbers: NDArray[Any]
    """Numbers (samples, numeric columns) of any numeric type; NaN where a value is missing."""
    texts: NDArray[np.object_]
    """Texts (samples, categorical columns) of type `str`; None where a value is missing."""

    @classmethod
    def of_numbers(cls, numbers: NDArray[Any]) -> Self:
        """Return the features of an array (samples, columns) of numbers, without categories."""
        return cls(numbers=numbers, texts=np.empty((len(numbers), 0), object))

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, indices: NDArray[np.int64]) -> "RawFeatures":
        """Return the samples with these indices, in the order of the indices."""
        return RawFeatures(numbers=self.numbers[indices], texts=self.texts[indices])


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Parameters that standardise the numeric columns, each with its mean and standard deviation."""

    names: tuple[str, ...]
    fills: NDArray[np.float64] | None
    """Replacements for missing values (columns,); None if missing values are refused."""
    means: NDArray[np.float64]
    """Means of the training part (columns,)."""
    deviations: NDArray[np.float64]
    """Standard deviations of the training part (columns,); 1 for a constant column."""
    lowest: NDArray[np.float64]
    """Minimum of the training part (columns,)."""
    highest: NDArray[np.float64]
    """Maximum of the training part (columns,)."""

    @classmethod
    def fitted(cls, names: tuple[str, ...], numbers: NDArray[Any]) -> Self:
        """Return the parameters for numbers (samples, columns) without missing values.

        >>> fitted = Numbers.fitted(("size", "unit"), np.array([[1.0, 7.0], [3.0, 7.0]]))
        >>> fitted.deviations
        array([1., 1.])
        >>> fitted.apply(np.array([[5.0, 7.0]]))
        array([[3., 0.]])
        """
        means = numbers.mean(axis=0, dtype=np.float64)
        deviations = numbers.std(axis=0, dtype=np.float64)
        # A constant column becomes 0 instead of 0/0. Its computed variance may be a rounding error instead of exactly 0, so
        # the bound is that of scikit-learn's `StandardScaler`: the error of a sum over all samples.
        noise = len(numbers) * np.finfo(np.float64).eps
        deviations[deviations**2 <= noise * deviations**2 + (noise * means) ** 2] = 1.0
        lowest = numbers.min(axis=0).astype(np.float64)
        highest = numbers.max(axis=0).astype(np.float64)
        return cls(names=names, fills=None, means=means, deviations=deviations, lowest=lowest, highest=highest)

    def apply(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised features (samples, columns) of numbers (samples, columns)."""
        filled = numbers if self.fills is None else np.where(np.isnan(numbers), self.fills, numbers)
        standardised: NDArray[np.float64] = (filled - self.means) / self.deviations
        return standardised

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as values for JSON, from which `from_json` restores every float exactly."""
        fills = None if self.fills is None else self.fills.tolist()
        arrays = {name: getattr(self, name).tolist() for name in NUMBER_ARRAYS}
        return {"names": list(self.names), "fills": fills, **arrays}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore the parameters from the result of `to_json`."""
        fills = None if entry["fills"] is None else np.asarray(entry["fills"], np.float64)
        arrays = {name: np.asarray(entry[name], np.float64) for name in NUMBER_ARRAYS}
        return cls(names=tuple(entry["names"]), fills=fills, **arrays)


@dataclass(frozen=True, kw_only=True)
class Category:
    """Encoding of a column of texts, one feature for each value (one-hot).

    >>> ward = Category(name="ward", fill="A", values=("A", "B"))
    >>> ward.apply(np.array(["B", None, "C"], object))
    array([[0., 1.],
           [1., 0.],
           [0., 0.]])
    """

    name: str
    fill: str
    """Replacement for a missing value."""
    values: tuple[str, ...]
    """Values of the training part, sorted. Any other value is 0 in all features."""

    def apply(self, texts: NDArray[np.object_]) -> NDArray[np.float64]:
        """Return one-hot features (samples, values) of texts (samples,)."""
        # Both sides are arrays of objects: as arrays of strings they would be padded to a common width.
        filled = np.where(absent(texts), np.array(self.fill, object), texts)
        # (samples, 1) compared with (values,); a text that equals no value gives a row of zeros.
        return np.asarray(filled[:, None] == np.array(self.values, object), np.float64)

    def unseen(self, texts: NDArray[np.object_]) -> list[str]:
        """Return the texts, of texts (samples,), that do not occur in the training part; a value may be repeated."""
        familiar = {None, *self.values}
        return [text for text in texts if text not in familiar]

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as values for JSON."""
        return {"name": self.name, "fill": self.fill, "values": list(self.values)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore the encoding from the result of `to_json`."""
        return cls(name=entry["name"], fill=entry["fill"], values=tuple(entry["values"]))


def absent(texts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return the mask (samples,) of the missing texts."""
    return np.array([text is None for text in texts], np.bool_)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Whitened principal components of the features."""

    means: NDArray[np.float64]
    """Means of the features (features,)."""
    components: NDArray[np.float64]
    """Directions of the components (components, features)."""
    deviations: NDArray[np.float64]
    """Standard deviations of the components (components,); 1 for a component without variance."""

    def apply(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return whitened components (samples, components) of features (samples, features)."""
        components: NDArray[np.float64] = ((features - self.means) @ self.components.T) / self.deviations
        return components

    def to_json(self) -> dict[str, Any]:
        """Return the projection as values for JSON, from which `from_json` restores every float exactly."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore the projection from the result of `to_json`."""
        return cls(**{name: np.asarray(values, np.float64) for name, values in entry.items()})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Complete preprocessing of a table."""

    numbers: Numbers
    categories: tuple[Category, ...] = ()
    projection: Projection | None = None

    @property
    def n_features(self) -> int:
        """Number of features of a sample."""
        if self.projection is not None:
            return len(self.projection.components)
        return len(self.numbers.names) + sum(len(category.values) for category in self.categories)

    def apply(self, table: RawFeatures) -> NDArray[np.float32]:
        """Return the network's input (samples, features)."""
        features = self.features(table)
        # Everything is computed in double precision; the network trains in single precision.
        return (features if self.projection is None else self.projection.apply(features)).astype(np.float32)

    def check(self, table: RawFeatures, *, name: str) -> None:
        """Refuse a table with numbers that the network cannot use.

        Args:
            name: Name of the table, for the error.

        Raises:
            DataError: A number is infinite, or missing in a column without missing values in training, or more than
                `MAX_DEVIATIONS` standard deviations from the training mean; the message names up to five such columns.
        """
        # Texts are not checked: an unseen category is 0 in all features, which `unfamiliar` reports.
        problems = [
            f"column {column!r} {problem}"
            for place, column in enumerate(self.numbers.names)
            if (problem := self._problem(place, np.asarray(table.numbers[:, place], np.float64)))
        ]
        if problems:
            more = f"; and {len(problems) - 5} more columns" if problems[5:] else ""
            raise DataError(f"{name}: {'; '.join(problems[:5])}{more}")

    def _problem(self, place: int, values: NDArray[np.float64]) -> str | None:
        """Return an error message about the values (samples,) of a numeric column, or None if they can be used."""
        scaling = self.numbers
        # Infinities first: their distance from the mean would be infinite too.
        if (rows := np.flatnonzero(np.isinf(values))).size:
            return f"holds an infinite number in row {rows[0] + 1}; write a finite one"
        if scaling.fills is None and (rows := np.flatnonzero(np.isnan(values))).size:
            return f"lacks a value in row {rows[0] + 1}; this model needs a value in every row"
        distances = np.abs(values - scaling.means[place]) / scaling.deviations[place]
        if (rows := np.flatnonzero(distances > MAX_DEVIATIONS)).size:
            low = scaling.lowest[place]
            high = scaling.highest[place]
            return (
                f"holds {values[rows[0]]:g} in row {rows[0] + 1}, far outside the training range of {low:g} to {high:g};"
                " correct it, or leave it empty if it stands for a missing value"
            )
        return None

    def unfamiliar(self, table: RawFeatures) -> tuple[Unfamiliar, ...]:
        """Count, by column, the values of a table that are missing, outside the training range, or unseen categories."""
        entries = []
        for place, column in enumerate(self.numbers.names):
            values = np.asarray(table.numbers[:, place], np.float64)
            low = self.numbers.lowest[place]
            high = self.numbers.highest[place]
            # Named data sets are stored in single precision. In double precision a minimum of 4.3 would be float32(4.3),
            # which is larger than 4.3, so the sample with the minimum itself would count as outside.
            singles = values.astype(np.float32)
            outside = int(np.count_nonzero((singles < np.float32(low)) | (singles > np.float32(high))))
            entries.append(Unfamiliar(column=column, what=f"outside the training range {low:g} to {high:g}", samples=outside))
            entries.append(Unfamiliar(column=column, what="missing", samples=int(np.isnan(values).sum())))
        for place, category in enumerate(self.categories):
            texts = table.texts[:, place]
            unseen = category.unseen(texts)
            # Distinct values in the order of the samples.
            examples = tuple(dict.fromkeys(unseen))[:3]
            entries.append(Unfamiliar(column=category.name, what="unseen in training", samples=len(unseen), examples=examples))
            entries.append(Unfamiliar(column=category.name, what="missing", samples=int(absent(texts).sum())))
        return tuple(entry for entry in entries if entry.samples)

    def features(self, table: RawFeatures) -> NDArray[np.float64]:
        """Return the features (samples, features) before the projection."""
        texts = [category.apply(table.texts[:, place]) for place, category in enumerate(self.categories)]
        return np.concatenate([self.numbers.apply(table.numbers), *texts], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return the preprocessing as values for JSON."""
        return {
            "numbers": self.numbers.to_json(),
            "categories": [category.to_json() for category in self.categories],
            "projection": None if self.projection is None else self.projection.to_json(),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore the preprocessing from the result of `to_json`."""
        projection = entry["projection"]
        return cls(
            numbers=Numbers.from_json(entry["numbers"]),
            categories=tuple(Category.from_json(category) for category in entry["categories"]),
            projection=None if projection is None else Projection.from_json(projection),
        )
