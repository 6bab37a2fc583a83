"""The table of an experiment in its formats."""

from pathlib import Path
from typing import Any

import pytest

from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.experiments.results import ExperimentResults, summarise
from faqnas_optuna.experiments.table import experiment_blocks, experiment_frame, experiment_latex
from faqnas_optuna.reporting.text_tables import TextTable
from tests.support.experiments import results_with
from tests.support.latex import misfits, needs_latex

SETTINGS: dict[str, Any] = {
    "name": "e",
    "datasets": ["breast-cancer"],
    "splits": 12,
    "methods": {"faqnas": {}, "accuracy-only": {"searcher": "nsga2-error"}},
    "confirm": {"picks": ["cheapest-within:0.01"]},
}


def results_of(splits: int = 12, *, done: int | None = None) -> ExperimentResults:
    """Return results in which the second method is better on every split."""
    experiment = Experiment.read({**SETTINGS, "splits": splits})
    scores = {
        (method, split, 0): 0.6 + 0.001 * split + (0.1 if method == "accuracy-only" else 0.0)
        for method in experiment.file.methods
        for split in range(done or splits)
    }
    return summarise(experiment, results_with(experiment, scores), score="accuracy")


def remarks_of(results: ExperimentResults) -> str:
    return " ".join(block for block in experiment_blocks(results) if isinstance(block, str))


def test_significant_differences_have_a_star_in_latex() -> None:
    latex = experiment_latex(results_of(), origin={"settings": SETTINGS})
    rows = [line for line in latex.splitlines() if line.startswith("breast-cancer, ")]
    # The first is the reference; all twelve differences have one sign, and there are three comparisons.
    assert rows[0].count("^{*}") == 1 and rows[0].endswith(r"-- \\")
    assert rows[1].count("^{*}") == 2 and "$+0.100^{*}$" in rows[1]
    assert r"\caption{Test accuracy of the picked circuit" in latex and "No difference of this table" not in latex


def test_a_table_without_power_says_so() -> None:
    text = remarks_of(results_of(5))
    assert "No difference of this table can be significant: with 5 splits the smallest corrected p is 0.188" in text
    assert "^{*}" not in experiment_latex(results_of(5), origin={})


def test_one_split_and_missing_studies_are_remarked_on() -> None:
    assert "the results are valid for this split alone" in remarks_of(results_of(1))
    assert "The experiment is unfinished: 6 of 24 results." in remarks_of(results_of(done=3))
    assert "unfinished" not in remarks_of(results_of())
    # What can be significant is not known before the end.
    assert "can be significant" not in remarks_of(results_of(done=3))


def test_with_one_split_the_remark_counts_seeds() -> None:
    experiment = Experiment.read({**SETTINGS, "splits": 1, "seeds": 3})
    scores = {(method, 0, seed): 0.5 + 0.01 * seed for method in experiment.file.methods for seed in range(3)}
    text = remarks_of(summarise(experiment, results_with(experiment, scores), score="accuracy"))
    assert "with 3 seeds the smallest corrected p is 0.750. More seeds make it smaller." in text
    assert "t intervals over the searches of one split." in text and "from 10 random seeds per study" in text


def test_a_single_method_has_no_reference_columns() -> None:
    experiment = Experiment.read({**SETTINGS, "methods": {"faqnas": {}}})
    results = summarise(experiment, results_with(experiment, {("faqnas", 0, 0): 0.5}), score="accuracy")
    (table, *_) = experiment_blocks(results)
    assert isinstance(table, TextTable) and "minus faqnas" not in table.numbers
    assert experiment_frame(results)["minus_reference"].isna().all()


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("options", ["", "[twocolumn]"])
def test_the_table_fits_in_articles(tmp_path: Path, options: str) -> None:
    assert misfits(experiment_latex(results_of(), origin={"settings": SETTINGS}), tmp_path, options) == []
