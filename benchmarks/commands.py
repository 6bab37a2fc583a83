"""What whole commands take, in processes of their own: compiling, start-up, memory, and what a second worker brings."""

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

COMPILING_TARGET_S, START_TARGET_S, MEMORY_TARGET_MB, TWO_WORKERS_TARGET = 7.0, 1.5, 250.0, 0.65
SHORT_SEARCH_TARGET = 0.7


def commands(*, trials: int, repeats: int) -> Iterator[Measurement]:
    """All of them, one after the other.

    Args:
        trials: of the search on Digits that two workers share.
        repeats: pairs of short searches.
    """
    yield compiling()
    yield start_up()
    yield memory()
    yield short_search(repeats=repeats)
    yield two_workers(trials=trials)


def compiling() -> Measurement:
    """The kernels, where none are kept."""
    program = "from faqnas_optuna.engine.fused import load_kernels; load_kernels()"
    with tempfile.TemporaryDirectory() as directory:
        # Where caches are, on Linux and on macOS.
        elsewhere = {"XDG_CACHE_HOME": directory, "HOME": directory}
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=os.environ | elsewhere, check=True)
        return at_most("compiling the kernels", "once per installation", time.perf_counter() - started, "s", COMPILING_TARGET_S)


def start_up() -> Measurement:
    """From the command to the start of the first trial."""
    with tempfile.TemporaryDirectory() as directory:
        started = datetime.now()
        start(Path(directory), "wine", "--population", "2", "--generations", "1")
        first = load(open_storage(f"sqlite:///{directory}/faqnas.db"), "wine").study.get_trials(deepcopy=False)[0]
    assert first.datetime_start is not None
    return at_most("command to first trial", "wine", (first.datetime_start - started).total_seconds(), "s", START_TARGET_S)


def memory() -> Measurement:
    """The most that a worker holds."""
    with tempfile.TemporaryDirectory() as directory:
        megabytes = start(Path(directory), "mnist-5k", "--population", "8", "--generations", "1")
    return at_most("peak memory of a worker", "mnist-5k", megabytes, "MB", MEMORY_TARGET_MB)


def two_workers(*, trials: int) -> Measurement:
    """From command to front with two workers, as a share of the same with one."""
    taken = {}
    for workers in (1, 2):
        logger.info("searching digits with %d workers", workers)
        limits = ("--population", str(trials // 8), "--patience", "8", "--epochs", "30")
        with tempfile.TemporaryDirectory() as directory:
            started = time.perf_counter()
            start(Path(directory), "digits", *limits, "--workers", str(workers))
            taken[workers] = time.perf_counter() - started
    case = f"digits, {trials} trials, against one worker"
    return within("command to front, two workers", case, taken[2], taken[1], "s", TWO_WORKERS_TARGET)


def short_search(*, repeats: int) -> Measurement:
    """Compare `start digits` with two workers to the same with one: few trials, so that starting the second worker matters."""

    def search(workers: int) -> None:
        logger.info("searching digits for a few seconds with %d workers", workers)
        with tempfile.TemporaryDirectory() as directory:
            start(Path(directory), "digits", "--workers", str(workers))

    two, one = paired(partial(search, 2), partial(search, 1), repeats)
    case = "digits, a short search, against one worker"
    return within("command to front, two workers", case, two, one, "s", SHORT_SEARCH_TARGET)


MEASURED = "import os, subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
_, status, usage = os.wait4(child.pid, 0); print(usage.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))"
"""Runs a command and prints its peak memory. A child of this process would count what we ourselves have used."""


def start(directory: Path, dataset: str, *options: str) -> float:
    """Run `start` as a process; megabytes of memory at its peak."""
    command = [sys.executable, "-m", "faqnas_optuna", "start", "--dataset", dataset, "--json", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAQNAS_")}
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # Linux counts kilobytes, macOS bytes.
    return float(finished.stdout) / (1024**2 if sys.platform == "darwin" else 1024)
