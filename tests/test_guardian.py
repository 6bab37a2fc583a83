"""Test runs that are ended while their workers, servers and networks are running."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.crew import IMPORTS_S, SOON_S, wait_until
from tests.support.guardian import MARK, NAMES, NETWORKS
from tests.support.processes import TIMEOUT_S

ROOT = Path(__file__).parents[1]
LONG = """
import signal
import time
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.support.network import machines
from tests.support.guardian import run_name

def work():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

def test_that_takes_long(request, tmp_path):
    # Forked from a fork server, as our workers are.
    worker = get_context("forkserver").Process(target=work)
    worker.start()
    with ExitStack() as stack:
        for server in ("postgres_server", "mariadb_server"):
            with suppress(pytest.skip.Exception):
                request.getfixturevalue(server)
        with suppress(pytest.skip.Exception):
            (machine,) = stack.enter_context(machines(1, tmp_path))
            stack.enter_context(machine.running("sleep", "600"))
        Path({file!r}).write_text(run_name())
        worker.join()
"""
PLUGINS = ("tests.support.guarded", "tests.support.databases")
"""Plugins that such a run needs; the others import too much."""


def programs(run: str) -> list[str]:
    """Return the command lines of a test run's processes, recognized by their environment."""
    command_lines = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == run:
                command_lines.append(" ".join(process.cmdline()))
    return command_lines


@pytest.mark.slow
@pytest.mark.parametrize(("number", "options"), [(signal.SIGTERM, ("-n", "1")), (signal.SIGKILL, ())], ids=["TERM", "KILL"])
def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path, number: signal.Signals, options: tuple[str, ...]) -> None:
    name_file = tmp_path / "name"
    (tmp_path / "test_long.py").write_text(LONG.format(file=str(name_file)))
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    command: list[str | Path] = [sys.executable, "-m", "pytest", *plugins, *options, "-c", ROOT / "pyproject.toml", tmp_path]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with (tmp_path / "out").open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as run:
        try:
            wait_until(lambda: name_file.exists() or run.poll() is not None, IMPORTS_S, "the test has begun")
        finally:
            run.send_signal(number)
    assert run.wait(TIMEOUT_S) == -number, (tmp_path / "out").read_text()
    name = name_file.read_text()
    wait_until(lambda: programs(name) == [], SOON_S, "no program is left")
    places = [Path(tempfile.gettempdir()), NETWORKS, NAMES]
    wait_until(lambda: [file for place in places for file in place.glob(f"{name}*")] == [], SOON_S, "no file is left")
