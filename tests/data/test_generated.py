"""Properties that the definitions of generated data promise, tested on the samples.

Tests that need a hidden network, plane or curve draw it again, in the order of the definition, and apply it to each sample as
the code of arXiv 2403.07059 does.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from sklearn.linear_model import Perceptron
from sklearn.svm import LinearSVC

from faqnas_optuna.data.generated import (
    Points,
    bars_and_stripes,
    hidden_manifold,
    hyperplanes,
    linearly_separable,
    spirals,
    two_curves,
)
from faqnas_optuna.data.generated_names import DEFINITIONS, Recipe
from faqnas_optuna.errors import DataError


def random(seed: int = 0) -> Generator:
    return Generator(PCG64(seed))


def test_a_margin_separates_the_linearly_separable() -> None:
    x, y = linearly_separable(random(), features=5, samples=1_000, margin=0.7)
    total = x.sum(axis=1)
    assert np.all(np.abs(total) > 0.7) and np.abs(total).min() < 0.72
    assert np.array_equal(y == 0, total > 0)
    assert np.abs(x).max() <= 1 and x.min() < -0.99 and x.max() > 0.99
    # Linear classifiers learn the separation from the samples alone.
    learned = LinearSVC(C=1e4, max_iter=100_000).fit(x, y)
    assert learned.score(x, y) == 1 and Perceptron(max_iter=10_000, tol=None).fit(x, y).score(x, y) == 1
    ones = np.ones(5) / math.sqrt(5)
    assert abs(learned.coef_[0] @ ones) / np.linalg.norm(learned.coef_) > 0.98
    assert abs(total / math.sqrt(5)).min() >= 0.7 / math.sqrt(5)


def test_a_hidden_manifold_has_as_many_dimensions_as_it_says() -> None:
    x, _ = hidden_manifold(random(), features=12, samples=500, manifold=3)
    before = np.arctanh(x)
    values = np.linalg.svd(before - before.mean(axis=0), compute_uv=False)
    assert values[2] > 1 and values[3] < 1e-6 * values[2]


def test_the_network_of_a_hidden_manifold_tells_the_classes_from_the_samples() -> None:
    x, y = hidden_manifold(random(7), features=12, samples=200, manifold=4)
    again = random(7)
    embedding, biases = again.normal(size=(4, 12)), again.uniform(-1, 1, 12)
    hidden, output = again.normal(size=(4, 4)), again.normal(size=4)
    values = []
    for sample in x:
        # Solve for the hidden coordinates of this sample.
        point = np.linalg.lstsq(embedding.T / math.sqrt(4), np.arctanh(sample) + biases, rcond=None)[0]
        values.append(float(np.dot(output, np.tanh(hidden @ point) / np.sqrt(4))))
    assert np.array_equal(y == 1, values > np.median(values))


def fourier(t: float, coefficients: np.ndarray) -> float:
    """Return one feature of a curve, summed term by term."""
    total = coefficients[0, 0] + coefficients[0, 1]
    for frequency in range(1, len(coefficients)):
        total += coefficients[frequency, 0] * math.cos(frequency * math.pi * t)
        total += coefficients[frequency, 1] * math.sin(frequency * math.pi * t)
    return float(total)


def test_each_of_two_curves_is_a_fourier_series_within_the_noise() -> None:
    degree, offset, noise, features = 4, 0.3, 0.002, 6
    x, y = two_curves(random(3), features=features, samples=400, degree=degree, offset=offset, noise=noise)
    coefficients = random(3).uniform(size=(features, degree + 1, 2))
    coefficients /= math.sqrt((coefficients**2).sum())
    curve = np.array([[fourier(t, one) for one in coefficients] for t in np.linspace(0, 1, 2_000)])
    for label, shift in ((0, 0.0), (1, offset)):
        away = np.linalg.norm(x[y == label][:, None] - (curve + shift)[None], axis=2).min(axis=1)
        # The distance to the curve contains the noise in all directions but that of the curve.
        assert away.max() < 5 * noise * math.sqrt(features)
        assert math.sqrt((away**2).mean() / (features - 1)) == pytest.approx(noise, rel=0.1)
        other = np.linalg.norm(x[y == label][:, None] - (curve + offset - shift)[None], axis=2).min(axis=1)
        assert other.min() > 10 * noise


def test_curves_without_noise_are_apart_by_the_offset_in_each_feature() -> None:
    x, y = two_curves(random(), features=8, samples=2_000, degree=2, offset=0.25, noise=0)
    here, there = x[y == 0], x[y == 1] - 0.25
    away = np.linalg.norm(here[:, None] - there[None], axis=2).min(axis=1)
    assert np.quantile(away, 0.99) < 0.01 * np.linalg.norm(np.ptp(here, axis=0))


def test_the_class_is_the_parity_of_the_hyperplanes_below_a_point() -> None:
    x, y = hyperplanes(random(5), features=9, samples=600, hyperplanes=4, subspace=3)
    values = np.linalg.svd(x, compute_uv=False)
    assert values[2] > 0.1 and values[3] < 1e-9 * values[2]
    again = random(5)
    weights, biases, embedding = again.uniform(size=(4, 3)), again.uniform(size=4), again.uniform(size=(3, 9))
    for sample, label in zip(x, y, strict=True):
        point = np.linalg.lstsq(embedding.T, sample, rcond=None)[0]
        above = sum(1 for weight, bias in zip(weights, biases, strict=True) if np.dot(weight, point) + bias > 0)
        assert label == above % 2


LOPSIDED = 3
"""Seed that draws a plane far from all points."""


def test_hyperplanes_that_leave_nearly_all_on_one_side_are_refused() -> None:
    with pytest.raises(DataError, match="nearly all points of this task are in one class; use another seed"):
        hyperplanes(random(LOPSIDED), features=2, samples=20, hyperplanes=1, subspace=2)


def test_every_image_is_one_of_bars_or_of_stripes() -> None:
    x, y = bars_and_stripes(random(), height=5, width=3, samples=600, noise=0)
    assert x.shape == (600, 15) and set(np.unique(x)) == {-1, 1}
    for sample, label in zip(x.reshape(600, 5, 3), y, strict=True):
        assert all(np.array_equal(one, other) for one, other in pairwise(sample if label == 0 else sample.T))
    # All possible images occur: 2^3 with bars, 2^5 with stripes.
    assert len(np.unique(x[y == 0], axis=0)) == 8 and len(np.unique(x[y == 1], axis=0)) == 32


def test_noise_is_added_to_every_pixel() -> None:
    x, _ = bars_and_stripes(random(), height=8, width=8, samples=400, noise=0.2)
    noise = x - np.where(x > 0, 1, -1)
    assert noise.std() == pytest.approx(0.2, rel=0.02) and abs(noise.mean()) < 0.01
    assert np.all(np.abs(noise.std(axis=0) - 0.2) < 0.05)


@pytest.mark.parametrize(("classes", "turns"), [(3, 1.0), (5, 2.5), (2, 0.0)])
def test_the_angle_of_a_spiral_follows_from_its_radius(classes: int, turns: float) -> None:
    x, y = spirals(random(), features=4, samples=500, classes=classes, turns=turns, noise=0)
    radius = np.hypot(x[:, 0], x[:, 1])
    assert radius.min() >= 0 and radius.max() <= 1 and np.ptp(radius) > 0.95
    expected = 2 * np.pi * (turns * radius + y / classes)
    turned = np.arctan2(x[:, 1], x[:, 0]) - expected
    assert np.abs(np.sin(turned / 2)).max() < 1e-9


def test_the_noise_of_a_spiral_is_of_its_angle_and_of_the_further_features() -> None:
    clean, _ = spirals(random(2), features=12, samples=4_000, classes=3, turns=1, noise=0)
    noisy, y = spirals(random(2), features=12, samples=4_000, classes=3, turns=1, noise=0.1)
    radius = np.hypot(noisy[:, 0], noisy[:, 1])
    turned = np.arctan2(noisy[:, 1], noisy[:, 0]) - 2 * np.pi * (radius + y / 3)
    turned = (turned + np.pi) % (2 * np.pi) - np.pi
    assert turned.std() == pytest.approx(0.1, rel=0.05)
    # Without noise the other features are non-linear functions of the first two.
    again = random(2)
    mixing, phases = again.normal(size=(2, 10)), again.uniform(0, 2 * np.pi, 10)
    further = np.sin(np.pi * clean[:, :2] @ mixing + phases)
    assert clean[:, 2:] == pytest.approx(further, abs=1e-12)
    deviations = noisy[:, 2:] - np.sin(np.pi * noisy[:, :2] @ mixing + phases)
    assert deviations.std() == pytest.approx(0.1, rel=0.05)


MAKERS: list[tuple[Callable[..., Points], dict[str, float]]] = [
    (definition.make, {key: value for key, value in Recipe.read(name).values.items() if key not in ("seed", "samples")})
    for name, definition in DEFINITIONS.items()
]
NAMES = list(DEFINITIONS)


@pytest.mark.parametrize(("make", "values"), MAKERS, ids=NAMES)
def test_one_seed_makes_the_same_bytes_and_another_others(make: Callable[..., Points], values: dict[str, float]) -> None:
    first, again, other = (make(random(seed), samples=50, **values) for seed in (0, 0, 1))
    assert first[0].tobytes() == again[0].tobytes() and first[1].tobytes() == again[1].tobytes()
    assert first[0].tobytes() != other[0].tobytes()


@pytest.mark.parametrize("samples", [60, 61])
@pytest.mark.parametrize(("make", "values"), MAKERS, ids=NAMES)
def test_classes_are_of_equal_size(make: Callable[..., Points], values: dict[str, float], samples: int) -> None:
    x, y = make(random(), samples=samples, **values)
    assert len(x) == len(y) == samples and np.isfinite(x).all()
    sizes = np.bincount(y)
    assert len(sizes) == values.get("classes", 2) and np.ptp(sizes) <= 1


def test_a_task_is_the_same_for_more_samples() -> None:
    few, many = (hyperplanes(random(), features=4, samples=samples, hyperplanes=3, subspace=2)[0] for samples in (50, 5_000))
    # Both lie in the plane of the same embedding.
    *_, rows = np.linalg.svd(many, full_matrices=False)
    outside = few - few @ rows[:2].T @ rows[:2]
    assert np.abs(outside).max() < 1e-9
