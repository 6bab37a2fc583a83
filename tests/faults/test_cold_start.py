"""The first compilation of the simulator: one worker compiles, and leaves at once when it is told to; the next start works."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from faqnas_optuna.config import Engine
from faqnas_optuna.engine.fused import train_epoch
from faqnas_optuna.engine.statevector import backward, forward
from faqnas_optuna.study.search import Search
from faqnas_optuna.training.evaluation import prepare
from tests.conftest import TIMEOUT_S, RunCli, cli_environment
from tests.support.crew import SOON_S, wait_until
from tests.support.forked import Forked, ForkedCall, StderrReader
from tests.support.terminal import on_a_terminal

pytestmark = pytest.mark.slow

WORKER = ("worker", "iris")
COMPILING = "compiling the fast engine, once per installation"
LEFT = "interrupted; finished trials are kept. Continue with: faqnas-optuna worker iris"


@pytest.fixture
def cold(tmp_path: Path, new_search: Callable[..., Search]) -> dict[str, str]:
    """The environment of a worker that finds nothing compiled, and a study for it."""
    new_search()
    # Without optimization the compilation takes less, and is interrupted in the same way.
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_OPT": "0"}


def helpers_of(pid: int) -> list[psutil.Process]:
    """Who compiles and counts for a process; waited for."""
    found: list[psutil.Process] = []

    def all_are_there() -> bool:
        with suppress(psutil.NoSuchProcess):
            found[:] = psutil.Process(pid).children(recursive=True)
        return len(found) == 3

    wait_until(all_are_there, SOON_S, "two compile and one counts")
    return found


@pytest.mark.parametrize("to", ["one", "all"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_compilation(
    fork_cli: Callable[..., Forked], cold: dict[str, str], number: signal.Signals, to: str
) -> None:
    interrupt(fork_cli(*WORKER, env=cold), number, helpers_too=to == "all")


def interrupt(process: Forked, number: signal.Signals, *, helpers_too: bool) -> None:
    """Send a signal to a worker while it compiles, and check how it leaves."""
    told = StderrReader(process)
    wait_until(lambda: COMPILING in told.text, SOON_S, "it compiles")
    helpers = helpers_of(process.pid)
    for pid in [process.pid, *(helper.pid for helper in helpers if helpers_too)]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    assert process.wait(timeout=TIMEOUT_S) == 128 + number
    # Where it takes long, progress is told too.
    lines = [line for line in told.all().splitlines() if not line.startswith("iris: ")]
    assert lines[-2:] == [f"{number.name}: leaving", LEFT], told.all()
    assert "Traceback" not in told.all()
    wait_until(lambda: not any(helper.is_running() for helper in helpers), SOON_S, "the helpers are gone")


def test_of_several_workers_after_an_interrupted_compilation_one_compiles(
    fork_cli: Callable[..., Forked], run_forked: RunCli, cold: dict[str, str]
) -> None:
    interrupt(fork_cli(*WORKER, env=cold), signal.SIGINT, helpers_too=False)
    workers = [ForkedCall(prepare_and_count, env=cli_environment(cold)) for _ in range(3)]
    results = [worker.result() for worker in workers]
    message = "compiling the fast engine, once per installation; this takes about ten seconds"
    assert sorted(messages.count(message) for messages, _, _ in results) == [0, 0, 1]
    # That one has others do it, whatever it is; and the FLOPs, which need torch, are counted in one.
    assert [(has_torch, counts) for _, has_torch, counts in results] == [(False, [(0, 1), (0, 0), (0, 1)])] * 3
    again = run_forked(*WORKER, env=cold)
    assert again.returncode == 0, again.stderr
    assert COMPILING not in again.stderr and "Traceback" not in again.stderr


def prepare_and_count() -> tuple[list[str], bool, list[tuple[int, int]]]:
    """Prepare for trials as a worker does.

    Returns:
        What is said; whether torch is imported; of each kernel, how many times it was compiled here and found on disk.
    """
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    prepare((Engine.FAST,))
    kernels: list[Any] = [forward, backward, train_epoch]
    counts = [(sum(kernel.stats.cache_misses.values()), sum(kernel.stats.cache_hits.values())) for kernel in kernels]
    return messages, "torch" in sys.modules, counts


def test_ctrl_c_on_a_terminal_ends_the_compilation(cold: dict[str, str], tmp_path: Path) -> None:
    """The second one, which a user types who sees no effect of the first, is one too many."""
    with on_a_terminal(WORKER, tmp_path, cold) as (process, terminal):
        shown = ""

        def has_shown(text: str) -> bool:
            nonlocal shown
            with suppress(BlockingIOError):
                shown += os.read(terminal, 65_536).decode(errors="replace")
            return text in shown

        wait_until(lambda: has_shown(COMPILING), SOON_S, "it compiles")
        helpers = helpers_of(process.pid)
        os.write(terminal, b"\x03")
        wait_until(lambda: has_shown("SIGINT: leaving"), SOON_S, "the first one is noted")
        os.write(terminal, b"\x03")
        wait_until(lambda: has_shown("Go on with") or process.poll() is not None, SOON_S, "it leaves")
        # Beyond that the second may find it on its way out.
        assert process.wait(timeout=TIMEOUT_S) in (130, -signal.SIGINT)
        has_shown("")
    wait_until(lambda: not any(helper.is_running() for helper in helpers), SOON_S, "the helpers are gone")
    assert "Traceback" not in shown
    assert len(re.findall("leaving|interrupted", shown)) <= 2, shown
