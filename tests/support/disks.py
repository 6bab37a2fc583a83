"""Small file systems, and how to fill them."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import TIMEOUT_S


@contextmanager
def mounted_disk(directory: Path) -> Iterator[Path]:
    """Mount a file system of 24 MB in a directory."""
    disk = Path(tempfile.mkdtemp(prefix="disk-", dir=directory))
    disk.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    if mounted.returncode:
        disk.rmdir()
        pytest.skip(f"a disk of its own cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], timeout=TIMEOUT_S, check=True)
        disk.rmdir()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fill a disk to the last byte for a while."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            yield
    filler.unlink()
