"""Per-user file cache: one process makes a file while the others wait."""

import logging
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
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
from faqnas_optuna.signals import signals_blocked

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class CachePaths:
    """Paths of all files in a cache directory; a deleted file is made again when it is needed."""

    directory: Path

    def flops_counts(self, versions: str, digest: str, *, wider: bool) -> Path:
        """Return the file of PennyLane's FLOPs.

        Args:
            versions: Versions of the packages that count.
            digest: Digest of the source files that count.
            wider: Whether the counts include blocks outside the paper's space.
        """
        return self.directory / f"{'wider-' if wider else ''}counts-{versions}-{digest}.json"

    def kernels(self, digest: str) -> Path:
        """Return the directory of the machine code of all kernels, by the digest of their sources."""
        return self.directory / f"kernels-{digest}"

    def kernel(self, digest: str, name: str, signature: str) -> Path:
        """Return the file of the machine code of one kernel, by the digest of its argument types."""
        return self.kernels(digest) / f"{name}-{signature}.kernel"

    def kernels_complete(self, digest: str, group: str) -> Path:
        """Return the file that exists once all kernels of a group are compiled."""
        return self.kernels(digest) / f"{group}.complete"

    def kernels_lock(self, digest: str, group: str) -> Path:
        """Return the lock that the process holds that compiles a group of kernels."""
        return self.kernels(digest) / f"{group}.lock"

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
    """Return the cache of this user, or an unwritable path for a user without a home directory."""
    try:
        return CachePaths(user_cache_path("faqnas-optuna"))
    except RuntimeError:
        # A path below a device: every attempt to write there fails, as for any cache that cannot be written.
        return CachePaths(Path(os.devnull, "no-home-directory", "faqnas-optuna"))


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a child process of this program, which must not import modules of the working directory."""
    # Our own directory comes last: it matters only where the package is used without being installed.
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).parent.parent)]
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths)} | changes


def cached_file(path: Path, make: Callable[[], T], *, read: Callable[[bytes], T], write: Callable[[T], bytes]) -> T:
    """Return the content of a cached file, computing and storing it if the file is absent or damaged.

    If the cache cannot be written, each process computes the content itself and logs a warning.

    Args:
        path: File in the cache.
        make: Function that computes the content.
        read: Inverse of `write`; raises ValueError for damaged content.
        write: Function that encodes the content.
    """
    content = _read(path, read)
    if content is not None:
        return content
    with ExitStack() as locks:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The lock is a file beside the cached one. The system releases it when the process ends, even if it is killed.
            locks.enter_context(FileLock(CachePaths.lock(path)))
        except OSError as error:
            logger.warning("cannot cache %s, so every run computes it again: %s", path, error.strerror)
            return make()
        # Another process may have written the file while this one waited for the lock.
        content = _read(path, read)
        if content is None:
            content = make()
            try:
                write_atomically(path, write(content))
            except OutputError as error:
                logger.warning("the next run computes it again: %s", error)
        return content


@contextmanager
def in_subprocess(make: Callable[[], Any]) -> Iterator[None]:
    """Fill a cache in another process while the body runs; if that process fails, this one fills it later.

    Args:
        make: Function of a module, called without arguments.
    """
    # A child process inherits the blocked signals.
    unblock = "import signal; signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())"
    # By its source text rather than by `multiprocessing`, which would import the main module of the user's program.
    program = f"{unblock}; from {make.__module__} import {make.__name__}; {make.__name__}()"
    process = None
    try:
        with signals_blocked(), suppress(OSError):
            # A session of its own: Ctrl-C must reach only this process.
            process = subprocess.Popen(
                [sys.executable, "-c", program],
                env=child_environment(),
                # PennyLane would read a configuration file of the working directory.
                cwd=Path(__file__).parent,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                start_new_session=True,
            )
        yield
        if process:
            process.wait()
    finally:
        if process:
            process.kill()
            process.wait()


def _read(path: Path, read: Callable[[bytes], T]) -> T | None:
    try:
        # Without the lock: a file is renamed into its place and never changed, so readers need not wait.
        return read(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s is damaged (%s); computing it again", path, error)
        return None


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode named arrays as the content of an NPZ file."""
    buffer = BytesIO()
    # Pickles are excluded here and on reading: a cache must not run code.
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_npz(content: bytes, *names: str) -> dict[str, NDArray[Any]]:
    """Decode the named arrays of an NPZ file.

    Raises:
        ValueError: The content is not an NPZ file, or lacks one of the arrays.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(error) from error
