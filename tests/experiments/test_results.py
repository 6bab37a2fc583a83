"""Nested intervals and paired comparisons of experiments."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.experiments.results import summarise, unit_means
from tests.support.experiments import results_with

SETTINGS: dict[str, Any] = {
    "name": "e",
    "datasets": ["iris"],
    "splits": 8,
    "seeds": 3,
    "methods": {"faqnas": {}, "random": {"searcher": "random"}},
    "confirm": {"picks": ["best"]},
}


def drawn_scores(
    experiment: Experiment, generator: np.random.Generator, *, split_sd: float, seed_sd: float
) -> dict[Any, float]:
    """Draw scores with a known variance of splits and of searches; methods of one split share its effect."""
    splits = generator.normal(0.6, split_sd, experiment.file.splits)
    return {
        (cell.method, cell.split, cell.seed): float(splits[cell.split] + generator.normal(0, seed_sd))
        for cell in experiment.cells
    }


@pytest.mark.slow
@pytest.mark.parametrize(("split_sd", "seed_sd"), [(0.05, 0.02), (0.02, 0.05), (0.0, 0.03)])
def test_nested_intervals_have_their_coverage(split_sd: float, seed_sd: float) -> None:
    experiment = Experiment.read(SETTINGS)
    generator = np.random.default_rng(7)
    covered = []
    for _ in range(2_000):
        scores = drawn_scores(experiment, generator, split_sd=split_sd, seed_sd=seed_sd)
        row = summarise(experiment, results_with(experiment, scores), score="accuracy").rows[0]
        assert row.interval
        covered.append(row.interval[0] <= 0.6 <= row.interval[1])
    # The standard error of the coverage is 0.5 %.
    assert 0.93 <= np.mean(covered) <= 0.97


def test_intervals_that_ignore_the_splits_would_be_too_narrow() -> None:
    """Check that the simulation can tell a wrong interval: one over all searches covers the mean far too rarely."""
    experiment = Experiment.read(SETTINGS)
    generator = np.random.default_rng(7)
    covered = []
    for _ in range(300):
        scores = drawn_scores(experiment, generator, split_sd=0.05, seed_sd=0.01)
        values = np.array([score for (method, _, _), score in scores.items() if method == "faqnas"])
        half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        covered.append(abs(values.mean() - 0.6) <= half)
    assert np.mean(covered) < 0.85


def test_comparisons_agree_with_scipy_and_statsmodels() -> None:
    experiment = Experiment.read(SETTINGS)
    scores = drawn_scores(experiment, np.random.default_rng(1), split_sd=0.05, seed_sd=0.05)
    results = results_with(experiment, scores)
    rows = {row.method: row for row in summarise(experiment, results, score="accuracy").rows}
    means = {
        method: np.array([np.mean([scores[method, split, seed] for seed in range(3)]) for split in range(8)])
        for method in ("faqnas", "random")
    }
    expected = {
        ("faqnas", "mlp"): means["faqnas"] - 0.5,
        ("random", "mlp"): means["random"] - 0.5,
        ("random", "faqnas"): means["random"] - means["faqnas"],
    }
    found = {(row.method, one.other): one for row in rows.values() for one in row.differences}
    assert found.keys() == expected.keys()
    p_values = {key: float(wilcoxon(differences, method="exact").pvalue) for key, differences in expected.items()}
    corrected = dict(zip(p_values, multipletests(list(p_values.values()), method="holm")[1], strict=True))
    for key, one in found.items():
        assert one.comparison.difference == pytest.approx(expected[key].mean())
        assert one.comparison.p == pytest.approx(p_values[key])
        assert one.p_holm == pytest.approx(corrected[key])
    assert rows["faqnas"].values == pytest.approx(tuple(means["faqnas"]))
    assert rows["faqnas"].test_score == pytest.approx(means["faqnas"].mean())


def test_an_unfinished_split_is_left_out_of_the_mean() -> None:
    experiment = Experiment.read(SETTINGS)
    scores = {("faqnas", split, seed): 0.5 + 0.1 * split for split in range(2) for seed in range(3)}
    partial = {**scores, ("faqnas", 2, 0): 0.0}
    row = summarise(experiment, results_with(experiment, partial), score="accuracy").rows[0]
    assert row.values == pytest.approx((0.5, 0.6))
    # All columns are about the same studies.
    assert row.search_estimate == pytest.approx(0.55)
    assert (row.studies, row.planned) == (7, 24)


def test_before_the_first_complete_split_there_is_no_interval() -> None:
    experiment = Experiment.read(SETTINGS)
    row = summarise(experiment, results_with(experiment, {("faqnas", 0, 0): 0.7}), score="accuracy").rows[0]
    assert row.test_score == 0.7 and row.interval is None and not row.differences


def test_with_a_single_split_the_searches_are_the_values() -> None:
    experiment = Experiment.read({**SETTINGS, "splits": 1})
    assert unit_means(experiment, {(0, 1): 0.6, (0, 0): 0.4}) == {0: 0.4, 1: 0.6}


def test_only_baselines_of_every_study_have_a_mean() -> None:
    experiment = Experiment.read({**SETTINGS, "seeds": 1})
    results = results_with(experiment, {("faqnas", 0, 0): 0.7, ("faqnas", 1, 0): 0.7})
    object.__setattr__(results[0], "baselines", {"mlp": 0.4, "linear": 0.5, "svm": 0.9})
    row = summarise(experiment, results, score="accuracy").rows[0]
    assert row.baselines == pytest.approx({"linear": 0.5, "mlp": 0.45})
