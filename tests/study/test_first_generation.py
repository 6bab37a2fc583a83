"""First generations from other studies: order, reuse of scores, refusals."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import Circuit, Genome, Topology
from faqnas_optuna.config import Engine, Score, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DamagedStudyError, GenomeError, StudyMismatchError
from faqnas_optuna.signals import Interruption, Signals
from faqnas_optuna.space_config import LimitsConfig, SpaceConfig
from faqnas_optuna.storage.bulk_trials import NewTrial, queue_trials
from faqnas_optuna.storage.opening import open_storage, study_lock
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study import search as searches
from faqnas_optuna.study.first_generation import first_generation, source_of_study
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.records import SOURCE, SOURCE_SCORES, generation_of, place_of
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.training.evaluation import Evaluation, evaluate
from faqnas_optuna.workers.loop import StudyWorker
from tests.conftest import small_config, successful
from tests.support.sampling import drawn_circuits
from tests.support.studies import change_fingerprint, change_versions

FEW = SpaceConfig(n_qubits=(2, 3), depth=(1, 2))
LIMITS = SearchConfig(population=4, generations=3)


def run(search: Search, splits: DataSplits, count: int) -> list[Circuit]:
    """Run trials, and return the circuits that were trained."""
    trained = []

    def recording(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        trained.append(circuit)
        return evaluate(circuit, splits, config)

    worker = StudyWorker(search, splits, Signals(), evaluate=recording)
    for _ in range(count):
        worker.look()
        worker.run_trial()
    return trained


@pytest.fixture
def wide(new_search: Callable[..., Search], iris: DataSplits) -> Search:
    """Return a search of twelve trained trials."""
    search = new_search(small_config(space=FEW, search=SearchConfig(population=12)))
    run(search, iris, 12)
    return search


def warm(source: Search, splits: DataSplits, name: str = "warm", **changes: object) -> Search:
    config = small_config(**{"space": FEW, "search": LIMITS, **changes})
    with study_lock(source.study):
        return searches.create(storage_of(source.study), name, config, splits, source=source_of_study(source))


@pytest.mark.parametrize("score", Score)
@pytest.mark.parametrize("repeats", [1, 3])
def test_reused_values_are_those_of_training(
    new_search: Callable[..., Search], iris: DataSplits, score: Score, repeats: int
) -> None:
    training = TrainingConfig(epochs=2, repeats=repeats)
    source = new_search(small_config(space=FEW, search=SearchConfig(population=12), training=training))
    run(source, iris, 12)
    search = warm(source, iris, training=training, score=score)
    assert run(search, iris, 4) == []
    assert [generation_of(trial) for trial in successful(search)] == [0] * 4
    for trial in successful(search):
        cold = evaluate(Genome.from_params(trial.params).circuit, iris, search.config)
        assert tuple(trial.values) == cold.objectives(search.config)
        stored = {name: trial.user_attrs.get(name) for name in vars(cold.scores)}
        assert stored == vars(cold.scores)
        assert {name: trial.user_attrs.get(name) for name in vars(cold.costs)} == vars(cold.costs)
    state = read_state(search)
    assert (state.reused, state.successful, state.n_missing) == (4, 4, 0)
    # The sampler continues from them, as from a generation of its own.
    assert run(search, iris, 4)
    assert [generation_of(trial) for trial in successful(search)[4:]] == [1] * 4


def test_the_best_circuits_come_first(wide: Search, iris: DataSplits) -> None:
    remaining = read_state(wide).candidates
    expected: list[str] = []
    while remaining:
        points = np.array([(candidate.cost, candidate.val_error) for candidate in remaining])
        mask = non_dominated(points)
        layer = [candidate for candidate, is_on_front in zip(remaining, mask, strict=True) if is_on_front]
        expected += [each.record.circuit for each in sorted(layer, key=lambda each: (each.cost, each.record.circuit))]
        remaining = [candidate for candidate in remaining if candidate not in layer]
    search = warm(wide, iris)
    run(search, iris, 4)
    assert [trial.user_attrs["circuit"] for trial in successful(search)] == expected[:4]
    trials = {candidate.record.circuit: candidate.trial for candidate in read_state(wide).candidates}
    created = wide.description.created
    for trial in successful(search):
        origin = {"study": "iris", "created": created, "trial": trials[trial.user_attrs["circuit"]]}
        assert trial.user_attrs[SOURCE] == origin


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": TrainingConfig(epochs=2)}, "training.epochs differs (1, 2)"),
        ({"training": TrainingConfig(epochs=1, repeats=2)}, "training.repeats differs (1, 2)"),
        ({"seed": 1}, "seed differs (0, 1)"),
        ({"engine": Engine.PENNYLANE}, "engine differs (fast, pennylane)"),
    ],
)
def test_another_protocol_trains_again(wide: Search, changes: dict[str, Any], reason: str) -> None:
    config = small_config(space=FEW, **changes)
    warm_start, queued = first_generation(source_of_study(wide), config, named.load("iris", seed=config.seed))
    assert warm_start.trained_because == reason
    assert not any(SOURCE_SCORES in trial.user_attrs for trial in queued)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_fingerprint, "data fingerprint differs (other, "),
        (lambda search: change_versions(search, numpy="0"), "version of numpy differs (0, "),
        (lambda search: change_versions(search, processor="abacus"), "version of processor differs (abacus, "),
    ],
)
def test_other_data_or_versions_train_again(
    wide: Search, iris: DataSplits, change: Callable[[Search], Search], reason: str
) -> None:
    search = warm(change(wide), iris)
    stored = search.metadata.description()
    assert stored and stored.warm_start and stored.warm_start.trained_because
    assert stored.warm_start.trained_because.startswith(reason)
    assert len(run(search, iris, 4)) == len({trial.user_attrs["effective"] for trial in successful(search)})


def test_a_worker_of_the_source_with_other_versions_spoils_its_scores(wide: Search, iris: DataSplits) -> None:
    wide.metadata.record_versions({**wide.description.versions, "processor": "abacus"})
    warm_start, _ = first_generation(source_of_study(wide), small_config(space=FEW), iris)
    assert str(warm_start.trained_because).startswith("version of processor differs (abacus, ")


def test_an_incompatible_version_is_refused_and_the_source_left_as_it_was(wide: Search) -> None:
    changed = change_versions(wide, faqnas_optuna="99.0")
    with pytest.raises(StudyMismatchError, match=r"faqnas-optuna: stored 99.0, here"):
        source_of_study(changed)
    source_of_study(change_versions(wide, numpy="0"))
    assert wide.metadata.worker_versions() == []


def test_a_damaged_source_is_refused(search_of_eight: Search, storage_url: str) -> None:
    trial = successful(search_of_eight)[0]
    other = successful(search_of_eight)[1].user_attrs["circuit"]
    with sqlite3.connect(storage_url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'circuit' AND trial_id = ?",
            [f'"{other}"', trial._trial_id],
        )
    damaged = searches.load(open_storage(storage_url), "iris")
    with pytest.raises(DamagedStudyError, match="the genes of trial 0 are not those of its circuit"):
        source_of_study(damaged)


def test_circuits_outside_the_space_are_left_out(wide: Search, iris: DataSplits) -> None:
    warm_start, queued = first_generation(source_of_study(wide), small_config(space=SpaceConfig(n_qubits=(3,))), iris)
    assert {trial.params["n_qubits"] for trial in queued} == {3}
    assert 0 < warm_start.left_out <= 12 - len(queued)
    assert f"; {warm_start.left_out} circuit" in warm_start.summary
    with pytest.raises(ConfigError, match=r"none of the 1\d circuits of study iris is in the space and within the limits"):
        first_generation(source_of_study(wide), small_config(space=SpaceConfig(n_qubits=(9,))), iris)


def test_circuits_beyond_a_limit_are_neither_queued_at_the_start_nor_later(wide: Search, iris: DataSplits) -> None:
    costs = sorted({candidate.quantum_flops for candidate in read_state(wide).candidates})
    limited = warm(wide, iris, limits=LimitsConfig(max_flops=costs[len(costs) // 2]))
    queued = [Genome.from_params(trial.system_attrs["fixed_params"]).circuit for trial in limited.study.get_trials()]
    assert queued and max(map(profiler_flops, queued)) <= costs[len(costs) // 2]
    beyond = next(candidate.genome.circuit for candidate in read_state(wide).candidates if candidate.cost == costs[-1])
    with pytest.raises(GenomeError, match=f"is beyond the limits of the study, max_flops {costs[len(costs) // 2]}"):
        limited.enqueue(beyond)


def test_a_source_without_circuits_is_refused(new_search: Callable[..., Search]) -> None:
    with pytest.raises(ConfigError, match="study 'iris' has no successful trial to start from"):
        source_of_study(new_search())


def test_scores_of_an_earlier_version_are_not_reused(search_of_eight: Search, iris: DataSplits) -> None:
    warm_start, _ = first_generation(source_of_study(search_of_eight), search_of_eight.config, iris)
    assert warm_start.trained_because == "its trials are from before balanced accuracy"


SPACES = [
    SpaceConfig(),
    SpaceConfig(n_qubits=(2, 3), topology=(Topology.CIRCULAR,)),
    SpaceConfig(depth=(1, 6), reuploading=(False, True)),
]


@pytest.mark.parametrize("space", SPACES, ids=["paper", "narrow", "wide"])
def test_a_genome_of_a_space_describes_its_circuit(space: SpaceConfig) -> None:
    inside = 0
    for circuit in drawn_circuits(300, seed=3):
        try:
            genome = space.genome_of(circuit)
        except GenomeError:
            is_inside = circuit.n_qubits in space.n_qubits and circuit.depth in space.depth
            is_inside &= circuit.topology in space.topology or circuit.n_qubits == 2
            assert not is_inside
            continue
        inside += 1
        assert genome.circuit == circuit
        assert all(value in space.genes[gene] for gene, value in genome.to_params().items())
        assert list(genome.to_params()) == list(space.genes)
    assert inside


def test_inactive_genes_are_diverse() -> None:
    genomes = [SpaceConfig().genome_of(circuit) for circuit in drawn_circuits(60, seed=1) if circuit.depth == 1]
    assert {genome.rotation_4 for genome in genomes} == {"RX", "RY", "RZ"}


def test_queued_trials_are_those_of_optuna(new_search: Callable[..., Search]) -> None:
    genome = SpaceConfig().genome_of(drawn_circuits(1, seed=0)[0])
    ours, optunas = new_search(name="ours"), new_search(name="optunas")
    attributes = {SOURCE: {"file": "front.csv", "row": 1}}
    queue_trials(ours.study, [NewTrial(params=genome.to_params(), user_attrs=attributes)], {"plots": 0})
    optunas.study.enqueue_trial(genome.to_params(), user_attrs=attributes)
    (left,), (right,) = ours.study.get_trials(), optunas.study.get_trials()
    fields = ("number", "state", "params", "user_attrs", "system_attrs", "values", "datetime_start")
    assert [getattr(left, field) for field in fields] == [getattr(right, field) for field in fields]
    assert ours.study.user_attrs["plots"] == 0


def test_circuits_are_queued_in_a_running_search(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(space=FEW, search=SearchConfig(population=4, synchronous=True)))
    run(search, iris, 5)
    circuit = next(circuit for circuit in drawn_circuits(200, seed=5) if circuit.n_qubits == 3 and circuit.depth == 2)
    search.enqueue(circuit)
    with pytest.raises(GenomeError, match=r"is outside the space, in which n_qubits is 2, 3"):
        search.enqueue(replace(circuit, n_qubits=9))
    assert read_state(search).waiting == 1
    run(search, iris, 2)
    trials = successful(search)
    assert Genome.from_params(trials[5].params).circuit == circuit
    assert [(generation_of(trial), place_of(trial)) for trial in trials[4:]] == [(1, 4), (1, 5), (1, 6)]
    stop(search, StopReason.REQUESTED)
    with pytest.raises(ConfigError, match="study 'iris' has stopped; continue it first with: faqnas-optuna resume iris"):
        search.enqueue(circuit)


def test_an_interrupted_trial_of_the_first_generation_is_queued_again(wide: Search, iris: DataSplits) -> None:
    limits = SearchConfig(population=4, generations=3, synchronous=True)
    undisturbed = warm(wide, iris, "undisturbed", search=limits, training=TrainingConfig(epochs=2))
    disturbed = warm(wide, iris, "disturbed", search=limits, training=TrainingConfig(epochs=2))

    def interrupted(*_: object) -> Any:
        raise Interruption

    worker = StudyWorker(disturbed, iris, Signals(), evaluate=interrupted)
    worker.look()
    worker.run_trial()
    for search in (undisturbed, disturbed):
        run(search, iris, 12)

    def by_place(search: Search) -> dict[int, Any]:
        return {place_of(trial): (trial.params, trial.values, generation_of(trial)) for trial in successful(search)}

    failed = disturbed.study.get_trials(states=[TrialState.FAIL])
    assert [trial.number for trial in failed] == [0]
    assert failed[0].user_attrs["failure"].startswith("given up: Interruption")
    assert len(by_place(undisturbed)) == 12
    assert by_place(disturbed) == by_place(undisturbed)
