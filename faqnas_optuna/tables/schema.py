"""What stands where in a table's file, and what it says of itself. docs/tables.md tells the columns."""

import json
from pathlib import Path
from typing import Any

from faqnas_optuna.errors import DataError

SCHEMA_VERSION = 1
SUFFIX = ".parquet"
METADATA = b"faqnas-optuna"
"""The key of what a table says of itself, as JSON."""
DECIMALS = 4
"""Of losses: more would take room, and decide nothing."""
PARTS = {"train": "train", "validation": "val", "test": "test"}
"""The three parts of the data, with what their columns begin with."""


def right_column(part: str, epochs: int, seed: int) -> str:
    """The name of the column of right answers on a part of `PARTS`."""
    return f"{PARTS[part]}_right_e{epochs}_s{seed}"


def loss_column(part: str, epochs: int, seed: int) -> str:
    """The name of the column of mean negative log-likelihoods on a part of `PARTS`."""
    return f"{PARTS[part]}_loss_e{epochs}_s{seed}"


def seconds_column(seed: int) -> str:
    """The name of the column of seconds, in the file of seconds."""
    return f"seconds_s{seed}"


def seconds_file(table: Path) -> Path:
    """Beside a table, what its trainings took."""
    return table.with_suffix(f".seconds{SUFFIX}")


def read_document(table: Path) -> dict[str, Any]:
    """What a table says of itself.

    Raises:
        DataError: there is no such file, or it is no table that this program reads.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(table).metadata or {}
    except FileNotFoundError as error:
        raise DataError(f"{table}: there is no such file; make it with", command=f"enumerate --out {table}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{table} cannot be read as a table; it is none, or damaged") from error
    if METADATA not in metadata:
        raise DataError(f"{table} is no table of circuits: another program has made it")
    document: dict[str, Any] = json.loads(metadata[METADATA])
    if document["schema_version"] != SCHEMA_VERSION:
        raise DataError(
            f"{table} has schema version {document['schema_version']}, this program reads {SCHEMA_VERSION}; use the version of"
            f" faqnas-optuna that made it, {document['versions']['faqnas-optuna']}"
        )
    return document
