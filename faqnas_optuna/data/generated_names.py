"""Names of generated data sets, such as `two-curves:features=10,samples=300`: a definition, and values for its keys.

The key `seed` decides the data, independently of the random seed of a study. Equal data have only one name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator

from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.generated import (
    DECIMALS,
    Points,
    bars_and_stripes,
    hidden_manifold,
    hyperplanes,
    linearly_separable,
    spirals,
    two_curves,
)
from faqnas_optuna.data.splits import Label, RawData
from faqnas_optuna.errors import DataError
from faqnas_optuna.literals import decimal_number, whole_number

MAX_VALUES = 10**7
"""Maximum number of samples times features."""
MAX_CLASSES = 10

Number = int | float
Values = Mapping[str, Number]
"""Value of each key, by name."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """Numeric parameter of a generated data set."""

    name: str
    meaning: str
    lowest: Number
    """Minimum; an `int` if the key takes only whole numbers."""
    highest: Number | Callable[[Values], Number]
    """Maximum, or a function of the values of the preceding keys."""
    default: Number | Callable[[Values], Number]
    """Default, or a function of the values of the preceding keys."""

    def read(self, text: str, preceding: Values) -> Number:
        """Return the number in a text.

        Args:
            text: Value of the key, as the user wrote it.
            preceding: Values of the preceding keys.

        Raises:
            ValueError: The text is no number, or the number is out of range.
        """
        highest = _resolve(self.highest, preceding)
        try:
            # Adding 0 turns -0 into 0; otherwise the same data would have two names.
            value = whole_number(text) if isinstance(self.lowest, int) else decimal_number(text) + 0.0
        except ValueError:
            # NaN fails the comparison below, so that both errors have the same message.
            value = float("nan")
        if not self.lowest <= value <= highest:
            kind = "whole number" if isinstance(self.lowest, int) else "number"
            lowest, most = (f"{bound:,}".removesuffix(".0") for bound in (self.lowest, highest))
            raise ValueError(f"{self.name} is a {kind} from {lowest} to {most}; it is {text[:40]!r}")
        return value


def _resolve(rule: Number | Callable[[Values], Number], preceding: Values) -> Number:
    return round(rule(preceding), DECIMALS) if callable(rule) else rule


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Definition of a kind of generated data."""

    name: str
    make: Callable[..., Points]
    """Generator; takes a random generator, and the values of all keys except the seed as keyword arguments."""
    keys: tuple[Key, ...]
    classes: tuple[Label, ...]
    """Names of the classes, by index; if the number of classes is a key, the first ones are used."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Generated data set: a definition, and a value for each of its keys."""

    definition: Definition
    values: Values

    @classmethod
    def read(cls, text: str) -> "Recipe":
        """Parse the name of a generated data set, such as `two-curves:features=10`; other keys have their defaults.

        Raises:
            DataError: The definition or a key is unknown, or a value is out of range.

        >>> Recipe.read("two-curves:samples=300,features=8").name
        'two-curves:features=8'
        """
        name, colon, listed = text.partition(":")
        if name not in DEFINITIONS:
            raise DataError(f"no generated data set is named {name[:40]!r}{did_you_mean(name, DEFINITIONS)}")
        definition = DEFINITIONS[name]
        texts = _texts_by_key(definition, listed) if colon else {}
        values: dict[str, Number] = {}
        # In the order of the keys, since ranges and defaults may depend on the values of preceding keys.
        for key in definition.keys:
            try:
                values[key.name] = key.read(texts[key.name], values) if key.name in texts else _resolve(key.default, values)
            except ValueError as error:
                raise DataError(f"{name}: {error}") from error
        recipe = cls(definition=definition, values=values)
        # Each range is checked above; the product bounds time and memory (80 MB in double precision).
        if recipe.samples * recipe.features > MAX_VALUES:
            raise DataError(
                f"{name}: {recipe.samples:,} samples of {recipe.features:,} features have more than {MAX_VALUES:,} values;"
                " use fewer of either"
            )
        return recipe

    @property
    def name(self) -> str:
        """Canonical name: keys in the order of the definition, without those that have their default value."""
        entries = [
            f"{key.name}={repr(self.values[key.name]).removesuffix('.0')}"
            for key in self.definition.keys
            if self.values[key.name] != _resolve(key.default, self.values)
        ]
        return f"{self.definition.name}:{','.join(entries)}" if entries else self.definition.name

    @property
    def samples(self) -> int:
        return int(self.values["samples"])

    @property
    def features(self) -> int:
        """Number of features; for images, the number of pixels."""
        values = self.values
        return int(values["features"] if "features" in values else values["height"] * values["width"])

    @property
    def classes(self) -> tuple[Label, ...]:
        """Names of the classes, by index."""
        return self.definition.classes[: int(self.values.get("classes", 2))]

    def make(self) -> RawData:
        """Generate the samples.

        Raises:
            DataError: Nearly all points of the task are of one class.
        """
        arguments = {name: value for name, value in self.values.items() if name != "seed"}
        # `default_rng` may use another bit generator in a future version of numpy.
        random = Generator(PCG64(int(self.values["seed"])))
        x, y = self.definition.make(random, **arguments)
        # Columns are named x1, x2, … as in the formulas, and as those of an NPZ file (`data.reading`).
        columns = np.array([f"x{number}" for number in range(1, x.shape[1] + 1)])
        return {"x": np.round(x, DECIMALS), "y": y, "columns": columns, "classes": np.array(self.classes)}

    def to_json(self) -> list[dict[str, Any]]:
        """Return each key with its value and meaning, as values for JSON."""
        return [{"key": key.name, "value": self.values[key.name], "meaning": key.meaning} for key in self.definition.keys]


def _texts_by_key(definition: Definition, listed: str) -> dict[str, str]:
    """Return the text of the value of each key in a list `NAME=NUMBER,…`."""
    texts: dict[str, str] = {}
    names = [key.name for key in definition.keys]
    # An empty list is one empty entry, so that a name with a colon but without keys is refused.
    for entry in listed.split(","):
        name, equals, text = (part.strip() for part in entry.partition("="))
        if not equals:
            raise DataError(f"{definition.name}: parameters must be written NAME=NUMBER,…; {entry[:40]!r} is not")
        if name not in names:
            raise DataError(f"{definition.name}: unknown parameter {name[:40]!r}{did_you_mean(name, names)}")
        if name in texts:
            raise DataError(f"{definition.name}: {name} is given twice; remove one of them")
        texts[name] = text
    return texts


def _keys(*own: Key, features: bool = True, samples: int = 300) -> tuple[Key, ...]:
    """Return the keys of a definition: its own keys between those that all definitions share.

    Args:
        own: Keys of this definition only.
        features: Whether the number of features is a key; the size of images has keys of its own.
        samples: Default number of samples.
    """
    features_key = Key(name="features", meaning="number of features of a sample", lowest=2, highest=1_000, default=10)
    samples_key = Key(
        name="samples", meaning="number of samples of all classes together", lowest=20, highest=100_000, default=samples
    )
    seed_key = Key(name="seed", meaning="random seed of the data", lowest=0, highest=2**32 - 1, default=0)
    return (*([features_key] if features else []), samples_key, *own, seed_key)


DEFINITIONS: dict[str, Definition] = {
    definition.name: definition
    for definition in (
        Definition(
            name="linearly-separable",
            make=linearly_separable,
            keys=_keys(
                Key(
                    name="margin",
                    meaning="minimum distance of the sum of the features from 0",
                    lowest=0.0,
                    # 1.5 standard deviations of the sum: beyond them lie too few points of the cube to draw from.
                    highest=lambda values: 1.5 * (values["features"] / 3) ** 0.5,
                    default=lambda values: 0.02 * values["features"],
                )
            ),
            classes=(-1, 1),
        ),
        Definition(
            name="hidden-manifold",
            make=hidden_manifold,
            keys=_keys(Key(name="manifold", meaning="dimensions of the hidden manifold", lowest=1, highest=100, default=6)),
            classes=(-1, 1),
        ),
        Definition(
            name="two-curves",
            make=two_curves,
            keys=_keys(
                Key(name="degree", meaning="degree of the Fourier series", lowest=1, highest=100, default=5),
                Key(
                    name="offset",
                    meaning="distance between the curves in each feature",
                    lowest=0.0,
                    highest=10,
                    default=lambda values: 1 / (2 * values["degree"]),
                ),
                Key(name="noise", meaning="standard deviation of the noise", lowest=0.0, highest=10, default=0.01),
            ),
            classes=(-1, 1),
        ),
        Definition(
            name="hyperplanes",
            make=hyperplanes,
            keys=_keys(
                Key(
                    name="hyperplanes",
                    meaning="number of hyperplanes that determine the class",
                    lowest=1,
                    highest=100,
                    default=5,
                ),
                Key(
                    name="subspace",
                    meaning="dimensions of the space that the hyperplanes divide",
                    lowest=2,
                    highest=100,
                    default=3,
                ),
            ),
            classes=(-1, 1),
        ),
        Definition(
            name="bars-and-stripes",
            make=bars_and_stripes,
            keys=_keys(
                Key(name="height", meaning="number of rows of pixels", lowest=2, highest=32, default=4),
                Key(name="width", meaning="number of columns of pixels", lowest=2, highest=32, default=4),
                Key(name="noise", meaning="standard deviation of the noise", lowest=0.0, highest=10, default=0.5),
                features=False,
                samples=1_200,
            ),
            classes=("bars", "stripes"),
        ),
        Definition(
            name="spirals",
            make=spirals,
            keys=_keys(
                Key(
                    name="classes",
                    meaning="number of classes, with one arm each",
                    lowest=2,
                    # At least ten samples of each class, so that each of the three parts has some.
                    highest=lambda values: min(MAX_CLASSES, values["samples"] // 10),
                    default=lambda values: min(3, values["samples"] // 10),
                ),
                Key(name="turns", meaning="turns of an arm about the centre", lowest=0.0, highest=10, default=1.0),
                Key(
                    name="noise",
                    meaning="standard deviation of the noise",
                    lowest=0.0,
                    highest=10,
                    default=lambda values: 0.1 + 0.003 * values["features"],
                ),
                samples=1_500,
            ),
            classes=tuple(range(MAX_CLASSES)),
        ),
    )
}
"""Definitions by name. Defaults are those of the source; where it has several, those of its first figure or of ten features."""
