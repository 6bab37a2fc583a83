"""MNIST and what has its form: four IDX files, 70,000 images of 28 × 28 pixels in ten classes."""

import gzip
import warnings
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.cache import user_cache
from faqnas_optuna.data.splits import Label, RawData
from faqnas_optuna.errors import DataError, OutputError
from faqnas_optuna.files import write_atomically

IDX_FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""The four files with the shape each must have."""
PIXELS = np.array([f"pixel{number}" for number in range(1, 785)])
"""What OpenML calls the pixels, row by row."""
OF_A_CLASS = 7_000
"""Images of each class of Fashion-MNIST (arXiv 1708.07747); MNIST has no two classes of one size."""


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """A data set that is kept in four IDX files."""

    title: str
    openml: str
    """What OpenML calls its first version."""
    classes: tuple[Label, ...]
    instead: str = ""
    """What can be had without files."""
    even: bool = False
    """Whether every class is of the same size: the files of two sets are told apart by this alone."""


IDX_SETS = {
    "mnist": IdxSet(title="MNIST", openml="mnist_784", classes=tuple(range(10)), instead="; 'mnist-5k' needs no files"),
    "fashion-mnist": IdxSet(
        title="Fashion-MNIST",
        openml="Fashion-MNIST",
        # As in the table of its makers (github.com/zalandoresearch/fashion-mnist).
        classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        even=True,
    ),
}
"""By the names that the program has for them."""


def downloaded_to(name: str, data_dir: Path | None) -> Path:
    """A directory of its own, since all sets have files of the same names."""
    return user_cache().downloaded_data(name) if data_dir is None else data_dir / name


def directory_of(name: str, data_dir: Path | None) -> Path:
    """Where the files of a set are: in the directory of its name within that of the data, or else in that itself.

    Args:
        data_dir: None for the user's cache.
    """
    own = downloaded_to(name, data_dir)
    return own if data_dir is None or own.is_dir() else data_dir


def are_there(name: str) -> bool:
    """Whether the user's cache has all files of a set."""
    return all(_file(directory_of(name, None), file) for file in IDX_FILES)


def read(name: str, data_dir: Path | None) -> RawData:
    """All 70,000 images: the training and test files together, for a split of our own.

    Args:
        name: one of `IDX_SETS`.
        data_dir: where the files are; by default the user's cache.

    Raises:
        DataError: a file is absent, damaged, or another data set's.
    """
    described, directory = IDX_SETS[name], directory_of(name, data_dir)
    images, labels, more_images, more_labels = (_read_file(name, directory, file) for file in IDX_FILES)
    y = np.concatenate((labels, more_labels))
    if y.max() > 9:
        raise DataError(f"{directory}: {described.title} has the classes 0 to 9; the label files hold a {y.max()}")
    if (np.bincount(y, minlength=10) == OF_A_CLASS).all() != described.even:
        told = "not as many, and are not" if described.even else "as many, and are"
        raise DataError(
            f"{directory}: Fashion-MNIST has {OF_A_CLASS:,} images of each class; these files have {told} Fashion-MNIST's;"
            f" name the directory of {name} with --data-dir"
        )
    x = np.concatenate((images, more_images)).reshape(70_000, 784)
    return {"x": x, "y": y, "columns": PIXELS, "classes": np.array(described.classes)}


def download(name: str, data_dir: Path | None) -> None:
    """Fetch a set through scikit-learn's OpenML client and keep it as the four IDX files.

    Raises:
        DataError: there is no connection, or what came is something else.
        OutputError: the directory cannot be made or written.
    """
    from sklearn.datasets import fetch_openml

    described, directory = IDX_SETS[name], downloaded_to(name, data_dir)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the directory {directory}: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            # It warns of every attempt that failed; the error below says it once.
            warnings.simplefilter("ignore", UserWarning)
            bunch: Any = fetch_openml(described.openml, version=1, as_frame=False, parser="liac-arff", cache=False)
    except (OSError, ValueError, HTTPException) as error:
        raise DataError(
            f"cannot download {described.title} from OpenML ({error}); put {', '.join(IDX_FILES)} (or the same with .gz)"
            f" into {directory} by hand"
        ) from error
    images, labels = bunch.data.astype(np.uint8), bunch.target.astype(np.uint8)
    if images.shape != (70_000, 784) or labels.shape != (70_000,):
        raise DataError(
            f"OpenML sent {images.shape[0]} images of {images.shape[1:]} pixels; {described.title} has 70000 of (784,)"
        )
    parts = (images[:60_000], labels[:60_000], images[60_000:], labels[60_000:])
    for (file, shape), values in zip(IDX_FILES.items(), parts, strict=True):
        header = bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes()
        write_atomically(directory / f"{file}.gz", gzip.compress(header + values.tobytes(), compresslevel=6))


def _file(directory: Path, file: str) -> Path | None:
    """One of the four, gzipped or not, if it is there."""
    return next((path for path in (directory / file, directory / f"{file}.gz") if path.is_file()), None)


def _read_file(name: str, directory: Path, file: str) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes, gzipped or not, of exactly the shape that it must have."""
    shape = IDX_FILES[file]
    found = _file(directory, file)
    if found is None:
        raise DataError(
            f"{name} needs {file} or {file}.gz in {directory}: name the directory of the four IDX files with --data-dir or"
            f" FAQNAS_DATA_DIR, or fetch them with 'faqnas-optuna datasets --download {name}'{IDX_SETS[name].instead}"
        )
    size = 4 + 4 * len(shape) + int(np.prod(shape))
    try:
        with gzip.open(found) if found.suffix == ".gz" else found.open("rb") as opened:
            # One byte more than there should be: enough to see that there is more, however much it is.
            content = opened.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{found}: cannot be read ({error}); fetch the file again") from error
    header = bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes()
    if len(content) != size or not content.startswith(header):
        raise DataError(
            f"{found}: is not {IDX_SETS[name].title}'s file of {shape[0]} entries and {size} bytes; fetch the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=len(header)).reshape(shape)
