"""Warnings about data, each seen on a real run over a small file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faqnas_optuna import DataWarning, Study, search
from faqnas_optuna.data.findings import FindingKind

Cli = Callable[..., tuple[int, str, str]]


ROWS = 60
Y = np.arange(ROWS) * 7 % 2
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(ROWS, 2)).round(3)
BUDGET = ("--population", "2", "--generations", "1", "--epochs", "1")
SMALL: dict[str, Any] = {"population": 2, "generations": 1, "epochs": 1}
EXPECTED = {
    FindingKind.LABEL_COPY: "column 'diagnosis' determines the class in all rows; if it is known only after the class",
    FindingKind.IDENTIFIER: "column 'patient' has a different value in at least 99 % of the rows, like an identifier",
    FindingKind.COUNTER: "column 'row' only numbers the rows; leave it out with --drop 'row'",
    FindingKind.COLUMN_COPY: "column 'fahrenheit' repeats 'celsius', perhaps in other units or codes",
    FindingKind.CONSTANT: "column 'ward' has one value in the training part, from which nothing can be learned",
    FindingKind.NEAR_CONSTANT: "column 'rare' has one value in at least 99 % of the training part, or in all samples but one",
    FindingKind.IMBALANCE: "always answering 'well' has an accuracy of 0.917; search by the mean recall with --score balanced",
    FindingKind.SMALL_PART: "the validation part has 12 samples and the test part has 12 samples, so the 95 % confidence",
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Write a file that triggers every warning except that about equal rows."""
    y = (np.arange(ROWS) % 12 == 0).astype(int)
    celsius = VALUES[:, 0] + 20
    frame = pd.DataFrame({"celsius": celsius, "fahrenheit": celsius * 9 / 5 + 32, "row": np.arange(1, ROWS + 1)})
    frame["patient"] = RANDOM.permutation(ROWS) * 13 + 1000
    frame["ward"], frame["rare"] = 7, 0
    frame["diagnosis"], frame["outcome"] = np.array(["N", "P"])[y], np.array(["well", "ill"])[y]
    # Only row 1, which is in the training part, has another value.
    frame.loc[[12 * place + 1 for place in range(5)], "rare"] = 1
    frame.loc[[13, 25, 37, 49], "rare"] = 0
    frame["split"] = "train"
    frame.loc[36:47, "split"], frame.loc[48:59, "split"] = "validation", "test"
    file = tmp_path / "odd.csv"
    frame.to_csv(file, index=False)
    return file


def kinds(checks: list[Mapping[str, Any]]) -> list[str]:
    return [entry["kind"] for entry in checks]


@pytest.mark.slow
def test_start_and_datasets_say_the_same_once(odd: Path, cli_here: Cli) -> None:
    code, out, err = cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--workers", "2")
    assert code == 0, err
    warnings = [line for line in err.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == len(EXPECTED)
    for message in EXPECTED.values():
        assert sum(message in line for line in warnings) == 1, message
    assert "Always predicting the majority class gives a validation accuracy of 0.917." in out
    code, out, err = cli_here("datasets", str(odd), "--target", "outcome")
    assert code == 0 and err == ""
    assert [line for line in out.splitlines() if line.startswith("Warning: ")] == warnings
    assert "Always predicting the majority class gives an accuracy of 0.917 (train), 0.917 (validation), 0.917 (test)." in out
    # A finished study is shown without loading its data, so nothing is checked.
    assert "Warning" not in cli_here("start", str(odd), "--target", "outcome", *BUDGET)[2]


def test_json_has_the_findings(odd: Path, cli_here: Cli) -> None:
    code, out, err = cli_here("datasets", str(odd), "--target", "outcome", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert sorted(kinds(document["checks"])) == sorted(EXPECTED)
    assert {"kind": "counter", "columns": ["row"], "message": EXPECTED[FindingKind.COUNTER]} in document["checks"]
    assert document["majority"]["accuracy"]["test"] == pytest.approx(11 / 12)
    code, out, err = cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--json")
    assert code == 0 and json.loads(out)["checks"] == document["checks"]
    assert json.loads(out)["majority_score"] == pytest.approx(11 / 12)
    assert "Warning: " in err
    assert json.loads(cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--json")[1])["checks"] is None


def test_a_balanced_search_needs_no_warning_of_imbalance(odd: Path, cli_here: Cli) -> None:
    code, out, err = cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--score", "balanced")
    assert code == 0 and "imbalanced" not in err and "--drop 'row'" in err
    assert "Always predicting the majority class gives a balanced validation accuracy of 0.500." in out


def test_the_check_can_be_left_out(odd: Path, cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--no-check", "--json")
    assert code == 0 and "Warning" not in err and json.loads(out)["checks"] is None
    code, out, _ = cli_here("datasets", str(odd), "--target", "outcome", "--no-check")
    assert code == 0 and "Warning" not in out and "majority class" in out
    monkeypatch.setenv("FAQNAS_NO_CHECK", "1")
    code, out, _ = cli_here("datasets", str(odd), "--target", "outcome", "--json")
    assert code == 0 and json.loads(out)["checks"] is None


def test_dropping_what_is_named_silences(odd: Path, cli_here: Cli) -> None:
    columns = ("diagnosis", "patient", "row", "fahrenheit", "ward", "rare")
    code, out, err = cli_here("datasets", str(odd), "--target", "outcome", *(f"--drop={name}" for name in columns), "--json")
    assert code == 0, err
    assert kinds(json.loads(out)["checks"]) == ["imbalance", "small-part"]


def test_rows_of_several_parts_are_found(cli_here: Cli, tmp_path: Path) -> None:
    """Include ten samples twice in the file."""
    frame = pd.DataFrame(VALUES, columns=["a", "b"]).assign(row=np.arange(ROWS), y=Y)
    copies = frame.head(10).assign(row=np.arange(ROWS, ROWS + 10))
    test = frame.iloc[10:20].assign(row=np.arange(90, 100))
    pd.concat([frame, copies]).to_csv(tmp_path / "train.csv", index=False)
    test.to_csv(tmp_path / "test.csv", index=False)
    options = ("--target", "y", "--test-file", str(tmp_path / "test.csv"), "--json")
    code, out, err = cli_here("datasets", str(tmp_path / "train.csv"), *options)
    assert code == 0, err
    (shared,) = [entry["message"] for entry in json.loads(out)["checks"] if entry["kind"] == "shared-rows"]
    assert shared.startswith("10 of 10 test rows also occur in the training or validation part")


@pytest.mark.parametrize("name", ["wine", "two-curves:samples=40"])
def test_data_sets_with_a_name_are_checked_too(name: str, cli_here: Cli) -> None:
    code, out, err = cli_here("datasets", name, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert kinds(document["checks"]) == ([] if name == "wine" else ["small-part"])
    assert document["majority"]["accuracy"]["test"] == pytest.approx(0.417 if name == "wine" else 0.5, abs=1e-3)


@pytest.mark.slow
def test_every_place_of_an_accuracy_has_the_majority_beside_it(odd: Path, cli_here: Cli, tmp_path: Path) -> None:
    assert cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--no-check")[0] == 0
    sentence = "Always predicting the majority class gives a validation accuracy of 0.917."
    assert sentence in cli_here("pareto", "odd")[1]
    lines = cli_here("show", "odd", "0")[1].splitlines()
    assert any(line.split() == ["majority", "class", "0.917"] for line in lines)
    assert "majority class, test" in cli_here("show", "odd")[1]
    assert sentence in cli_here("status", "odd")[1].splitlines()
    assert "Majority class: 0.917." in cli_here("pareto", "odd", "--latex", "-")[1]
    for size in ("column", "slide"):
        assert cli_here("pareto", "odd", "--plot", "front.svg", "--size", size)[0] == 0
        assert "majority class: error 0.083" in (tmp_path / "front.svg").read_text()
    assert cli_here("pareto", "odd", "--plot", "front.html")[0] == 0
    assert "majority class: error 0.083" in (tmp_path / "front.html").read_text()
    assert cli_here("export", "odd", "0", "--out", "model")[0] == 0
    assert "| majority class |" in (tmp_path / "model" / "README.md").read_text()
    code, out, err = cli_here("confirm", "odd", "--top", "1", "--repeats", "2", "--epochs", "1")
    assert code == 0, err
    assert "Always predicting the majority class gives a test accuracy of 0.917." in out


@pytest.mark.slow
def test_so_few_seeds_are_said_to_show_nothing(odd: Path, cli_here: Cli) -> None:
    """Check that two seeds give no p below 1/2, no interval of width 0 or beyond its range, and no signed zero."""
    assert cli_here("start", str(odd), "--target", "outcome", *BUDGET, "--no-check")[0] == 0
    code, out, err = cli_here("confirm", "odd", "--top", "1", "--repeats", "2", "--epochs", "1")
    assert code == 0, err
    (sentence,) = [line for line in out.splitlines() if line.startswith("Trial ")]
    assert "cannot differ significantly from the network without a circuit (" in sentence
    assert sentence.endswith(" with 2 seeds, whose smallest possible p is 0.500.")
    assert "is better" not in out and "is worse" not in out and "-0.000" not in out
    document = json.loads(cli_here("confirm", "odd", "--json")[1])
    for control in document["circuits"][0]["controls"]:
        assert control["smallest_p_holm"] == 0.5
        ends = control["difference_interval"]
        assert ends is None or -1 <= ends[0] < ends[1] <= 1
    assert cli_here("export", "odd", "--out", "model")[0] == 0
    assert sentence in Path("model/README.md").read_text()


def test_python_warns_of_the_same(odd: Path, storage_url: str) -> None:
    with pytest.warns(DataWarning) as records:
        search(odd, target="outcome", storage=storage_url, **SMALL)
    messages = [str(warning.message) for warning in records]
    assert len(messages) == len(EXPECTED)
    assert all(any(message in text for text in messages) for message in EXPECTED.values())
    # The warnings point to the caller's line.
    assert {warning.filename for warning in records} == {__file__}


@pytest.mark.parametrize("silenced", [{"check": False}, {}])
def test_python_is_silent_where_that_is_asked_or_the_search_has_ended(
    odd: Path, storage_url: str, silenced: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    call: Callable[..., Study] = search
    call(odd, target="outcome", storage=storage_url, check=False, **SMALL)
    call(odd, target="outcome", storage=storage_url, **SMALL, **silenced)
    assert not [warning for warning in recwarn if issubclass(warning.category, DataWarning)]


def test_python_warns_of_samples_in_memory(storage_url: str) -> None:
    with pytest.warns(DataWarning, match=r"^column '2' only numbers the rows; leave it out with --drop '2'\.$"):
        search(
            np.column_stack([np.repeat(VALUES, 2, axis=0) + RANDOM.normal(size=(2 * ROWS, 2)), np.arange(2 * ROWS)]),
            np.arange(2 * ROWS) * 7 % 2,
            storage=storage_url,
            **SMALL,
        )
