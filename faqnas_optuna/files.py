"""Writing files so that nobody ever reads half of one."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from faqnas_optuna.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, then rename; a link keeps pointing at its file, which keeps its mode and group.

    What is no file, as a device or a pipe, is written as it is, and so is what this process has open, as `/dev/stdout`.

    Raises:
        OutputError: the directory is not there, not writable, or full.
    """
    target = path.resolve()
    beside = target.with_name(f".{uuid4().hex[:12]}.tmp")
    try:
        if opened := OPENED.fullmatch(str(path)):
            # At its position, after which others go on.
            with os.fdopen(os.dup(STANDARD.get(opened[1]) or int(opened[1])), "wb") as file:
                file.write(content)
            return
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        beside.write_bytes(content)
        if target.exists():
            _make_alike(beside, target.stat())
        os.replace(beside, target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


OPENED = re.compile(r"/(?:dev|dev/fd|proc/self/fd)/(stdout|stderr|\d+)")
STANDARD = {"stdout": 1, "stderr": 2}


def _make_alike(file: Path, model: os.stat_result) -> None:
    """Give a file the group, where we may, and the mode of another."""
    with suppress(OSError):
        os.chown(file, -1, model.st_gid)
    file.chmod(stat.S_IMODE(model.st_mode))
