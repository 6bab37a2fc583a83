"""Names of the columns and metadata in a table's file. The columns are described in docs/tables.md."""

import json
from pathlib import Path
from typing import Any

from faqnas_optuna.errors import DataError

SCHEMA_VERSION = 1
"""Version of the columns and metadata. Files of other versions are refused."""
SUFFIX = ".parquet"
METADATA = b"faqnas-optuna"
"""Key of the table's description in the metadata of the Parquet file, where it is stored as JSON."""
# Further decimals would not compress, and are noise beside the spread between seeds.
DECIMALS = 4
"""Number of decimals of stored losses."""
PARTS = {"train": "train", "validation": "val", "test": "test"}
"""Parts of the data, with the prefixes of their columns."""


def right_column(part: str, epochs: int, seed: int) -> str:
    """Return the name of the column with the numbers of correct predictions on a part.

    >>> right_column("validation", 5, 0)
    'val_right_e5_s0'
    """
    return f"{PARTS[part]}_right_e{epochs}_s{seed}"


def loss_column(part: str, epochs: int, seed: int) -> str:
    """Return the name of the column with the mean negative log-likelihoods on a part."""
    return f"{PARTS[part]}_loss_e{epochs}_s{seed}"


def seconds_column(seed: int) -> str:
    """Return the name of the column with durations, in the file of durations."""
    return f"seconds_s{seed}"


def seconds_file(table: Path) -> Path:
    """Return the file, beside a table, with the durations of its trainings.

    >>> seconds_file(Path("iris.parquet")).name
    'iris.seconds.parquet'
    """
    return table.with_suffix(f".seconds{SUFFIX}")


def read_document(table: Path) -> dict[str, Any]:
    """Read the description of a table from its file.

    Raises:
        DataError: The file does not exist, or is not a table of this version.
    """
    # Imported here, since most commands do without pyarrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(table).metadata or {}
    except FileNotFoundError as error:
        raise DataError(f"{table} does not exist; create it with", command=f"enumerate --out {table}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{table} is not a table, or is damaged; name a file that enumerate has written") from error
    # Any Parquet file has a schema; only tables have a description.
    if METADATA not in metadata:
        raise DataError(f"{table} is a Parquet file of another program; name a file that enumerate has written")
    document: dict[str, Any] = json.loads(metadata[METADATA])
    if document["schema_version"] != SCHEMA_VERSION:
        raise DataError(
            f"{table} has schema version {document['schema_version']}, this program reads {SCHEMA_VERSION}; use the version of"
            f" faqnas-optuna that made it, {document['versions']['faqnas-optuna']}"
        )
    return document
