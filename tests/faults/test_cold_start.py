"""First compilation of the simulator: only one worker compiles, a signal interrupts it, and the next start succeeds."""

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
    """Create a study and return the environment of a worker that has an empty compilation cache."""
    new_search()
    # Compiling without optimization is faster and is interrupted in the same way.
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_OPT": "0"}


def helpers_of(pid: int) -> list[psutil.Process]:
    """Return the child processes that compile and count FLOPs, as soon as all three exist."""
    helpers: list[psutil.Process] = []

    def all_are_there() -> bool:
        with suppress(psutil.NoSuchProcess):
            helpers[:] = psutil.Process(pid).children(recursive=True)
        return len(helpers) == 3

    wait_until(all_are_there, SOON_S, "two compile and one counts")
    return helpers


@pytest.mark.parametrize("to", ["one", "all"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_compilation(
    fork_cli: Callable[..., Forked], cold: dict[str, str], number: signal.Signals, to: str
) -> None:
    interrupt(fork_cli(*WORKER, env=cold), number, helpers_too=to == "all")


def interrupt(process: Forked, number: signal.Signals, *, helpers_too: bool) -> None:
    """Send a signal to a worker while it compiles, and check how it leaves."""
    stderr = StderrReader(process)
    wait_until(lambda: COMPILING in stderr.text, SOON_S, "it compiles")
    helpers = helpers_of(process.pid)
    for pid in [process.pid, *(helper.pid for helper in helpers if helpers_too)]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    assert process.wait(timeout=TIMEOUT_S) == 128 + number
    # A slow compilation also prints progress lines.
    lines = [line for line in stderr.all().splitlines() if not line.startswith("iris: ")]
    assert lines[-2:] == [f"{number.name}: leaving", LEFT], stderr.all()
    assert "Traceback" not in stderr.all()
    wait_until(lambda: not any(helper.is_running() for helper in helpers), SOON_S, "the helpers are gone")


def test_of_several_workers_after_an_interrupted_compilation_one_compiles(
    fork_cli: Callable[..., Forked], run_forked: RunCli, cold: dict[str, str]
) -> None:
    interrupt(fork_cli(*WORKER, env=cold), signal.SIGINT, helpers_too=False)
    workers = [ForkedCall(prepare_and_count, env=cli_environment(cold)) for _ in range(3)]
    results = [worker.result() for worker in workers]
    message = "compiling the fast engine, once per installation; this takes about ten seconds"
    assert sorted(messages.count(message) for messages, _, _ in results) == [0, 0, 1]
    # Child processes do the compiling; counting FLOPs needs torch and is done once.
    assert [(has_torch, counts) for _, has_torch, counts in results] == [(False, [(0, 1), (0, 0), (0, 1)])] * 3
    again = run_forked(*WORKER, env=cold)
    assert again.returncode == 0, again.stderr
    assert COMPILING not in again.stderr and "Traceback" not in again.stderr


def prepare_and_count() -> tuple[list[str], bool, list[tuple[int, int]]]:
    """Prepare for trials as a worker does.

    Returns:
        Log messages, whether torch is imported here, and the cache misses and hits of each kernel.
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
    """Check that Ctrl-C ends the compilation, and that a user who sees no effect may press it a second time."""
    with on_a_terminal(WORKER, tmp_path, cold) as (process, terminal):
        output = ""

        def has_shown(text: str) -> bool:
            nonlocal output
            with suppress(BlockingIOError):
                output += os.read(terminal, 65_536).decode(errors="replace")
            return text in output

        wait_until(lambda: has_shown(COMPILING), SOON_S, "it compiles")
        helpers = helpers_of(process.pid)
        os.write(terminal, b"\x03")
        wait_until(lambda: has_shown("SIGINT: leaving"), SOON_S, "the first one is noted")
        os.write(terminal, b"\x03")
        wait_until(lambda: has_shown("Continue with") or process.poll() is not None, SOON_S, "it leaves")
        # The second Ctrl-C may arrive after the handlers are removed.
        assert process.wait(timeout=TIMEOUT_S) in (130, -signal.SIGINT)
        has_shown("")
    wait_until(lambda: not any(helper.is_running() for helper in helpers), SOON_S, "the helpers are gone")
    assert "Traceback" not in output
    assert len(re.findall("leaving|interrupted", output)) <= 2, output
