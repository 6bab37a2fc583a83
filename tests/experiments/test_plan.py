"""Experiment files."""

import json
from pathlib import Path
from typing import Any

import pytest

from faqnas_optuna.config import Objectives, Sampler
from faqnas_optuna.confirmation.plan import BASELINES
from faqnas_optuna.errors import ConfigError, FaqnasError
from faqnas_optuna.experiments.plan import Experiment

SMALL: dict[str, Any] = {"name": "e", "datasets": ["iris"], "methods": {"faqnas": {}}}


def test_the_studies_are_all_combinations_split_by_split() -> None:
    experiment = Experiment.read(
        {
            **SMALL,
            "datasets": ["iris", {"dataset": "wine", "pca": 4, "name": "wine 4"}],
            "splits": 2,
            "seeds": 2,
            "methods": {"faqnas": {}, "race": {"searcher": "race", "trainings": 7_000, "within": 0.1}},
        }
    )
    assert [cell.name for cell in experiment.cells[:5]] == [
        "e.iris.faqnas.split0.seed0",
        "e.iris.race.split0.seed0",
        "e.wine-4.faqnas.split0.seed0",
        "e.wine-4.race.split0.seed0",
        "e.iris.faqnas.split0.seed1000",
    ]
    assert len(experiment.cells) == len({cell.name for cell in experiment.cells}) == 16
    last = experiment.cells[-2]
    assert (last.config.seed, last.config.data.split_seed, last.config.data.pca) == (1001, 1, 4)
    # Methods share the seeds of a split, and no two splits share a seed.
    assert len({(cell.split, cell.config.seed) for cell in experiment.cells}) == 4
    assert len({cell.config.seed for cell in experiment.cells}) == 4
    assert all(cell.config.search.synchronous for cell in experiment.cells)
    assert experiment.reference == "faqnas" and experiment.datasets == ["iris", "wine-4"]
    race = experiment.cells[1].race
    assert race and (race.trainings, race.within) == (7_000, 0.1)


def test_methods_have_the_names_of_compare_and_settings_of_their_own() -> None:
    methods = {
        "a": {"searcher": "nsga2-error"},
        "b": {"searcher": "random-pooled"},
        "c": {"searcher": "tpe:3"},
        "d": {"searcher": "nsga3", "search": {"population": 8}, "training": {"epochs": 2}},
    }
    protocol = {"search": {"population": 10, "generations": 3}, "training": {"epochs": 4}}
    cells = {cell.method: cell.config for cell in Experiment.read({**SMALL, **protocol, "methods": methods}).cells}
    assert cells["a"].search.objectives is Objectives.ERROR and cells["a"].search.sampler is Sampler.NSGA2
    assert cells["b"].search.front == "pooled" and cells["b"].search.sampler is Sampler.RANDOM
    assert cells["c"].training.repeats == 3 and cells["c"].search.sampler is Sampler.TPE
    assert (cells["d"].search.population, cells["d"].search.generations, cells["d"].training.epochs) == (8, 3, 2)
    assert cells["a"].search.population == 10


def test_files_are_named_without_their_directories(tmp_path: Path) -> None:
    file = tmp_path / "my data.v2.csv"
    entry = {"dataset": str(file), "target": "class", "drop": ["id"]}
    (cell,) = Experiment.read({**SMALL, "datasets": [entry]}).cells
    assert cell.name == "e.my-data-v2.faqnas.split0.seed0"
    assert cell.config.dataset == "my data.v2.csv" and cell.files and cell.files.data == file
    assert cell.config.data.target == "class" and cell.config.data.drop == ("id",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splitz": 2}, "experiment: unknown setting 'splitz': did you mean 'splits'"),
        ({"splits": 0}, "splits: input should be greater than or equal to 1"),
        ({"splits": "3"}, "splits: must be a whole number"),
        ({"datasets": []}, "datasets: "),
        ({"datasets": ["iris", "iris"]}, "two data sets have the same name"),
        ({"datasets": [{"data": "iris"}]}, "datasets: unknown setting 'data': did you mean 'dataset'"),
        ({"datasets": [{"target": "x"}]}, "each table needs a dataset"),
        ({"datasets": [{"dataset": "iris", "name": 5}]}, "name must be text"),
        ({"methods": {"a b": {}, "a.b": {}}}, "two methods have the name 'a-b' in the names of studies"),
        ({"methods": {"mlp": {}}}, "method 'mlp' has the name of a baseline; rename it"),
        ({"name": {("a", "b"): 1}}, "settings must be texts, numbers, lists and dictionaries"),
        ({"methods": {}}, "methods: "),
        ({"methods": {"a": {"searcher": "nsga4"}}}, "method a: there is no searcher 'nsga4': did you mean 'nsga"),
        ({"methods": {"a": {"searcher": "gp"}}}, "searcher 'gp' runs in compare only; use race, or one of nsga2"),
        ({"methods": {"a": {"trainings": 100}}}, "trainings is a setting of races; limit searches by search.trials"),
        ({"methods": {"a": {"searcher": "race:3"}}}, "a race decides itself how often"),
        ({"methods": {"r": {"searcher": "race"}}, "training": {"repeats": 2}}, "a race decides itself how often"),
        ({"methods": {"a": {"search": {"populaton": 8}}}}, "iris, a: unknown setting 'search.populaton': did you mean"),
        ({"confirm": {"picks": ["best", "worst"]}}, "a rule is knee, best, cheapest-within"),
        ({"confirm": {"picks": []}}, "confirm.picks: "),
        ({"name": "e" * 90}, "longer than 100 characters|at most|1 to 100"),
        ({"name": "a b"}, "a study's name has 1 to 100 letters"),
        ({"search": {"sampler": "random"}, "methods": {"a": {"searcher": "nsga2-error", "search": {"sampler": "tpe"}}}},
         "tpe selects no parents; leave out objectives"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_with_the_fix(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FaqnasError, match=message):
        Experiment.read({**SMALL, **changes})


def test_equal_rules_count_once_and_all_baselines_are_named() -> None:
    experiment = Experiment.read(
        {**SMALL, "confirm": {"picks": ["best", "cheapest-within:0.05", "cheapest-within:0.050", "best"]}}
    )
    assert list(map(str, experiment.rules)) == ["best", "cheapest-within:0.05"]
    # None would accept any choice that a stored confirmation has.
    assert experiment.budget.baselines == BASELINES


def test_paths_of_a_program_become_text(tmp_path: Path) -> None:
    experiment = Experiment.read({**SMALL, "datasets": [{"dataset": tmp_path / "own.csv", "target": "class"}]})
    assert json.loads(json.dumps(experiment.settings))["datasets"][0]["dataset"] == str(tmp_path / "own.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the study file|cannot read"):
        Experiment.read(tmp_path / "none.toml")
