"""Measurements of loading and querying a table."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measurement import Measurement, at_most, seconds
from faqnas_optuna import Table

LOADING_TARGET_S = 0.5
QUERY_TARGET_US = 20.0
PROGRAM = """import sys, time
started = time.perf_counter()
from faqnas_optuna import load_table
load_table(sys.argv[1])
print(time.perf_counter() - started)"""
"""Program that prints the seconds of loading a table, including all imports."""
REPEATS = 5


def lookups(file: Path) -> Iterator[Measurement]:
    """Measure loading a table, imports included, and a query after its columns were read."""
    # A fresh process each time: imports are cached within one.
    command = [sys.executable, "-c", PROGRAM, str(file)]
    times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(REPEATS)]
    yield at_most("loading a table", file.name, statistics.median(times), "s", LOADING_TARGET_S)
    table = Table(file)

    def query_all() -> None:
        for circuit in table.circuits:
            table.query(circuit)

    # The first round reads the columns, which is part of loading.
    query_all()
    query = statistics.median(seconds(query_all) for _ in range(REPEATS)) / len(table)
    yield at_most("a query of a table", f"{file.name}, mean of {len(table):,}", 1e6 * query, "us", QUERY_TARGET_US)
