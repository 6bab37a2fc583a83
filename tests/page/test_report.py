"""The command `report` and its page, without a browser."""

import base64
import csv
import io
import json
import re
import tomllib
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from faqnas_optuna import Study, report_studies
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import FlopsCounter
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError, OutputError
from faqnas_optuna.page.report import write_report
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.conftest import RunCli, cheap_values, run_trials, small_config
from tests.support.browser import Element, Tree

Cli = Callable[..., tuple[int, str, str]]
SECTIONS = ["Front", "Confirmation", "Circuit", "Progress", "Genes", "Data", "Settings", "Reproduction", "Downloads"]
LARGEST = 300_000
ODD = "größe</script><b>&\"'"
"""Name of a column that would end a script and begin a tag."""


def tree(page: str) -> Element:
    return Tree(page).root


def words(page: str) -> str:
    """Return the text of a page, without figures, styles and scripts."""
    text = re.sub(r"<(svg|style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(text).split())


def files(page: str) -> dict[str, str]:
    """Return the content of the downloads by file name."""
    links = [link.attributes for link in tree(page).find("a") if "download" in link.attributes]
    contents = {}
    for link in links:
        kind, _, content = link["href"].partition(";charset=utf-8;base64,")
        assert kind in ("data:text/csv", "data:application/json", "data:application/toml")
        contents[link["download"]] = base64.b64decode(content).decode()
    return contents


def check_page(page: str) -> None:
    """Check what holds for every report: its size, its links, and that it refers to nothing outside."""
    assert len(page.encode()) < LARGEST
    root = tree(page)
    every = [
        element for tag in ("a", "section", "h2", "path", "use", "clipPath", "g", "svg", "image") for element in root.find(tag)
    ]
    ids = [element.attributes["id"] for element in every if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]*)"', page) + re.findall(r"url\(#([^)]*)\)", page)
    assert {*targets} <= {*re.findall(r' id="([^"]*)"', page)} and targets
    for element in every:
        for name in ("href", "src", "xlink:href"):
            assert element.attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"https?://|@import|<link|<script src", page)
    assert [heading.words for heading in root.find("h3")] == SECTIONS * len(list(root.find("div", class_="verdict")))
    for verdict in root.find("div", class_="verdict"):
        assert len(list(verdict.find("p"))) == 3


def test_a_report_has_the_values_of_the_other_commands(cli_here: Cli, confirmed: Confirmation, tmp_path: Path) -> None:
    assert cli_here("report", "iris", "--pick", "best") == (0, "", "wrote report.html\n")
    page = (tmp_path / "report.html").read_text()
    check_page(page)
    contents = files(page)
    assert list(contents) == ["iris.csv", "iris.json", "iris.toml", "iris.confirm.csv"]
    assert json.loads(contents["iris.json"]) == json.loads(cli_here("pareto", "iris", "--json")[1])
    assert contents["iris.csv"] == cli_here("pareto", "iris", "--csv", "-")[1]
    assert cli_here("confirm", "iris", "--csv", "confirmed.csv")[0] == 0
    assert contents["iris.confirm.csv"] == (tmp_path / "confirmed.csv").read_text()
    settings = tomllib.loads(contents["iris.toml"])
    assert (settings["search"]["population"], settings["training"]["epochs"]) == (4, 1)
    text = words(page)
    document = json.loads(cli_here("confirm", "iris", "--json")[1])
    for circuit in document["circuits"]:
        assert circuit["message"] in text and circuit["effective"] in text
    trials = ",".join(str(circuit["trial"]) for circuit in document["circuits"])
    assert f"faqnas-optuna confirm iris --trials {trials} --epochs 2 --repeats 3" in text
    best = str(json.loads(cli_here("pareto", "iris", "--pick", "best", "--json")[1])["front"][0]["trial"])
    shown = json.loads(cli_here("show", "iris", best, "--json")[1])
    drawings = [drawing.words for drawing in tree(page).find("pre")]
    assert shown["drawing"] in drawings
    assert all(f"{entry['device']} {entry['neg_log_esp']:.4f}" in text for entry in shown["hardware"])


def test_the_figures_have_a_text_for_each_circuit(search_of_eight: Search, tmp_path: Path) -> None:
    write_report([search_of_eight], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    check_page(page)
    page_figure, column_figure, *_ = (list(drawing.find("title")) for drawing in tree(page).find("svg"))
    state = read_state(search_of_eight)
    assert len(page_figure) == len(state.by_circuit)
    assert [title.words.partition("\n")[0] for title in column_figure] == [f"trial {one.trial}" for one in state.front]
    assert "Only confirmations store learning curves." in words(page)
    assert "faqnas-optuna confirm iris does so" in words(page)


@pytest.mark.slow
def test_equal_studies_give_equal_files(confirmed: Confirmation, run_cli: RunCli, tmp_path: Path) -> None:
    """Check two processes with different orders of sets and dictionaries of texts."""
    for name, seed in (("one", "1"), ("two", "2")):
        done = run_cli("report", "iris", "--out", f"{name}.html", env={"PYTHONHASHSEED": seed})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {name}.html\n")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


@pytest.mark.slow
def test_the_commands_of_a_report_repeat_the_study(cli_here: Cli, tmp_path: Path) -> None:
    small = ("--population", "4", "--epochs", "2", "--lr", "0.01")
    assert cli_here("start", "iris", "--study", "first", "--generations", "2", "--patience", "9", *small)[0] == 0
    assert cli_here("resume", "first", "--generations", "3")[0] == 0
    assert cli_here("report", "first")[0] == 0
    page = (tmp_path / "report.html").read_text()
    commands = [
        line for block in tree(page).find("pre") for line in block.words.splitlines() if line.startswith("faqnas-optuna")
    ]
    assert commands == [
        "faqnas-optuna start --config first.toml --study first --generations 2",
        "faqnas-optuna resume first --generations 3",
        "faqnas-optuna report first --pick knee --out report.html",
    ]
    (tmp_path / "first.toml").write_text(files(page)["first.toml"])
    before = json.loads(files(page)["first.json"])
    for command in commands:
        assert cli_here(*command.split()[1:], "--storage", "sqlite:///other.db")[0] == 0
    after = json.loads(files((tmp_path / "report.html").read_text())["first.json"])
    assert after["front"] == before["front"] and after["provenance"]["settings"] == before["provenance"]["settings"]


def test_names_from_the_data_are_escaped(cli_here: Cli, tmp_path: Path) -> None:
    rows = [
        {ODD: 0.1 * row, "{{ 7*7 }}": row % 7, "日本": "a<b" if row % 3 else "c", "klasse": f"<i>{row % 2}"}
        for row in range(60)
    ]
    name = "pä<i>&'x.csv"
    pd.DataFrame(rows).to_csv(tmp_path / name, index=False)
    small = ("--population", "4", "--generations", "1", "--epochs", "1", "--no-check")
    assert cli_here("start", name, "--study", "odd", "--target", "klasse", "--score", "balanced", *small)[0] == 0
    assert cli_here("report", "odd")[0] == 0
    page = (tmp_path / "report.html").read_text()
    check_page(page)
    assert "</script><b>" not in page and "<i>" not in page and page.count("</script>") == 1
    text = words(page)
    assert f"{ODD} number, standardised" in text and "{{ 7*7 }} number" in text and "日本 category" in text
    # Directories of the machine are not in the page.
    assert f"data file {name}" in text and f"and {name} in the same directory" in text and str(tmp_path) not in text
    assert "1 − the mean recall over the classes" in text and "Its validation balanced accuracy of" in text
    (row, *_) = csv.DictReader(io.StringIO(files(page)["odd.csv"]))
    assert row["dataset"] == name and json.loads(row["settings"])["data"]["target"] == "klasse"


def test_failed_trials_are_counted(new_search: Callable[..., Search], tmp_path: Path) -> None:
    def values(genome: Genome) -> tuple[float, float]:
        if genome.depth == 4:
            raise ValueError
        return cheap_values(genome)

    search = new_search()
    for _ in range(12):
        try:
            run_trials(search, 1, values)
        except ValueError:
            continue
    failed = len(read_state(search).errors)
    assert failed
    write_report([search], tmp_path / "report.html")
    text = words((tmp_path / "report.html").read_text())
    assert f"Not finished. 12 trials ({12 - failed} trained, 0 reused, {failed} failed)" in text


def test_a_race_has_its_certificate(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text("[space]\nn_qubits = [2]\ndepth = [1, 2]\n[training]\nepochs = 1\n")
    race = ("race", "iris", "--config", "small.toml", "--study", "small", "--workers", "1", "--trainings", "600")
    assert cli_here(*race)[0] == 0
    assert cli_here("report", "small")[0] == 0
    page = (tmp_path / "report.html").read_text()
    check_page(page)
    document = json.loads(cli_here("pareto", "small", "--json")[1])
    assert json.loads(files(page)["small.json"]) == document
    text = words(page)
    assert "With 95 % confidence, no circuit of the space has an expected validation accuracy more than" in text
    assert "simultaneous 95 % CI" in text and "Finished: " in text and "Wilson" not in text
    assert "faqnas-optuna race --config small.toml --study small --trainings 600" in text


def test_several_studies_have_a_common_plot(new_search: Callable[..., Search], tmp_path: Path) -> None:
    searches = [new_search(small_config(seed=seed, data={"split_seed": 0}), f"iris-{seed}") for seed in range(3)]
    for search in searches:
        run_trials(search, 6, cheap_values)
    write_report(searches, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert len(page.encode()) < 3 * LARGEST
    text = words(page)
    assert text.startswith("Report on 3 studies") and "lines: attained by half of the fronts" in page
    assert [heading.words for heading in tree(page).find("h2")] == ["iris-0", "iris-1", "iris-2"]
    assert len(list(tree(page).find("h3"))) == 3 * len(SECTIONS)
    assert {*re.findall(r'href="#([^"]*)"', page)} <= {*re.findall(r' id="([^"]*)"', page)}


REFUSED: dict[tuple[str, ...], tuple[int, str]] = {
    ("irs",): (2, "no study 'irs': did you mean 'iris'?"),
    ("iris.confirm",): (2, "confirmation, which is part of the report of 'iris'; write it with: faqnas-optuna report iris"),
    ("iris", "--out", "report.pdf"): (2, "the name of a report must end in .html; 'report.pdf' does not"),
    ("iris", "--out", "absent/report.html"): (2, "absent/report.html: directory absent does not exist; create it first"),
    ("iris", "--pick", "knees"): (2, "a rule is knee, best, cheapest-within:X or at-least:SCORE"),
    ("iris", "empty"): (5, "study 'empty' has no successful trial yet; see: faqnas-optuna status empty"),
    ("iris", "analytic"): (3, "one plot needs one cost and one score, but these studies have 'profiler' and 'analytic'"),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_has_no_report_is_refused_in_one_line(
    confirmed: Confirmation, new_search: Callable[..., Search], cli_here: Cli, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    if "empty" in arguments:
        new_search(name="empty")
    if "analytic" in arguments:
        run_trials(new_search(small_config(flops=FlopsCounter.ANALYTIC), "analytic"), 2, cheap_values)
    code, message = REFUSED[arguments]
    exit_code, out, err = cli_here("report", *arguments)
    assert (exit_code, out, err.count("\n")) == (code, "", 1)
    assert message in err
    assert not list(tmp_path.glob("*.html"))


def test_a_program_writes_the_same_report(confirmed: Confirmation, cli_here: Cli, storage_url: str, tmp_path: Path) -> None:
    assert cli_here("report", "iris", "--pick", "best")[0] == 0
    study = Study.load("iris", storage=storage_url)
    study.save_report("mine.html", pick="best")
    assert (tmp_path / "mine.html").read_bytes() == (tmp_path / "report.html").read_bytes()
    assert cli_here("report", "iris", "iris", "--out", "both.html")[0] == 0
    report_studies([study], tmp_path / "both-mine.html")
    assert (tmp_path / "both-mine.html").read_bytes() == (tmp_path / "both.html").read_bytes()


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"file": "report.pdf"}, OutputError, "must end in .html; 'report.pdf' does not"),
    ({"file": "absent/report.html"}, OutputError, "directory absent does not exist"),
    ({"file": "report.html", "pick": "knees"}, ConfigError, "a rule is knee, best"),
]


@pytest.mark.parametrize(("settings", "error", "message"), WRONG)
def test_a_program_is_refused_alike(
    search_of_eight: Search, storage_url: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Study.load("iris", storage=storage_url).save_report(**settings)


def test_a_program_needs_a_study_with_a_front(
    confirmed: Confirmation, new_search: Callable[..., Search], storage_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    with pytest.raises(ConfigError, match="report_studies needs at least one study"):
        report_studies([], file)
    with pytest.raises(ConfigError, match="part of the report of 'iris'; write it with: faqnas-optuna report iris"):
        Study.load("iris.confirm", storage=storage_url).save_report(file)
    new_search(name="empty")
    with pytest.raises(NoSuccessfulTrialError, match="study 'empty' has no successful trial yet"):
        Study.load("empty", storage=storage_url).save_report(file)
    assert not file.exists()
