"""Verdicts and the numbers behind them, on tables with known true values."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.comparison.judging import LOOKS, Contest, JudgedSearch
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.tables.table import Table
from studies.claims.decomposition import Genomes
from studies.claims.failures import failures
from studies.claims.intervals import Interval
from studies.claims.measuring import CLAIMS, Verdict, all_of, at_least, at_most, below, check_table, epochs_of, measure
from studies.claims.savings import saving
from tests.support.benchmarks import made_up_table

Make = Callable[[Callable[[Circuit], float]], Table]


@pytest.fixture
def make(iris: DataSplits, tmp_path: Path) -> Make:
    """Return a function that makes a table from expected accuracies, with seed noise."""

    def make_table(accuracy: Callable[[Circuit], float]) -> Table:
        def right(circuits: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
            means = np.array([30 * accuracy(circuit) for circuit in circuits])[:, np.newaxis, np.newaxis, np.newaxis]
            return (means + np.random.default_rng(0).integers(-3, 4, shape)).clip(0, 30).round()

        return made_up_table(tmp_path / "iris.parquet", iris, right, seeds=6)

    return make_table


def judged(*, flops: int, accuracy: float, front: int = 5) -> JudgedSearch:
    return JudgedSearch(
        achieved_hypervolume=(0.5,) * (LOOKS - 1) + (accuracy,),
        estimated_hypervolume=0.9,
        optimism=0.1,
        best=0.9,
        cheapest_within_tolerance=accuracy,
        cheapest_within_tolerance_flops=flops,
        front=front,
        circuits=10,
        trainings=10,
        spent=10,
    )


CHEAP = Contest(
    searches={
        "nsga2": tuple(judged(flops=100 + one, accuracy=0.8, front=1 + one % 2) for one in range(8)),
        "nsga2-error": tuple(judged(flops=10 * (100 + one), accuracy=0.8) for one in range(8)),
    }
)
"""Searches that save 90 % of the FLOPs; every other front consists of one circuit."""


def interval(low: float, high: float) -> Interval:
    return Interval(value=(low + high) / 2, low=low, high=high)


def test_a_verdict_needs_the_whole_interval() -> None:
    assert [at_least(interval(*ends), 0.3) for ends in ((0.3, 0.5), (0.2, 0.29), (0.2, 0.3))] == [*Verdict]
    assert [at_most(interval(*ends), 0.3) for ends in ((0.1, 0.3), (0.31, 0.5), (0.2, 0.4))] == [*Verdict]
    assert [below(interval(*ends), 0.3) for ends in ((0.1, 0.2), (0.3, 0.3), (0.2, 0.3))] == [*Verdict]
    holds, fails, is_open = Verdict
    assert all_of(holds, holds) == holds and all_of(holds, is_open) == is_open and all_of(is_open, fails) == fails


def test_what_was_saved_is_found() -> None:
    savings = saving(CHEAP)
    assert (savings.flops_ratio.value, savings.flops_ratio.low, savings.flops_ratio.high) == pytest.approx((0.1, 0.1, 0.1))
    assert savings.accuracy.value == savings.achieved_hypervolume.value == 0
    assert savings.collapsed.value == 0.5 and savings.collapsed.low < 0.25 < savings.collapsed.high


@pytest.mark.slow
def test_where_qubits_decide_flops_tell_no_more_than_they(make: Make, iris: DataSplits) -> None:
    table = make(lambda circuit: 0.3 + 0.06 * circuit.n_qubits)
    check_table(table)
    assert epochs_of(table) == (5,)
    (result,) = measure(table, iris, {5: CHEAP}).after
    verdicts = {claim.number: claim.verdict(result) for claim in CLAIMS}
    assert verdicts == {
        "1a": Verdict.HOLDS,
        "1b": Verdict.FAILS,
        "1c": Verdict.FAILS,
        "2": Verdict.FAILS,
        "3": Verdict.HOLDS,
        "4": verdicts["4"],
        "5": None,
        "6a": Verdict.FAILS,
        "6b": Verdict.OPEN,
    }
    shares = result.decomposition.shares
    assert shares["qubits"].value + shares["seed_variance"].value == pytest.approx(1, abs=0.02)
    assert result.decomposition.beyond_qubits.value == pytest.approx(0, abs=0.05)


@pytest.mark.slow
def test_where_nothing_decides_nothing_is_claimed(make: Make, iris: DataSplits) -> None:
    (result,) = measure(make(lambda _: 0.5), iris, {5: CHEAP}).after
    verdicts = {claim.number: claim.verdict(result) for claim in CLAIMS}
    assert verdicts["1a"] == Verdict.FAILS and verdicts["4"] != Verdict.HOLDS
    assert result.decomposition.shares["seed_variance"].value == pytest.approx(1, abs=0.01)
    # At least 12 of 30 predictions are correct, which is above chance (10).
    assert result.failures.failing.value == 0


@pytest.mark.slow
def test_what_fails_is_counted_over_genomes(make: Make, iris: DataSplits) -> None:
    table = make(lambda circuit: 0.2 if circuit.n_qubits >= 9 else 0.9)
    circuits = [table.circuit(digest) for digest in table.circuits]
    costs = dict(zip(table.circuits, table.column("quantum_flops_profiler").tolist(), strict=True))
    genomes = Genomes.of(circuits, table.column("quantum_flops_profiler"))
    result = failures(genomes, table, iris, 5)
    outcomes = [(genome.n_qubits >= 9, costs[genome.circuit.digest]) for genome in enumerate_genomes()]
    dearest = sorted((cost for _, cost in outcomes), reverse=True)[len(outcomes) // 4 - 1]
    dear, rest = ([fails for fails, cost in outcomes if (cost >= dearest) == is_dear] for is_dear in (True, False))
    assert result.constant == pytest.approx(1 / 3)
    assert result.failing.value == pytest.approx(2 / 9)
    assert result.more_if_dear.value == pytest.approx(np.mean(dear) - np.mean(rest))
    assert result.below_half.value == pytest.approx(np.mean(dear))
    # The made-up loss is 1.5, above ln 3, the loss of predicting three classes with equal probability.
    assert result.unmoved.value == pytest.approx(1)
    assert result.by_qubits == {"angle": [0] * 7 + [1, 1], "amplitude": [0] * 7 + [1, 1]}
    verdicts = {claim.number: claim for claim in CLAIMS}
    (measurement,) = measure(table, iris, {5: CHEAP}).after
    assert verdicts["6a"].verdict(measurement) == Verdict.HOLDS


@pytest.mark.slow
def test_tables_that_cannot_tell_are_refused(iris: DataSplits, tmp_path: Path) -> None:
    def right(_: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
        return np.zeros(shape)

    with pytest.raises(ConfigError, match="intervals need at least 3 seeds; few.parquet has 2"):
        check_table(made_up_table(tmp_path / "few.parquet", iris, right, seeds=2))
    with pytest.raises(ConfigError, match="results after 5 epochs; short.parquet has none"):
        check_table(made_up_table(tmp_path / "short.parquet", iris, right, seeds=3, epochs=2))
