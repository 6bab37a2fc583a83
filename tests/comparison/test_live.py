import pickle
from typing import Any

import pytest

from faqnas_optuna import Circuit, load_table
from faqnas_optuna.comparison.live import LiveBenchmark
from faqnas_optuna.comparison.replay import TrainingBudget, replay
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.comparison.tabular import TabularBenchmark
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.checkpoints import Checkpoints, train_to_checkpoints


@pytest.fixture
def live(iris: DataSplits) -> LiveBenchmark:
    settings = {"dataset": "iris", "training": {"epochs": 5}, "data": {"split_seed": 0}}
    return LiveBenchmark(StudyConfig.from_settings(settings, source=""), iris)


def test_what_is_trained_is_what_a_table_would_say(live: LiveBenchmark) -> None:
    table, benchmark = load_table("iris", live=True), TabularBenchmark(load_table("iris"), epochs=5)
    assert (live.seeds, live.flops_range) == (benchmark.seeds, benchmark.flops_range)
    for seed, row in enumerate(range(0, 8160, 1111)):
        circuit = benchmark.circuits[row]
        same = live.rows[circuit]
        mine = live.effective[same]
        assert live.circuits[same] == circuit
        assert live.circuits[mine] == benchmark.circuits[benchmark.effective[row]]
        assert live.flops[same] == benchmark.flops[row]
        assert live.validation(mine, seed) == table.query(circuit, epochs=5, seed=seed).val_accuracy
        assert live.test(mine, seed) == table.test(circuit, epochs=5, seed=seed)
        assert live.seconds(mine, seed) > 0


def test_nothing_is_trained_but_what_a_search_pays_for(live: LiveBenchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Circuit] = []

    def train(circuit: Circuit, *arguments: Any, **settings: Any) -> Checkpoints:
        trained.append(circuit)
        return train_to_checkpoints(circuit, *arguments, **settings)

    monkeypatch.setattr("faqnas_optuna.tables.live.train_to_checkpoints", train)
    trace = replay(searcher("nsga2"), live, TrainingBudget(trainings=30), seed=0)
    assert len(trained) == trace.trainings == 30
    # A pickled benchmark, as another process gets it, carries no trainings and gives the same result.
    elsewhere = pickle.loads(pickle.dumps(live))
    assert replay(searcher("nsga2"), elsewhere, TrainingBudget(trainings=30), seed=0) == trace and len(trained) == 60
