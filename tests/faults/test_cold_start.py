"""Leaving while the simulator is compiled for the first time: at once, without a word too much, and the next start works."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from faqnas_optuna.study.search import Search
from tests.conftest import TIMEOUT_S, RunCli
from tests.support.crew import SOON_S, wait_until
from tests.support.forked import Told
from tests.support.terminal import on_a_terminal

pytestmark = pytest.mark.slow

WORKER = ("worker", "iris")
COMPILING = "compiling the fast engine, once"
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
    start_cli: Callable[..., subprocess.Popen[str]], run_cli: RunCli, cold: dict[str, str], number: signal.Signals, to: str
) -> None:
    process = start_cli(*WORKER, env=cold)
    told = Told(process)
    wait_until(lambda: COMPILING in told.text, SOON_S, "it compiles")
    helpers = helpers_of(process.pid)
    for pid in [process.pid, *(helper.pid for helper in helpers if to == "all")]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    assert process.wait(timeout=TIMEOUT_S) == 128 + number
    # Where it takes long, progress is told too.
    lines = [line for line in told.all().splitlines() if not line.startswith("iris: ")]
    assert lines[-2:] == [f"{number.name}: leaving", LEFT], told.all()
    assert "Traceback" not in told.all()
    wait_until(lambda: not any(helper.is_running() for helper in helpers), SOON_S, "the helpers are gone")
    if (number, to) == (signal.SIGINT, "one"):
        again = run_cli(*WORKER, env=cold)
        assert again.returncode == 0, again.stderr
        assert COMPILING in again.stderr and "Traceback" not in again.stderr


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
