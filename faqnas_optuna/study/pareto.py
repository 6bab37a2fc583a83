"""Fronts and hypervolumes of points with two objectives, both minimised."""

import math

import numpy as np
from numpy.typing import NDArray

BEYOND = 1.1
"""Boxes reach a tenth beyond the dearest circuit: at their edge a better one at that price would count nothing."""


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


def log_hypervolume(points: NDArray[np.float64], flops_range: tuple[float, float]) -> float:
    """Share that the points (n, 2) of (cost F, validation error) dominate of a box in (log₁₀ F, error), from 0 to 1.

    The cost is quantum FLOPs, or -ln ESP on a device. The box reaches from the cheapest circuit of a space to `BEYOND` times
    the dearest, the two of `flops_range`, and from an error of 0 to 1. What is summed is d(log₁₀ F) · d(error) over
    log₁₀(BEYOND · dearest / cheapest): halving the cost is worth the same wherever on the front, while in F itself all but the
    dearest circuits lie in a sliver at its edge. To take logarithms gives each part of the box in F the weight 1 / F, and a
    hypervolume with such a weight still grows with every point that dominates more (Zitzler, Brockhoff & Thiele 2007,
    DOI 10.1007/978-3-540-70928-2_64).

    A point that is cheaper than the box, as by the counts of another version, lies at its edge. Where all circuits cost the
    same all lie there, and the share is 1 - the lowest error.
    """
    cheapest, dearest = flops_range
    width = math.log10(BEYOND * dearest / cheapest)
    scaled = np.log10(np.maximum(points[:, 0], cheapest) / cheapest) / width
    return hypervolume(np.column_stack([scaled, points[:, 1]]), (1.0, 1.0))


def linear_hypervolume(points: NDArray[np.float64], flops_range: tuple[float, float]) -> float:
    """Share that the points (n, 2) of (cost, validation error) dominate of the box from the origin to `BEYOND` times
    the dearest circuit of a space, the second of `flops_range`, and an error of 1: what the literature calls hypervolume."""
    return hypervolume(points, (BEYOND * flops_range[1], 1.0))
