import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_iris

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.plan import TablePlan, table_document
from faqnas_optuna.tables.writing import TableValues, table_bytes
from tests.conftest import RunCli
from tests.support.benchmarks import made_up_table
from tests.support.frames import named

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("--searches", "2", "--trainings", "12", "--workers", "1", "--searcher", "nsga2", "--searcher", "random")


@pytest.fixture
def compare(run_forked: RunCli) -> Cli:
    """Run `faqnas-optuna compare` in a fork, whose worker processes are forked too and import nothing."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        forked = run_forked("compare", *arguments, env=env)
        return forked.returncode, forked.stdout, forked.stderr

    return run


@pytest.fixture(scope="module")
def file(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a made-up table of the whole space, in which accuracy grows with the number of qubits."""

    def right(circuits: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
        qubits = np.array([circuit.n_qubits for circuit in circuits])
        return qubits[:, np.newaxis, np.newaxis, np.newaxis] * 2 + np.random.default_rng(0).integers(0, 9, shape)

    return made_up_table(tmp_path_factory.mktemp("tables") / "iris.parquet", iris, right, seeds=3).file


@pytest.mark.slow
def test_searchers_are_compared(file: Path, compare: Cli, tmp_path: Path) -> None:
    code, out, err = compare(str(file), *SMALL, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert [entry["name"] for entry in document["searchers"]] == ["nsga2", "random"]
    # Two pairs of searches, both with the same sign: p = 2 / 2².
    assert [entry["smallest_p_holm"] for entry in document["comparisons"]] == [0.5]
    assert document["reference"] == "nsga2" and [entry["searcher"] for entry in document["comparisons"]] == ["random"]
    for entry in document["searchers"]:
        shares = [one["achieved_hypervolume"][-1] for one in entry["searches"]]
        assert entry["achieved_hypervolume"]["mean"] == pytest.approx(np.mean(shares)) and len(shares) == 2
        assert entry["course"][-1]["mean"] == pytest.approx(np.mean(shares))
        assert entry["trainings"] == {"mean": 12, "low": 12, "high": 12}
        assert 0 < entry["achieved_hypervolume"]["mean"] < document["best"] < 1
    # The number of worker processes must not change the result.
    assert json.loads(compare(str(file), *SMALL[:4], "--workers", "2", *SMALL[6:], "--json")[1]) == document
    code, out, err = compare(str(file), *SMALL, "--reference", "random", "--plot", "searchers.svg", "--size", "column")
    assert code == 0 and "wrote searchers.svg" in err and "nsga2" in (tmp_path / "searchers.svg").read_text()
    assert "2 searches per algorithm with a budget of 12 trainings of 5 epochs" in out and "Compared with random" in out
    assert "nsga2: no significance possible with 2 searches, whose smallest possible p is 0.500, " in out


@pytest.mark.slow
def test_seconds_are_those_of_the_table(file: Path, compare: Cli) -> None:
    code, out, err = compare(str(file), "--searcher", "random", "--searches", "2", "--seconds", "5", "--json")
    assert code == 0, err
    assert json.loads(out)["searchers"][0]["trainings"]["mean"] == 10
    assert json.loads(out)["budget"] == {"seconds": 5}


@pytest.mark.slow
def test_searchers_are_compared_live(compare: Cli) -> None:
    options = ("--searcher", "random", "--searches", "2", "--trainings", "6", "--epochs", "1", "--workers", "1")
    code, out, err = compare("iris", "--live", *options, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["live"] and document["best"] is None and document["table"]["protocol"]["epochs"] == 1
    assert document["searchers"][0]["trainings"]["mean"] == 6
    code, out, err = compare("iris", "--live", *options, "--plot", "live.svg")
    assert (
        code == 0 and "judged by the test accuracies of trainings that they did not use." in out and "Best possible" not in out
    )


@pytest.mark.slow
def test_searchers_are_compared_live_on_a_file(compare: Cli, tmp_path: Path) -> None:
    named(load_iris).assign(visit=range(150)).to_csv(tmp_path / "own.csv", index=False)
    options = ("--searcher", "random", "--searches", "2", "--trainings", "6", "--epochs", "1", "--workers", "2")
    file = ("own.csv", "--live", "--target", "target", "--drop", "visit")
    code, out, err = compare(*file, *options, "--json")
    assert code == 0, err
    assert json.loads(out)["table"]["dataset"] == "own.csv"


def test_what_cannot_be_compared_live_is_refused(cli_here: Cli) -> None:
    for arguments, message in (
        (("whine", "--live"), "unknown data set 'whine': did you mean 'wine'?"),
        (("own.csv", "--live", "--target", "y"), "cannot find own.csv in .; name its directory"),
        (("iris", "--split-seed", "1"), "--split-seed says how data are read but a table needs no data"),
        (("iris", "--target", "y"), "--target says how data are read but a table needs no data"),
        (("iris", "--searcher", "nsga2:10"), "nsga2:10 uses all 10 seeds"),
    ):
        code, out, err = cli_here("compare", *arguments)
        assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1


@pytest.mark.slow
def test_what_is_set_for_other_commands_does_not_refuse_a_table(file: Path, compare: Cli, tmp_path: Path) -> None:
    others = {"FAQNAS_DATA_DIR": str(tmp_path), "FAQNAS_SPLIT_SEED": "3"}
    assert compare(str(file), *SMALL, env=others)[0] == 0


REFUSED = {
    ("--searcher", "nsga"): "there is no searcher 'nsga'",
    ("--searcher", "nsga2:3"): "nsga2:3 uses all 3 seeds of the table but one must be left to judge with",
    ("--reference", "gp"): "--reference gp is not among the compared algorithms nsga2, nsga2-error, nsga2-pooled, random, tpe",
    ("--trainings", "5", "--seconds", "5"): "--trainings and --seconds each set the budget of a search",
    ("--epochs", "7"): "iris.parquet has values after 1, 2, 5 epochs; choose one of these instead of 7",
    ("--plot", "x.html"): "the name of this plot must end in .png, .pdf or .svg; 'x.html' does not",
    ("--size", "page"): "--size page is the size of a plot; add --plot",
}


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_cannot_be_compared_is_refused(options: tuple[str, ...], file: Path, cli_here: Cli) -> None:
    code, out, err = cli_here("compare", str(file), *options)
    assert (code, out) == (2, "") and REFUSED[options] in err and len(err.splitlines()) == 1


def test_a_sample_of_the_space_is_refused(iris: DataSplits, cli_here: Cli, tmp_path: Path) -> None:
    config = StudyConfig.from_settings({"dataset": "iris", "training": {"epochs": 5}}, source="")
    plan = TablePlan.of(config, seeds=2, fraction=0.01)
    assert all(effective_circuit(circuit) == circuit for circuit in plan.circuits)
    (tmp_path / "part.parquet").write_bytes(table_bytes(plan, TableValues.empty(plan), table_document(plan, iris)))
    code, _, err = cli_here("compare", "part.parquet")
    assert (
        code == 2
        and "has a sample of 0.01 of the space, but a search may suggest any circuit" in err
        and "compare iris --live" in err
    )
    code, _, err = cli_here("compare", "absent")
    assert code == 2 and "there is no bundled table of 'absent'" in err
