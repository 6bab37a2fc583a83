"""Machine code of the numba kernels, compiled once per installation and checked against outdated or damaged files.

Numba's own cache considers only the file of the outermost function: after an edit of `gate_kernels` it would still use the old
machine code of `statevector`. It does not detect damaged files, and if it cannot write it tries other directories. This module
therefore stores the machine code itself, in a directory named after the sources of all kernels together.
"""

import hashlib
import logging
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from filelock import FileLock

from faqnas_optuna.cache import user_cache
from faqnas_optuna.engine.processor import usable_settings
from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically

with usable_settings():
    import numba
    from numba.core.caching import NullCache
    from numba.core.compiler import CompileResult
    from numba.core.registry import cpu_target
    from numba.core.serialize import dumps

logger = logging.getLogger(__name__)

KERNELS = ("gate_kernels.py", "embeddings.py", "basis_patterns.py", "statevector.py", "layers.py", "fused.py", "networks.py")
"""Files with functions that numba compiles."""

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Return a function that is compiled as part of the kernels that call it."""
    # It needs no wrappers for Python and no files: the machine code of its callers includes it.
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Function) -> Function:
    """Return a function that is compiled at its first call, also from Python, and whose machine code is stored on disk."""
    dispatcher: Any = _njit(function)
    dispatcher._cache = KernelCache(function.__name__)
    return cast(Function, dispatcher)


def _njit(function: Function, **options: Any) -> Function:
    # Not `fastmath=True`, which assumes that there is no NaN or infinity: NaN must reach the loss of a diverged training.
    fastmath: Any = {"reassoc", "contract", "nsz", "arcp"}
    # Without the GIL, because an epoch may take seconds, during which the heartbeat thread of the worker must run.
    return cast(Function, numba.njit(error_model="numpy", fastmath=fastmath, nogil=True, **options)(function))


class KernelCache(NullCache):
    """Stored machine code of one kernel, by the types of its arguments. Damaged files are compiled again."""

    def __init__(self, name: str) -> None:
        self._name = name

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel, or None if it is not stored or damaged."""
        target_context.refresh()
        path = self._path(sig)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest = content[:DIGEST_SIZE]
        body = content[DIGEST_SIZE:]
        if hashlib.sha256(body).digest() != digest:
            logger.warning("%s is damaged; compiling it again", path)
            return None
        # Numba's `FunctionCache` does the same; there is no public interface.
        rebuild: Any = CompileResult._rebuild
        return rebuild(target_context, *pickle.loads(body))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled kernel; warn if that fails."""
        body: bytes = cast(Any, dumps)(data._reduce())
        try:
            path = self._path(sig)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, hashlib.sha256(body).digest() + body)
        except (OSError, OutputError) as error:
            warn_once(str(error))

    def _path(self, sig: Any) -> Path:
        return user_cache().kernel(kernels_digest(), self._name, hashlib.sha256(str(sig).encode()).hexdigest()[:12])


DIGEST_SIZE = hashlib.sha256().digest_size


@cache
def warn_once(reason: str) -> None:
    """Log that machine code cannot be stored, and the remedy."""
    # `cache` limits it to one message per reason and process.
    logger.warning(
        "cannot store the compiled engine (%s), so every process compiles it again; set XDG_CACHE_HOME to a writable directory",
        reason,
    )


@cache
def kernels_digest() -> str:
    """Return a digest of everything that determines the machine code: sources, processor and versions."""
    digest = hashlib.sha256()
    for source in (Path(__file__).parent / name for name in KERNELS):
        digest.update(source.read_bytes())
    # The last part names the processor and its features, including overrides from the environment.
    versions = sys.implementation.cache_tag, numba.__version__, cpu_target.target_context.codegen().magic_tuple()
    digest.update(repr(versions).encode())
    return digest.hexdigest()[:12]


def compile_once(compile_all: Callable[[], None], *, group: str) -> None:
    """Compile a group of kernels in one process while all others wait.

    Args:
        compile_all: Calls every kernel of the group with all types of arguments that are used.
        group: Name of the group.
    """
    # The stamp exists once all kernels of the group are stored: later processes need no lock.
    stamp = user_cache().kernels_complete(kernels_digest(), group)
    if stamp.exists():
        return
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(user_cache().kernels_lock(kernels_digest(), group)):
            # Another process may have compiled them while this one waited for the lock.
            if not stamp.exists():
                compile_all()
                stamp.touch()
    except OSError as error:
        warn_once(f"{stamp.parent}: {error.strerror}")
