import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from faqnas_optuna.study.pareto import hypervolume, layers, linear_hypervolume, log_hypervolume, non_dominated

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


@given(point_lists)
def test_the_logarithmic_hypervolume_counts_orders_of_magnitude(exponents: list[tuple[int, int]]) -> None:
    """Compare with a count of cells: powers of ten cut the box into equal columns, and the last tenth into a narrow one."""
    points = as_array([(10**a, b) for a, b in exponents]) / (1, 6)
    weights = [1.0] * 6 + [math.log10(1.1)]
    cells = sum(weights[i] for i in range(7) for j in range(6) if any(a <= i and b <= j for a, b in exponents))
    assert log_hypervolume(points, (1, 10**6)) == pytest.approx(cells / 6 / sum(weights))


@given(point_lists)
def test_the_logarithmic_hypervolume_weighs_the_box_by_one_through_the_flops(points: list[tuple[int, int]]) -> None:
    """Compare with the integral of dF / F over the dominated region, in thin slices."""
    edges = np.linspace(1, 7.7, 671)
    middles = (edges[1:] + edges[:-1]) / 2
    lowest = [min((b / 6 for a, b in points if a + 1 <= flops), default=1.0) for flops in middles]
    expected = ((1 - np.array(lowest)) / middles).sum() / (1 / middles).sum()
    assert log_hypervolume(as_array([(a + 1, b) for a, b in points]) / (1, 6), (1, 7)) == pytest.approx(expected, abs=1e-4)


def test_the_logarithmic_hypervolume_at_the_edges_of_its_box() -> None:
    assert log_hypervolume(as_array([]), (10, 1000)) == 0
    assert log_hypervolume(as_array([(10, 0)]), (10, 1000)) == 1
    assert log_hypervolume(as_array([(1, 0), (0, 0)]), (10, 1000)) == 1
    assert log_hypervolume(as_array([(1100, 0), (10, 1)]), (10, 1000)) == 0
    assert log_hypervolume(as_array([(100, 0)]), (10, 1000)) == pytest.approx(math.log(11) / math.log(110))


def test_a_better_circuit_that_costs_as_much_as_the_dearest_is_growth() -> None:
    """Check the most expensive circuit, whose improvement must count: in narrow spaces many circuits have this cost."""
    volumes = [log_hypervolume(np.array([(1000, error), (10, 0.9)]), (10, 1000)) for error in (0.5, 0.4)]
    assert volumes[1] - volumes[0] == pytest.approx(0.1 * math.log(1.1) / math.log(110))


def test_where_all_circuits_cost_the_same_it_is_the_best_accuracy() -> None:
    points = np.array([(50, 0.75), (50, 0.25)])
    assert log_hypervolume(points, (50, 50)) == 0.75
    assert log_hypervolume(as_array([]), (50, 50)) == 0


def test_the_linear_hypervolume_is_of_the_box_from_the_origin() -> None:
    assert linear_hypervolume(as_array([(0, 0)]), (1, 10)) == 1
    assert linear_hypervolume(np.array([(10, 0.5)]), (1, 10)) == pytest.approx(1 / 11 / 2)


@given(point_lists)
def test_layers_are_the_fronts_of_what_remains(points: list[tuple[int, int]]) -> None:
    expected = dict.fromkeys(points, -1)
    remaining = set(points)
    for layer in range(len(points)):
        if remaining:
            rest = sorted(remaining)
            front = {point for point, is_on_front in zip(rest, non_dominated(as_array(rest)), strict=True) if is_on_front}
            expected |= dict.fromkeys(front, layer)
            remaining -= front
    assert layers(as_array(points)) == [expected[point] for point in points]
