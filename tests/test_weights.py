"""Readers carry no weights: what only reads, and whatever is refused, waits for none of the large packages."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faqnas_optuna.search.course import advance
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search
from tests.conftest import TIMEOUT_S, cheap_values, cli_environment, run_trials

HEAVY = ("torch", "pennylane", "numba", "sklearn")
PROGRAM = f"""
import atexit, sys
from faqnas_optuna.__main__ import main
atexit.register(lambda: print("loaded:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr))
main()
"""
"""Runs a command, and tells at its end which of the large packages it has brought."""


@pytest.fixture
def run(new_search: Callable[..., Search], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a command beside a finished study: its exit code, and the large packages that it has loaded."""
    search = new_search()
    run_trials(search, 8, cheap_values)
    advance(Standing.of(search))

    def run(*arguments: str) -> tuple[int, str]:
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env=cli_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return finished.returncode, finished.stderr.splitlines()[-1].removeprefix("loaded:").strip()

    return run


READERS = [
    ["status"],
    ["status", "iris"],
    ["pareto", "iris"],
    ["pareto", "iris", "--csv", "front.csv"],
    ["stop", "iris"],
    ["datasets"],
    ["worker", "iris"],
    ["--help"],
    ["start", "--help"],
    ["--version"],
]


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_what_reads_loads_nothing_large(run: Callable[..., tuple[int, str]], arguments: list[str]) -> None:
    assert run(*arguments) == (0, "")


@pytest.mark.parametrize("arguments", [["status"], ["pareto", "iris"], ["datasets"]], ids=" ".join)
def test_nor_does_it_for_a_program(run: Callable[..., tuple[int, str]], arguments: list[str]) -> None:
    assert run(*arguments, "--json") == (0, "")


REFUSED = [
    (["start"], 2),
    (["start", "--dataset", "whine"], 2),
    (["start", "--dataset", "wine", "--study", "../x"], 2),
    (["start", "--dataset", "wine", "--epochs", "0"], 2),
    (["start", "--dataset", "wine", "--lr", "nan"], 2),
    (["start", "--dataset", "wine", "--bogus"], 2),
    (["start", "--dataset", "wine", "--config", "absent.toml"], 2),
    (["start", "--dataset", "wine", "--storage", "wine.db"], 4),
    (["start", "--dataset", "iris"], 3),
    (["start", "--dataset", "iris", "--json"], 3),
    (["start", "--dataset", "iris", "--population", "4", "--generations", "3", "--epochs", "1"], 3),
    (["resume", "iris"], 2),
    (["resume", "iris", "--generations", "1"], 2),
    (["resume", "irs"], 2),
    (["worker", "irs"], 2),
    (["worker", "--storage", "sqlite:///absent.db"], 4),
    (["status", "irs"], 2),
    (["status", "irs", "--json"], 2),
    (["pareto", "irs"], 2),
    (["pareto", "iris", "--plot", "front.gif"], 2),
    (["show", "irs", "0"], 2),
    (["show", "iris", "8"], 2),
    (["stop", "irs"], 2),
    (["dashboard", "--storage", "sqlite:///absent.db"], 4),
    (["dashboard", "--port", "70000"], 2),
    (["bench", "--bogus"], 2),
    (["datasets", "--download", "iris"], 2),
    (["sttus"], 2),
]


@pytest.mark.parametrize(("arguments", "code"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_what_is_refused_loads_nothing_large(run: Callable[..., tuple[int, str]], arguments: list[str], code: int) -> None:
    assert run(*arguments) == (code, "")


def test_whoever_draws_loads_pennylane_and_nothing_that_trains(run: Callable[..., tuple[int, str]]) -> None:
    code, loaded = run("show", "iris", "0")
    assert (code, loaded) == (0, "pennylane")
