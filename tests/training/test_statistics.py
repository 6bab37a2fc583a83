import itertools
import math
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from faqnas_optuna.training.statistics import (
    bounded_interval,
    compare,
    holm,
    kendall_tau,
    mean_interval,
    smallest_possible,
)
from tests.conftest import TIMEOUT_S


def test_an_interval_is_students() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.05, 7)
    for confidence in (0.5, 0.95, 0.99):
        expected = stats.t.interval(confidence, 6, loc=values.mean(), scale=stats.sem(values))
        assert mean_interval(values.mean(), values.std(ddof=1), 7, confidence=confidence) == pytest.approx(expected)
    # For two values t has one degree of freedom, so its quantile is a tangent: tan(0.95 · π / 2).
    low, high = mean_interval(1.0, math.sqrt(2), 2)
    assert (low, high) == pytest.approx((1 - math.tan(0.475 * math.pi), 1 + math.tan(0.475 * math.pi)))
    assert mean_interval(0.9, 0.0, 5) == (0.9, 0.9)


def test_an_interval_of_shares_stays_within_their_bounds() -> None:
    low, high = stats.t.interval(0.95, 2, loc=0.9, scale=0.1 / math.sqrt(3))
    assert high > 1
    assert bounded_interval(0.9, 0.1, 3) == pytest.approx((low, 1.0))
    # Differences range from -1 to 1; the interval of the pairs' differences 1 and 0 would reach ±6.35 around the mean.
    assert bounded_interval(0.5, math.sqrt(0.5), 2, lowest=-1.0) == (-1.0, 1.0)


def test_equal_values_have_no_interval() -> None:
    """Check that the interval is unknown, as in scipy for a scale of 0."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(stats.t.interval(0.95, 2, loc=0.9, scale=0.0)).all()
    assert bounded_interval(0.9, 0.0, 3) is None
    assert compare([0.5, 0.75, 0.25], [0.25, 0.5, 0.0]).interval is None
    # Rounding errors are not a spread.
    assert compare([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]).interval is None


def accuracies(seed: int, *shape: int, mean: float = 0.9) -> NDArray[np.float64]:
    """Draw accuracies on 36 samples, so that small sets of pairs have ties and zeros."""
    return np.random.default_rng(seed).binomial(36, mean, shape) / 36


def test_without_ties_it_is_scipys_exact_test() -> None:
    rng = np.random.default_rng(1)
    for count in (2, 3, 5, 10, 12, 40):
        a, b = rng.normal(0.1, 1, (2, count))
        for alternative in (a, a + 1):
            expected = stats.wilcoxon(alternative, b, method="exact")
            assert compare(alternative, b).p == pytest.approx(expected.pvalue, abs=1e-12)


def by_brute_force(a: Sequence[float], b: Sequence[float]) -> tuple[Fraction, Fraction]:
    """Return p and the rank-biserial correlation from all patterns of signs, on samples out of 36."""
    differences = [round(36 * x) - round(36 * y) for x, y in zip(a, b, strict=True)]
    sizes = [abs(difference) for difference in differences]
    # Average rank: half of the number smaller, the number smaller or equal, and one.
    ranks = {
        size: Fraction(sum(other < size for other in sizes) + sum(other <= size for other in sizes) + 1, 2) for size in sizes
    }
    moving = [ranks[abs(difference)] * (1 if difference > 0 else -1) for difference in differences if difference]
    observed, total = sum(moving, Fraction(0)), sum((ranks[size] for size in sizes), Fraction(0))
    patterns = list(itertools.product((-1, 1), repeat=len(moving)))
    sums = [sum((sign * rank for sign, rank in zip(signs, moving, strict=True)), Fraction(0)) for signs in patterns]
    p = Fraction(sum(abs(one) >= abs(observed) for one in sums), len(patterns))
    return p, observed / total


def test_with_ties_and_zeros_it_is_what_all_patterns_of_signs_give() -> None:
    a, b = accuracies(2, 60, 8), accuracies(3, 60, 8, mean=0.85)
    cases = set()
    for first, second in zip(a, b, strict=True):
        p, correlation = by_brute_force(first, second)
        comparison = compare(first, second)
        assert comparison.p == p
        assert comparison.rank_biserial == pytest.approx(float(correlation), abs=1e-15)
        cases |= {("zero", bool((first == second).any())), ("significant", p < 0.05)}
    assert len(cases) == 4


def test_zeros_are_ranked_before_they_are_left_out() -> None:
    """Check Pratt's method: differences 0, 0, -1, 2, 3 give ranks 4 and 5 against 3, not 2 and 3 against 1."""
    comparison = compare([0.0, 0.0, 0.0, 2.0, 3.0], [0.0, 0.0, 1.0, 0.0, 0.0])
    assert comparison.rank_biserial == pytest.approx((4 + 5 - 3) / 15)
    assert comparison.p == 4 / 8
    assert comparison.smallest_p == 2 / 8


def test_one_difference_among_equals_is_no_effect_of_one() -> None:
    """Check that p is 1 and the correlation -0.5: the only difference has rank 3 of 1.5, 1.5 and 3."""
    comparison = compare([0.5, 0.5, 0.6], [0.5, 0.5, 0.9])
    assert (comparison.p, comparison.rank_biserial) == (1, -0.5)


def test_the_effect_is_that_of_scipys_ranks() -> None:
    """Compare with scipy's statistic T with zeros split between both sides: |r| = 1 - 2 T / (n (n + 1) / 2)."""
    for first, second in zip(accuracies(10, 40, 9), accuracies(11, 40, 9, mean=0.8), strict=True):
        differences = np.round(36 * first) - np.round(36 * second)
        smaller = stats.wilcoxon(differences, zero_method="zsplit", method="asymptotic").statistic
        assert abs(compare(first, second).rank_biserial) == pytest.approx(1 - 2 * smaller / 45)


def test_what_rounding_tells_apart_is_tied() -> None:
    a, b = [0.9, 0.8, 0.3, 0.7], [0.8, 0.7, 0.1, 0.8]
    assert len({abs(x - y) for x, y in zip(a, b, strict=True)}) == 3
    # Ranks 2, 2 and 4 against 2.
    comparison = compare(a, b)
    assert comparison.rank_biserial == pytest.approx((2 + 2 + 4 - 2) / 10)
    assert comparison.p == 8 / 16
    assert compare([0.1 + 0.2, 1.0], [0.3, 0.5]).smallest_p == 1


def test_the_difference_has_its_mean_and_interval() -> None:
    a, b = accuracies(4, 2, 10)
    comparison, differences = compare(a, b), a - b
    assert comparison.difference == pytest.approx(differences.mean())
    expected = stats.t.interval(0.95, 9, loc=differences.mean(), scale=stats.sem(differences))
    assert comparison.interval == pytest.approx(expected)
    assert comparison.pairs == 10


def test_the_other_way_round_it_says_the_opposite() -> None:
    a, b = accuracies(5, 2, 9)
    there, back = compare(a, b), compare(b, a)
    assert there.p == back.p
    assert (there.difference, there.rank_biserial) == (-back.difference, -back.rank_biserial)
    assert there.interval and back.interval and there.interval == (-back.interval[1], -back.interval[0])


def test_equal_values_show_nothing() -> None:
    comparison = compare([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert (comparison.difference, comparison.interval) == (0, None)
    assert (comparison.p, comparison.smallest_p, comparison.rank_biserial, comparison.pairs) == (1, 1, 0, 3)


def test_the_smallest_p_is_that_of_one_side_alone() -> None:
    for count in (2, 5, 10):
        values = list(range(1, count + 1))
        comparison = compare(values, [0] * count)
        assert comparison.p == comparison.smallest_p == 2 / 2**count
        assert comparison.rank_biserial == 1


def test_values_must_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="operands could not be broadcast"):
        compare([0.9, 0.8], [0.9, 0.8, 0.7])


def test_two_arms_that_are_alike_are_rarely_told_apart() -> None:
    a, b = accuracies(6, 1000, 10), accuracies(7, 1000, 10)
    significant = sum(compare(first, second).p < 0.05 for first, second in zip(a, b, strict=True))
    assert 10 <= significant <= 50


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_is_its_definition() -> None:
    """Compare with the definition: rejected are the k smallest p for which p₍ⱼ₎ (m - j + 1) ≤ level for every j ≤ k."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        p_values = (rng.integers(1, 20, rng.integers(1, 7)) / 200).tolist()
        ordered = sorted(p_values)
        adjusted = holm(p_values)
        for level in (0.033, 0.051, 0.1234, 0.5678):
            rejected = 0
            while rejected < len(ordered) and ordered[rejected] * (len(ordered) - rejected) <= level:
                rejected += 1
            expected = [p <= ordered[rejected - 1] if rejected else False for p in p_values]
            assert [p <= level for p in adjusted] == expected


def test_the_smallest_possible_p_is_that_of_a_family_in_which_every_pair_speaks_for_one_side() -> None:
    """Check that 3 pairs give at least p = 2 / 2³, and twice that after Holm's correction for 2 comparisons."""
    assert smallest_possible([3]) == [0.25]
    assert smallest_possible([3, 3]) == [0.5, 0.5]
    assert smallest_possible([2, 2, 2]) == [1, 1, 1]
    assert smallest_possible([]) == []
    for count in (3, 6):
        one_sided = [compare([0.5 + 0.01 * place for place in range(count)], [0.4] * count).p] * 4
        assert smallest_possible([count] * 4) == holm(one_sided)


def test_kendalls_tau_counts_pairs_in_order() -> None:
    a, b = accuracies(8, 2, 12)
    pairs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in itertools.combinations(range(12), 2)]
    untied = [sum(pair[side] != 0 for pair in pairs) for side in (0, 1)]
    assert min(untied) < len(pairs)
    expected = sum(x * y for x, y in pairs) / math.sqrt(untied[0] * untied[1])
    assert kendall_tau(a, b) == pytest.approx(expected)
    assert kendall_tau([1, 2, 3], [0.1, 0.2, 0.3]) == pytest.approx(1)
    # Values that differ by rounding only are tied.
    assert kendall_tau([1, 2, 3], [0.3, 0.1 + 0.2, 0.3]) is None


def test_rankings_that_rank_nothing_have_no_tau() -> None:
    assert kendall_tau([], []) is None
    assert kendall_tau([1], [2]) is None
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None


def test_the_module_loads_no_scipy() -> None:
    program = "import sys, faqnas_optuna.training.statistics; print('scipy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout == "False\n"
