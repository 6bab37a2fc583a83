"""Races among the compared algorithms."""

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.comparison.judging import judge
from faqnas_optuna.comparison.live import SEEDS, LiveBenchmark
from faqnas_optuna.comparison.raced import replay_race
from faqnas_optuna.comparison.replay import SearchTrace, TrainingBudget, estimated_front, front, replay
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from tests.support.benchmarks import MadeUp

CliHere = Callable[..., tuple[int, str, str]]
BUDGET = TrainingBudget(trainings=600)


def by_qubits(circuit: Circuit) -> float:
    return 0.3 + 0.05 * circuit.n_qubits


def trainings_of(trace: SearchTrace, benchmark: MadeUp) -> Counter[int]:
    return Counter(benchmark.effective[step.row] for step in trace.steps)


def test_a_race_finds_the_front_of_its_sample() -> None:
    # Distinct accuracies, so that no two circuits of the front are equally good.
    benchmark = MadeUp(lambda circuit: by_qubits(circuit) + int(circuit.digest[:4], 16) / 2**21, noise=0)
    trace = replay_race("race", benchmark, BUDGET, seed=0)
    rows = {step.row for step in trace.steps}
    assert len(rows) == len({benchmark.effective[row] for row in rows}) == 200
    everything = SearchTrace(searcher="race", seed=0, pooled=False, steps=trace.steps)
    found = estimated_front(trace, benchmark, spent=math.inf)
    # Without noise, halving drops no circuit of the front, and the mean scores are the true ones.
    expected = estimated_front(everything, benchmark, spent=math.inf)
    assert [chosen.row for chosen in found] == [chosen.row for chosen in expected]
    result = judge(trace, benchmark, BUDGET)
    assert result.optimism == pytest.approx(0)
    assert result.achieved_hypervolume[-1] == pytest.approx(result.estimated_hypervolume)


def test_a_race_keeps_its_budget_and_leaves_trainings_to_judge() -> None:
    benchmark = MadeUp(by_qubits, noise=0.1, seeds=4)
    trace = replay_race("race", benchmark, BUDGET, seed=0)
    assert trace.trainings <= 600 and max(trainings_of(trace, benchmark).values()) == benchmark.max_trainings == 3
    paid = set(benchmark.validation_lookups)
    assert len(paid) == trace.trainings
    judge(trace, benchmark, BUDGET)
    assert paid.isdisjoint(benchmark.test_lookups)
    # With enough seeds the budget is spent on the survivors.
    trace = replay_race("race", MadeUp(by_qubits, noise=0.1, seeds=50), BUDGET, seed=0)
    assert 550 < trace.trainings <= 600


def test_the_front_of_a_race_is_that_of_its_last_complete_round() -> None:
    benchmark = MadeUp(by_qubits, noise=0.1, seeds=50)
    trace = replay_race("race", benchmark, BUDGET, seed=0)
    first, second, *_ = trace.rounds
    assert estimated_front(trace, benchmark, spent=first.end - 1) == []
    early = estimated_front(trace, benchmark, spent=first.end)
    assert early == estimated_front(trace, benchmark, spent=second.end - 1)
    assert {chosen.row for chosen in early} <= first.survivors and len(first.survivors) == 100
    last = estimated_front(trace, benchmark, spent=math.inf)
    assert {chosen.row for chosen in last} <= trace.rounds[-1].survivors
    assert last == front(last) and min(chosen.trainings for chosen in last) > 5


def test_a_race_is_less_optimistic_than_a_search_with_the_same_budget() -> None:
    benchmark = MadeUp(lambda _: 0.5, noise=0.1, seeds=100)
    raced = [judge(replay_race("race", benchmark, BUDGET, seed=seed), benchmark, BUDGET).optimism for seed in range(5)]
    found = [judge(replay(searcher("random"), benchmark, BUDGET, seed=seed), benchmark, BUDGET).optimism for seed in range(5)]
    assert max(raced) < min(found)


def test_live_races_train_a_circuit_more_often_than_a_table(iris: DataSplits) -> None:
    benchmark = LiveBenchmark(StudyConfig.from_settings({"dataset": "iris"}, source="test"), iris)
    order = [benchmark.paid_seed(3, index, search=1) for index in range(SEEDS + 3)]
    assert sorted(order[:SEEDS]) == list(range(SEEDS)) and order[SEEDS:] == [10, 11, 12]
    assert benchmark.unseen_seeds(3, 1, search=1) == order[1:SEEDS]
    assert benchmark.unseen_seeds(3, 200, search=1) == list(range(200, 209))


def test_a_race_is_compared_by_the_command(cli_here: CliHere) -> None:
    options = ("--searcher", "race", "--searcher", "random", "--trainings", "300", "--searches", "2", "--workers", "1")
    code, out, err = cli_here("compare", "iris", *options, "--json")
    assert code == 0, err
    raced, _ = json.loads(out)["searchers"]
    assert raced["name"] == "race" and raced["circuits"]["mean"] == 100 and raced["trainings"]["mean"] <= 300
    code, _, err = cli_here("compare", "iris", "--searcher", "race", "--seconds", "1")
    assert code == 2 and "race needs a budget of trainings; give --trainings instead of --seconds" in err


def test_a_race_decides_the_number_of_trainings() -> None:
    with pytest.raises(ConfigError, match="a race decides itself how often it trains each circuit; write race"):
        searcher("race:3")
