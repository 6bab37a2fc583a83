"""A data set ready to train on: split into three parts, scaled by the first, and named by a fingerprint.

The split is ours (the paper does not tell its own): stratified, 60 % to train, 20 % to validate, 20 % to test. Features are
standardised with the training part's mean and deviation. The search never looks at the test part.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.cache import cached_file, from_npz, to_npz, user_cache
from faqnas_optuna.data.findings import DataFinding, Majority, check_fixed
from faqnas_optuna.data.fitting import project
from faqnas_optuna.data.preprocessing import Numbers, Preprocessing, RawFeatures
from faqnas_optuna.data.schema import Schema

Label = str | int
"""A class as the data call it; a truth value is a `bool`."""
NAMED_LABEL = "target"
"""Column of the classes in a file with the samples of a data set that has a name."""
RawData = Mapping[str, NDArray[Any]]
"""`x` (samples, features) and class indices `y` (samples,), of any type of numbers; what `columns` and `classes` are called."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set."""

    x: NDArray[np.float32]
    """Features as the preprocessing makes them, (samples, features)."""
    y: NDArray[np.int64]
    """Class indices, (samples,)."""

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, kw_only=True)
class DataSplits:
    """A data set, ready to train on."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[Label, ...]
    """What the data call the classes, by index."""
    preprocessing: Preprocessing
    """What has made the features, fitted on the training part."""
    schema: Schema
    """What each column of the samples is."""
    fingerprint: str
    """Names the raw values and who is in which part; the same on every machine."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What was done to each column of data of one's own, in words."""
    seed: int | None = None
    """That has decided who is in which part; None if none has."""
    findings: tuple[DataFinding, ...] = ()
    """Warnings about the data."""

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def n_features(self) -> int:
        return int(self.train.x.shape[1])

    @property
    def majority(self) -> Majority:
        """The scores of always answering the most frequent class."""
        return Majority.of({"train": self.train.y, "validation": self.validation.y, "test": self.test.y})


def split_and_scale(
    name: str,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    *,
    seed: int,
    columns: tuple[str, ...],
    classes: tuple[Label, ...],
    pca: int | None = None,
) -> DataSplits:
    """Stratified 60 / 20 / 20 parts of `x` (samples, features) and `y` (samples,), scaled by the training part.

    Args:
        columns: what each feature is called.
        classes: what each class is called, by index.
        pca: so many principal components in place of the features.

    Raises:
        DataError: there are fewer features or samples than components.
    """
    rows = stratified_rows(y, seed)
    # Before scaling: sums may differ in the last bit between processors, the raw values do not.
    digest = hashlib.sha256(name.encode())
    for part in rows.values():
        digest.update(np.ascontiguousarray(x[part], dtype="<f4").tobytes())
        digest.update(y[part].astype("<i8").tobytes())
    preprocessing = Preprocessing(numbers=Numbers.fitted(columns, x[rows["train"]]))
    if pca is not None:
        preprocessing = project(preprocessing, RawFeatures.of_numbers(x[rows["train"]]), pca)
    parts = {key: Split(x=preprocessing.apply(RawFeatures.of_numbers(x[part])), y=y[part]) for key, part in rows.items()}
    return DataSplits(
        name=name,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=classes,
        preprocessing=preprocessing,
        schema=Schema.of_numbers(columns, label=NAMED_LABEL),
        fingerprint=digest.hexdigest()[:16],
        seed=seed,
        findings=check_fixed(x, y, classes, rows),
    )


def stratified_rows(y: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    """The samples of each part, kept once they were drawn: scikit-learn takes longer to import than a small search begins."""
    drawn_by = f"{len(y)} {seed} scikit-learn {version('scikit-learn')} numpy {version('numpy')}"
    digest = hashlib.sha256(drawn_by.encode() + y.astype("<i8").tobytes()).hexdigest()[:16]

    def read(content: bytes) -> dict[str, NDArray[np.int64]]:
        rows = from_npz(content, "train", "validation", "test")
        if not np.array_equal(np.sort(np.concatenate([*rows.values()])), np.arange(len(y))):
            raise ValueError("its parts are not all samples, once each")
        return rows

    return cached_file(user_cache().split(digest), lambda: _draw(y, seed), read=read, write=to_npz)


def _draw(y: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)
    return {"train": train, "validation": validation, "test": test}
