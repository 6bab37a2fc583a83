"""Rank correlations compared with scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from studies.proxies.correlation import correlate, dense_ranks, rank_covariance, spearman


def columns(count: int) -> dict[str, NDArray[np.float64]]:
    """Return made-up columns with ties, of which `b` depends on `a` and both on `size`."""
    generator = np.random.default_rng(0)
    size = generator.integers(2, 11, count).astype(float)
    a = np.round(size + 3 * generator.normal(size=count))
    return {"size": size, "a": a, "b": np.round(0.5 * a + size + 3 * generator.normal(size=count))}


def test_correlations_are_those_of_scipy() -> None:
    values = columns(300)
    result = correlate({"size": values["size"], "a": values["a"]}, {"b": values["b"]}, ["size"], resamples=10)
    assert spearman(values["a"], values["b"]) == pytest.approx(stats.spearmanr(values["a"], values["b"]).statistic)
    assert result.raw["a"]["b"].value == pytest.approx(stats.spearmanr(values["a"], values["b"]).statistic)
    ranks = {name: stats.rankdata(column) for name, column in values.items()}
    residuals = [stats.linregress(ranks["size"], ranks[name]).slope * -ranks["size"] + ranks[name] for name in ("a", "b")]
    assert result.partial["a"]["b"].value == pytest.approx(stats.pearsonr(*residuals).statistic)
    assert set(result.partial) == {"a"} and set(result.raw) == {"size", "a"}


def test_weights_are_repetitions() -> None:
    values = columns(50)
    weights = np.random.default_rng(1).multinomial(50, np.full(50, 1 / 50))
    dense = [dense_ranks(column) for column in values.values()]
    repeated = [dense_ranks(np.repeat(column, weights)) for column in values.values()]
    assert rank_covariance(dense, weights.astype(float)) == pytest.approx(rank_covariance(repeated, np.ones(50)))


def test_the_interval_is_about_that_of_theory() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 400))
    interval = correlate({"a": a, "size": np.ones(400)}, {"b": b}, ["size"], resamples=400).raw["a"]["b"]
    # Without a correlation the standard error is 1 / √(n - 1).
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(399), rel=0.15)
    assert interval.low < interval.value < interval.high


def test_constant_columns_have_no_correlation() -> None:
    a = np.random.default_rng(0).normal(size=40)
    result = correlate({"size": np.ones(40), "a": a}, {"b": a**3, "c": np.ones(40)}, ["size"], resamples=5)
    assert result.raw["size"]["b"].value == 0 and result.raw["a"]["c"].value == 0
    assert result.partial["a"]["b"].value == pytest.approx(1)
