from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import optuna
import pytest

from faqnas_optuna.circuits.genome import Embedding, Entangler, Rotation, Topology, enumerate_genomes
from faqnas_optuna.config import CountedGates, FlopsCounter, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study import search as searches
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.metadata import DESCRIPTION, our_studies
from faqnas_optuna.study.records import GENERATION_KEY
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.study import check_name, versions
from faqnas_optuna.training.values import Costs
from tests.conftest import cheap_values, run_trials, small_config
from tests.support.studies import change_versions


def test_a_study_is_loaded_as_it_was_made(new_search: Callable[..., Search], storage_url: str) -> None:
    made = new_search(small_config(seed=5))
    loaded = searches.load(open_storage(storage_url), "iris")
    assert loaded.config == made.config
    assert loaded.description.data_fingerprint == made.description.data_fingerprint
    assert loaded.description.flops_range == made.description.flops_range == (32, 492_082)
    assert loaded.description.sizes == {"train": 90, "validation": 30, "test": 30}
    assert loaded.study.metric_names == ["quantum FLOPs", "validation error"]
    assert loaded.description.versions["optuna"] == optuna.__version__


def test_a_loaded_study_samples_with_nsga2(new_search: Callable[..., Search], storage_url: str) -> None:
    run_trials(new_search(), 5, cheap_values)
    loaded = searches.load(open_storage(storage_url), "iris")
    run_trials(loaded, 5, cheap_values)
    generations = [trial.system_attrs[GENERATION_KEY] for trial in loaded.study.get_trials(deepcopy=False)]
    assert generations == [0] * 4 + [1] * 4 + [2] * 2


def test_unknown_and_foreign_studies_are_refused(new_search: Callable[..., Search], storage_url: str) -> None:
    new_search()
    storage = open_storage(storage_url)
    optuna.create_study(storage=storage, study_name="foreign")
    with pytest.raises(StudyNotFoundError, match="no study 'irs': did you mean 'iris'?"):
        searches.load(storage, "irs")
    with pytest.raises(StudyNotFoundError, match="'foreign' was not created by faqnas-optuna"):
        searches.load(storage, "foreign")
    assert list(our_studies(storage)) == ["iris"]


def test_a_creation_that_was_interrupted_is_finished(storage_url: str, iris: DataSplits) -> None:
    storage = open_storage(storage_url, create=True)
    optuna.create_study(storage=storage, study_name="iris", directions=["minimize", "minimize"])
    made = searches.open_or_create(storage, "iris", small_config(), iris)
    assert searches.load(storage, "iris").config == made.config


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"]])
def test_a_study_of_somebody_else_is_not_taken_over(
    storage_url: str, iris: DataSplits, directions: list[Literal["minimize"]]
) -> None:
    storage = open_storage(storage_url, create=True)
    foreign = optuna.create_study(storage=storage, study_name="iris", directions=directions)
    foreign.add_trial(optuna.create_trial(values=[1.0] * len(directions)))
    with pytest.raises(ConfigError, match="that faqnas-optuna did not make; choose another name with --study"):
        searches.open_or_create(storage, "iris", small_config(), iris)
    assert foreign.user_attrs == {}


def test_other_settings_are_refused_field_by_field(
    new_search: Callable[..., Search], storage_url: str, iris: DataSplits
) -> None:
    new_search()
    requested_config = small_config(seed=1, training=TrainingConfig(epochs=9))
    with pytest.raises(StudyMismatchError, match="seed: stored 0, requested 1; training.epochs: stored 1, requested 9"):
        searches.open_or_create(open_storage(storage_url), "iris", requested_config, iris)
    more = small_config(search=SearchConfig(population=4, generations=9))
    with pytest.raises(StudyMismatchError, match="or run: faqnas-optuna resume iris --generations N"):
        searches.open_or_create(open_storage(storage_url), "iris", more, iris)


def test_other_data_are_refused(new_search: Callable[..., Search], storage_url: str, iris: DataSplits) -> None:
    search = new_search()
    with pytest.raises(StudyMismatchError, match=f"fingerprint: stored {iris.fingerprint}, here abc"):
        search.check_data(replace(iris, fingerprint="abc"))


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "x" * 101, "[red]", "wine\n", "wïne"])
def test_names_that_not_every_database_takes_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a study's name has 1 to 100 letters, digits"):
        check_name(name)


@pytest.mark.parametrize("of", CountedGates)
@pytest.mark.parametrize("counter", FlopsCounter)
@pytest.mark.parametrize(
    "space",
    [
        SpaceConfig(n_qubits=(2, 3), depth=(1, 2, 3)),
        SpaceConfig(n_qubits=(3, 5, 9), depth=(2, 3), rotation=(Rotation.RY, Rotation.RZ), topology=(Topology.CIRCULAR,)),
        SpaceConfig(n_qubits=(4, 6), entangler=(Entangler.CNOT,), rotation=(Rotation.RZ,)),
        SpaceConfig(n_qubits=(4, 10), depth=(1, 4), entangler=(Entangler.CZ,), rotation=(Rotation.RX, Rotation.RZ)),
        SpaceConfig(n_qubits=(2,), depth=(3, 4), embedding=(Embedding.AMPLITUDE,), rotation=(Rotation.RY,)),
        SpaceConfig(n_qubits=(3, 4), depth=(4, 6), topology=(Topology.CIRCULAR,), rotation=(Rotation.RY, Rotation.RZ)),
        # All gates are inert, so all circuits have the same cost if only effective gates count.
        SpaceConfig(n_qubits=(3,), embedding=(Embedding.ANGLE,), entangler=(Entangler.CZ,), rotation=(Rotation.RZ,)),
    ],
    ids=lambda space: f"{space.n_qubits}x{space.depth}",
)
def test_the_range_of_flops_is_that_of_all_circuits(space: SpaceConfig, counter: FlopsCounter, of: CountedGates) -> None:
    config = StudyConfig(dataset="iris", flops=counter, gates=of, space=space)
    circuits = {genome.circuit for genome in enumerate_genomes(space.genes)}
    charged = {Costs.of(circuit, n_features=4, n_classes=3).quantum_flops(config) for circuit in circuits}
    assert cost_range(config) == (min(charged), max(charged))


def test_versions_that_may_not_work_together_are_refused(new_search: Callable[..., Search]) -> None:
    search = change_versions(new_search(), optuna="4.9.0", faqnas_optuna="0.0.9")
    with pytest.raises(StudyMismatchError, match="faqnas-optuna: stored 0.0.9, here .*; optuna: stored 4.9.0, here"):
        search.check_versions()


def test_a_study_with_settings_of_another_version_is_refused(new_search: Callable[..., Search], storage_url: str) -> None:
    search = new_search()
    description = search.study.user_attrs[DESCRIPTION]
    newer = {"config": description["config"] | {"annealing": 3}, "versions": {"faqnas-optuna": "7.0"}}
    search.study.set_user_attr(DESCRIPTION, description | newer)
    with pytest.raises(StudyMismatchError, match=r"annealing.*; it was made by faqnas-optuna 7\.0: install that version"):
        searches.load(open_storage(storage_url), "iris")


def test_versions_that_may_give_other_numbers_are_recorded(new_search: Callable[..., Search]) -> None:
    search = new_search()
    search.check_versions()
    assert search.metadata.worker_versions() == []
    change_versions(search, torch="2.10.0").check_versions()
    assert search.metadata.worker_versions() == [versions()]


def test_the_seed_of_a_study_splits_its_data(storage_url: str) -> None:
    splits = named.load("iris", seed=3)
    made = searches.create(open_storage(storage_url, create=True), "s", small_config(seed=3), splits)
    assert made.description.data_fingerprint == splits.fingerprint
