"""The operating system and its limits for a process."""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

from faqnas_optuna.errors import PlatformError

WINDOWS = "faqnas-optuna runs on Linux and macOS but not directly on Windows; run it in WSL, the Windows Subsystem for Linux"
NO_MORE_PROCESSES = (
    "the system allows this user no more processes or threads; end some of the user's processes or raise the limit (ulimit -u)"
)
FOREIGN = "foreign code"
"""Name of a thread that runs code of a library which cannot be interrupted."""
COMPILER_BYTES = 512 * 1024**2
"""Address space that compiling and running the simulator needs; with less, LLVM dies of a segmentation fault."""


def check_platform() -> None:
    """Refuse an unsupported operating system.

    Raises:
        PlatformError: The system is Windows.
    """
    if sys.platform == "win32":
        raise PlatformError(WINDOWS)


def check_address_space() -> None:
    """Refuse to load the simulator if its memory would run out.

    Raises:
        PlatformError: The address space of this process is limited too narrowly.
    """
    limit = address_space_limit()
    if limit is not None and limit < COMPILER_BYTES:
        raise PlatformError(
            f"training needs an address space of {COMPILER_BYTES // 1024:,} kB but this process is limited to"
            f" {limit // 1024:,}; raise the limit (ulimit -v)"
        )


def leave(code: int) -> NoReturn:
    """Exit the process.

    If a thread still runs foreign code, skip the interpreter's clean-up, which would free the memory that it uses.
    """
    if any(thread.name == FOREIGN for thread in threading.enumerate()):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        # This skips all clean-up, so the streams were flushed above.
        os._exit(code)
    sys.exit(code)


def address_space_limit() -> int | None:
    """Return the limit of this process in bytes; None if there is none."""
    # Imported here: Windows lacks this module and must get as far as its refusal.
    import resource

    # The soft limit is the one that applies.
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def limit_reached(error: BaseException) -> str | None:
    """Return the message for an error caused by a limit of the system; None for another cause."""
    if isinstance(error, RuntimeError) and str(error).startswith("can't start new thread"):
        return NO_MORE_PROCESSES
    # Non-blocking streams raise the same number with another text.
    if isinstance(error, OSError) and error.errno == errno.EAGAIN and error.strerror == os.strerror(errno.EAGAIN):
        return NO_MORE_PROCESSES
    if any(map(_is_memory, _chain(error))) and (limit := address_space_limit()) is not None:
        return f"memory has run out: this process is limited to {limit // 1024:,} kB; raise the limit (ulimit -v)"
    return None


def _is_memory(error: BaseException) -> bool:
    # The dynamic linker reports a lack of memory in its own words.
    return isinstance(error, MemoryError) or "failed to map segment" in str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from or after."""
    while error is not None:
        yield error
        # Libraries wrap a lack of memory in errors of their own.
        error = error.__cause__ or error.__context__


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    # Containers and batch systems restrict a process to some cores of the machine; macOS lacks the call.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
