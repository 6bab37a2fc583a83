"""Data made by a definition, of any size: numbers of a random generator become samples.

Five definitions are those of Bowles, Ahmed and Schuld, "Better than classical? The subtle art of benchmarking quantum machine
learning models" (arXiv 2403.07059) and of its code (XanaduAI/qml-benchmarks). Ours differ from that code in this: classes are
always of equal size, and what is standardised is so by the training part, as of any data set (`data.splits`). Spirals are those
of Kashif, Marchisio and Shafique (arXiv 2412.04991), as far as that paper defines them.

What defines the task is drawn before the samples: another number of samples is of the same task. `data.generated_names` lists
the names of all tasks.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError

DECIMALS = 6
"""Of every feature: two processors, whose sines differ in the last bit, make the same bytes."""
MOST_ROUNDS = 200
"""As many draws of all samples until both classes are large enough."""

Points = tuple[NDArray[np.float64], NDArray[np.int64]]
"""`x` (samples, features) and class indices `y` (samples,)."""


def linearly_separable(random: Generator, *, features: int, samples: int, margin: float) -> Points:
    """Points of the cube [−1, 1]^features with |Σ xᵢ| > margin; class −1 where the sum is positive.

    The weight vector is (1, …, 1) and is no part of what is drawn. The margin is that of the sum: points are at least
    margin / √features from the plane.
    """

    def draw(count: int) -> Points:
        # Rounded before the margin is looked at, which so holds of what is kept.
        x = np.round(random.uniform(-1, 1, (count, features)), DECIMALS)
        total = x.sum(axis=1)
        far = np.abs(total) > margin
        return x[far], (total[far] < 0).astype(np.int64)

    return _balanced(draw, samples)


def hidden_manifold(random: Generator, *, features: int, samples: int, manifold: int) -> Points:
    """Points x = tanh(c F / √m − b) of a manifold of m dimensions; class 1 where v · tanh(W c) / √m is above its median.

    F (m, features), W (m, m), v (m,) and the hidden coordinates c (samples, m) are normal, b uniform on [−1, 1]. After Goldt,
    Mézard, Krzakala and Zdeborová (Physical Review X 10, 041044, 2020). With fewer features than m, x does not tell c.
    """
    embedding = random.normal(size=(manifold, features))
    biases = random.uniform(-1, 1, features)
    hidden, output = random.normal(size=(manifold, manifold)), random.normal(size=manifold)
    points = random.normal(size=(samples, manifold))
    x = np.tanh(points @ embedding / np.sqrt(manifold) - biases)
    told = np.tanh(points @ hidden.T) @ output / np.sqrt(manifold)
    # By rank rather than against the median, which is a sample's own value if their number is odd.
    y = np.empty(samples, dtype=np.int64)
    y[np.argsort(told, kind="stable")] = np.arange(samples) >= samples // 2
    return x, y


def two_curves(random: Generator, *, features: int, samples: int, degree: int, offset: float, noise: float) -> Points:
    """Points of a curve, and of the same curve shifted by `offset` in each feature, with normal noise on each feature.

    A feature is a Fourier series of t, which is uniform on [0, 1]: a₀ + b₀ + Σ aₖ cos(πkt) + bₖ sin(πkt) up to k = degree. The
    coefficients are uniform on [0, 1], divided by the norm of all of them together. After Buchanan, Gilboa and Wright, "Deep
    networks and the multiple manifold problem" (ICLR 2021).
    """
    coefficients = random.uniform(size=(features, degree + 1, 2))
    cosines, sines = np.moveaxis(coefficients / np.linalg.norm(coefficients), 2, 0)
    y = np.arange(samples) % 2
    angles = np.pi * random.uniform(size=(samples, 1)) * np.arange(1, degree + 1)
    curve = cosines[:, 0] + sines[:, 0] + np.cos(angles) @ cosines[:, 1:].T + np.sin(angles) @ sines[:, 1:].T
    return curve + offset * y[:, None] + noise * random.normal(size=curve.shape), y


def hyperplanes(random: Generator, *, features: int, samples: int, hyperplanes: int, subspace: int) -> Points:
    """Normal points c of `subspace` dimensions, shown as c E; class 1 where c is above an odd number of the hyperplanes.

    It is above one where w · c + b > 0. The w, the b and the E (subspace, features) are uniform on [0, 1]. With fewer features
    than dimensions, x does not tell c.

    Raises:
        DataError: nearly all points are of one class.
    """
    weights, biases = random.uniform(size=(hyperplanes, subspace)), random.uniform(size=hyperplanes)
    embedding = random.uniform(size=(subspace, features))

    def draw(count: int) -> Points:
        points = random.normal(size=(count, subspace))
        return points, np.count_nonzero(points @ weights.T + biases > 0, axis=1) % 2

    points, y = _balanced(draw, samples)
    return points @ embedding, y


def bars_and_stripes(random: Generator, *, height: int, width: int, samples: int, noise: float) -> Points:
    """Images of −1 on which whole columns ("bars") or whole rows ("stripes") are 1, with normal noise on each pixel.

    Pixels come row by row. Each line of an image is drawn with probability 1/2, so that 2^(1−lines) of the images have all
    pixels alike, and tell nothing of their class.
    """
    y = np.arange(samples) % 2
    columns, rows = random.random((samples, 1, width)) < 0.5, random.random((samples, height, 1)) < 0.5
    images = np.where(np.where(y[:, None, None] == 1, rows, columns), 1.0, -1.0)
    return (images + noise * random.normal(size=images.shape)).reshape(samples, height * width), y


def spirals(random: Generator, *, features: int, samples: int, classes: int, turns: float, noise: float) -> Points:
    """Points of one spiral arm for each class, and further features that are noisy non-linear functions of the first two.

    The paper tells of 1,500 samples, 3 classes, 10 to 110 features, each class an arm; further features are "non-linear
    transformations of the existing features", and noise is 0.1 + 0.003 × features. The rest is our choice: with t uniform on
    [0, 1], radius t and angle 2π (turns × t + class / classes), which has normal noise of that deviation in radians; further
    features sin(π (x₁, x₂) · w + p), w normal and p uniform on [0, 2π], with normal noise of the same deviation.
    """
    mixing, phases = random.normal(size=(2, features - 2)), random.uniform(0, 2 * np.pi, features - 2)
    y = np.arange(samples) % classes
    radius = random.uniform(size=samples)
    angle = 2 * np.pi * (turns * radius + y / classes) + noise * random.normal(size=samples)
    plane = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    further = np.sin(np.pi * plane @ mixing + phases)
    return np.concatenate((plane, further + noise * random.normal(size=further.shape)), axis=1), y


def _balanced(draw: Callable[[int], Points], samples: int) -> Points:
    """Points of two classes in equal numbers, the first having one more if `samples` is odd, of as many draws as that takes.

    Raises:
        DataError: it would take too many.
    """
    drawn: list[Points] = []
    lacking = np.array([samples - samples // 2, samples // 2])
    for _ in range(MOST_ROUNDS):
        x, y = draw(samples)
        # Of each class no more than is lacking.
        places = [np.flatnonzero(y == label)[: lacking[label]] for label in (0, 1)]
        kept = np.sort(np.concatenate(places))
        drawn.append((x[kept], y[kept]))
        lacking -= [len(place) for place in places]
        if not lacking.any():
            return np.concatenate([x for x, _ in drawn]), np.concatenate([y for _, y in drawn])
    raise DataError("nearly all points of such a task are of one class; take another seed")
