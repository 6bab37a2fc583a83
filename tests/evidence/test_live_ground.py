import pickle

import pytest

from faqnas_optuna import load_table
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.evidence.ground import TableGround
from faqnas_optuna.evidence.live_ground import LiveGround
from faqnas_optuna.evidence.replay import Budget, replay
from faqnas_optuna.evidence.searchers import searcher


@pytest.fixture
def live(iris: DataSplits) -> LiveGround:
    settings = {"dataset": "iris", "training": {"epochs": 5}, "data": {"split_seed": 0}}
    return LiveGround(StudyConfig.from_settings(settings, source=""), iris)


def test_what_is_trained_is_what_a_table_would_say(live: LiveGround) -> None:
    table, ground = load_table("iris", live=True), TableGround(load_table("iris"), epochs=5)
    assert (live.seeds, live.flops_range) == (ground.seeds, ground.flops_range)
    for seed, row in enumerate(range(0, 8160, 1111)):
        circuit = ground.circuit(row)
        mine = live.trained(live.row(circuit))
        assert live.circuit(live.row(circuit)) == circuit and live.circuit(mine) == ground.circuit(ground.trained(row))
        assert live.flops(live.row(circuit)) == ground.flops(row)
        assert live.validation(mine, seed) == table.query(circuit, epochs=5, seed=seed).val_accuracy
        assert live.test(mine, seed) == table.test(circuit, epochs=5, seed=seed)
        assert live.seconds(mine, seed) > 0


def test_nothing_is_trained_but_what_a_search_pays_for(live: LiveGround) -> None:
    course = replay(searcher("nsga2"), live, Budget(trainings=30), seed=0)
    assert len(live._done) == course.trainings == 30
    # Another process does not need them, and finds the same.
    elsewhere = pickle.loads(pickle.dumps(live))
    assert elsewhere._done == {} and replay(searcher("nsga2"), elsewhere, Budget(trainings=30), seed=0) == course
