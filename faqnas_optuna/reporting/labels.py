"""Placement of labels beside points without overlaps; deterministic, so that equal figures have equal bytes."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BELOW = ((-1, -1), (0, -1), (1, -1))
BESIDE = ((-1, 0), (-1, -0.5), (-1, 0.5), (1, -0.5), (1, 0), (1, 0.5))
ABOVE = ((1, 1), (0, 1), (-1, 1))
# A front falls from left to right, so the space below and to the left of a point is free of other points of the front.
DIRECTIONS: tuple[tuple[float, float], ...] = (*BELOW, *BESIDE, *ABOVE)
"""Directions (right, up) from a point to its label, best first."""
STEPS = (1, 1.5, 2, 2.5)
"""Distances from a point to its label, in gaps, best first."""


class Box(NamedTuple):
    """An axis-aligned rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, *, width: float, height: float) -> "Box":
        """Return the box with its centre at (x, y)."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def nearest_to(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to (x, y).

        >>> Box(0, 0, 2, 1).nearest_to(3, 0.5)
        (2, 0.5)
        """
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def grown(self, margin: float) -> "Box":
        """Return the box enlarged by a margin on every side; a negative margin shrinks it."""
        return Box(self.left - margin, self.bottom - margin, self.right + margin, self.top + margin)

    def contains(self, other: "Box") -> bool:
        """Return whether another box lies within this one."""
        return self.left <= other.left and self.bottom <= other.bottom and other.right <= self.right and other.top <= self.top


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    gap: float,
    air: float,
    obstacles: Sequence[Box],
    bounds: Box,
) -> list[Box | None]:
    """Place labels so that they overlap neither each other nor an obstacle.

    Args:
        points: Coordinates (x, y) of each point.
        sizes: Size (width, height) of the label of each point.
        gap: Minimum distance between a point and its label.
        air: Minimum distance between two labels; adjacent numbers without space would read as one number.
        obstacles: Boxes that no label may overlap, including the marks of the points.
        bounds: Box that contains all labels.

    Returns:
        The box of each label; None if no place is free.
    """
    solid = _array(obstacles)
    free_places = [
        [box for box in _places(point, size, gap) if bounds.contains(box) and not _overlaps(box, solid)]
        for point, size in zip(points, sizes, strict=True)
    ]
    placed: dict[int, Box] = {}
    padded: list[Box] = []
    # Points with the fewest free places choose first: they would be the first to get none.
    for index in sorted(range(len(points)), key=lambda index: len(free_places[index])):
        box = next((box for box in free_places[index] if not _overlaps(box, _array(padded))), None)
        if box:
            placed[index] = box
            padded.append(box.grown(air))
    return [placed.get(index) for index in range(len(points))]


def _places(point: tuple[float, float], size: tuple[float, float], gap: float) -> list[Box]:
    """Return the possible places of a label, best first: all near ones before any farther one."""
    x, y = point
    width, height = size
    places = []
    for step, (right, up) in product(STEPS, DIRECTIONS):
        centre_x = x + right * (gap * step + width / 2)
        centre_y = y + up * (gap * step + height / 2)
        places.append(Box.around(centre_x, centre_y, width=width, height=height))
    return places


def _array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    # The reshape gives the array of no boxes its four columns.
    return np.array(boxes, np.float64).reshape(-1, 4)


def _overlaps(box: Box, others: NDArray[np.float64]) -> bool:
    """Return whether a box shares more than an edge with any of the (n, 4) others."""
    left, bottom, right, top = others.T
    return bool(((box.left < right) & (left < box.right) & (box.bottom < top) & (bottom < box.top)).any())
