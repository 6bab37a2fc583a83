"""Limits of files of data, which are told before anything large is read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from faqnas_optuna.errors import DataError

LARGEST_FILE = 512 * 2**20
"""Bytes of a file, decompressed if it is text."""
LARGEST_TABLE = 768 * 2**20
"""Bytes of its cells in memory, as numbers."""
NUMBER_BYTES = 8
"""Memory of a cell as a number."""
MOST_COLUMNS = 1_000
"""Named columns of a file; arrays may have more."""


def check_memory(path: Path, size: int) -> None:
    """Refuse a file whose cells take more than `LARGEST_TABLE`.

    Args:
        size: bytes in memory.

    Raises:
        DataError: they do.
    """
    if size > LARGEST_TABLE:
        raise DataError(
            f"{path}: would take about {size / 2**20:,.0f} MiB of memory, and the maximum is {LARGEST_TABLE / 2**20:,.0f} MiB;"
            " take a sample of it"
        )


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse names of columns that are too many, or not distinct.

    Raises:
        DataError: they are.
    """
    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{path}: has {len(names):,} columns, and the maximum is {MOST_COLUMNS:,}; write them as arrays x and y in a .npz"
        )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        listed = ", ".join(map(repr, twice[:5]))
        raise DataError(f"{path}: has two columns {listed}; give each column a name of its own")
