"""A data set ready to train on: split into three parts, scaled by the first, and named by a fingerprint.

The split is ours (the paper does not tell its own): stratified, 60 % to train, 20 % to validate, 20 % to test. Features are
standardised with the training part's mean and deviation. The search never looks at the test part.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set."""

    x: NDArray[np.float32]
    """Standardised features, (samples, features)."""
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
    n_classes: int
    fingerprint: str
    """Names the raw values and who is in which part; the same on every machine."""

    @property
    def n_features(self) -> int:
        return int(self.train.x.shape[1])


def split_and_scale(name: str, x: NDArray[np.float32], y: NDArray[np.int64], *, seed: int) -> DataSplits:
    """Stratified 60 / 20 / 20 parts of `x` (samples, features) and `y` (samples,), scaled by the training part."""
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)
    # Before scaling: sums may differ in the last bit between processors, the raw values do not.
    digest = hashlib.sha256(name.encode())
    for part in (train, validation, test):
        digest.update(np.ascontiguousarray(x[part], dtype="<f4").tobytes())
        digest.update(y[part].astype("<i8").tobytes())
    mean, deviation = x[train].mean(axis=0, dtype=np.float64), x[train].std(axis=0, dtype=np.float64)
    # A constant feature becomes 0 rather than 0/0.
    deviation[deviation == 0] = 1.0
    scaled = ((x - mean) / deviation).astype(np.float32)
    parts = {
        key: Split(x=scaled[rows], y=y[rows]) for key, rows in (("train", train), ("validation", validation), ("test", test))
    }
    return DataSplits(name=name, n_classes=int(y.max()) + 1, fingerprint=digest.hexdigest()[:16], **parts)
