"""The operating system, and the limits that it sets for a process."""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

from faqnas_optuna.errors import PlatformError

WINDOWS = "faqnas-optuna runs on Linux and macOS, not on Windows itself; run it in WSL, the Windows Subsystem for Linux"
NO_MORE_PROCESSES = (
    "the system allows this user no further process or thread; end some of the user's processes, or raise the limit (ulimit -u)"
)
FOREIGN = "foreign code"
"""Name of a thread that runs code of another library to its end, whatever happens meanwhile."""
COMPILER_BYTES = 512 * 1024**2
"""Address space of a process that compiles and runs the simulator. With less, LLVM ends it by a segmentation fault."""


def check_platform() -> None:
    """Refuse a system on which this program does not run.

    Raises:
        PlatformError: the system is Windows.
    """
    if sys.platform == "win32":
        raise PlatformError(WINDOWS)


def check_address_space() -> None:
    """Refuse to load the simulator where memory would run out in the middle of it.

    Raises:
        PlatformError: the address space of this process is limited too narrowly.
    """
    limit = address_space_limit()
    if limit is not None and limit < COMPILER_BYTES:
        needed = f"training needs an address space of {COMPILER_BYTES // 1024:,} kB"
        raise PlatformError(f"{needed}, and this process is limited to {limit // 1024:,}; raise the limit (ulimit -v)")


def leave(code: int) -> NoReturn:
    """End the process; at once if a thread still runs foreign code, whose memory the interpreter would free."""
    if any(thread.name == FOREIGN for thread in threading.enumerate()):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(code)
    sys.exit(code)


def address_space_limit() -> int | None:
    """Return the limit of this process in bytes; None if there is none."""
    # Windows has no such module, and must get as far as its refusal.
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def limit_reached(error: BaseException) -> str | None:
    """Return what to say of an error that a limit of the system has caused; None if it has another cause."""
    if isinstance(error, RuntimeError) and str(error).startswith("can't start new thread"):
        return NO_MORE_PROCESSES
    # A stream that does not block has this number too, with a text of its own.
    if isinstance(error, OSError) and error.errno == errno.EAGAIN and error.strerror == os.strerror(errno.EAGAIN):
        return NO_MORE_PROCESSES
    if any(map(_is_memory, _chain(error))) and (limit := address_space_limit()) is not None:
        return f"memory has run out: this process is limited to {limit // 1024:,} kB; raise the limit (ulimit -v)"
    return None


def _is_memory(error: BaseException) -> bool:
    # The second is the dynamic linker's message.
    return isinstance(error, MemoryError) or "failed to map segment" in str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from or after."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
