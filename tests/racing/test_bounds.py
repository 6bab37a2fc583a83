import math

import numpy as np
import pytest
from scipy.stats import beta

from faqnas_optuna.racing.bounds import FRACTIONS, Histograms, log_capital, lower_bounds, upper_bounds


def histograms_of(*scores: list[float]) -> Histograms:
    """Return the histograms of lists of scores, one per circuit."""
    values = np.unique(np.concatenate([np.array(each) for each in scores]))
    counts = np.array([[each.count(value) for value in values] for each in scores])
    return Histograms.of_counts(counts, values)


def capital(scores: list[float], mean: float) -> float:
    """Return the capital by its definition: the bets one after the other."""
    amounts = []
    for fraction in FRACTIONS.tolist():
        amount = 1.0
        for score in scores:
            amount *= 1 + fraction * (score / mean - 1)
        amounts.append(amount)
    return sum(amounts) / len(amounts)


def test_the_capital_is_that_of_successive_bets() -> None:
    generator = np.random.default_rng(0)
    scores = [(generator.integers(0, 13, size=size) / 12).tolist() for size in (1, 2, 30, 200)]
    histograms = histograms_of(*scores)
    for mean in (0.05, 0.4, 0.8, 1.0):
        expected = [math.log(capital(each, mean)) for each in scores]
        assert log_capital(histograms, np.full(4, mean)) == pytest.approx(expected, abs=1e-9)


def test_summaries_are_those_of_the_scores() -> None:
    scores = [[0.5, 0.25, 0.5], [1.0], [0.0, 1.0, 1.0, 0.5]]
    histograms = histograms_of(*scores)
    assert histograms.sizes.tolist() == [3, 1, 4]
    assert histograms.means == pytest.approx([np.mean(each) for each in scores])
    assert histograms.variances == pytest.approx([np.var(each) for each in scores])
    some = histograms.among(np.array([2, 0]))
    assert some.sizes.tolist() == [4, 3]
    assert some.means == pytest.approx([np.mean(scores[2]), np.mean(scores[0])])


def test_a_lower_bound_is_where_the_capital_reaches_its_threshold() -> None:
    scores = (np.random.default_rng(1).integers(0, 11, size=60) / 10).tolist()
    (bound,) = lower_bounds(histograms_of(scores), 0.01)
    assert capital(scores, bound - 1e-5) > 100 > capital(scores, bound + 1e-5)
    (above,) = upper_bounds(histograms_of(scores), 0.01)
    complements = [1 - score for score in scores]
    assert capital(complements, 1 - above - 1e-5) > 100 > capital(complements, 1 - above + 1e-5)


def test_bounds_of_equal_scores_have_a_closed_form() -> None:
    # With scores of 1 alone, the capital is the mean of (1 + c (1 / m - 1))ⁿ over the fractions c.
    (bound,) = lower_bounds(histograms_of([1.0] * 50), 0.05)
    assert np.mean((1 + FRACTIONS * (1 / bound - 1)) ** 50) == pytest.approx(20, rel=1e-3)
    assert lower_bounds(histograms_of([0.0] * 50), 0.05) == pytest.approx([0], abs=1e-6)
    assert upper_bounds(histograms_of([1.0] * 50), 0.05) == pytest.approx([1], abs=1e-6)


def test_bounds_do_not_depend_on_the_order_of_the_scores() -> None:
    scores = (np.random.default_rng(2).integers(0, 37, size=300) / 36).tolist()
    assert lower_bounds(histograms_of(scores), 0.001) == lower_bounds(histograms_of(scores[::-1]), 0.001)


def test_bounds_are_wider_than_exact_ones_for_a_fixed_number_of_coin_flips() -> None:
    """Bounds that hold at all times cannot be narrower than those of Clopper and Pearson, which hold at one."""
    for heads in (0, 10, 50, 90, 100):
        flips = [1.0] * heads + [0.0] * (100 - heads)
        exact_low = beta.ppf(0.05, heads, 101 - heads) if heads else 0.0
        exact_high = beta.ppf(0.95, heads + 1, 100 - heads) if heads < 100 else 1.0
        low = lower_bounds(histograms_of(flips), 0.05)[0]
        high = upper_bounds(histograms_of(flips), 0.05)[0]
        assert exact_low - 0.12 < low <= exact_low
        assert exact_high <= high < exact_high + 0.12


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.9])
def test_bounds_rarely_ever_exclude_the_mean(mean: float) -> None:
    """Monte Carlo: 1,000 sequences, in which the bound is checked after each of 300 scores."""
    generator = np.random.default_rng(int(10 * mean))
    scores = generator.binomial(6, mean, size=(1000, 300)) / 6
    # The bound excludes the mean as soon as the capital reaches 1 / α.
    logs = np.cumsum(np.log1p(FRACTIONS[:, np.newaxis, np.newaxis] * (scores / mean - 1)), axis=2)
    capitals = np.exp(logs).mean(axis=0)
    excluded = (capitals >= 20).any(axis=1).mean()
    # At most 5 %, with 2.6 standard errors.
    assert 0 < excluded < 0.05 + 0.018
