"""Directory that is mounted twice by a network file system, as two machines would see it."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.support.processes import TIMEOUT_S, cli_environment

pytestmark = pytest.mark.slow


@contextmanager
def mounted(directory: Path, place: Path, cache: Path) -> Iterator[Path]:
    """Mount a directory by rclone with a separate write cache; skip the test where rclone cannot mount."""
    place.mkdir()
    options = ("--vfs-cache-mode", "full", "--cache-dir", str(cache), "--config", "/dev/null")
    environment = cli_environment({"HOME": str(cache)})
    with subprocess.Popen(
        ["rclone", "mount", str(directory), str(place), *options], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not os.path.ismount(place):
                if process.poll() is not None:
                    assert process.stderr is not None
                    pytest.skip(f"rclone cannot mount here: {process.stderr.read().strip()}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"rclone does not mount {place}")
                time.sleep(0.05)
            yield place
        finally:
            process.terminate()


@pytest.fixture
def two_mounts(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    if shutil.which("rclone") is None or shutil.which("fusermount3") is None or not os.path.exists("/dev/fuse"):
        pytest.skip("rclone or FUSE is not there; on Debian: apt-get install rclone fuse3")
    (tmp_path / "shared").mkdir()
    with (
        mounted(tmp_path / "shared", tmp_path / "first", tmp_path / "cache-1") as first,
        mounted(tmp_path / "shared", tmp_path / "second", tmp_path / "cache-2") as second,
    ):
        yield first, second


def test_a_study_on_a_mounted_remote_directory_is_refused(
    two_mounts: tuple[Path, Path], run_forked: RunCli, tmp_path: Path
) -> None:
    """Check that both mounts are refused: of two studies started on them, one would be lost."""
    for mount in two_mounts:
        finished = run_forked("start", "iris", "--storage", f"sqlite:///{mount}/faqnas.db")
        assert (finished.returncode, finished.stdout) == (4, "")
        assert finished.stderr == (
            f"Error: {mount}/faqnas.db is on a file system of type fuse.rclone, which is not known to be local, and network"
            " file systems damage SQLite databases: put it on a local disk, or use PostgreSQL to share a study between"
            " machines\n"
        )
        doctor = run_forked("doctor", "--storage", f"sqlite:///{mount}/faqnas.db")
        assert doctor.returncode == 1 and "fuse.rclone" in doctor.stdout
    assert list((tmp_path / "shared").iterdir()) == []
