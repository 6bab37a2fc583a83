"""The way from a search to a network used elsewhere: every step makes the same predictions."""

import ast
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_iris, load_wine

from faqnas_optuna import DataWarning, load_model
from faqnas_optuna.data.named import load
from faqnas_optuna.models.export import readme
from tests.conftest import cli_environment, copy_database
from tests.support.frames import mixed, named
from tests.support.processes import TIMEOUT_S

Cli = Callable[..., tuple[int, str, str]]
TINY = ("--population", "4", "--generations", "1", "--epochs", "3")


CASES: dict[str, tuple[Callable[[], pd.DataFrame], tuple[str, ...], str]] = {
    "iris": (lambda: named(load_iris), ("iris",), "iris"),
    "wine": (lambda: named(load_wine), ("wine",), "wine"),
    "a file": (mixed, ("data.csv", "--target", "cultivar"), "data"),
    "a wider space": (lambda: named(load_iris), ("--config", "wider.toml"), "iris"),
    "no fast form": (lambda: named(load_iris), ("--config", "slow.toml"), "iris"),
}
QUICK = [("a file", True)]
"""Cases of the quick tests."""
WIDER = """
dataset = "iris"
space = {n_qubits = [3], embedding = ["basis", "iqp"], entangler = ["ZZ"], depth = [5, 6]}
"""
SLOW = """
dataset = "iris"
space = {n_qubits = [2, 3], embedding = ["angle", "basis"], entangler = ["CRX"], depth = [1, 2]}
"""


PENNYLANE_ALONE = """
import json, os, sys
sys.modules["faqnas_optuna"] = None
import numpy as np
results, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    directory, snippet, rows = json.loads(line)
    os.chdir(directory)
    names = {"__name__": "__main__"}
    exec(snippet, names)
    labels = names["predict"](np.fromfile("features", np.float32).reshape(rows, -1))
    print(json.dumps([str(label) for label in labels]), file=results, flush=True)
"""
"""Program that runs programs of exported folders without this package; one process, because PennyLane loads slowly."""


@pytest.fixture(scope="module")
def pennylane_alone() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PENNYLANE_ALONE], env=cli_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("case", "confirm"),
    [
        pytest.param(case, confirm, marks=() if (case, confirm) in QUICK else pytest.mark.slow, id=f"{word}-{case}")
        for confirm, word in ((False, "search"), (True, "confirmed"))
        for case in CASES
    ],
)
def test_all_tell_the_same_samples_right(
    case: str, confirm: bool, tmp_path: Path, cli_here: Cli, pennylane_alone: subprocess.Popen[str]
) -> None:
    make, start, study = CASES[case]
    frame = make()
    frame.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "wider.toml").write_text(WIDER)
    (tmp_path / "slow.toml").write_text(SLOW)
    code, _, err = cli_here("start", *start, *TINY)
    assert code == 0, err
    assert ("circuits with CRX are trained by PennyLane" in err) is (case == "no fast form")
    if confirm:
        assert cli_here("confirm", study, "--top", "1", "--repeats", "2", "--epochs", "4")[0] == 0
    code, out, err = cli_here("export", study, "--out", "model", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["training"]["of"] == ("confirmation" if confirm else "search")
    if confirm:
        circuits = json.loads(cli_here("confirm", study, "--top", "1", "--json")[1])["circuits"]
        assert [entry["trial"] for entry in circuits] == [document["trial"]]
        assert document["accuracies"]["test"]["accuracy"] in circuits[0]["test_accuracies"]
    else:
        assert document["accuracies"]["validation"]["accuracy"] == document["search_estimate"]["val_accuracy"]
    n_correct = sum(part["right"] for part in document["accuracies"].values())

    code, out, err = cli_here("predict", "model", "data.csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and err.splitlines()[-1].startswith(f"{n_correct} of {len(frame)} right")
    assert list(rows[0])[1:] == [f"p_{label}" for label in load_model(tmp_path / "model").classes]
    assert all(sum(float(row[name]) for name in row if name != "label") == pytest.approx(1, abs=1e-5) for row in rows)
    labels = [row["label"] for row in rows]
    assert load_model(tmp_path / "model").predict(pd.read_csv(tmp_path / "data.csv")).tolist() == labels
    assert predicted_alone(pennylane_alone, tmp_path) == labels[::ONE_ROW_IN]


ONE_ROW_IN = 3
"""PennyLane predicts only every third row, because it runs the circuit once per row."""


def predicted_alone(process: subprocess.Popen[str], directory: Path) -> list[str]:
    """Return the labels that the program in the folder's README predicts for rows of `data.csv`."""
    (snippet,) = re.findall(r"```python\n(.*?)```", (directory / "model" / "README.md").read_text(), re.DOTALL)
    model = load_model(directory / "model")
    features = model.features(pd.read_csv(directory / "data.csv"))[::ONE_ROW_IN]
    features.tofile(directory / "features")
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([str(directory), snippet, len(features)]) + "\n")
    process.stdin.flush()
    labels: list[str] = json.loads(process.stdout.readline())
    return labels


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny search and its exported model, filled by the first test that needs it."""
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def folder(exported: Path, tmp_path: Path, cli_here: Cli) -> Path:
    """Copy the folder of a model of Iris into the test's directory, with its database and all samples beside it."""
    if not (exported / "model").exists():
        storage = ("--storage", f"sqlite:///{exported}/faqnas.db")
        assert cli_here("start", "iris", *TINY, *storage)[0] == 0
        assert cli_here("export", "iris", "--out", str(exported / "model"), *storage)[0] == 0
    copy_database(exported / "faqnas.db", tmp_path / "faqnas.db")
    shutil.copytree(exported / "model", tmp_path / "model")
    named(load_iris).to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "model"


@pytest.mark.slow
def test_a_prediction_needs_neither_database_nor_torch_nor_pennylane(folder: Path) -> None:
    program = (
        "import atexit, sys\n"
        "large = ('torch', 'pennylane', 'sqlalchemy', 'optuna', 'sklearn')\n"
        "atexit.register(lambda: print('loaded:', *(name for name in large if name in sys.modules)))\n"
        "from faqnas_optuna.__main__ import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, "predict", "model", "data.csv", "--out", "told.csv"],
        cwd=folder.parent,
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == "loaded:\n" and len((folder.parent / "told.csv").read_text().splitlines()) == 151


def test_what_is_wrong_with_data_is_told(folder: Path, cli_here: Cli) -> None:
    frame = named(load_iris)

    def predict(changed: pd.DataFrame) -> tuple[int, str]:
        changed.to_csv("other.csv", index=False)
        code, _, err = cli_here("predict", "model", "other.csv")
        return code, err

    code, err = predict(frame.drop(columns="petal width (cm)"))
    assert code == 2 and "column 'petal width (cm)' missing" in err
    code, err = predict(frame.replace({"target": {"setosa": "rose"}}))
    assert code == 2 and "holds 'rose', and the classes are setosa, versicolor, virginica" in err
    code, err = predict(frame.drop(columns="target").assign(note="x"))
    assert code == 0 and err.splitlines()[0] == "Note: not used: note"
    code, _, err = cli_here("predict", "model", "absent.csv")
    assert code == 2 and "the file does not exist" in err
    code, _, err = cli_here("predict", "absent", "other.csv")
    assert code == 2 and "absent has no model.json" in err


def test_an_export_that_is_there_is_not_written_over(folder: Path, cli_here: Cli) -> None:
    before = (folder / "model.json").read_bytes()
    code, _, err = cli_here("export", "iris", "--out", "model")
    assert code == 2 and "exists already" in err and (folder / "model.json").read_bytes() == before
    code, out, _ = cli_here("export", "iris", "knee", "--out", "model", "--replace", "--qasm", "2")
    assert code == 0 and "OPENQASM 2.0" in (folder / "circuit.qasm").read_text() and "right" in out
    code, _, err = cli_here("export", "iris", "--out", "absent/model")
    assert code == 2 and "create it first" in err
    code, _, err = cli_here("export", "iris", "99")
    assert code == 2 and "has no trial 99" in err


def test_a_picture_is_the_same_each_time() -> None:
    from faqnas_optuna.circuits.pennylane_circuit import draw_svg
    from tests.support.models import model_for

    circuit = model_for(load("iris", seed=0)).circuit
    assert draw_svg(circuit) == draw_svg(circuit) and draw_svg(circuit).startswith(b"<?xml")


WARDS = ["007", "012", "A12", "B3"]


@pytest.fixture(scope="module")
def model_of_wards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the model of wards, made by the first test that needs it and copied by the others."""
    return tmp_path_factory.mktemp("wards") / "model"


@pytest.fixture
def wards(model_of_wards: Path, tmp_path: Path, cli_here: Cli) -> pd.DataFrame:
    """Write patients whose ward determines the outcome, and a model of them in `model`; return the samples."""
    ward = [WARDS[row % 4] for row in range(80)]
    frame = pd.DataFrame({"ward": ward, "age": [str(20 + row % 60) for row in range(80)]})
    frame["ill"] = ["yes" if name in ("007", "B3") else "no" for name in ward]
    frame.to_csv(tmp_path / "wards.csv", index=False)
    if not model_of_wards.exists():
        small = ("--population", "4", "--generations", "2", "--epochs", "60")
        assert cli_here("start", "wards.csv", "--target", "ill", *small)[0] == 0
        assert cli_here("export", "wards", "--out", str(model_of_wards))[0] == 0
    shutil.copytree(model_of_wards, tmp_path / "model")
    return frame


def test_rows_of_one_ward_are_predicted_as_in_the_whole_file(wards: pd.DataFrame, tmp_path: Path, cli_here: Cli) -> None:
    _, whole, _ = cli_here("predict", "model", "wards.csv")
    wards[wards["ward"] == "007"].to_csv(tmp_path / "part.csv", index=False)
    code, part, err = cli_here("predict", "model", "part.csv")
    assert code == 0 and "Note" not in err
    assert part.splitlines()[1:] == whole.splitlines()[1::4]


def test_values_unlike_the_training_data_are_counted(wards: pd.DataFrame, tmp_path: Path, cli_here: Cli) -> None:
    changed = wards.assign(age=["95", "", *wards["age"][2:]], ward=["C9", "D1", "C9", *wards["ward"][3:]])
    changed.to_csv(tmp_path / "other.csv", index=False)
    code, out, err = cli_here("predict", "model", "other.csv")
    assert code == 0 and len(out.splitlines()) == 81
    assert "column 'ward': 3 values unseen in training ('C9', 'D1')" in err
    assert "column 'age': 1 value outside the training range 20 to 79" in err and "column 'age': 1 value missing" in err
    code, out, err = cli_here("predict", "model", "other.csv", "--strict")
    assert (code, out) == (2, "") and "other.csv: " in err and "'C9'" in err and err.count("\n") == 1
    document = json.loads(cli_here("predict", "model", "other.csv", "--out", "told.csv", "--json")[1])
    assert {(entry["column"], entry["samples"]) for entry in document["unfamiliar"]} == {("ward", 3), ("age", 1)}
    with pytest.warns(DataWarning, match="column 'ward': 3 values unseen in training"):
        load_model(tmp_path / "model").predict(changed)


@pytest.mark.parametrize("fill", ["9.97e36", "1e308", "-1e30", "inf"])
def test_a_fill_value_is_never_a_class(wards: pd.DataFrame, tmp_path: Path, cli_here: Cli, fill: str) -> None:
    wards.assign(age=[fill, *wards["age"][1:]]).to_csv(tmp_path / "other.csv", index=False)
    code, out, err = cli_here("predict", "model", "other.csv")
    assert (code, out) == (2, "") and "other.csv: column 'age' holds" in err and "in row 1" in err


def test_samples_without_a_label_are_not_scored(wards: pd.DataFrame, tmp_path: Path, cli_here: Cli) -> None:
    wards.assign(ill=["", *wards["ill"][1:]]).to_csv(tmp_path / "other.csv", index=False)
    code, out, err = cli_here("predict", "model", "other.csv")
    assert code == 0 and len(out.splitlines()) == 81 and " of 79 with a label right" in err


def test_all_problems_of_a_file_are_named_at_once(wards: pd.DataFrame, tmp_path: Path, cli_here: Cli) -> None:
    wards.drop(columns=["ward", "age"]).assign(x=1).to_csv(tmp_path / "other.csv", index=False)
    code, _, err = cli_here("predict", "model", "other.csv")
    assert code == 2 and "columns 'ward', 'age' missing; the model needs 2 columns" in err


NAMES = ["""w'x"y""", "TRIAL", "$study ${trial} $$", "-model", "a b;c", "back\\slash", "{folder}", os.fsdecode(b"\xff")]
"""Folder names that must be quoted in Python programs and shell commands."""


def test_the_page_of_a_folder_names_it_as_each_language_needs(folder: Path) -> None:
    document = json.loads((folder / "model.json").read_text()) | {"study": "TRIAL", "trial": 3}
    for name in NAMES:
        page = readme(document, name).decode(errors="surrogateescape")
        assert "\nTrial 3 of the study TRIAL: " in page
        path = f"./{name}" if name.startswith("-") else name
        (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        (lines,) = re.findall(r"In Python.*?\n\n(.*?)\n\n", page, re.DOTALL)
        assert path in strings_of(program)
        assert strings_of(textwrap.dedent(lines)) == {path}
        (command,) = re.findall(r"^    faqnas-optuna (.*) data.csv$", page, re.MULTILINE)
        assert shlex.split(command) == ["predict", path]


def strings_of(program: str) -> set[str]:
    """Return the text constants of a Python program."""
    constants = (node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def test_a_file_of_one_column_is_predicted(tmp_path: Path, cli_here: Cli) -> None:
    weights = [str(50 + row % 40) for row in range(80)]
    pd.DataFrame({"weight": weights, "heavy": [int(weight) > 70 for weight in map(int, weights)]}).to_csv(
        "one.csv", index=False
    )
    assert cli_here("start", "one.csv", "--target", "heavy", *TINY)[0] == 0
    assert cli_here("export", "one", "--out", "model")[0] == 0
    (tmp_path / "weights.csv").write_text("weight\n51\n88\n")
    code, out, err = cli_here("predict", "model", "weights.csv")
    assert (code, err) == (0, "") and out.splitlines()[0] == "label,p_False,p_True" and len(out.splitlines()) == 3
