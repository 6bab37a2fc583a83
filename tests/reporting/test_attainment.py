import moocore
import numpy as np
import pytest

from faqnas_optuna.reporting.attainment import Floats, attainment_surface
from faqnas_optuna.study.pareto import non_dominated

SHARES = (0.1, 0.25, 0.5, 0.75, 1)


def fronts_of(generator: np.random.Generator) -> list[Floats]:
    """Return random fronts with many equal costs and errors."""
    fronts = []
    for _ in range(generator.integers(1, 9)):
        points = np.column_stack([generator.integers(1, 12, 8), generator.integers(1, 12, 8) / 12])
        fronts.append(points[non_dominated(points)])
    return fronts


def test_surfaces_agree_with_moocore() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        fronts = fronts_of(generator)
        sets = np.repeat(np.arange(len(fronts)), [len(front) for front in fronts])
        for share in SHARES:
            expected = moocore.eaf(np.concatenate(fronts), sets=sets, percentiles=[100 * share])[:, :2]
            assert attainment_surface(fronts, share) == pytest.approx(expected[np.argsort(expected[:, 0])])


def test_a_surface_bounds_the_points_that_a_share_attains() -> None:
    generator = np.random.default_rng(1)
    fronts = fronts_of(generator)
    for share in SHARES:
        surface = attainment_surface(fronts, share)
        for cost in range(1, 13):
            for error in np.arange(1, 13) / 12:
                attained = np.mean([((front[:, 0] <= cost) & (front[:, 1] <= error)).any() for front in fronts])
                is_below = ((surface[:, 0] <= cost) & (surface[:, 1] <= error)).any()
                assert is_below == (attained >= share - 1e-9)


def test_the_order_of_circuits_does_not_matter() -> None:
    front = np.array([[3, 0.2], [1, 0.5], [2, 0.4]])
    assert attainment_surface([front], 0.5).tolist() == [[1, 0.5], [2, 0.4], [3, 0.2]]
