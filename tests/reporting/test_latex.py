import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial
from scipy import stats

from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.config import CountedGates, FlopsCounter, Score, TrainingConfig
from faqnas_optuna.confirmation.analysis import CONTROL_NAMES
from faqnas_optuna.confirmation.latex import confirmation_table
from faqnas_optuna.reporting.latex import (
    Latex,
    escaped,
    front_table,
    grouped,
    table,
)
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import SearchState, read_state
from tests.conftest import small_config
from tests.support.candidates import candidate, genome_of
from tests.support.latex import misfits, needs_latex

NAME = "iris_50-a"
BROKEN = r">{\raggedright\arraybackslash}"
"""Declaration before an X column of tabularx: its text is not justified."""


BELOW = r"\multicolumn{"
"""Beginning of a line with text that belongs to the row above."""


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row, headings first; a line of text below a row becomes the row's last cell."""
    read: list[list[str]] = []
    for line in text.splitlines():
        if not line.endswith(r" \\"):
            continue
        cells = [unstacked(cell.strip()) for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))]
        if line.startswith(BELOW):
            read[-1].append(cells[0].partition(r"\linewidth}@{}}{")[2].removesuffix("}"))
        else:
            read.append(cells)
    return read


def unstacked(heading: str) -> str:
    """Return a heading without the line breaks between its words."""
    if not heading.startswith(stack := r"\shortstack[r]{"):
        return heading
    return heading.removeprefix(stack).removesuffix("}").replace("-" + r"\\", "").replace(r"\\", " ")


def check(text: str) -> None:
    """Check that LaTeX accepts a table: environments and braces close, rows are complete, special characters are escaped."""
    comments = [line for line in text.splitlines() if line.startswith("%")]
    lines = text.splitlines()[len(comments) :]
    assert len(comments) == 2
    assert ("tabularx" in comments[0]) == (r"\begin{tabularx}" in text) and "booktabs" in comments[0]
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", "\n".join(lines)):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    (alignment,) = re.findall(r"\\begin\{tabular[x*]?\}(?:\{\\linewidth\})?\{(.*)\}", text)
    alignment = alignment.replace(BROKEN, "").replace(r"@{\extracolsep{\fill}}", "").replace("@{}", "X")
    assert {len(cells) for cells in rows(text)} == {len(alignment)}
    for line in lines:
        # Text between dollar signs is our own mathematics.
        prose = re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", line)
        bare = re.sub(r"\\[\\{}$&#%_]", "", prose)
        assert bare.count("{") == bare.count("}")
        assert not re.search(r"[%#_$^~]", bare) and ("&" not in bare or line.endswith(r" \\"))
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]


def table_of(state: SearchState) -> str:
    """Return the LaTeX table of the whole front."""
    return front_table(state, state.front)


def add(search: Search, *candidates: Candidate) -> None:
    """Add candidates to a study as its workers do."""
    distributions: dict[str, BaseDistribution] = {gene: CategoricalDistribution(choices) for gene, choices in GENES.items()}
    for one in candidates:
        values, attributes = [one.quantum_flops, one.val_error], one.record.to_attributes()
        trial = create_trial(params=one.genome.to_params(), distributions=distributions, values=values, user_attrs=attributes)
        search.study.add_trial(trial)


FRONT = [
    candidate(0, genome_of(2, "CNOT", "RY"), flops=60, error=0.5, deviation=0.02),
    candidate(1, genome_of(3, "CZ", "RY", "RZ"), flops=1165, error=0.25, deviation=0.3),
    candidate(2, genome_of(7, "CZ", "RY", "RX"), flops=38997, error=0.0625, deviation=0.01),
]
DOMINATED = candidate(3, genome_of(9, "CNOT", "RX"), flops=40000, error=0.6, deviation=0.01)


def test_the_table_of_a_front(new_search: Callable[..., Search]) -> None:
    add(search := new_search(name=NAME), *FRONT, DOMINATED)
    check(text := table_of(read_state(search)))
    classical = [str(one.costs.classical_flops) for one in FRONT]
    parameters = [str(one.costs.parameters) for one in FRONT]
    assert rows(text) == [
        ["Trial", "Accuracy", r"$F_\mathrm{Q}$", r"$F_\mathrm{C}$", "Parameters", "Circuit"],
        ["0", "0.500", "60", classical[0], parameters[0], "2 qubits, angle, RY, CNOT linear"],
        ["1", "0.750", r"1\,165", classical[1], parameters[1], "3 qubits, angle, RY {[}RZ{]}, {[}CZ linear{]}"],
        ["2", "0.938", r"38\,997", classical[2], parameters[2], "7 qubits, angle, RY RX, CZ linear {[}the last{]}"],
    ]
    (caption,) = re.findall(r"\\caption\{(.*)\}", text)
    for part in (
        r"study iris\_50-a",
        "among 4",
        "30 validation samples of iris after 1 epoch of",
        "PyTorch profiler",
        "brackets",
    ):
        assert part in caption
    assert r"\label{tab:front-iris-50-a}" in text
    # In a narrow text column a circuit needs two lines.
    assert rf"\begin{{tabularx}}{{\linewidth}}{{rrrrr{BROKEN}X}}" in text
    assert "interval" not in text


def test_repeats_add_an_interval(new_search: Callable[..., Search]) -> None:
    config = small_config(
        training=TrainingConfig(epochs=20, repeats=3), flops=FlopsCounter.ANALYTIC, gates=CountedGates.EFFECTIVE
    )
    add(search := new_search(config), *FRONT)
    check(text := table_of(read_state(search)))
    heading, *cells = [row[2] for row in rows(text)]
    assert heading == r"95\,\% CI"
    for cell, one in zip(cells, FRONT, strict=True):
        reach = stats.t.ppf(0.975, 2) * (one.scores.val_accuracy_std or 0) / 3**0.5
        low, high = max(one.scores.val_accuracy - reach, 0), min(one.scores.val_accuracy + reach, 1)
        assert cell == f"{low:.3f}--{high:.3f}"
    for part in ("20 epochs", "the mean of 3 trainings with its $t$ interval", "arithmetic", "without the inert gates"):
        assert part in text


def test_what_decided_the_values_stands_above(new_search: Callable[..., Search]) -> None:
    add(search := new_search(name=NAME), *FRONT)
    comment = table_of(read_state(search)).splitlines()[1]
    origin = json.loads(comment.removeprefix("% Made by faqnas-optuna from "))
    assert origin["study"] == NAME and origin["settings"]["dataset"] == "iris"
    assert origin["data_fingerprint"] == search.description.data_fingerprint and "optuna" in origin["versions"]


SPECIAL = {
    "a_b": r"a\_b",
    "50 %": r"50 \%",
    "R&D": r"R\&D",
    "#1": r"\#1",
    "$x$": r"\$x\$",
    "{x}": r"\{x\}",
    "a\\b": r"a\textbackslash{}b",
    "~^": r"\textasciitilde{}\textasciicircum{}",
    "<|>": r"\textless{}\textbar{}\textgreater{}",
    '"x"': "''x''",
    "[x]": "{[}x{]}",
    "*x": "{*}x",
    "a---b": "a-{}-{}-b",
    "a-b": "a-b",
    "two\n\nlines": "two lines",
}


@pytest.mark.parametrize(("text", "printed"), SPECIAL.items())
def test_special_characters_are_printed_as_they_stand(text: str, printed: str) -> None:
    assert escaped(text) == printed


def test_any_table_can_hold_them() -> None:
    headings = [Latex("Name"), Latex("Value")]
    texts = [[escaped(text), escaped(text)] for text in SPECIAL]
    check(text := table(headings, texts, caption=escaped("50 % & more"), label="a_b & c", origin={"study": "50 %\n&"}))
    assert r"\begin{tabularx}" in text and r"\label{tab:a-b---c}" in text and len(rows(text)) == 1 + len(SPECIAL)
    # After the end of a row, LaTeX would read a bracket as a distance and a star as part of the row end.
    assert not any(line.startswith(("[", "*")) for line in text.splitlines())


def test_numbers() -> None:
    assert [grouped(number) for number in (0, 999, 1165, 1234567)] == ["0", "999", r"1\,165", r"1\,234\,567"]


def confirmation_of(score: Score, dataset: str = "wine", **more: object) -> dict[str, Any]:
    """Return the document of a confirmation of two circuits.

    Args:
        more: Additional entries of each circuit.
    """
    control = {"difference": -0.1, "p_holm": 0.03, "rank_biserial": -1.0}
    circuit: dict[str, Any] = {
        "trial": 19,
        f"test_{score.key}": 0.9666,
        f"test_{score.key}_interval": [0.946, 0.987],
        "test_accuracies": [0.96] * 10,
        f"val_{score.key}": 0.944,
        "quantum_flops": 38_997,
        "parameters": 150,
        "controls": [{"model": "linear"} | control, {"model": "mlp"} | control | {"p_holm": 0.2}],
        "effective": "7 qubits, angle, RY, CZ linear [the last]",
        **more,
    }
    return {
        "study": "wine_1.confirm",
        "confirms": "wine_1",
        "dataset": dataset,
        "score": str(score),
        "epochs": 50,
        "search_epochs": 5,
        "seeds": 10,
        "test_samples": 36,
        "majority_score": 0.3889,
        "circuits": [circuit, circuit | {"trial": 3, f"test_{score.key}_interval": None, "controls": []}],
        "baselines": [{"baseline": "svm-grid", "test_accuracy": 0.9722, "test_balanced_accuracy": 0.9722, "parameters": 1_167}],
        "provenance": {"created": "now"},
    }


@pytest.mark.parametrize("score", Score)
def test_a_confirmation_is_a_table_with_stars(score: Score) -> None:
    text = confirmation_table(confirmation_of(score))
    check(text)
    headings, first, second, classical = rows(text)
    heading = score.of(accuracy="Test accuracy", balanced="Balanced test accuracy")
    assert headings[1:5] == [heading, r"95\,\% CI", "Search estimate", r"$F_\mathrm{Q}$"]
    assert first[:5] == ["19", "0.967", "0.946--0.987", "0.944", r"38\,997"]
    # Controls that no circuit has were not chosen.
    assert headings[6:] == [r"$\Delta$ linear", r"$\Delta$ mlp", "Circuit"]
    assert first[6:8] == ["$-0.100^{*}$", "$-0.100$"]
    assert second[2] == "--" and second[6:8] == ["--"] * 2
    names = ["--", "0.972", "--", "--", "--", r"1\,167", "--", "--", "support vector machine, tuned"]
    assert classical == names
    assert "which is the network without a circuit (linear), or a classical network" in text
    assert "The rows without a trial are classical models" in text
    assert "after 5 epochs. Majority class: 0.389. $" in text
    assert "Majority" not in confirmation_table(confirmation_of(score) | {"majority_score": None})
    assert r"\label{tab:confirmed-wine-1}" in text and r"wine\_1" in text


ALL = [{"model": model, "difference": -0.1234, "p_holm": 0.03, "rank_biserial": -1.0} for model in CONTROL_NAMES]
LARGE: dict[str, Any] = {"quantum_flops": 123_456, "trial": 1_234, "parameters": 1_234, "controls": ALL}
WIDE: dict[str, Any] = {"effective": "10 qubits, amplitude, RX RY RZ RX, CNOT circular [the last two layers, and more]"}


def balanced(one: Candidate) -> Candidate:
    """Return a candidate with a balanced accuracy."""
    scores = replace(one.scores, val_balanced_accuracy=0.9, val_balanced_accuracy_std=0.1)
    return replace(one, record=replace(one.record, scores=scores))


def tables(new_search: Callable[..., Search]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each kind of table."""
    repeated = TrainingConfig(epochs=20, repeats=3)
    configs = {
        "plain": small_config(),
        "repeated": small_config(training=repeated),
        "balanced": small_config(training=repeated, score=Score.BALANCED, gates=CountedGates.EFFECTIVE),
    }
    for name, config in configs.items():
        add(search := new_search(config, name=name), *map(balanced, FRONT))
        yield name, table_of(read_state(search))
    for score in Score:
        yield f"confirmed, {score}", confirmation_table(confirmation_of(score))
        yield f"confirmed, {score}, wide", confirmation_table(confirmation_of(score, **LARGE, **WIDE))
        on_device = confirmation_of(score, "two-curves:features=20,dimensions=2", neg_log_esp=10.1234, **LARGE)
        yield f"confirmed, {score}, on a device", confirmation_table(on_device)
    texts = [[escaped(text), escaped(text)] for text in SPECIAL]
    headings = [Latex("Name"), Latex("Value")]
    yield "special", table(headings, texts, caption=escaped("50 % & more"), label="a_b", origin={})


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("options", ["", "[twocolumn]"])
def test_every_table_fits_in_articles(new_search: Callable[..., Search], tmp_path: Path, options: str) -> None:
    complaints = {name: misfits(text, tmp_path, options) for name, text in tables(new_search)}
    assert not any(complaints.values()), {name: lines for name, lines in complaints.items() if lines}
