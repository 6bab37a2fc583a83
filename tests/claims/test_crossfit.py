"""Choices by half of the seeds, compared with brute force."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.table import Table
from faqnas_optuna.training.statistics import kendall_tau
from studies.claims.crossfit import CircuitsByCost, Halves, agreements, knee, levelled, saturation
from tests.support.benchmarks import made_up_table


@pytest.fixture(scope="module")
def table(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Return a table in which accuracy rises up to five qubits and more epochs give more correct predictions."""

    def right(circuits: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
        qubits = np.array([min(circuit.n_qubits, 5) for circuit in circuits])[:, np.newaxis, np.newaxis, np.newaxis]
        return 4 * qubits + np.random.default_rng(0).integers(0, 8, shape)

    return made_up_table(tmp_path_factory.mktemp("tables") / "iris.parquet", iris, right, seeds=5, epochs=20)


def brute(table: Table, price: int, choosing: Sequence[int], epochs: int) -> int:
    """Return the row chosen for `price` FLOPs: the most accurate, then the cheapest, then the first."""
    right, costs = table.right("validation", epochs)[:, choosing].sum(axis=1), table.column("quantum_flops_profiler")
    return min((row for row in range(len(table)) if costs[row] <= price), key=lambda row: (-right[row], costs[row], row))


@pytest.mark.slow
def test_choosing_and_judging_are_those_of_brute_force(table: Table) -> None:
    by_cost, seeds = CircuitsByCost(table), np.array([0, 1, 3, 4])
    halves = Halves.of(seeds, 5)
    rows, size = by_cost.choose(5, halves.choosing), table.document["sizes"]["test"]
    judged = by_cost.judge(rows, 5, halves.judging)
    for split, choosing in enumerate(combinations(seeds.tolist(), 2)):
        judging = [seed for seed in seeds.tolist() if seed not in choosing]
        for place in (0, len(by_cost.flops) // 2, len(by_cost.flops) - 1):
            row = brute(table, int(by_cost.flops[place]), choosing, 5)
            assert rows[place, split] == row
            assert judged[place, split] == pytest.approx(table.right("test", 5)[row, judging].mean() / size)
    assert by_cost.widths.sum() == pytest.approx(1) and len(halves.some.choosing.T) <= 8


def test_of_an_odd_number_the_lesser_half_chooses() -> None:
    halves = Halves.of(np.arange(5), 6)
    assert set(halves.choosing.sum(axis=0)) == {2} and set(halves.judging.sum(axis=0)) == {3}
    assert not (halves.choosing & halves.judging).any() and not (halves.choosing | halves.judging)[5].any()


def test_the_knee_is_that_of_least_squares() -> None:
    x, generator = np.sort(np.random.default_rng(0).random(40)), np.random.default_rng(1)
    weights = np.diff(np.append(x, 1.1)) / (1.1 - x[0])
    for true in (8, 20, 33):
        curve = 0.3 + 0.5 * np.minimum(x, x[true])
        assert knee(x, weights, curve) == true
        assert levelled(x, weights, curve, true) == pytest.approx(curve)
        noisy, errors = curve + 0.05 * generator.normal(size=40), []
        for place in range(1, 40):
            design = np.column_stack([np.ones(40), np.minimum(x, x[place])]) * np.sqrt(weights)[:, np.newaxis]
            errors.append(np.linalg.lstsq(design, np.sqrt(weights) * noisy, rcond=None)[1][0])
        place = knee(x, weights, noisy)
        assert place == int(np.argmin(errors)) + 1
        design = np.column_stack([np.ones(40), np.minimum(x, x[place])])
        fitted = np.linalg.lstsq(design * np.sqrt(weights)[:, np.newaxis], np.sqrt(weights) * noisy, rcond=None)[0]
        assert levelled(x, weights, noisy, place) == pytest.approx(design @ fitted)


@pytest.mark.slow
def test_a_threshold_that_was_put_in_is_found(table: Table) -> None:
    result = saturation(CircuitsByCost(table), table, 20)
    costs, qubits = table.column("quantum_flops_profiler"), table.column("n_qubits")
    assert costs[qubits == 4].min() < result.flops.value < np.median(costs[qubits == 6])
    assert result.rise.low > 0.1 and abs(result.beyond.value) < 0.05
    assert result.flops_share.value == pytest.approx(result.flops.value / costs.max())
    assert result.curve.shape == result.line.shape == result.classical_flops.shape == CircuitsByCost(table).flops.shape
    assert result.classical_ratio.value == pytest.approx(result.classical_flops[-1] / result.classical_flops[0], rel=0.1)


@pytest.mark.slow
def test_regret_overlap_and_rankings_are_those_of_brute_force(table: Table) -> None:
    by_cost = CircuitsByCost(table)
    result = agreements(by_cost, [5], 20)[5]
    halves, gains, shares, taus = Halves.of(np.arange(5), 5), [], [], []
    names, firsts = np.unique(table.column("trained"), return_index=True)
    for choosing in combinations(range(5), 2):
        judging = [seed for seed in range(5) if seed not in choosing]
        rows = {
            epochs: [brute(table, int(price), choosing, epochs) for price in by_cost.flops[:: len(by_cost.flops) - 1]]
            for epochs in (5, 20)
        }
        test = table.right("test", 20)[:, judging].mean(axis=1) / table.document["sizes"]["test"]
        gains.append(test[rows[20][-1]] - test[rows[5][-1]])
        validation = {epochs: table.right("validation", epochs)[firsts] for epochs in (5, 20)}
        taus.append(kendall_tau(validation[5][:, choosing].sum(axis=1), validation[20][:, judging].sum(axis=1)))
    # Brute force gives the gain at the highest price; the regret is the mean over all prices.
    few, many = (by_cost.judge(by_cost.choose(epochs, halves.choosing), 20, halves.judging) for epochs in (5, 20))
    assert (many - few)[-1] == pytest.approx(gains)
    assert result.regret.value == pytest.approx(float(by_cost.widths @ (many - few).mean(axis=1)))
    step = -(-len(taus) // 8)
    assert result.tau.value == pytest.approx(np.mean([tau or 0 for tau in taus[::step]])) and len(names) == 6786
    for choosing, column in zip(halves.choosing.T, range(len(gains)), strict=True):
        front = set(table.column("trained")[np.unique(by_cost.choose(5, choosing[:, np.newaxis]))])
        other = set(table.column("trained")[np.unique(by_cost.choose(20, halves.judging[:, column : column + 1]))])
        shares.append(len(front & other) / len(front))
    assert result.overlap.value == pytest.approx(np.mean(shares))
