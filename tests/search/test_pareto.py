import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from faqnas_optuna.search.pareto import hypervolume, non_dominated

# Few distinct values, so that ties are common.
point_lists = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25)


def as_array(points: list[tuple[int, int]]) -> np.ndarray:
    return np.array(points, dtype=np.float64).reshape(-1, 2)


@given(point_lists)
def test_the_front_is_what_brute_force_finds(points: list[tuple[int, int]]) -> None:
    def dominates(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(as_array(points)).tolist() == expected


@given(point_lists)
def test_the_hypervolume_is_optunas(points: list[tuple[int, int]]) -> None:
    inside = [point for point in points if max(point) < 6]
    expected = compute_hypervolume(as_array(inside), np.array([6.0, 6.0])) / 36 if inside else 0.0
    assert hypervolume(as_array(points), (6, 6)) == pytest.approx(expected)


@given(point_lists)
def test_the_hypervolume_is_the_share_of_dominated_cells(points: list[tuple[int, int]]) -> None:
    cells = sum(any(a <= i and b <= j for a, b in points) for i in range(6) for j in range(6))
    assert hypervolume(as_array(points), (6, 6)) == pytest.approx(cells / 36)


def test_closed_forms() -> None:
    assert hypervolume(as_array([]), (2, 4)) == 0
    assert hypervolume(as_array([(0, 0)]), (2, 4)) == 1
    assert hypervolume(as_array([(1, 2)]), (2, 4)) == 0.25
    assert hypervolume(as_array([(2, 0), (0, 4)]), (2, 4)) == 0
