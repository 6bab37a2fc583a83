import json
from pathlib import Path
from typing import Any

import pytest

from faqnas_optuna.circuits.genome import GENES, enumerate_genomes
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.named import DATASETS
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study_file import differences, override, read_toml

# The experiment of the paper is no study file.
STUDIES = sorted(path for path in (Path(__file__).parent.parent / "studies").glob("*.toml") if path.stem in DATASETS)


def load(**settings: Any) -> StudyConfig:
    return StudyConfig.from_settings({"dataset": "wine", **settings}, source="study.toml")


def test_the_defaults_are_the_papers() -> None:
    config = load()
    assert (config.training.epochs, config.training.learning_rate, config.training.batch_size) == (5, 0.003, 64)
    assert (config.search.crossover, config.search.mutation) == (0.8, 0.2)
    assert (config.search.generations, config.search.patience) == (8, 2)
    assert config.flops == "profiler"
    assert config.space.genes == GENES


def test_json_brings_back_the_same_configuration() -> None:
    config = load(seed=3, flops="analytic", space={"n_qubits": [4, 2], "rotation": ["RY"]})
    assert StudyConfig.from_settings(config.model_dump(mode="json"), source="JSON") == config


def test_a_narrowed_space_is_kept_in_the_genes_order() -> None:
    space = load(space={"n_qubits": [4, 2], "depth": [1], "rotation": ["RZ", "RX"]}).space
    assert space.n_qubits == (2, 4)
    assert space.genes["rotation_3"] == ("RX", "RZ")
    assert len(list(enumerate_genomes(space.genes))) == 2 * 2 * 2 * 2 * 1 * 2**4


def test_a_widened_space_has_a_rotation_for_each_layer() -> None:
    space = load(space={"n_qubits": [12], "depth": [2, 6], "rotation": ["RY"]}).space
    assert list(space.genes) == [*GENES, "rotation_5", "rotation_6"]
    assert {genome.circuit.depth for genome in enumerate_genomes(space.genes)} == {2, 6}
    assert list(load(space={"depth": [3]}).space.genes) == list(GENES)


def test_what_the_papers_space_lacks_is_written_down_where_it_is_asked_for() -> None:
    # Descriptions of stored studies have this form.
    space = json.loads(load().to_json())["space"]
    assert list(space) == ["n_qubits", "embedding", "entangler", "topology", "depth", "rotation"]
    both = load(space={"reuploading": [True, False], "embedding": ["iqp", "basis"]})
    assert both.space.genes["reuploading"] == (False, True) and both.space.genes["embedding"] == ("basis", "iqp")
    assert StudyConfig.from_settings(json.loads(both.to_json()), source="JSON") == both
    assert differences(load(), both) == [
        "space.embedding: stored ['angle', 'amplitude'], requested ['basis', 'iqp']",
        "space.reuploading: stored [False], requested [False, True]",
    ]


@pytest.mark.parametrize(
    ("search", "generations", "planned"),
    [
        ({}, 8, 160),
        ({"trials": 500}, 25, 500),
        ({"trials": 501}, 26, 501),
        ({"trials": 5}, 1, 5),
        ({"trials": 500, "generations": 8}, 8, 160),
        ({"trials": 50, "generations": 8}, 8, 50),
        ({"trials": 200_000, "population": 2}, 100_000, 200_000),
    ],
)
def test_a_limit_of_trials_has_generations_for_all_of_them(search: dict[str, int], generations: int, planned: int) -> None:
    config = load(search=search)
    assert (config.search.generations, config.search.planned) == (generations, planned)
    stored = json.loads(config.to_json())
    # Without a limit, the settings are those of studies of earlier versions.
    assert stored["search"].get("trials", "absent") == search.get("trials", "absent")
    assert StudyConfig.from_settings(stored, source="JSON") == config


def test_a_limit_of_trials_is_a_difference() -> None:
    assert differences(load(), load(search={"trials": 150})) == ["search.trials: stored None, requested 150"]
    assert differences(load(search={"trials": 150}), load()) == ["search.trials: stored 150, requested None"]
    raised = load(search={"trials": 150}).search.with_limits(generations=None, trials=201)
    assert (raised.trials, raised.generations) == (201, 11)
    # A limit of generations is never lowered by one of trials.
    assert raised.with_limits(generations=None, trials=40) == raised.model_copy(update={"trials": 40})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trainin": {}}, "unknown setting 'trainin': did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "unknown setting 'training.epoch': did you mean 'epochs'?"),
        ({"training": {"epochs": 0}}, r"training.epochs: .* \(it is 0\)"),
        ({"training": {"epochs": "5"}}, r"training.epochs: must be a whole number \(it is '5'\)"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate: must be a number"),
        ({"search": {"synchronous": 1}}, "search.synchronous: must be true or false"),
        ({"dataset": 3}, "dataset: must be text in quotes"),
        ({"space": {"n_qubits": 3}}, r"space.n_qubits: must be a list such as \[2, 3\] \(it is 3\)"),
        ({"training": {"learning_rate": float("nan")}}, "finite"),
        ({"training": 3}, r"training: must be a section, written \[training\] \(it is 3\)"),
        ({"search": {"population": 1}}, "search.population"),
        ({"search": {"trials": 0}}, r"search.trials: .* \(it is 0\)"),
        ({"search": {"trials": 200_001}}, "search.trials"),
        ({"search": {"trials": "many", "generations": 3}}, r"search.trials: must be a whole number \(it is 'many'\)"),
        ({"search": {"mutation": 1.5}}, "search.mutation"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"engine": "abacus"}, "engine"),
        ({"space": {"n_qubits": [2, 13]}}, "space.n_qubits: 13 must be one of 2, 3"),
        ({"space": {"depth": [4, 9]}}, "space.depth: 9 must be one of 1, 2"),
        ({"space": {"reuploading": [1]}}, "space.reuploading: must be true or false"),
        ({"space": {"n_qubits": [2, 2]}}, "names a value twice"),
        ({"space": {"embedding": []}}, "needs at least one of angle, amplitude"),
        (
            {
                "space": {
                    "n_qubits": [2],
                    "embedding": ["angle"],
                    "entangler": ["CZ"],
                    "topology": ["linear"],
                    "depth": [1],
                    "rotation": ["RX"],
                }
            },
            "single genome",
        ),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"study.toml: .*{message}") as refused:
        load(**settings)
    assert "\n" not in str(refused.value)
    # Pydantic says "valid" of JSON or Python types, which users did not write.
    assert "valid" not in str(refused.value)


def test_options_override_what_a_file_says() -> None:
    file = {"dataset": "wine", "training": {"epochs": 9, "repeats": 2}}
    merged = override(file, {"training.epochs": 3, "search.population": 6, "seed": None, "dataset": "iris"})
    assert merged == {"dataset": "iris", "training": {"epochs": 3, "repeats": 2}, "search": {"population": 6}}
    assert file["training"] == {"epochs": 9, "repeats": 2}


def test_differences_name_every_setting_that_differs() -> None:
    requested = load(seed=1, training={"epochs": 9}, space={"depth": [1, 2]})
    assert differences(load(), load()) == []
    assert differences(load(), requested) == [
        "seed: stored 0, requested 1",
        "training.epochs: stored 5, requested 9",
        "space.depth: stored [1, 2, 3, 4], requested [1, 2]",
    ]


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("dataset = wine")
    with pytest.raises(ConfigError, match=r"broken.toml: a study file must be TOML: .*line 1"):
        read_toml(broken)
    with pytest.raises(ConfigError, match="cannot read the study file: No such file"):
        read_toml(tmp_path / "absent.toml")


def test_there_is_a_study_for_each_data_set_of_the_paper() -> None:
    names = {StudyConfig.from_settings(read_toml(path), source=path.name).dataset for path in STUDIES}
    assert names == {"iris", "wine", "breast-cancer", "digits", "mnist"}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_of_the_paper_keeps_to_its_protocol(path: Path) -> None:
    config = StudyConfig.from_settings(read_toml(path), source=path.name)
    assert config == StudyConfig(dataset=config.dataset)
    assert config.dataset == path.stem
