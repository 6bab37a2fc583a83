"""Where the labels of points stand: beside them, and on nothing else. The same points always give the same places."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BELOW, ABOVE = ((-1, -1), (0, -1), (1, -1)), ((1, 1), (0, 1), (-1, 1))
BESIDE = ((-1, 0), (-1, -0.5), (-1, 0.5), (1, -0.5), (1, 0), (1, 0.5))
DIRECTIONS: tuple[tuple[float, float], ...] = (*BELOW, *BESIDE, *ABOVE)
"""From a point to its label, best first: below a point of a front that falls there is nothing else of it."""
STEPS = (1, 1.5, 2, 2.5)
"""How far a label may stand from its point, in gaps."""


class Box(NamedTuple):
    """A rectangle along the axes."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, *, width: float, height: float) -> "Box":
        """With its centre at a point."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def nearest_to(self, x: float, y: float) -> tuple[float, float]:
        """The place in it that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def grown(self, by: float) -> "Box":
        """With so much more on every side."""
        return Box(self.left - by, self.bottom - by, self.right + by, self.top + by)

    def holds(self, other: "Box") -> bool:
        """Whether another lies within."""
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
    """Find places for labels that touch neither each other nor an obstacle.

    Points with the fewest free places choose first, each the best that is left to it.

    Args:
        points: (x, y) of each.
        sizes: (width, height) of its label.
        gap: between a point and its label, at least.
        air: between two labels: without it two numbers read as one.
        obstacles: what no label may touch, the marks of the points included.
        bounds: where all labels must lie.

    Returns:
        The box of each label; None where no place is free.
    """
    solid = _array(obstacles)
    free = [
        [box for box in _places(point, size, gap) if bounds.holds(box) and not _meets(box, solid)]
        for point, size in zip(points, sizes, strict=True)
    ]
    placed: dict[int, Box] = {}
    taken: list[Box] = []
    for number in sorted(range(len(points)), key=lambda number: len(free[number])):
        if box := next((box for box in free[number] if not _meets(box, _array(taken))), None):
            placed[number] = box
            taken.append(box.grown(air))
    return [placed.get(number) for number in range(len(points))]


def _places(point: tuple[float, float], size: tuple[float, float], gap: float) -> list[Box]:
    """Of a label, best first: near ones before far ones."""
    (x, y), (width, height) = point, size
    places = []
    for step, (right, up) in product(STEPS, DIRECTIONS):
        centre = x + right * (gap * step + width / 2), y + up * (gap * step + height / 2)
        places.append(Box.around(*centre, width=width, height=height))
    return places


def _array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _meets(box: Box, others: NDArray[np.float64]) -> bool:
    """Whether a box shares more than an edge with any of (n, 4) others."""
    left, bottom, right, top = others.T
    return bool(((box.left < right) & (left < box.right) & (box.bottom < top) & (bottom < box.top)).any())
