"""Data sets that are ready to train on: split into three parts, standardised, and identified by a fingerprint.

The paper does not state its split. Ours is stratified: 60 % for training, 20 % for validation, 20 % for testing. Features are
standardised with the mean and standard deviation of the training part. The search never uses the test part.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
"""Name of a class in the data; a truth value is a `bool`."""
NAMED_LABEL = "target"
"""Name of the class column in a file with samples of a named data set."""
RawData = Mapping[str, NDArray[Any]]
"""Features `x` (samples, features) and class indices `y` (samples,), of any numeric type; names of `columns` and `classes`."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one part of a data set."""

    x: NDArray[np.float32]
    """Preprocessed features (samples, features)."""
    y: NDArray[np.int64]
    """Class indices (samples,)."""
    weights: NDArray[np.float64] | None = None
    """Weights of the samples in the loss of a training (samples,), above 0; None for equal weights."""

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """All samples of a data set before preprocessing, from which other splits can be drawn."""

    raw: RawFeatures
    """Values (samples, columns)."""
    y: NDArray[np.int64]
    """Class indices (samples,)."""
    rows: Mapping[str, NDArray[np.int64]]
    """Row numbers of each part."""
    fit: Callable[[RawFeatures], Preprocessing]
    """Function that fits the preprocessing on a training part."""
    groups: NDArray[np.int64] | None = None
    """Group of each sample (samples,), which a split must not divide; None without groups."""

    def split(self, preprocessing: Preprocessing, indices: NDArray[np.int64]) -> Split:
        """Return some samples, preprocessed."""
        return Split(x=preprocessing.apply(self.raw.rows(indices)), y=self.y[indices])


@dataclass(frozen=True, kw_only=True)
class DataSplits:
    """Data set that is ready to train on."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[Label, ...]
    """Names of the classes, by index."""
    preprocessing: Preprocessing
    """Preprocessing that computed the features, fitted on the training part."""
    schema: Schema
    """Kinds of the columns of the samples."""
    fingerprint: str
    """Digest of the raw values and of the parts, equal on all machines."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Description of the treatment of each column of user data; empty for named data sets."""
    seed: int | None = None
    """Random seed of the split; None if the data define the parts."""
    findings: tuple[DataFinding, ...] = ()
    """Warnings about the data."""
    samples: Samples | None = None
    """Samples before preprocessing; None where no other splits are drawn."""

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def n_features(self) -> int:
        return int(self.train.x.shape[1])

    @property
    def majority(self) -> Majority:
        """Scores of always predicting the most frequent class."""
        return Majority.of({"train": self.train.y, "validation": self.validation.y, "test": self.test.y})


def split_and_scale(
    name: str,
    x: NDArray[Any],
    y: NDArray[np.int64],
    *,
    seed: int,
    columns: tuple[str, ...],
    classes: tuple[Label, ...],
    pca: int | None = None,
) -> DataSplits:
    """Split a data set into stratified 60 / 20 / 20 parts and standardise its features.

    Args:
        x: Features (samples, features), in single precision or as bytes.
        y: Class indices (samples,).
        seed: Random seed of the split.
        columns: Names of the features.
        classes: Names of the classes, by index.
        pca: Number of principal components that replace the features; None to keep the features.

    Raises:
        DataError: There are fewer features or samples than components.
    """
    rows = stratified_rows(y, seed)
    # The fingerprint covers the values before scaling. Sums, and so means and deviations, may differ in the last bit between
    # processors; the raw values do not.
    digest = hashlib.sha256(name.encode())
    # Bytes in a fixed order, so that machines of either byte order agree.
    for part in rows.values():
        digest.update(np.ascontiguousarray(x[part], dtype="<f4").tobytes())
        digest.update(y[part].astype("<i8").tobytes())
    samples = Samples(raw=RawFeatures.of_numbers(x), y=y, rows=rows, fit=partial(_fit, columns=columns, pca=pca))
    preprocessing = samples.fit(samples.raw.rows(rows["train"]))
    parts = {part: samples.split(preprocessing, indices) for part, indices in rows.items()}
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
        samples=samples,
    )


def _fit(train: RawFeatures, *, columns: tuple[str, ...], pca: int | None) -> Preprocessing:
    """Fit a preprocessing of numbers on a training part."""
    preprocessing = Preprocessing(numbers=Numbers.fitted(columns, train.numbers))
    return preprocessing if pca is None else project(preprocessing, train, pca)


def stratified_rows(y: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    """Return the row numbers of stratified 60 / 20 / 20 parts of class indices `y` (samples,).

    The result is cached in a file, because importing scikit-learn takes longer than the start of a small search.
    """
    # Another version of scikit-learn or numpy may draw another split from the same seed.
    key = f"{len(y)} {seed} scikit-learn {version('scikit-learn')} numpy {version('numpy')}"
    digest = hashlib.sha256(key.encode() + y.astype("<i8").tobytes()).hexdigest()[:16]

    def read(content: bytes) -> dict[str, NDArray[np.int64]]:
        rows = from_npz(content, "train", "validation", "test")
        # A damaged cache file must not change which samples are in the test part.
        if not np.array_equal(np.sort(np.concatenate([*rows.values()])), np.arange(len(y))):
            raise ValueError("its parts are not all samples, once each")
        return rows

    return cached_file(user_cache().split(digest), lambda: _draw(y, seed), read=read, write=to_npz)


def _draw(y: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    # 60 % first, then the remaining 40 % in halves.
    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)
    return {"train": train, "validation": validation, "test": test}
