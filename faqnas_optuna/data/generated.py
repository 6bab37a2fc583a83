"""Generators of synthetic classification data of any size.

Five of them follow Bowles, Ahmed and Schuld, "Better than classical? The subtle art of benchmarking quantum machine learning
models" (arXiv 2403.07059) and its code (XanaduAI/qml-benchmarks), with two differences: classes always have equal sizes, and
features are standardised by the training part like those of any data set (`data.splits`). Spirals follow Kashif, Marchisio and
Shafique (arXiv 2412.04991), as far as that paper defines them.

A generator draws the parameters of the task before the samples, so that the task does not depend on the number of samples.
`data.generated_names` lists the names of the tasks.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

DECIMALS = 6
"""Number of decimals to which features are rounded.

Processors may compute sines that differ in the last bit; after rounding, the data are equal on all machines.
"""
MAX_ROUNDS = 200
"""Maximum number of draws until both classes are large enough."""

Points = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Features `x` (samples, features) and class indices `y` (samples,)."""


def linearly_separable(random: Generator, *, features: int, samples: int, margin: float) -> Points:
    """Return points of the cube [−1, 1]^features with |Σ xᵢ| > margin; class −1 where the sum is positive.

    The weight vector is fixed to (1, …, 1), not drawn. The margin is that of the sum: points are at least margin / √features
    away from the separating plane.
    """

    def draw(count: int) -> Points:
        # Rounding comes before the comparison, so that the margin also holds for the rounded points.
        x = np.round(random.uniform(-1, 1, (count, features)), DECIMALS)
        total = x.sum(axis=1)
        far = np.abs(total) > margin
        # Index 0 is the class of positive sums, so that its label is the −1 of the source.
        return x[far], (total[far] < 0).astype(np.int64)

    return _draw_balanced(draw, samples)


def hidden_manifold(random: Generator, *, features: int, samples: int, manifold: int) -> Points:
    """Return points x = tanh(c F / √m − b) of an m-dimensional manifold; class 1 where v · tanh(W c) / √m exceeds its median.

    F (m, features), W (m, m), v (m,) and the hidden coordinates c (samples, m) are normal, and b is uniform on [−1, 1]. After
    Goldt, Mézard, Krzakala and Zdeborová (Physical Review X 10, 041044, 2020). With fewer than m features, x does not
    determine c.
    """
    # The order of the draws is part of the definition: another order gives other data for the same seed.
    embedding = random.normal(size=(manifold, features))
    biases = random.uniform(-1, 1, features)
    hidden = random.normal(size=(manifold, manifold))
    output = random.normal(size=manifold)
    points = random.normal(size=(samples, manifold))
    x = np.tanh(points @ embedding / np.sqrt(manifold) - biases)
    scores = np.tanh(points @ hidden.T) @ output / np.sqrt(manifold)
    # Classes follow from the ranks. A comparison with the median would leave the median sample of an odd number undecided.
    y = np.empty(samples, dtype=np.int64)
    y[np.argsort(scores, kind="stable")] = np.arange(samples) >= samples // 2
    return x, y


def two_curves(random: Generator, *, features: int, samples: int, degree: int, offset: float, noise: float) -> Points:
    """Return points of a curve, and of the same curve shifted by `offset` in each feature, with normal noise.

    A feature is a Fourier series of t, which is uniform on [0, 1]: a₀ + b₀ + Σ aₖ cos(πkt) + bₖ sin(πkt) up to k = degree. The
    coefficients are uniform on [0, 1], divided by their common norm. After Buchanan, Gilboa and Wright, "Deep networks and the
    multiple manifold problem" (ICLR 2021).
    """
    coefficients = random.uniform(size=(features, degree + 1, 2))
    # Each has the shape (features, degree + 1).
    cosines, sines = np.moveaxis(coefficients / np.linalg.norm(coefficients), 2, 0)
    y = np.arange(samples) % 2
    # π k t (samples, degree). The constant terms have no angle and are added separately.
    angles = np.pi * random.uniform(size=(samples, 1)) * np.arange(1, degree + 1)
    curve = cosines[:, 0] + sines[:, 0] + np.cos(angles) @ cosines[:, 1:].T + np.sin(angles) @ sines[:, 1:].T
    return curve + offset * y[:, None] + noise * random.normal(size=curve.shape), y


def hyperplanes(random: Generator, *, features: int, samples: int, hyperplanes: int, subspace: int) -> Points:
    """Return points x = c E of normal c (subspace,); class 1 where c is above an odd number of the hyperplanes.

    A point is above a hyperplane if w · c + b > 0. All w (subspace,), b and E (subspace, features) are uniform on [0, 1]. With
    fewer features than dimensions of the subspace, x does not determine c.

    Raises:
        DataError: Nearly all points are of one class.
    """
    weights = random.uniform(size=(hyperplanes, subspace))
    biases = random.uniform(size=hyperplanes)
    embedding = random.uniform(size=(subspace, features))

    def draw(count: int) -> Points:
        points = random.normal(size=(count, subspace))
        return points, np.count_nonzero(points @ weights.T + biases > 0, axis=1) % 2

    points, y = _draw_balanced(draw, samples)
    return points @ embedding, y


def bars_and_stripes(random: Generator, *, height: int, width: int, samples: int, noise: float) -> Points:
    """Return images of −1 on which whole columns ("bars") or whole rows ("stripes") are 1, with normal noise on each pixel.

    Pixels are ordered row by row. Each line of an image is set with probability 1/2, so a share of 2^(1−lines) of the images
    is uniform and does not reveal the class.
    """
    y = np.arange(samples) % 2
    columns = random.random((samples, 1, width)) < 0.5
    rows = random.random((samples, height, 1)) < 0.5
    # (samples, height, width): columns and rows broadcast over the other axis of the image.
    images = np.where(np.where(y[:, None, None] == 1, rows, columns), 1.0, -1.0)
    return (images + noise * random.normal(size=images.shape)).reshape(samples, height * width), y


def spirals(random: Generator, *, features: int, samples: int, classes: int, turns: float, noise: float) -> Points:
    """Return points of a spiral with one arm for each class, and further features that are noisy functions of the first two.

    The paper has 1,500 samples in 3 classes, each of them one arm, and 10 to 110 features. Its further features are "non-linear
    transformations of the existing features", and its noise level is 0.1 + 0.003 × features. The rest is our choice. With t
    uniform on [0, 1], the radius is t and the angle 2π (turns × t + class / classes), with normal noise whose standard
    deviation in radians is the noise level. Further features are sin(π (x₁, x₂) · w + p), w normal and p uniform on [0, 2π],
    with normal noise of the same standard deviation.
    """
    mixing = random.normal(size=(2, features - 2))
    phases = random.uniform(0, 2 * np.pi, features - 2)
    # Classes alternate, so that their sizes differ by at most one; the split shuffles the samples.
    y = np.arange(samples) % classes
    radius = random.uniform(size=samples)
    angle = 2 * np.pi * (turns * radius + y / classes) + noise * random.normal(size=samples)
    plane = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    further = np.sin(np.pi * plane @ mixing + phases)
    return np.concatenate((plane, further + noise * random.normal(size=further.shape)), axis=1), y


def _draw_balanced(draw: Callable[[int], Points], samples: int) -> Points:
    """Draw until both classes have half of the samples; class 0 has one more if `samples` is odd.

    Raises:
        DataError: `MAX_ROUNDS` draws are not enough.
    """
    points: list[Points] = []
    lacking = np.array([samples - samples // 2, samples // 2])
    for _ in range(MAX_ROUNDS):
        # Every round draws `samples` points, however few are lacking: points and their order are part of the definition.
        x, y = draw(samples)
        rows_of = [np.flatnonzero(y == label)[: lacking[label]] for label in (0, 1)]
        rows = np.sort(np.concatenate(rows_of))
        points.append((x[rows], y[rows]))
        lacking -= [len(label_rows) for label_rows in rows_of]
        if not lacking.any():
            return np.concatenate([x for x, _ in points]), np.concatenate([y for _, y in points])
    raise DataError("nearly all points of this task are in one class; use another seed")
