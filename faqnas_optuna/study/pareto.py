"""Pareto fronts and hypervolumes of points with two objectives, both minimised."""

import math
from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_MARGIN = 1.1
"""Ratio of the upper cost of a hypervolume's box to the cost of the most expensive circuit.

With a ratio of 1 the most expensive circuit would lie on the edge, and even a perfect accuracy would add nothing.
"""


def non_dominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the mask (n,) of the non-dominated points among points (n, 2).

    A point dominates another if it is at least as good in both objectives and better in one. Equal points do not dominate each
    other.

    >>> non_dominated(np.array([[1.0, 0.5], [2.0, 0.1], [3.0, 0.2], [2.0, 0.1]]))
    array([ True,  True, False,  True])
    """
    is_on_front = np.zeros(len(points), dtype=np.bool_)
    lowest = np.inf
    # In the order of the first objective, then the second, a point is on the front if its second objective is lower than all
    # before, or if it equals the last point on the front.
    order = np.lexsort((points[:, 1], points[:, 0]))
    last: NDArray[np.float64] | None = None
    for index in order:
        if points[index, 1] < lowest:
            lowest = points[index, 1]
            last = points[index]
            is_on_front[index] = True
        elif last is not None and (points[index] == last).all():
            is_on_front[index] = True
    return is_on_front


def layers(points: NDArray[Any]) -> list[int]:
    """Return the layer of each point (n, 2): 0 if it is non-dominated, 1 if it is without those of layer 0, and so on.

    >>> layers(np.array([[1.0, 0.5], [2.0, 0.1], [3.0, 0.2], [2.0, 0.1], [3.0, 0.6]]))
    [0, 0, 1, 0, 2]
    """
    layer_of: dict[tuple[Any, Any], int] = {}
    # In the order of both objectives the last point of a layer is its lowest, and these are sorted by layer.
    lowest: list[Any] = []
    for first, second in sorted(map(tuple, points.tolist())):
        if (first, second) not in layer_of:
            layer = layer_of[first, second] = bisect_right(lowest, second)
            lowest[layer : layer + 1] = [second]
    return [layer_of[first, second] for first, second in points.tolist()]


def hypervolume(points: NDArray[np.float64], reference: tuple[float, float]) -> float:
    """Return the share, from 0 to 1, of the box between the origin and `reference` that points (n, 2) dominate.

    Both objectives are non-negative. Points outside the box are ignored. (Zitzler & Thiele 1998, DOI 10.1007/BFb0056872.)

    >>> hypervolume(np.array([[0.5, 0.5]]), (1.0, 1.0))
    0.25
    """
    inside = points[(points < reference).all(axis=1)]
    area = 0.0
    ceiling = reference[1]
    # In two dimensions the hypervolume is a sum of rectangles. Sorting by both objectives makes the order of the summands, and
    # so the last bit of the sum, independent of the order of the points.
    for first, second in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if second < ceiling:
            area += (reference[0] - first) * (ceiling - second)
            ceiling = second
    return float(area / (reference[0] * reference[1]))


def log_hypervolume(points: NDArray[np.float64], flops_range: tuple[float, float]) -> float:
    """Return the hypervolume of points (n, 2) of (cost F, validation error) in (log₁₀ F, error), from 0 to 1.

    The cost is quantum FLOPs, or -ln ESP on a device. The box reaches from the cheapest circuit of a space to `BOX_MARGIN`
    times the most expensive, and from an error of 0 to 1. Its area is normalised to 1.

    On the logarithmic scale, halving the cost counts the same everywhere on the front. On a linear scale nearly all circuits
    would lie in a narrow strip at the edge of the box. The logarithm weights the area in F with 1 / F, and a weighted
    hypervolume still increases with every point that dominates more (Zitzler, Brockhoff & Thiele 2007,
    DOI 10.1007/978-3-540-70928-2_64).

    A point that is cheaper than the cheapest circuit, for example by the FLOP counts of another version, is moved to the edge
    of the box. If all circuits have the same cost, the hypervolume is 1 - the lowest error.

    Args:
        points: Cost and validation error of each circuit.
        flops_range: Cost of the cheapest and of the most expensive circuit of the space.
    """
    cheapest, most_expensive = flops_range
    width = math.log10(BOX_MARGIN * most_expensive / cheapest)
    # The cost runs from 0 for the cheapest circuit to 1 at the far edge of the box.
    scaled = np.log10(np.maximum(points[:, 0], cheapest) / cheapest) / width
    return hypervolume(np.column_stack([scaled, points[:, 1]]), (1.0, 1.0))


def linear_hypervolume(points: NDArray[np.float64], flops_range: tuple[float, float]) -> float:
    """Return the hypervolume of points (n, 2) of (cost, validation error) as the literature defines it, from 0 to 1.

    The box reaches from the origin to `BOX_MARGIN` times the cost of the most expensive circuit, the second of `flops_range`,
    and to an error of 1.
    """
    return hypervolume(points, (BOX_MARGIN * flops_range[1], 1.0))
