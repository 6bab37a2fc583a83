"""Writing files so that nobody ever reads half of one."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from faqnas_optuna.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, then rename; a link keeps pointing at its file, and a device or pipe is written as it is.

    Raises:
        OutputError: the directory is not there, not writable, or full.
    """
    target = path.resolve()
    beside = target.with_name(f".{uuid4().hex[:12]}.tmp")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        beside.write_bytes(content)
        os.replace(beside, target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink()
