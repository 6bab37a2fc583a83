"""Atomic writing of files and folders: readers never see half of one, not even after a power failure."""

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
    """Write a temporary file in the same directory, then rename it.

    A symbolic link keeps its target, and an existing file its mode and group. After a power failure the file has the old or
    the new content. Devices, pipes and open streams of this process such as `/dev/stdout` are written directly.

    Raises:
        OutputError: The directory is absent, not writable or full.
    """
    # Renaming onto a symbolic link would replace the link itself.
    target = path.resolve()
    beside = _name_beside(target)
    try:
        # An open stream cannot be replaced by another file, and opening it again would start at its beginning.
        if opened := OPENED.fullmatch(str(path)):
            # A duplicate shares its position with the original, so that later output follows.
            with os.fdopen(os.dup(STANDARD.get(opened[1]) or int(opened[1])), "wb") as file:
                file.write(content)
            return
        # Devices and named pipes: a file in their place would lose their readers.
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
    """Write all files into a temporary folder, then rename it.

    After a power failure the folder is the old one, the new one, or absent with the old one beside it under another name.

    Raises:
        OutputError: The parent directory is absent, not writable or full. An existing folder is left unchanged.
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
            # A folder cannot be renamed onto one that is not empty, so the old one moves aside first.
            target.rename(old)
        beside.rename(target)
        _sync_directory(target.parent)
    except OSError as error:
        with suppress(OSError):
            # If the new folder could not take its place, the old one returns; else this fails and changes nothing.
            old.rename(target)
        raise OutputError(f"cannot write {directory}: {error.strerror}") from error
    finally:
        for remainder in (beside, old):
            shutil.rmtree(remainder, ignore_errors=True)


def _name_beside(target: Path) -> Path:
    """Return a new name in the directory of a file or folder."""
    # In the same directory, since a rename is atomic within one file system only. The dot hides it from listings.
    return target.with_name(f".{uuid4().hex[:12]}.tmp")


def _write_durably(file: Path, content: bytes) -> None:
    """Write a new file and sync it to disk."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        # Before the rename: otherwise the new name could point to an empty file after a power failure.
        os.fsync(opened.fileno())


def _sync_directory(directory: Path) -> None:
    """Sync the entries of a directory to disk, where the file system supports it."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


OPENED = re.compile(r"/(?:dev|dev/fd|proc/self/fd)/(stdout|stderr|\d+)")
STANDARD = {"stdout": 1, "stderr": 2}


def _make_alike(file: Path, model: os.stat_result) -> None:
    """Give a file the mode and, where permitted, the group of another."""
    with suppress(OSError):
        # The owner needs privileges that users rarely have; the group suffices for shared directories.
        os.chown(file, -1, model.st_gid)
    file.chmod(stat.S_IMODE(model.st_mode))


def check_directory(file: Path) -> None:
    """Refuse a file whose directory does not exist.

    Raises:
        OutputError: The directory does not exist.
    """
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: directory {file.parent} does not exist; create it first")
