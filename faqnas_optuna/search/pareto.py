"""Fronts and hypervolumes of points with two objectives, both minimised."""

import numpy as np
from numpy.typing import NDArray


def non_dominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (n, 2) no other point dominates.

    A point dominates another if it is nowhere worse and somewhere better; equal points do not dominate each other.
    """
    keep = np.zeros(len(points), dtype=np.bool_)
    best = np.inf
    # By the first objective, then the second: a point is on the front if its second beats all that came before,
    # or if it equals the point that did.
    order = np.lexsort((points[:, 1], points[:, 0]))
    last: NDArray[np.float64] | None = None
    for index in order:
        if points[index, 1] < best:
            best, last = points[index, 1], points[index]
            keep[index] = True
        elif last is not None and (points[index] == last).all():
            keep[index] = True
    return keep


def hypervolume(points: NDArray[np.float64], reference: tuple[float, float]) -> float:
    """Share of the box between the origin and `reference` that the points (n, 2) dominate, from 0 to 1.

    Both objectives are non-negative. Points beyond the reference count nothing. (Zitzler & Thiele 1998,
    DOI 10.1007/BFb0056872; in two dimensions a sum of rectangles.)
    """
    inside = points[(points < reference).all(axis=1)]
    area, ceiling = 0.0, reference[1]
    # By both, so that the sum is the same to the last bit in whatever order the points come.
    for first, second in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if second < ceiling:
            area += (reference[0] - first) * (ceiling - second)
            ceiling = second
    return float(area / (reference[0] * reference[1]))
