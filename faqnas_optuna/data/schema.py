"""Schema of tabular data: what each column is, decided once from the training data and applied by name ever after."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """Use of a column."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    """True or false; a feature of 1 or 0."""
    CATEGORY = "category"
    """Text; a feature for each value of the training part."""
    LABEL = "label"
    GROUP = "group"
    """Names the samples that must stay in one part."""
    SPLIT = "split"
    """Names the part of each sample."""
    IDENTIFIER = "identifier"
    """Text with too many different values for categories; no feature."""
    DATE = "date"
    """Date or time; no feature."""
    LEFT_OUT = "left out"
    """No feature, because the user says so or because it has no name."""

    @property
    def is_feature(self) -> bool:
        """Whether the network learns from such a column."""
        return self in (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Columns of the training data, in their order.

    >>> schema = Schema.completed({"ward": "category", "ill": "label"}, ["age", "ward", "ill"])
    >>> schema.features
    ('age', 'ward')
    >>> schema.label
    'ill'
    """

    kinds: Mapping[str, Kind]

    @classmethod
    def of_numbers(cls, names: Iterable[str], *, label: str) -> Self:
        """Return the schema of columns that all hold numbers, and of their label."""
        return cls(kinds={**dict.fromkeys(names, Kind.NUMBER), label: Kind.LABEL})

    @classmethod
    def completed(cls, exceptions: Mapping[str, str], names: Iterable[str]) -> Self:
        """Return the schema with these exceptions, whose other columns hold numbers: the inverse of `exceptions`."""
        return cls(kinds={name: Kind(exceptions.get(name, Kind.NUMBER)) for name in names})

    @classmethod
    def from_json(cls, entries: Iterable[tuple[str, str]]) -> Self:
        """Return the schema that `to_json` has written."""
        return cls(kinds={str(name): Kind(kind) for name, kind in entries})

    def to_json(self) -> list[list[str]]:
        """Return pairs of name and kind."""
        return [[name, str(kind)] for name, kind in self.kinds.items()]

    @property
    def exceptions(self) -> dict[str, str]:
        """Kinds of the columns that do not hold numbers: all that a study must keep beside its data."""
        return {name: str(kind) for name, kind in self.kinds.items() if kind is not Kind.NUMBER}

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that become features, in the order of the data."""
        return tuple(name for name, kind in self.kinds.items() if kind.is_feature)

    @property
    def label(self) -> str:
        """Name of the column of the classes."""
        (name,) = self.names(Kind.LABEL)
        return name

    def names(self, *kinds: Kind) -> tuple[str, ...]:
        """Return the names of the columns of these kinds."""
        return tuple(name for name, kind in self.kinds.items() if kind in kinds)
