"""The command `experiment`."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pandas as pd
import pytest

from tests.conftest import TIMEOUT_S
from tests.support.experiments import write_small

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def finished(cli_here: Cli, tmp_path: Path) -> Cli:
    """Return a function that runs commands where the small experiment is complete."""
    write_small(tmp_path)
    code, _, err = cli_here("experiment", "small.toml")
    assert code == 0, err
    return cli_here


@pytest.mark.slow
def test_the_table_is_the_same_in_every_format(finished: Cli, tmp_path: Path) -> None:
    files = ("--csv", "t.csv", "--latex", "t.tex", "--plot", "t.svg")
    code, out, err = finished("experiment", "small.toml", *files)
    assert code == 0 and err.splitlines() == ["wrote t.csv", "wrote t.tex", "wrote t.svg"]
    document = json.loads(finished("experiment", "small.toml", "--json")[1])
    frame = pd.read_csv(tmp_path / "t.csv")
    rows = [(row["dataset"], row["method"]) for row in document["rows"]]
    assert rows == [(data, method) for data in ("iris", "wine") for method in ("faqnas", "random", "race")]
    assert list(zip(frame["dataset"], frame["method"], strict=True)) == rows
    for row, (_, record) in zip(document["rows"], frame.iterrows(), strict=True):
        assert record["test_score"] == pytest.approx(row["test_score"])
        assert record["minus_mlp_p_holm"] == pytest.approx(next(d["p_holm"] for d in row["differences"] if d["other"] == "mlp"))
        line = next(line for line in out.splitlines() if re.match(rf"{row['dataset']} +{row['method']} ", line))
        assert f"{row['test_score']:.3f}" in line and line.endswith("3 of 3")
        assert f"{row['test_score']:.3f}" in (tmp_path / "t.tex").read_text()
    # Three splits cannot give a significant difference, which is said.
    assert "No difference of this table can be significant: with 3 splits the smallest corrected p is 1.000" in out
    # Every number can be traced to its studies.
    assert len(document["results"]) == 18 and document["results"][0]["study"] == "small.iris.faqnas.split0.seed0"
    assert document["settings"]["search"]["population"] == 4


@pytest.mark.slow
def test_complete_studies_are_skipped_and_new_splits_run(finished: Cli, tmp_path: Path) -> None:
    before = json.loads(finished("experiment", "small.toml", "--json")[1])
    code, out, _ = finished("experiment", "small.toml", "--dry-run", "--json")
    assert code == 0 and all(one["studies"] == 0 for one in json.loads(out)["work"])
    write_small(tmp_path, splits=4)
    work = json.loads(finished("experiment", "small.toml", "--dry-run", "--json")[1])["work"]
    assert {(one["dataset"], one["method"]): one["studies"] for one in work} == {
        (data, method): 1 for data in ("iris", "wine") for method in ("faqnas", "random", "race")
    }
    searches = [one["trainings"] for one in work if one["method"] != "race"]
    # Two generations of four; five networks of one circuit, twice.
    assert searches == [8] * 4 and {one["confirmations"] for one in work} == {10}
    code, out, err = finished("experiment", "small.toml", "--json")
    assert code == 0 and "[19 of 24" in err and "split0" not in err
    after = json.loads(out)
    assert [row["values"][:3] for row in after["rows"]] == [row["values"] for row in before["rows"]]


@pytest.mark.slow
def test_another_protocol_under_the_same_name_is_refused(cli_here: Cli, tmp_path: Path) -> None:
    one: dict[str, Any] = {"datasets": ["iris"], "methods": {"faqnas": {}}, "splits": 1}
    write_small(tmp_path, **one)
    code, _, err = cli_here("experiment", "small.toml")
    assert code == 0, err
    write_small(tmp_path, **one, training={"epochs": 4})
    code, _, err = cli_here("experiment", "small.toml")
    assert code == 3 and "'small.iris.faqnas.split0.seed0' exists with other settings: training.epochs: stored 2" in err
    write_small(tmp_path, **one | {"methods": {"faqnas": {"searcher": "race", "trainings": 60}}})
    code, _, err = cli_here("experiment", "small.toml")
    assert code == 3 and "has another method; give the experiment another name" in err


def test_a_dry_run_trains_and_creates_nothing(cli_here: Cli, tmp_path: Path) -> None:
    write_small(tmp_path, datasets=["iris"])
    code, out, err = cli_here("experiment", "small.toml", "--dry-run")
    assert code == 0 and not err
    assert re.search(r"^iris +faqnas +3 +24 +30 +\d+ s$", out, re.MULTILINE), out
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.slow
def test_a_search_may_end_within_a_generation(cli_here: Cli, tmp_path: Path) -> None:
    """Limit searches by trials, and pick circuits by their cost and their score."""
    rules = ["best-under:1000000", "at-least:0.1"]
    confirm = {"picks": rules, "epochs": 2, "repeats": 2, "baselines": []}
    settings = {"search": {"population": 4, "trials": 6}, "methods": {"faqnas": {}}, "datasets": ["iris"], "splits": 1}
    write_small(tmp_path, confirm=confirm, **settings)
    assert re.search(r"^iris +faqnas +1 +6 ", cli_here("experiment", "small.toml", "--dry-run")[1], re.MULTILINE)
    code, out, err = cli_here("experiment", "small.toml", "--json")
    assert code == 0, err
    assert [row["rule"] for row in json.loads(out)["rows"]] == rules
    code, again, err = cli_here("experiment", "small.toml", "--json")
    assert code == 0 and json.loads(again)["rows"] == json.loads(out)["rows"] and "trial" not in err
    # A rule that no circuit satisfies names the study.
    write_small(tmp_path, confirm=confirm | {"picks": ["best-under:1"]}, **settings)
    code, out, err = cli_here("experiment", "small.toml")
    assert code == 2 and not out and "study 'small.iris.faqnas.split0.seed0': best-under:1: the cheapest circuit" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "page"], "--size page is the width of a plot; add --plot"),
        (["--plot", "x.html"], "must end in .png, .pdf or .svg"),
        (["--dry-run", "--csv", "x.csv"], "--dry-run has no results but --csv writes them"),
        (["--latex", "-"], "--latex -: stdout already has the results"),
        (["--csv", "none/x.csv"], "none"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    cli_here: Cli, tmp_path: Path, options: list[str], message: str
) -> None:
    write_small(tmp_path)
    code, out, err = cli_here("experiment", "small.toml", *options)
    assert code == 2 and message in err and not out
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ["irsi"]}, "irsi"),
        ({"datasets": [{"dataset": "none.csv", "target": "x"}]}, "none.csv"),
        ({"splitz": 1}, "small.toml: unknown setting 'splitz'"),
    ],
)
def test_a_wrong_file_is_refused_before_any_training(
    cli_here: Cli, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_small(tmp_path, **changes)
    code, out, err = cli_here("experiment", "small.toml")
    assert code == 2 and message in err and not out and len(err.splitlines()) == 1
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.slow
def test_findings_about_own_data_are_reported_once(cli_here: Cli, tmp_path: Path) -> None:
    rows = "".join(f"{index % 7},{index % 2},{'yes' if index % 2 else 'no'}\n" for index in range(60))
    (tmp_path / "own.csv").write_text(f"a,copy of the class,outcome\n{rows}")
    write_small(tmp_path, datasets=[{"dataset": "own.csv", "target": "outcome"}], methods={"faqnas": {}}, splits=2)
    code, out, err = cli_here("experiment", "small.toml")
    assert code == 0, err
    # Once, though two splits were searched.
    assert err.count("Warning: column 'copy of the class' determines the class") == 1
    assert "2 of 2" in out


@pytest.mark.slow
def test_an_unusable_later_data_set_is_refused_before_any_training(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,outcome\n1,yes\n2,no\n")
    write_small(tmp_path, datasets=["iris", {"dataset": "own.csv", "target": "nope"}])
    code, _, err = cli_here("experiment", "small.toml")
    assert code == 2 and "nope" in err and "iris" not in err
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.slow
def test_a_stopped_study_is_not_taken_for_complete(
    start_cli: Callable[..., "Popen[str]"], cli_here: Cli, tmp_path: Path
) -> None:
    # Long enough for another command to stop it.
    write_small(tmp_path, datasets=["iris"], methods={"faqnas": {}}, splits=1, search={"population": 40, "generations": 50})
    process = start_cli("experiment", "small.toml")
    deadline = time.monotonic() + TIMEOUT_S
    while cli_here("stop", "small.iris.faqnas.split0.seed0")[0]:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, err
    assert "'small.iris.faqnas.split0.seed0' was stopped before its end; the same command continues it" in err
    write_small(tmp_path, datasets=["iris"], methods={"faqnas": {}}, splits=1, search={"population": 40, "generations": 50})
    assert "small.iris.faqnas.split0.seed0.confirm" not in cli_here("status", "--json")[1]
