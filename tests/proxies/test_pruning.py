"""Stages before a race on a made-up table, compared with brute force."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.table import Table
from studies.claims.crossfit import CircuitsByCost, Halves
from studies.proxies.correlation import ceiling, spearman
from studies.proxies.pruning import ONE_EPOCH, RANDOM, Scope, better_half, regrets_of, simulate
from tests.support.benchmarks import made_up_table


def quality(circuits: Sequence[Circuit]) -> NDArray[np.int64]:
    """Return a made-up quality from 0 to 9 that no gene determines."""
    return np.array([int(circuit.digest, 16) % 10 for circuit in circuits])


@pytest.fixture(scope="module")
def table(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Return a table in which accuracy is a quality and some seed noise."""

    def right(circuits: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
        return 2 * quality(circuits)[:, np.newaxis, np.newaxis, np.newaxis] + np.random.default_rng(0).integers(0, 4, shape)

    return made_up_table(tmp_path_factory.mktemp("tables") / "iris.parquet", iris, right, seeds=4)


def test_better_half_of_each_group() -> None:
    values = np.array([3.0, 1.0, 2.0, 5.0, 5.0])
    assert better_half(values, np.zeros(5, np.int64)).tolist() == [True, False, False, True, True]
    assert better_half(values, np.array([0, 0, 0, 1, 1])).tolist() == [True, False, True, True, False]


@pytest.mark.slow
def test_a_stage_by_the_true_quality_loses_little_and_its_opposite_much(table: Table) -> None:
    digests, networks = np.unique(table.column("trained"), return_inverse=True)
    circuits = [table.circuit(digest) for digest in digests]
    qubits = np.array([circuit.n_qubits for circuit in circuits])
    true = quality(circuits).astype(float)
    for stages in simulate(table, 5, {"true": true, "opposite": -true}, qubits, networks).values():
        assert stages["true"].front_lost < 0.1 < stages[RANDOM].front_lost < 0.9 < stages["opposite"].front_lost
        assert stages["true"].regret.value < 0.02 < 0.2 < stages["opposite"].regret.value
        assert stages["true"].regret.value <= stages[ONE_EPOCH].regret.value + 0.02
        assert stages["true"].beyond_random.value < 0 < stages["opposite"].beyond_random.low
        assert stages[RANDOM].beyond_random.value == 0
    assert set(stages) == {"true", "opposite", RANDOM, ONE_EPOCH} and len(Scope) == 2


@pytest.mark.slow
def test_regret_is_that_of_brute_force(table: Table) -> None:
    by_cost = CircuitsByCost(table)
    _, networks = np.unique(table.column("trained"), return_inverse=True)
    mask = np.random.default_rng(0).random(networks.max() + 1) < 0.01
    halves = Halves.of(np.arange(4), 4)
    costs = table.column("quantum_flops_profiler")
    losses = []
    for choosing, judging in zip(halves.choosing.T, halves.judging.T, strict=True):
        right = table.right("validation", 5) @ choosing
        test = table.right("test", 5) @ judging / judging.sum() / table.document["sizes"]["test"]
        for among in (np.ones(len(costs), np.bool_), mask[networks]):
            order = np.lexsort((np.arange(len(costs)), costs, -right))
            order = order[among[order]]
            # The best circuit whose cost is at most the limit; 0 if no circuit is that cheap.
            affordable = costs[order] <= by_cost.flops[:, np.newaxis]
            judged = np.where(affordable.any(axis=1), test[order[affordable.argmax(axis=1)]], 0)
            losses.append(float(by_cost.widths @ judged))
    expected = np.mean(losses[::2]) - np.mean(losses[1::2])
    assert regrets_of(by_cost, 5, halves, [mask[:, np.newaxis]], networks) == pytest.approx([expected])


@pytest.mark.slow
def test_the_ceiling_is_the_correlation_with_true_quality(table: Table) -> None:
    _, rows = np.unique(table.column("trained"), return_index=True)
    right = table.right("validation", 5)[rows].mean(axis=1)
    true = quality([table.circuit(digest) for digest in table.column("trained")[rows]]).astype(float)
    assert ceiling(table, rows, "validation", 5) == pytest.approx(spearman(right, true), abs=0.01)
