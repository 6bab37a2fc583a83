"""Compiling the numba kernels once per installation, and never mistaking old or damaged machine code for new.

Numba's own cache looks only at the file of the outermost function: an edit of `gate_kernels` would leave the code of
`statevector` as it was. It believes what it finds, and where it cannot write it looks for other places. So machine code is kept
by us, in a directory named after the sources of all kernels together.
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

KERNELS = ("gate_kernels.py", "embeddings.py", "basis_patterns.py", "statevector.py", "fused.py")
"""The files with functions that numba compiles."""

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function when another that is compiled calls it."""
    # No wrappers for Python, and no machine code of its own on disk: that of its callers has it.
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Function) -> Function:
    """Compile a function when it is first called, from Python too, and keep the machine code on disk."""
    dispatcher: Any = _njit(function)
    dispatcher._cache = KernelCache(function.__name__)
    return cast(Function, dispatcher)


def _njit(function: Function, **options: Any) -> Function:
    """Of fastmath, the parts that assume away NaN and infinity are left out: they must travel through."""
    fastmath: Any = {"reassoc", "contract", "nsz", "arcp"}
    # An epoch may take seconds, and the thread that says this worker is alive must run meanwhile.
    return cast(Function, numba.njit(error_model="numpy", fastmath=fastmath, nogil=True, **options)(function))


class KernelCache(NullCache):
    """Machine code of one kernel, by the types of its arguments; what is damaged is compiled anew."""

    def __init__(self, name: str) -> None:
        self._name = name

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        target_context.refresh()
        path = self._path(sig)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, body = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if hashlib.sha256(body).digest() != digest:
            logger.warning("%s is damaged; compiling it anew", path)
            return None
        # As numba's `FunctionCache` does it.
        rebuild: Any = CompileResult._rebuild
        return rebuild(target_context, *pickle.loads(body))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if there is room."""
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
    """Say that machine code is not kept, and what to do."""
    logger.warning(
        "cannot keep the compiled engine (%s), so each process compiles it anew; name another place by XDG_CACHE_HOME", reason
    )


@cache
def kernels_digest() -> str:
    """Return a digest of what the machine code follows from: sources, processor and versions."""
    digest = hashlib.sha256()
    for source in (Path(__file__).parent / name for name in KERNELS):
        digest.update(source.read_bytes())
    # With what the environment says of the processor.
    versions = sys.implementation.cache_tag, numba.__version__, cpu_target.target_context.codegen().magic_tuple()
    digest.update(repr(versions).encode())
    return digest.hexdigest()[:12]


def compile_once(compile_all: Callable[[], None]) -> None:
    """Have the kernels compiled by one process while the others wait.

    Args:
        compile_all: calls every kernel with the types that matter.
    """
    stamp = user_cache().kernels_complete(kernels_digest())
    if stamp.exists():
        return
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(user_cache().kernels_lock(kernels_digest())):
            if not stamp.exists():
                compile_all()
                stamp.touch()
    except OSError as error:
        warn_once(f"{stamp.parent}: {error.strerror}")
