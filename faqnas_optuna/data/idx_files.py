"""MNIST and data sets of the same form: 70,000 images of 28 × 28 pixels in ten classes, stored in four IDX files."""

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
"""Names of the four files, with the shape of their arrays."""
PIXELS = np.array([f"pixel{number}" for number in range(1, 785)])
"""OpenML's names of the pixels, row by row."""
IMAGES_PER_CLASS = 7_000
"""Number of images of each class of Fashion-MNIST (arXiv 1708.07747); all classes of MNIST differ in size."""


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """Data set that is stored in four IDX files."""

    title: str
    openml: str
    """OpenML's name of the data set, in version 1."""
    classes: tuple[Label, ...]
    alternative: str = ""
    """Ending of an error message that names a data set without files."""
    is_balanced: bool = False
    """True if all classes have `IMAGES_PER_CLASS` images, the only difference between the files of the two data sets."""


IDX_SETS = {
    "mnist": IdxSet(title="MNIST", openml="mnist_784", classes=tuple(range(10)), alternative="; 'mnist-5k' needs no files"),
    "fashion-mnist": IdxSet(
        title="Fashion-MNIST",
        openml="Fashion-MNIST",
        # The spelling is that of the authors (github.com/zalandoresearch/fashion-mnist).
        classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        is_balanced=True,
    ),
}
"""Data sets in IDX files, by our name."""


def download_directory(name: str, data_dir: Path | None) -> Path:
    """Return the directory for the downloaded files of a data set, in `data_dir` or the user's cache."""
    # Each data set needs its own directory, because the files of all of them have the same names.
    return user_cache().downloaded_data(name) if data_dir is None else data_dir / name


def directory_of(name: str, data_dir: Path | None) -> Path:
    """Return the directory that holds the files of a data set.

    Args:
        name: One of `IDX_SETS`.
        data_dir: Directory that holds the files or a directory `name` with them; None for the user's cache.
    """
    own_directory = download_directory(name, data_dir)
    return own_directory if data_dir is None or own_directory.is_dir() else data_dir


def is_cached(name: str) -> bool:
    """Return whether the user's cache has all files of a data set."""
    return all(_file(directory_of(name, None), file) for file in IDX_FILES)


def read(name: str, data_dir: Path | None) -> RawData:
    """Return all 70,000 images: the training and test files joined, for our own split.

    Args:
        name: One of `IDX_SETS`.
        data_dir: Directory of the files; None for the user's cache.

    Raises:
        DataError: A file is absent, damaged, or belongs to another data set.
    """
    idx_set = IDX_SETS[name]
    directory = directory_of(name, data_dir)
    # In the order of `IDX_FILES`.
    images, labels, more_images, more_labels = (_read_file(name, directory, file) for file in IDX_FILES)
    y = np.concatenate((labels, more_labels))
    # The header of a file of labels cannot show whether the labels are those of ten classes.
    if y.max() > 9:
        raise DataError(f"{directory}: {idx_set.title} has the classes 0 to 9; the label files contain {y.max()}")
    # Names, shapes and sizes of the files are equal for MNIST and Fashion-MNIST; only the class counts distinguish them.
    if (np.bincount(y, minlength=10) == IMAGES_PER_CLASS).all() != idx_set.is_balanced:
        counts = "other numbers" if idx_set.is_balanced else "the same"
        raise DataError(
            f"{directory}: Fashion-MNIST has {IMAGES_PER_CLASS:,} images of each class and these files have {counts}, so they"
            f" are not the files of {idx_set.title}; name the directory of {name} with --data-dir"
        )
    x = np.concatenate((images, more_images)).reshape(70_000, 784)
    return {"x": x, "y": y, "columns": PIXELS, "classes": np.array(idx_set.classes)}


def download(name: str, data_dir: Path | None) -> None:
    """Download a data set with scikit-learn's OpenML client and store it as the four IDX files.

    Raises:
        DataError: The download fails, or OpenML sends another data set.
        OutputError: The directory cannot be created or written to.
    """
    from sklearn.datasets import fetch_openml

    idx_set = IDX_SETS[name]
    directory = download_directory(name, data_dir)
    # Before the download, so that a read-only directory is reported at once.
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the directory {directory}: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            # scikit-learn warns after each failed attempt; the error below reports the failure once.
            warnings.simplefilter("ignore", UserWarning)
            bunch: Any = fetch_openml(idx_set.openml, version=1, as_frame=False, parser="liac-arff", cache=False)
    except (OSError, ValueError, HTTPException) as error:
        raise DataError(
            f"cannot download {idx_set.title} from OpenML ({error}); put {', '.join(IDX_FILES)} (or the same with .gz)"
            f" into {directory} by hand"
        ) from error
    images = bunch.data.astype(np.uint8)
    labels = bunch.target.astype(np.uint8)
    if images.shape != (70_000, 784) or labels.shape != (70_000,):
        raise DataError(
            f"OpenML sent {images.shape[0]} images of {images.shape[1:]} pixels; {idx_set.title} has 70000 of (784,)"
        )
    # OpenML lists the 60,000 training images first.
    parts = (images[:60_000], labels[:60_000], images[60_000:], labels[60_000:])
    for (file, shape), values in zip(IDX_FILES.items(), parts, strict=True):
        write_atomically(directory / f"{file}.gz", gzip.compress(_header(shape) + values.tobytes(), compresslevel=6))


def _header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an IDX file of unsigned bytes: type 8, the number of dimensions, and big-endian sizes."""
    return bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes()


def _file(directory: Path, file: str) -> Path | None:
    """Return the path of an IDX file, plain or gzipped; None if the directory has neither."""
    return next((path for path in (directory / file, directory / f"{file}.gz") if path.is_file()), None)


def _read_file(name: str, directory: Path, file: str) -> NDArray[np.uint8]:
    """Return the array of an IDX file, plain or gzipped, after checking its shape."""
    shape = IDX_FILES[file]
    path = _file(directory, file)
    if path is None:
        raise DataError(
            f"{name} needs {file} or {file}.gz in {directory}: name the directory of the four IDX files with --data-dir or"
            f" FAQNAS_DATA_DIR, or fetch them with 'faqnas-optuna datasets --download {name}'{IDX_SETS[name].alternative}"
        )
    header = _header(shape)
    size = len(header) + int(np.prod(shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            # One byte more than expected suffices to detect a longer file, and bounds the memory of a hostile gzip file.
            content = opened.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again") from error
    if len(content) != size or not content.startswith(header):
        raise DataError(
            f"{path}: is not {IDX_SETS[name].title}'s file of {shape[0]} entries and {size} bytes; fetch the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=len(header)).reshape(shape)
