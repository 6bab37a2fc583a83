"""Reading of data files: CSV, TSV, Parquet and NumPy's NPZ.

Files may come from anywhere: their size is limited, and no pickled objects are loaded. Limits are checked before a file is read
and before pandas is imported.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from faqnas_optuna.config import FILE_SUFFIXES, file_suffix
from faqnas_optuna.data.limits import MAX_FILE_BYTES, NUMBER_BYTES, check_memory, check_names
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NPZ_TARGET = "y"
"""Name of the array of classes in an NPZ file."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Samples of a file or data frame, before their columns are interpreted."""

    frame: "pd.DataFrame"
    """One row per sample; the columns have distinct names."""
    decimal_comma: bool = False
    """True if numbers in texts may have a decimal comma: in text files with a separator other than the comma."""


def check_file(path: Path) -> None:
    """Refuse a path that is not a data file of acceptable size.

    Raises:
        DataError: The file is absent, not a regular file, of an unknown format, empty, or larger than `MAX_FILE_BYTES`.
    """
    if file_suffix(path.name) is None:
        raise DataError(f"{path}: a data file must end in {', '.join(FILE_SUFFIXES)}; convert it to one of these formats")
    # The directory of the file may be unreadable too, in which case `exists` raises OSError.
    try:
        if not path.exists():
            raise DataError(f"{path}: the file does not exist; correct the path, or name its directory with --data-dir")
        if not path.is_file():
            raise DataError(f"{path}: is not a regular file; name a data file")
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not size:
        raise DataError(f"{path}: is empty; name a data file with samples")
    if size > MAX_FILE_BYTES:
        maximum = MAX_FILE_BYTES / 2**20
        raise DataError(f"{path}: has {size / 2**20:,.0f} MiB, and the maximum is {maximum:.0f} MiB; take a sample of it")


def read_source(path: Path) -> Source:
    """Read the samples of a file.

    Raises:
        DataError: The file cannot be read, is damaged, or is too large.
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
        data_bytes = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        check_memory(path, data_bytes + metadata.num_rows * metadata.num_columns * NUMBER_BYTES)
        # As a dictionary, each distinct text is in memory only once.
        frame = parquet.read_table(path, read_dictionary=texts).to_pandas()
    except (pyarrow.ArrowException, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from error
    # pandas makes categories of the dictionaries, which would be taken for categories that the user has declared.
    return frame.astype(dict.fromkeys(texts, object))


def _read_npz(path: Path) -> "pd.DataFrame":
    try:
        # The headers alone are read first, so that no array is loaded before its size has been checked.
        with zipfile.ZipFile(path) as archive:
            shapes = {member.filename.removesuffix(".npy"): _shape(path, archive, member) for member in archive.infolist()}
        absent = {"x", NPZ_TARGET} - shapes.keys()
        if absent:
            raise DataError(f"{path}: lacks the array {min(absent)!r}; write it with numpy.savez(FILE, x=…, y=…)")
        if len(shapes["x"]) != 2:
            raise DataError(f"{path}: x must be (samples, features); it is {shapes['x']}")
        misshapen = [name for name, shape in shapes.items() if name != "x" and shape != shapes["x"][:1]]
        if misshapen:
            name = misshapen[0]
            raise DataError(f"{path}: {name} must be ({shapes['x'][0]},), one for each row of x; it is {shapes[name]}")
        with np.load(path, allow_pickle=False) as archive_arrays:
            arrays = {name: archive_arrays[name] for name in shapes}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as NPZ: {' '.join(str(error).split())[:200]}") from error
    # Imported only after all checks of the file, because the import takes longer than they do.
    import pandas as pd

    x = arrays.pop("x")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: x must hold numbers; it holds {x.dtype}")
    frame = pd.DataFrame(x, columns=[f"x{number}" for number in range(1, x.shape[1] + 1)])
    return frame.assign(**arrays)


def _shape(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    """Return the shape of an array from its header, after checking the size.

    Raises:
        DataError: The array holds Python objects, is too large, or has another size than its header states.
    """
    with archive.open(member) as file:
        shape, dtype, header_bytes = _array_header(file)
    if dtype.hasobject:
        raise DataError(f"{path}: {member.filename} holds Python objects, which are never loaded; save numbers or text instead")
    values = math.prod(shape)
    check_memory(path, values * max(dtype.itemsize, NUMBER_BYTES))
    # A forged header could otherwise make `np.load` allocate more than the file holds.
    if values * dtype.itemsize + header_bytes != member.file_size:
        raise DataError(f"{path}: {member.filename} is damaged: its header states {values:,} values, which is not its size")
    return shape


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape and type of an array, and the length of its header in bytes."""
    major_version, _ = np.lib.format.read_magic(file)
    # Version 3 differs from version 2 only in the encoding of field names, which arrays of numbers or texts do not have.
    read_header = np.lib.format.read_array_header_1_0 if major_version == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    return shape, dtype, file.tell()
