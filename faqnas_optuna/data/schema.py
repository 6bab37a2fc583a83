"""Schema of tabular data: the kind of each column, inferred once from the training data and then applied by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """Use of a column."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    """Truth values; one feature of 1 or 0."""
    CATEGORY = "category"
    """Texts; one feature for each value of the training part."""
    LABEL = "label"
    """Class of each sample."""
    GROUP = "group"
    """Group of each sample; samples of one group stay in one part."""
    SPLIT = "split"
    """Part of each sample: training, validation or test."""
    IDENTIFIER = "identifier"
    """Texts with too many distinct values for categories; not used as a feature."""
    DATE = "date"
    """Dates or times; not used as a feature."""
    LEFT_OUT = "left out"
    """Column without a name, or excluded by the user; not used as a feature."""

    @property
    def is_feature(self) -> bool:
        """True if the network learns from columns of this kind."""
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
    """Kind of each column, by name."""

    @classmethod
    def of_numbers(cls, names: Iterable[str], *, label: str) -> Self:
        """Return the schema of a table whose columns are all numbers except for the label."""
        return cls(kinds={**dict.fromkeys(names, Kind.NUMBER), label: Kind.LABEL})

    @classmethod
    def completed(cls, non_numeric: Mapping[str, str], names: Iterable[str]) -> Self:
        """Return the schema of columns with these names, which hold numbers unless listed in `non_numeric`."""
        # A column that is new in the file is taken for numbers; the comparison with the data's fingerprint reports it.
        return cls(kinds={name: Kind(non_numeric.get(name, Kind.NUMBER)) for name in names})

    @classmethod
    def from_json(cls, entries: Iterable[tuple[str, str]]) -> Self:
        """Restore the schema from the result of `to_json`."""
        return cls(kinds={str(name): Kind(kind) for name, kind in entries})

    def to_json(self) -> list[list[str]]:
        """Return pairs of column name and kind."""
        return [[name, str(kind)] for name, kind in self.kinds.items()]

    @property
    def non_numeric(self) -> dict[str, str]:
        """Kinds of the columns that do not hold numbers; `completed` restores the schema from these."""
        # A study stores this instead of all kinds. A table may have hundreds of columns of numbers, and MySQL limits an
        # attribute of a study to 64 KiB.
        return {name: str(kind) for name, kind in self.kinds.items() if kind is not Kind.NUMBER}

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that become features, in the order of the data."""
        return tuple(name for name, kind in self.kinds.items() if kind.is_feature)

    @property
    def label(self) -> str:
        """Name of the column that holds the classes."""
        # Exactly one column: settings name one target, and a stored schema comes from such settings.
        (name,) = self.names(Kind.LABEL)
        return name

    def names(self, *kinds: Kind) -> tuple[str, ...]:
        """Return the names of the columns of these kinds."""
        return tuple(name for name, kind in self.kinds.items() if kind in kinds)
