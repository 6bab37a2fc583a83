"""Terminal output of a confirmation."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from faqnas_optuna.cli.display import print_blocks
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.report import confirmation_blocks, remarks
from faqnas_optuna.confirmation.study import Confirmation
from tests.support.terminal import LongSearch, each_width
from tests.support.terminal import at_terminal as at_terminal  # the fixture

CIRCUITS = "trial  test accuracy  95 % CI  search estimate  optimism  quantum FLOPs  effective parameters  circuit"
CONTROLS = "trial  control  test accuracy  circuit − control  95 % CI  p  p (Holm)  rank-biserial  parameters  network"


@pytest.fixture
def document(confirmed: Confirmation) -> dict[str, Any]:
    return confirmation_document(confirmed)


def three_digits(value: float) -> str:
    return f"{value:.3f}"


def interval_text(ends: list[float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:z.3f} to {ends[1]:z.3f}"


def numbers_of(document: dict[str, Any]) -> list[list[str]]:
    """Return the cells before the last column, for each line of the tables of circuits and controls."""
    rows = []
    for entry in document["circuits"]:
        accuracy, estimate = three_digits(entry["test_accuracy"]), three_digits(entry["val_accuracy"])
        interval = interval_text(entry["test_accuracy_interval"])
        cells = [entry["trial"], accuracy, interval, estimate, f"{entry['optimism']:+z.3f}"]
        rows.append([*cells, f"{entry['quantum_flops']:,}", entry["parameters"]])
    for entry in document["circuits"]:
        for control in entry["controls"]:
            interval = interval_text(control["difference_interval"])
            compared = [three_digits(control["test_accuracy"]), f"{control['difference']:+z.3f}", interval]
            tested = [three_digits(control["p"]), three_digits(control["p_holm"]), f"{control['rank_biserial']:+.2f}"]
            rows.append([entry["trial"], control["model"], *compared, *tested, control["parameters"]])
    return [list(map(str, row)) for row in rows]


def test_the_tables_hold_all_numbers(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(confirmation_blocks(document))
    lines = capsys.readouterr().out.splitlines()
    split = [re.split(r" {2,}", line) for line in lines]
    assert re.split(r" {2,}", CIRCUITS) in split and re.split(r" {2,}", CONTROLS) in split
    cells_of_trials = [cells[:-1] for cells in split if cells[0] in ("0", "4", "5")]
    assert cells_of_trials == numbers_of(document)
    last = [cells[-1] for cells in split if cells[0] in ("0", "4", "5")]
    circuits = [entry["effective"] for entry in document["circuits"]]
    networks = [control["network"] for entry in document["circuits"] for control in entry["controls"]]
    assert last == [*circuits, *networks]
    baselines = [
        [baseline["baseline"], three_digits(baseline["test_accuracy"]), str(baseline["parameters"])]
        for baseline in document["baselines"]
    ]
    assert len(baselines) == 3 and all(cells in split for cells in baselines)
    assert [entry["message"] for entry in document["circuits"]] == [line for line in lines if line.startswith("Trial ")]


@each_width
def test_the_tables_are_whole(document: dict[str, Any], confirmed: Confirmation, at_terminal: LongSearch, columns: int) -> None:
    terminal = at_terminal("confirm", "iris", columns=columns)
    assert terminal.end() == 0
    # The terminal has wrapped no line of a table: every cell is whole and first cells start a line.
    first_cells = [re.split(r" +", line)[:2] for line in terminal.lines if re.match(r"[045] ", line)]
    assert first_cells == [cells[:2] for cells in numbers_of(document)]
    tables = "\n".join(terminal.lines[: terminal.lines.index(next(line for line in terminal.lines if "Trial " in line))])
    for cells in numbers_of(document):
        for cell in cells:
            assert re.search(rf"(?<![\w.,]){re.escape(cell)}(?![\w.])", tables), cell
    for entry in document["circuits"]:
        assert any(line.endswith(entry["effective"]) for line in terminal.lines)
        assert all(any(line.endswith(control["network"]) for line in terminal.lines) for control in entry["controls"])


def test_what_is_known_of_all_circuits_together(document: dict[str, Any]) -> None:
    trained, majority, ranked, smallest = remarks(document)
    assert trained == (
        "Retrained for 2 epochs (search: 1) from 3 new seeds and evaluated on 30 test samples that the search did not use."
        " Optimism is the search estimate minus the test score: positive if the search overestimated the circuit."
    )
    # Iris has ten test samples of each class.
    assert majority == "Always predicting the majority class gives a test accuracy of 0.333."
    assert ranked.startswith("Kendall's tau between the rankings of the 3 circuits by the search and by the confirmation is ")
    # The smallest p is that of three equal signs, two-sided: 2 / 2³.
    assert smallest == (
        "The smallest possible p with 3 seeds is 0.2500, or 0.7500 with Holm's correction over 3 circuits:"
        " too few for significance, use more --repeats."
    )
    document["repeats"] = 10
    assert remarks(document)[3] == (
        "The smallest possible p with 10 seeds is 0.0020, or 0.0059 with Holm's correction over 3 circuits."
    )
    document["repeats"] = 3
    for key in ("kendall_tau", "circuits"):
        document[key] = [] if key == "circuits" else None
    assert remarks(document) == [trained, majority]


@pytest.mark.parametrize(
    ("finished", "failed", "sentences"),
    [
        (45, 0, []),
        (44, 0, ["1 of 45 trainings is not finished yet."]),
        (40, 0, ["5 of 45 trainings are not finished yet."]),
        (44, 1, ["1 training failed; repeat the command to retry."]),
        (40, 2, ["3 of 45 trainings are not finished yet.", "2 trainings failed; repeat the command to retry."]),
    ],
)
def test_what_is_left_is_told(document: dict[str, Any], finished: int, failed: int, sentences: list[str]) -> None:
    before = remarks(document)
    document["trainings"] |= {"done": finished, "failed": failed}
    assert remarks(document) == [*before, *sentences]


def test_what_is_not_known_yet_is_a_dash_and_no_table_is_empty(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (entry, *_), nothing = (
        document["circuits"],
        dict.fromkeys(("difference", "difference_interval", "p", "p_holm", "smallest_p")),
    )
    control = entry["controls"][0] | nothing | {"rank_biserial": None}
    document |= {"circuits": [entry | {"controls": [control], "test_accuracy_interval": None}], "baselines": []}
    print_blocks(confirmation_blocks(document))
    circuits, controls, _ = capsys.readouterr().out.split("\n\n")
    assert re.search(r"^5 +\d\.\d+ +– +0\.750 ", circuits, re.MULTILINE)
    assert re.search(r"^5 +linear +\d\.\d+ +– +– +– +– +– +27 +linear, 3 wide$", controls, re.MULTILINE)
    document["circuits"][0]["controls"] = []
    print_blocks(confirmation_blocks(document))
    assert "control  " not in capsys.readouterr().out


Show = Callable[..., tuple[int, str, str]]


def test_trainings_are_shown(confirmed: Confirmation, cli_here: Show) -> None:
    code, out, err = cli_here("show", "iris.confirm", "1")
    assert (code, err) == (0, "")
    values = dict(re.split(r" {2,}", line) for line in out.splitlines())
    trial = confirmed.study.get_trials(deepcopy=False)[1]
    assert (values["study"], values["trial"], values["state"]) == ("iris.confirm", "1", "complete")
    assert (values["finalist"], values["model"], values["seed"]) == ("5", "linear", "0")
    assert values["network"] == "linear, 3 wide"
    assert values["test accuracy"] == three_digits(trial.user_attrs["test_accuracy"])
    assert values["confusion"] == str(trial.user_attrs["confusion"])
