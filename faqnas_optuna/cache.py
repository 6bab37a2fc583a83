"""Per-user file cache: each file is made by one process while the others wait."""

import logging
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_path

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class CachePaths:
    """Names of all files in a cache directory. Any of them can be deleted: it is made again when it is needed."""

    directory: Path

    def flops_counts(self, versions: str, digest: str, *, wider: bool) -> Path:
        """Return the file of PennyLane's FLOPs.

        Args:
            versions: of the packages that count.
            digest: of the sources that count.
            wider: for the blocks outside the paper's space too.
        """
        return self.directory / f"{'wider-' if wider else ''}counts-{versions}-{digest}.json"

    def kernels(self, digest: str) -> Path:
        """Return the directory of the machine code of all kernels, by the digest of their sources."""
        return self.directory / f"kernels-{digest}"

    def kernel(self, digest: str, name: str, signature: str) -> Path:
        """Return the file of the machine code of one kernel, by the digest of its argument types."""
        return self.kernels(digest) / f"{name}-{signature}.kernel"

    def kernels_complete(self, digest: str) -> Path:
        """Return the file that exists once all kernels are compiled."""
        return self.kernels(digest) / "complete"

    def kernels_lock(self, digest: str) -> Path:
        """Return the lock that the compiling process holds."""
        return self.kernels(digest) / "complete.lock"

    def packaged_data(self, name: str, package: str, version: str) -> Path:
        """Return the file of a data set that was read from a Python package."""
        return self.directory / "data" / f"{name}-{package}-{version}-named.npz"

    def downloaded_data(self, name: str) -> Path:
        """Return the directory of a downloaded data set."""
        return self.directory / name

    def split(self, digest: str) -> Path:
        """Return the file of the rows of a split, by the digest of what determines them."""
        return self.directory / "splits" / f"{digest}.npz"

    def write_probe(self) -> Path:
        """Return a file that is written and deleted to try whether the directory can be written."""
        return self.directory / ".writable"

    @staticmethod
    def lock(file: Path) -> Path:
        """Return the lock that the process which makes a file holds."""
        return file.with_name(f"{file.name}.lock")


def user_cache() -> CachePaths:
    """Return the cache of this user; for a user without a home, one in which nothing can be written."""
    try:
        return CachePaths(user_cache_path("faqnas-optuna"))
    except RuntimeError:
        return CachePaths(Path(os.devnull, "no-home-directory", "faqnas-optuna"))


def child_environment(**changes: str) -> dict[str, str]:
    """For another process of this program, which finds the same packages, but not what lies in the working directory."""
    # Behind what is asked for: it is needed where the package is used without having been installed.
    found = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).parent.parent)]
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(found)} | changes


def cached_file(path: Path, make: Callable[[], T], *, read: Callable[[bytes], T], write: Callable[[T], bytes]) -> T:
    """What a file holds; made, and kept there, if the file is absent or damaged.

    Where nothing can be kept every process makes it for itself, and says so.

    Args:
        make: takes long.
        read: the inverse of `write`; raises ValueError of content that is damaged.
    """
    if (found := _read(path, read)) is not None:
        return found
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(CachePaths.lock(path)))
        except OSError as error:
            logger.warning("cannot keep %s, each run makes it anew: %s", path, error.strerror)
            return make()
        # Another process may have made it meanwhile.
        if (found := _read(path, read)) is None:
            found = make()
            try:
                write_atomically(path, write(found))
            except OutputError as error:
                logger.warning("the next run makes it anew: %s", error)
        return found


@contextmanager
def in_subprocess(make: Callable[[], Any]) -> Iterator[None]:
    """Have another process make what is kept while this one does something else; if it cannot, this one will have to.

    Args:
        make: a function of a module.
    """
    program = f"from {make.__module__} import {make.__name__}; {make.__name__}()"
    try:
        # Ctrl-C reaches this process alone.
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=child_environment(),
            # PennyLane reads a file of the working directory, whoever that is for.
            cwd=Path(__file__).parent,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
    except OSError:
        yield
        return
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()


def _read(path: Path, read: Callable[[bytes], T]) -> T | None:
    try:
        return read(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s is damaged (%s); making it anew", path, error)
        return None


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as the content of a compressed file."""
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_npz(content: bytes, *names: str) -> dict[str, NDArray[Any]]:
    """The inverse of `to_npz`.

    Raises:
        ValueError: it is no such file, or lacks one of the arrays.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(error) from error
