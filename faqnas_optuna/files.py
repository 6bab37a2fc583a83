"""Writing files so that nobody ever reads half of one."""

import os
from pathlib import Path
from uuid import uuid4

from faqnas_optuna.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, then rename.

    Raises:
        OutputError: the directory is not there, not writable, or full.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
