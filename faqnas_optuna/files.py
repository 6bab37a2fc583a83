"""Writing files and folders so that nobody ever reads half of one, not even after a power failure."""

import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from faqnas_optuna.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, then rename; a link keeps pointing at its file, which keeps its mode and group.

    After a power failure the file is the old one or the new one.

    What is no file, as a device or a pipe, is written as it is, and so is what this process has open, as `/dev/stdout`.

    Raises:
        OutputError: the directory is not there, not writable, or full.
    """
    target = path.resolve()
    beside = _name_beside(target)
    try:
        if opened := OPENED.fullmatch(str(path)):
            # At its position, after which others go on.
            with os.fdopen(os.dup(STANDARD.get(opened[1]) or int(opened[1])), "wb") as file:
                file.write(content)
            return
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        _write_durably(beside, content)
        if target.exists():
            _make_alike(beside, target.stat())
        os.replace(beside, target)
        _sync_directory(target.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def write_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write all files into a folder beside, which then takes the place of the folder.

    After a power failure the folder is the old one, the new one, or absent with the old one beside it.

    Raises:
        OutputError: the parent directory is not there, not writable, or full. An existing folder stays as it was.
    """
    target = directory.absolute()
    beside = _name_beside(target)
    old = beside.with_suffix(".old")
    try:
        beside.mkdir()
        for name, content in files.items():
            _write_durably(beside / name, content)
        _sync_directory(beside)
        if target.exists():
            target.rename(old)
        beside.rename(target)
        _sync_directory(target.parent)
    except OSError as error:
        with suppress(OSError):
            old.rename(target)
        raise OutputError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        for remainder in (beside, old):
            shutil.rmtree(remainder, ignore_errors=True)


def _name_beside(target: Path) -> Path:
    """Return a new name in the directory of a file or folder."""
    return target.with_name(f".{uuid4().hex[:12]}.tmp")


def _write_durably(file: Path, content: bytes) -> None:
    """Write a new file, and wait until its content is on the disk."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on the disk, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


OPENED = re.compile(r"/(?:dev|dev/fd|proc/self/fd)/(stdout|stderr|\d+)")
STANDARD = {"stdout": 1, "stderr": 2}


def _make_alike(file: Path, model: os.stat_result) -> None:
    """Give a file the group, where we may, and the mode of another."""
    with suppress(OSError):
        os.chown(file, -1, model.st_gid)
    file.chmod(stat.S_IMODE(model.st_mode))


def check_directory(file: Path) -> None:
    """Refuse a file that cannot be written for want of its directory.

    Raises:
        OutputError: there is no such directory.
    """
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: there is no directory {file.parent}; make it first")
