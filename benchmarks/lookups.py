"""What it takes to load a table and to ask it."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measurement import Measurement, at_most, seconds
from faqnas_optuna import Table

LOADING_TARGET_S, QUERY_TARGET_US = 0.5, 20.0
PROGRAM = """import sys, time
started = time.perf_counter()
from faqnas_optuna import load_table
load_table(sys.argv[1])
print(time.perf_counter() - started)"""
"""In a process that has imported nothing."""
REPEATS = 5


def lookups(file: Path) -> Iterator[Measurement]:
    """Loading a table, imports included, and a query by digest once its columns are read."""
    command = [sys.executable, "-c", PROGRAM, str(file)]
    taken = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(REPEATS)]
    yield at_most("loading a table", file.name, statistics.median(taken), "s", LOADING_TARGET_S)
    table = Table(file)

    def ask() -> None:
        for circuit in table.circuits:
            table.query(circuit)

    ask()
    query = statistics.median(seconds(ask) for _ in range(REPEATS)) / len(table)
    yield at_most("a query of a table", f"{file.name}, mean of {len(table):,}", 1e6 * query, "us", QUERY_TARGET_US)
