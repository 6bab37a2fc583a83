"""Processor for which machine code is generated, and numba's settings."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.binding

from faqnas_optuna.errors import ConfigError, PlatformError
from faqnas_optuna.machine import check_address_space


def processor() -> str:
    """Return LLVM's name of the processor, or the name that numba's settings give."""
    # Vectorisation, and with it the order of sums, depends on the processor: last digits may differ between two kinds.
    return os.environ.get("NUMBA_CPU_NAME") or str(llvmlite.binding.get_host_cpu_name())


@contextmanager
def usable_settings() -> Iterator[None]:
    """Translate exceptions about numba's settings, raised while the block imports numba, into one-line errors.

    Raises:
        ConfigError: Numba rejects its settings; the message lists them.
        PlatformError: The address space is too small for numba, or numba may not allocate executable memory.
    """
    check_address_space()
    try:
        with warnings.catch_warnings():
            # Of an invalid variable numba only warns, with a traceback, and uses its default.
            warnings.filterwarnings("error", message="Environment variable", category=RuntimeWarning)
            yield
    except ImportError:
        raise
    except OSError as error:
        # Most often the system forbids executable memory, as SELinux does, and systemd with MemoryDenyWriteExecute.
        raise PlatformError(f"numba cannot be loaded: {error.strerror or error}") from error
    except Exception as error:
        settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")]
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"numba cannot be loaded: {reason}; correct or unset these variables: {', '.join(settings)}"
        ) from error
