import random
from typing import Any

import pytest

from faqnas_optuna.reporting.labels import Box, place

BOUNDS = Box(0, 0, 200, 150)


def apart(one: Box, other: Box) -> bool:
    return one.right <= other.left or other.right <= one.left or one.top <= other.bottom or other.top <= one.bottom


def test_labels_touch_nothing_whatever_is_drawn() -> None:
    placed = 0
    for seed in range(40):
        rng = random.Random(seed)
        points = [(rng.uniform(0, 200), rng.uniform(0, 150)) for _ in range(12)]
        marks = [Box.around(x, y, width=6, height=6) for x, y in points]
        others = [Box.around(rng.uniform(0, 200), rng.uniform(0, 150), width=4, height=4) for _ in range(60)]
        sizes = [(rng.uniform(4, 20), 8.0) for _ in points]
        labels = place(points, sizes, gap=4, air=2, obstacles=marks + others, bounds=BOUNDS)
        boxes = [box for box in labels if box]
        placed += len(boxes)
        for number, box in enumerate(boxes):
            assert box.left >= 0 and box.bottom >= 0 and box.right <= 200 and box.top <= 150
            assert all(apart(box, other) for other in marks + others)
            assert all(apart(box, Box(o.left - 2, o.bottom - 2, o.right + 2, o.top + 2)) for o in boxes[:number])
        for label, point, size in zip(labels, points, sizes, strict=True):
            if label:
                assert (label.right - label.left, label.top - label.bottom) == pytest.approx(size)
                # A label must be near its point: at most two and a half gaps along each axis.
                assert max(abs(near - at) for near, at in zip(label.nearest_to(*point), point, strict=True)) <= 10 + 1e-9
    # Most points get a label.
    assert placed > 0.7 * 40 * 12


def test_the_first_choice_is_left_below() -> None:
    assert place([(50, 50)], [(10, 6)], gap=4, air=0, obstacles=[], bounds=BOUNDS) == [Box(36, 40, 46, 46)]


def test_where_no_place_is_free_none_is_taken() -> None:
    assert place([(50, 50)], [(10, 6)], gap=4, air=0, obstacles=[BOUNDS], bounds=BOUNDS) == [None]
    assert place([], [], gap=4, air=0, obstacles=[], bounds=BOUNDS) == []


def test_whoever_has_but_one_place_gets_it() -> None:
    walls, points = [Box(0, 0, 36, 150), Box(0, 46, 46, 150), Box(0, 0, 200, 40)], [(50, 50), (32, 50)]
    settings: dict[str, Any] = {"gap": 4, "air": 0, "obstacles": walls, "bounds": BOUNDS}
    # The first point would prefer the only possible position of the second.
    for point in points:
        assert place([point], [(10, 6)], **settings) == [Box(36, 40, 46, 46)]
    assert place(points, [(10, 6)] * 2, **settings) == [Box(54, 40, 64, 46), Box(36, 40, 46, 46)]
