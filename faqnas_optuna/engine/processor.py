"""For which processor machine code is made."""

import os

import llvmlite.binding


def processor() -> str:
    """Its kind, as LLVM calls it, or as numba is told. Sums are ordered by it, so last digits may differ between two kinds."""
    return os.environ.get("NUMBA_CPU_NAME") or str(llvmlite.binding.get_host_cpu_name())
