"""Files of data as tables: CSV, TSV, Parquet and NumPy's NPZ, of bounded size, from which nothing is ever executed.

Limits are checked before a file is read, and before pandas is imported.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from faqnas_optuna.config import FILE_SUFFIXES, file_suffix
from faqnas_optuna.data.limits import LARGEST_FILE, NUMBER_BYTES, check_memory, check_names
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NPZ_TARGET = "y"
"""The array of the classes in a file of arrays."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Samples as they were read."""

    frame: "pd.DataFrame"
    """A row for each sample; the columns have distinct names."""
    decimal_comma: bool = False
    """Whether texts may write 0,5 for 0.5: in text files whose separator is not a comma."""


def check_file(path: Path) -> None:
    """Refuse a path that is no file of data, or one too large.

    Raises:
        DataError: the path is absent, no regular file, of another kind, empty, or larger than `LARGEST_FILE`.
    """
    if file_suffix(path.name) is None:
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
        maximum = LARGEST_FILE / 2**20
        raise DataError(f"{path}: has {size / 2**20:,.0f} MiB, and the maximum is {maximum:.0f} MiB; take a sample of it")


def read_source(path: Path) -> Source:
    """Return the samples of a file.

    Raises:
        DataError: the file cannot be read, is damaged, or too large.
    """
    check_file(path)
    try:
        source = _read(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if source.frame.empty:
        raise DataError(f"{path}: holds no samples")
    return source


def _read(path: Path) -> Source:
    suffix = file_suffix(path.name)
    if suffix == ".parquet":
        return Source(frame=_read_parquet(path))
    if suffix == ".npz":
        return Source(frame=_read_npz(path))
    from faqnas_optuna.data.csv_files import read_text

    frame, decimal_comma = read_text(path)
    return Source(frame=frame, decimal_comma=decimal_comma)


def _read_parquet(path: Path) -> "pd.DataFrame":
    import pyarrow
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        types = {field.name: field.type for field in metadata.schema.to_arrow_schema()}
        check_names(path, metadata.schema.to_arrow_schema().names)
        texts = [name for name, kind in types.items() if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)]
        stored = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        check_memory(path, stored + metadata.num_rows * metadata.num_columns * NUMBER_BYTES)
        # As a dictionary, a text that is repeated is in memory once.
        frame = parquet.read_table(path, read_dictionary=texts).to_pandas()
    except (pyarrow.ArrowException, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error
    return frame.astype(dict.fromkeys(texts, object))


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
    """Return the shape in an array's header, if its size and the archive's directory agree."""
    with archive.open(member) as file:
        shape, dtype, header = _array_header(file)
    if dtype.hasobject:
        raise DataError(f"{path}: {member.filename} holds Python objects, which are never loaded; save numbers or text instead")
    values = math.prod(shape)
    check_memory(path, values * max(dtype.itemsize, NUMBER_BYTES))
    if values * dtype.itemsize + header != member.file_size:
        raise DataError(f"{path}: {member.filename} is damaged: its header tells of {values:,} values, and there are others")
    return shape


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape and type of an array, and the length of its header."""
    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype, file.tell()
