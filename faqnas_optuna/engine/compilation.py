"""Compiling the numba kernels once per installation, and never mistaking old machine code for new.

Numba keeps machine code on disk, but looks only at the file of the outermost function: an edit of `gates` would leave the code
of `statevector` as it was. So our cache directory is named after the sources of all kernels together, with place and time.
"""

import hashlib
import logging
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding
import numba
from filelock import FileLock

from faqnas_optuna.kept import cache_directory

logger = logging.getLogger(__name__)

KERNELS = ("gates.py", "statevector.py", "fused.py")
"""The files with functions that numba compiles."""

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function when another that is compiled calls it."""
    # No wrappers for Python, and no machine code of its own on disk: that of its callers has it.
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Function) -> Function:
    """Compile a function when it is first called, from Python too, and keep the machine code on disk."""
    settings: Any = numba.config
    before = settings.CACHE_DIR
    # Numba looks at this setting when it decorates; it is put back for whatever else uses numba in this process.
    settings.CACHE_DIR = str(kernel_cache())
    try:
        return _njit(function, cache=True)
    except RuntimeError:
        # There is no directory that it can write to; then every process compiles for itself.
        return _njit(function)
    finally:
        settings.CACHE_DIR = before


def _njit(function: Function, **options: Any) -> Function:
    """Of fastmath, the parts that assume away NaN and infinity are left out: they must travel through."""
    fastmath: Any = {"reassoc", "contract", "nsz", "arcp"}
    # An epoch may take seconds, and the thread that says this worker is alive must run meanwhile.
    return cast(Function, numba.njit(error_model="numpy", fastmath=fastmath, nogil=True, **options)(function))


@cache
def kernel_cache() -> Path:
    """Where the machine code of these sources is kept."""
    digest = hashlib.sha256()
    for source in (Path(__file__).parent / name for name in KERNELS):
        # Numba tells sources apart by place and time: those of another installation, or of one that was made anew, it compiles.
        digest.update(f"{source} {source.stat().st_mtime_ns}".encode())
        digest.update(source.read_bytes())
    return cache_directory() / f"kernels-{digest.hexdigest()[:12]}"


def compile_once(compile_all: Callable[[], None]) -> None:
    """Have the kernels compiled by one process while the others wait.

    Args:
        compile_all: calls every kernel with the types that matter.
    """
    stamp = kernel_cache() / f"{sys.implementation.cache_tag}-numba-{numba.__version__}-{llvmlite.binding.get_host_cpu_name()}"
    if stamp.exists():
        return
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(stamp.with_suffix(".lock")):
            if not stamp.exists():
                compile_all()
                stamp.touch()
    except OSError as error:
        logger.warning("cannot keep the compiled engine in %s (%s): each process compiles it anew", stamp.parent, error)
