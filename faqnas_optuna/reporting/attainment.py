"""Attainment surfaces: the errors that a share of several fronts attains at each cost.

A front attains a point (cost, error) if one of its circuits has at most that cost and at most that error. The surface of a
share p bounds the points that at least a share p of the fronts attain, by the empirical attainment function of da Fonseca,
Fonseca and Hall (2001, doi.org/10.1007/3-540-44719-9_15). Its median summarises fronts without requiring a circuit to be on
several of them.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def attainment_surface(fronts: Sequence[Floats], share: float) -> Floats:
    """Return the corners (corners, 2) of the surface that a share of the fronts attains, sorted by cost.

    >>> fronts = [np.array([[1, 0.5], [3, 0.2]]), np.array([[2, 0.4]])]
    >>> attainment_surface(fronts, 0.5)
    array([[1. , 0.5],
           [2. , 0.4],
           [3. , 0.2]])
    >>> attainment_surface(fronts, 1)
    array([[2. , 0.5],
           [3. , 0.4]])

    Args:
        fronts: Costs and errors (circuits, 2) of each front.
        share: Share of the fronts, above 0 and at most 1.
    """
    costs = np.unique(np.concatenate([front[:, 0] for front in fronts]))
    errors = np.sort([_lowest(front, costs) for front in fronts], axis=0)
    # Rounding must not turn 0.25 of 4 fronts into two of them.
    attained = errors[max(math.ceil(share * len(fronts) - 1e-9), 1) - 1]
    is_corner = attained < np.append(np.inf, attained[:-1])
    return np.column_stack([costs[is_corner], attained[is_corner]])


def _lowest(front: Floats, costs: Floats) -> Floats:
    """Return the lowest error (costs,) of a front's circuits up to each cost; infinite below its first."""
    order = np.argsort(front[:, 0], kind="stable")
    lowest = np.minimum.accumulate(front[order, 1])
    return np.asarray(np.append(np.inf, lowest)[np.searchsorted(front[order, 0], costs, side="right")])
