"""Measurements of whole commands in separate processes: compilation, start-up, memory, speed-up by a second worker."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.measurement import Measurement, at_most, paired, within
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import load

logger = logging.getLogger(__name__)

COMPILING_TARGET_S = 7.0
START_TARGET_S = 1.5
MEMORY_TARGET_MB = 250.0
# Times with two workers, as a fraction of the time with one. Below 0.5 is impossible; a short search spends a larger
# part of its time on starting the second worker.
TWO_WORKERS_TARGET = 0.65
SHORT_SEARCH_TARGET = 0.7


def commands(*, trials: int, repeats: int) -> Iterator[Measurement]:
    """Run all measurements of this module, one after the other.

    Args:
        trials: Number of trials of the search on Digits that two workers share.
        repeats: Number of pairs of short searches.
    """
    yield compiling()
    yield start_up()
    yield memory()
    yield short_search(repeats=repeats)
    yield two_workers(trials=trials)


def compiling() -> Measurement:
    """Measure the compilation of the kernels with an empty cache."""
    program = "from faqnas_optuna.engine.fused import load_kernels; load_kernels()"
    with tempfile.TemporaryDirectory() as directory:
        # An empty directory in the place of the user's cache: Linux reads the first variable, macOS the second.
        empty_cache = {"XDG_CACHE_HOME": directory, "HOME": directory}
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=os.environ | empty_cache, check=True)
        return at_most("compiling the kernels", "once per installation", time.perf_counter() - started, "s", COMPILING_TARGET_S)


def start_up() -> Measurement:
    """Measure the time from the command to the start of the first trial."""
    with tempfile.TemporaryDirectory() as directory:
        started = datetime.now()
        start(Path(directory), "wine", "--population", "2", "--generations", "1")
        # The start of a trial is stored with it, so the process need not be observed from outside.
        first = load(open_storage(f"sqlite:///{directory}/faqnas.db"), "wine").study.get_trials(deepcopy=False)[0]
    assert first.datetime_start is not None
    return at_most("command to first trial", "wine", (first.datetime_start - started).total_seconds(), "s", START_TARGET_S)


def memory() -> Measurement:
    """Measure the peak memory of a worker."""
    with tempfile.TemporaryDirectory() as directory:
        megabytes = start(Path(directory), "mnist-5k", "--population", "8", "--generations", "1")
    return at_most("peak memory of a worker", "mnist-5k", megabytes, "MB", MEMORY_TARGET_MB)


def two_workers(*, trials: int) -> Measurement:
    """Compare the time from command to front with two workers and with one."""
    times = {}
    for workers in (1, 2):
        logger.info("search on digits with %d workers", workers)
        limits = ("--population", str(trials // 8), "--patience", "8", "--epochs", "30")
        with tempfile.TemporaryDirectory() as directory:
            started = time.perf_counter()
            start(Path(directory), "digits", *limits, "--workers", str(workers))
            times[workers] = time.perf_counter() - started
    case = f"digits, {trials} trials, compared with one worker"
    return within("command to front, two workers", case, times[2], times[1], "s", TWO_WORKERS_TARGET)


def short_search(*, repeats: int) -> Measurement:
    """Compare `start digits` with two workers and with one: the search is so short that starting the second worker matters."""

    def search(workers: int) -> None:
        logger.info("short search on digits with %d workers", workers)
        with tempfile.TemporaryDirectory() as directory:
            start(Path(directory), "digits", "--workers", str(workers))

    with_two, with_one = paired(partial(search, 2), partial(search, 1), repeats)
    case = "digits, a short search, compared with one worker"
    return within("command to front, two workers", case, with_two, with_one, "s", SHORT_SEARCH_TARGET)


PEAK_MEMORY_PROGRAM = "import os, subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
_, status, usage = os.wait4(child.pid, 0); print(usage.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))"
"""Program that runs a command and prints its peak memory.

A direct child would inherit the peak of this process between fork and exec, so a small process starts the command.
"""


def start(directory: Path, dataset: str, *options: str) -> float:
    """Run `start` in a process and return its peak memory in MB."""
    command = [sys.executable, "-m", "faqnas_optuna", "start", "--dataset", dataset, "--json", *options]
    # Settings of the user would change what is measured.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAQNAS_")}
    process = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY_PROGRAM, *command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # `ru_maxrss` is in kilobytes on Linux and in bytes on macOS.
    return float(process.stdout) / (1024**2 if sys.platform == "darwin" else 1024)
