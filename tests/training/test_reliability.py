import math

import numpy as np
import pytest

from faqnas_optuna.training.reliability import Reliability, intraclass_correlation

JUDGED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=np.float64)
"""Ratings of six targets by four judges: table 2 of Shrout and Fleiss (1979), whose ICC(1,1) is .17 by their table 4."""


def reliability(value: float) -> Reliability:
    return Reliability(value=value, low=value, high=value, circuits=24, trainings=4)


def test_the_example_of_shrout_and_fleiss() -> None:
    result = intraclass_correlation(JUDGED)
    assert result is not None
    assert round(result.value, 2) == 0.17
    # Compare with the output of R's psych::ICC for these data.
    assert (round(result.low, 2), round(result.high, 2)) == (-0.13, 0.72)
    assert (result.circuits, result.trainings) == (6, 4)


def test_it_is_the_share_of_the_variance_between_circuits() -> None:
    generator = np.random.default_rng(0)
    circuits = generator.normal(0, math.sqrt(0.3), (20_000, 1))
    result = intraclass_correlation(circuits + generator.normal(0, math.sqrt(0.7), (20_000, 4)))
    assert result is not None
    assert result.low < 0.3 < result.high and result.high - result.low < 0.02


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        drawn = generator.normal(0, math.sqrt(0.3), (24, 1)) + generator.normal(0, math.sqrt(0.7), (24, 4))
        result = intraclass_correlation(drawn)
        assert result is not None
        covered += result.low <= 0.3 <= result.high
    assert 930 <= covered <= 970


def test_trainings_that_always_agree() -> None:
    result = intraclass_correlation(np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]))
    assert result is not None and (result.value, result.low, result.high) == (1, 1, 1)


def test_circuits_that_are_all_alike_cannot_be_told_apart() -> None:
    # The mean of these equal values often differs from them in the last bit.
    assert all(intraclass_correlation(np.full((24, 4), right / 30)) is None for right in range(31))


@pytest.mark.parametrize(("value", "repeats"), [(0.09, 41), (0.15, 23), (0.3, 10), (0.5, 4), (0.81, 1), (1, 1)])
def test_so_many_repeats_are_reliable(value: float, repeats: int) -> None:
    """Check among others the first three values, those of Iris, Wine and Breast Cancer at the paper's budget."""
    result = reliability(value)
    assert result.repeats == repeats
    assert result.of_mean(repeats) >= 0.8 - 1e-9
    assert repeats == 1 or result.of_mean(repeats - 1) < 0.8


@pytest.mark.parametrize("value", [-0.2, 0, 0.01])
def test_no_number_of_repeats_is_too_large(value: float) -> None:
    assert reliability(value).repeats == 50
    assert 0 <= reliability(value).of_mean(50) < 0.8


def test_the_mean_of_two_is_what_spearman_and_brown_say() -> None:
    assert reliability(0.5).of_mean(2) == pytest.approx(2 / 3)
    assert reliability(0.5).of_mean(1) == 0.5
