"""Files of data as data frames: CSV, Parquet and NumPy's NPZ, of bounded size, from which nothing is ever executed.

What can be told of a file without reading all of it is told first, and before pandas is imported.
"""

import csv
import math
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from faqnas_optuna.config import FILE_SUFFIXES
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 512 * 2**20
"""Bytes."""
MOST_VALUES = 10**8
"""Samples times columns."""
MOST_COLUMNS = 1_000
"""Of a file in which each has a name; arrays may have more."""
HEAD = 2**20
"""Bytes of a CSV file that are looked at before the rest."""
SEPARATORS = ",;\t|"
NPZ_TARGET = "y"
"""The array of the classes in a file of arrays."""


def check_file(path: Path) -> None:
    """Refuse what is no file of data, or too large a one.

    Raises:
        DataError: it is absent, no regular file, of another kind, empty, or larger than `LARGEST_FILE`.
    """
    if path.suffix.lower() not in FILE_SUFFIXES:
        raise DataError(f"{path}: data are read from {', '.join(FILE_SUFFIXES)}; write them as one of these")
    try:
        if not path.exists():
            raise DataError(f"{path}: there is no such file; name the directory it is in, or --data-dir")
        if not path.is_file():
            raise DataError(f"{path}: is no regular file; name a file of data")
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not size:
        raise DataError(f"{path}: is empty; a file of data has samples")
    if size > LARGEST_FILE:
        raise DataError(
            f"{path}: has {size / 2**20:,.0f} MiB, and {LARGEST_FILE / 2**20:.0f} are read at most; take a sample of it"
        )


def read_frame(path: Path) -> "pd.DataFrame":
    """The samples of a file, a row each, by column.

    Raises:
        DataError: it cannot be read, is damaged, or too large.
    """
    check_file(path)
    reader = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}[path.suffix.lower()]
    try:
        frame = reader(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if frame.empty:
        raise DataError(f"{path}: holds no samples")
    return frame


def _read_csv(path: Path) -> "pd.DataFrame":
    names, separator = _header(path)
    import pandas as pd

    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            header=0,
            # Ours: pandas would rename those that stand there twice.
            names=names,
            encoding="utf-8-sig",
            na_values=["?"],
            skipinitialspace=True,
            low_memory=False,
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (pd.errors.ParserError, ValueError, MemoryError) as error:
        told = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{path}: cannot be read as CSV: {told[:200]}; mend that line") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path}: its lines have more values than the {len(names)} names of the header; mend the header")
    return frame


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what separates them."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"\0" in head:
        raise DataError(f"{path}: is no text; a CSV file is")
    line, end, rest = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").partition(b"\n")
    if not end and len(head) == HEAD:
        raise DataError(f"{path}: its first line has more than {HEAD:,} bytes; a CSV file begins with the names of its columns")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    separator = max(SEPARATORS, key=text.count)
    try:
        names = [name.strip() for name in next(csv.reader([text], delimiter=separator, strict=True), [])]
    except csv.Error as error:
        raise DataError(f"{path}: its first line is no header of CSV: {error}") from error
    _check_names(path, names)
    if len(names) < 2:
        raise DataError(f"{path}: has one column, {text[:40]!r}; classes need at least one more to be told by")
    if all(_is_number(name) for name in names):
        raise DataError(
            f"{path}: begins with numbers ({', '.join(names[:3])}…); give it a first line with the names of its columns"
        )
    lines = rest.count(b"\n") + 1
    estimated = lines * len(names) * path.stat().st_size / max(len(head), 1)
    if estimated > MOST_VALUES:
        raise _too_many(path, int(estimated))
    return names, separator


def _check_names(path: Path, names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{path}: has {len(names):,} columns, and {MOST_COLUMNS:,} are read at most; write them as arrays x and y in a .npz"
        )
    named = [name for name in names if name]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise DataError(f"{path}: has two columns {twice!r}; give each a name of its own")


def _read_parquet(path: Path) -> "pd.DataFrame":
    import pyarrow
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        _check_names(path, metadata.schema.to_arrow_schema().names)
        if (values := metadata.num_rows * metadata.num_columns) > MOST_VALUES:
            raise _too_many(path, values)
        return parquet.read_table(path).to_pandas()
    except (pyarrow.ArrowException, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error


def _read_npz(path: Path) -> "pd.DataFrame":
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = {member.filename.removesuffix(".npy"): _shape(path, archive, member) for member in archive.infolist()}
        missing = {"x", NPZ_TARGET} - shapes.keys()
        if missing:
            raise DataError(f"{path}: lacks the array {min(missing)!r}; write it by numpy.savez(FILE, x=…, y=…)")
        if len(shapes["x"]) != 2:
            raise DataError(f"{path}: x must be (samples, features); it is {shapes['x']}")
        others = [name for name, shape in shapes.items() if name != "x" and shape != shapes["x"][:1]]
        if others:
            raise DataError(
                f"{path}: {others[0]} must be ({shapes['x'][0]},), one for each row of x; it is {shapes[others[0]]}"
            )
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in shapes}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as NPZ: {' '.join(str(error).split())[:200]}") from error
    import pandas as pd

    x = arrays.pop("x")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: x must hold numbers; it holds {x.dtype}")
    frame = pd.DataFrame(x, columns=[f"x{number}" for number in range(1, x.shape[1] + 1)])
    return frame.assign(**arrays)


def _shape(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    """What an array's header says, if its size and the archive's directory agree."""
    with archive.open(member) as file:
        shape, dtype, header = _array_header(file)
    if dtype.hasobject:
        raise DataError(f"{path}: {member.filename} holds Python objects, which are never loaded; save numbers or text instead")
    values = math.prod(shape)
    if values > MOST_VALUES or member.file_size > 16 * MOST_VALUES:
        raise _too_many(path, values)
    if values * dtype.itemsize + header != member.file_size:
        raise DataError(f"{path}: {member.filename} is damaged: its header tells of {values:,} values, and there are others")
    return shape


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type, and how long the header is."""
    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype, file.tell()


def _too_many(path: Path, values: int) -> DataError:
    return DataError(f"{path}: holds about {values:,} values, and {MOST_VALUES:,} are read at most; take a sample of it")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
