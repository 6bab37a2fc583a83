"""Size limits of data files, checked before anything large is read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from faqnas_optuna.errors import DataError

MAX_FILE_BYTES = 512 * 2**20
"""Maximum size of a file in bytes; for compressed text, after decompression."""
MAX_TABLE_BYTES = 768 * 2**20
"""Maximum memory of all cells in bytes, as numbers."""
NUMBER_BYTES = 8
"""Memory of one cell in bytes, as a double-precision number."""
MAX_COLUMNS = 1_000
"""Maximum number of named columns of a file; the arrays of an NPZ file may have more."""


def check_memory(path: Path, size: int) -> None:
    """Refuse a file whose cells would need too much memory.

    Args:
        path: Path of the file, for the error.
        size: Memory of the cells, in bytes.

    Raises:
        DataError: `size` is more than `MAX_TABLE_BYTES`.
    """
    if size > MAX_TABLE_BYTES:
        raise DataError(
            f"{path}: would take about {size / 2**20:,.0f} MiB of memory, and the maximum is"
            f" {MAX_TABLE_BYTES / 2**20:,.0f} MiB; take a sample of it"
        )


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a file with too many columns or with two columns of one name.

    Raises:
        DataError: There are more than `MAX_COLUMNS` names, or a name occurs twice.
    """
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"{path}: has {len(names):,} columns, and the maximum is {MAX_COLUMNS:,}; write them as arrays x and y in a .npz"
        )
    # pandas would silently rename the second of two equal names.
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        listed = ", ".join(map(repr, duplicates[:5]))
        raise DataError(f"{path}: has two columns {listed}; give each column its own name")
