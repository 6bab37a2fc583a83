"""For which processor machine code is made, and by which settings."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.binding

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.machine import check_address_space


def processor() -> str:
    """Its kind, as LLVM calls it, or as numba is told. Sums are ordered by it, so last digits may differ between two kinds."""
    return os.environ.get("NUMBA_CPU_NAME") or str(llvmlite.binding.get_host_cpu_name())


@contextmanager
def usable_settings() -> Iterator[None]:
    """Turn what numba cannot do with its settings, while it is imported, into an error of one line.

    Raises:
        ConfigError: names the variables that it may be due to.
        PlatformError: there is too little address space for it.
    """
    check_address_space()
    try:
        with warnings.catch_warnings():
            # It would show a traceback, and go on with another value.
            warnings.filterwarnings("error", message="Environment variable", category=RuntimeWarning)
            yield
    except ImportError:
        raise
    except Exception as error:
        found = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")]
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ConfigError(f"numba cannot be used: {reason}; correct or unset what is wrong of {', '.join(found)}") from error
