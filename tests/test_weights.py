"""Reading and refused commands load none of the large packages."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from faqnas_optuna.config import Engine
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.study.search import load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.evaluation import prepare
from tests.conftest import TIMEOUT_S, cli_environment
from tests.support.sampling import in_shares, share

HEAVY = ("torch", "pennylane", "numba", "sklearn")
PROGRAM = f"""
import json, os, signal, sys
import alembic.command, click, filelock, numpy.random, numpy.typing, platformdirs, psutil, pydantic.fields
import optuna.samplers, optuna.storages._rdb.models, optuna.storages._rdb.storage
import rich.progress, rich.table, sqlalchemy.dialects.sqlite
import matplotlib.figure, pandas
import faqnas_optuna.__main__, faqnas_optuna.cli.display, faqnas_optuna.cli.program
import faqnas_optuna.reporting.documents, faqnas_optuna.study.lifecycle
def loaded():
    return [name for name in {HEAVY} if name in sys.modules]
def run(directory, arguments):
    signal.alarm({TIMEOUT_S})
    os.chdir(directory)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["faqnas-optuna", *arguments]
    from faqnas_optuna.__main__ import main
    try:
        main()
    except SystemExit as exit:
        print("loaded:", *loaded(), file=sys.stderr, flush=True)
        os._exit(exit.code)
assert not loaded()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Program that runs commands and prints which large packages each has loaded.

Commands are forked from a process that has imported the small packages, which takes half a second, and has checked that none
of the large ones came with them.
"""


@pytest.fixture(scope="module")
def runner() -> Iterator[subprocess.Popen[str]]:
    """Start the process that runs the commands."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=cli_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


Run = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def run(confirmed: Confirmation, runner: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Return a function that runs a command beside a confirmed study: its exit code, and the large packages it loaded."""
    search = load(confirmed.study._storage, "iris")
    search.advance(read_state(search))

    def run(arguments: list[str]) -> tuple[int, str]:
        assert runner.stdin is not None and runner.stdout is not None
        runner.stdin.write(json.dumps([str(tmp_path), arguments]) + "\n")
        runner.stdin.flush()
        code = int(runner.stdout.readline())
        return code, (tmp_path / "err").read_text().splitlines()[-1].removeprefix("loaded:").strip()

    return run


READERS = [
    ["status"],
    ["status", "iris"],
    ["pareto", "iris"],
    ["pareto", "iris", "--csv", "front.csv"],
    ["pareto", "iris", "--pick", "knee"],
    ["pareto", "iris", "--latex", "front.tex"],
    ["pareto", "iris", "--plot", "front.png"],
    ["pareto", "iris", "--plot", "front.html"],
    ["stop", "iris"],
    ["datasets"],
    ["worker", "iris"],
    ["confirm", "iris"],
    ["confirm", "iris", "--trials", "4", "--epochs", "2", "--repeats", "3"],
    ["status", "iris.confirm"],
    ["show", "iris.confirm", "0"],
    ["show", "iris"],
    ["stop", "iris.confirm"],
    ["worker", "iris.confirm"],
    ["--help"],
    ["start", "--help"],
    ["--version"],
]


@in_shares
def test_what_reads_loads_nothing_large(run: Run, quick_share: bool) -> None:
    commands = share(READERS, quick_share)
    assert results_of(run, commands) == {" ".join(arguments): (0, "") for arguments in commands}


def results_of(run: Run, commands: Iterable[list[str]]) -> dict[str, tuple[int, str]]:
    """Run commands one after another."""
    return {" ".join(arguments): run(arguments) for arguments in commands}


@in_shares
def test_nor_does_it_for_a_program(run: Run, quick_share: bool) -> None:
    commands = share([["status"], ["pareto", "iris"], ["confirm", "iris"], ["datasets"]], quick_share)
    documents = [[*arguments, "--json"] for arguments in commands]
    assert results_of(run, documents) == {" ".join(arguments): (0, "") for arguments in documents}


REFUSED = [
    (["start"], 2),
    (["start", "--dataset", "whine"], 2),
    (["start", "--dataset", "wine", "--study", "../x"], 2),
    (["start", "--dataset", "wine", "--epochs", "0"], 2),
    (["start", "--dataset", "wine", "--lr", "nan"], 2),
    (["start", "--dataset", "wine", "--bogus"], 2),
    (["start", "--dataset", "wine", "--cost", "hardware:condor"], 2),
    (["start", "--dataset", "wine", "--cost", "hardware:absent.toml"], 2),
    (["start", "--dataset", "iris", "--cost", "hardware:eagle"], 3),
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
    (["pareto", "iris", "--pick", "knees"], 2),
    (["pareto", "iris", "--plot", "front.html", "--size", "page"], 2),
    (["show", "irs", "0"], 2),
    (["show", "iris", "8"], 2),
    (["confirm", "irs"], 2),
    (["confirm", "iris", "--trials", "x"], 2),
    (["confirm", "iris", "--epochs", "7"], 3),
    (["confirm", "iris.confirm"], 2),
    (["confirm", "iris", "--noise", "heron"], 2),
    (["confirm", "iris", "--noise", "depolarizing:1"], 2),
    (["confirm", "iris", "--noise", "eagle", "--detach"], 2),
    (["confirm", "iris", "--shots", "1024"], 2),
    (["confirm", "iris", "--plot", "scores.html"], 2),
    (["confirm", "iris", "--noise", "eagle", "--plot", "noise.html"], 2),
    (["pareto", "iris.confirm"], 2),
    (["report", "irs"], 2),
    (["report", "iris.confirm"], 2),
    (["report", "iris", "--out", "report.pdf"], 2),
    (["resume", "iris.confirm", "--generations", "3"], 2),
    (["stop", "irs"], 2),
    (["dashboard", "--storage", "sqlite:///absent.db"], 4),
    (["dashboard", "--port", "70000"], 2),
    (["datasets", "--download", "iris"], 2),
    (["sttus"], 2),
    (["start", "absent.csv", "--target", "y"], 2),
    (["start", "wine", "--target", "y"], 2),
    (["export", "irs"], 2),
    (["export", "iris.confirm"], 2),
    (["export", "iris", "0", "--pick", "knee"], 2),
    (["predict", "absent", "absent.csv"], 2),
    (["enumerate", "whine"], 2),
    (["start", "two-curves:feature=3"], 2),
    (["enumerate", "two-curves:features=1"], 2),
    (["datasets", "wine:features=3"], 2),
    (["compare", "whine"], 2),
    (["compare", "wine", "--searcher", "nsga"], 2),
    (["compare", "whine", "--live"], 2),
    (["compare", "wine", "--plot", "searchers.html"], 2),
    (["enumerate", "iris", "--out", "iris.csv"], 2),
]


@in_shares
def test_what_is_refused_loads_nothing_large(run: Run, quick_share: bool) -> None:
    cases = share(REFUSED, quick_share)
    assert results_of(run, (arguments for arguments, _ in cases)) == {
        " ".join(arguments): (code, "") for arguments, code in cases
    }


@pytest.mark.slow
def test_whoever_draws_loads_pennylane_and_nothing_that_trains(run: Run) -> None:
    assert run(["show", "iris", "0"]) == (0, "pennylane")


def test_a_search_loads_numba_alone(run: Run) -> None:
    """Check a search after this process has filled the caches of kernels, counts, data and split."""
    prepare((Engine.FAST,))
    small = ["--dataset", "iris", "--population", "2", "--generations", "1", "--epochs", "1"]
    assert run(["start", *small, "--study", "first"]) == (0, "numba")
