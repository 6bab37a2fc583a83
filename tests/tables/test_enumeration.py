"""Tables do not depend on how they were computed, and agree with searches."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import DataConfig, SearchConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError, OutputError, StudyMismatchError, WorkerDiedError
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import LimitsConfig
from faqnas_optuna.study.search import Search
from faqnas_optuna.study_file import document_differences
from faqnas_optuna.tables.chunks import ChunkResult, chunk_folder, folder_of
from faqnas_optuna.tables.enumeration import Job, train_chunk
from faqnas_optuna.tables.plan import Chunk, circuits_within, table_document, versions
from faqnas_optuna.tables.schema import read_document, seconds_file
from faqnas_optuna.tables.table import Table
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.values import Costs
from faqnas_optuna.workers.loop import run
from faqnas_optuna.workers.pool import shared_out
from tests.conftest import small_config, successful
from tests.support.tables import EPOCHS, SEEDS, SPACE, digest, make, plan_of


def until(number: int, work: Callable[[Job, Chunk], ChunkResult], shared: Job, tasks: Iterable[Chunk]) -> Iterator[ChunkResult]:
    """Yield the results of chunks in reverse order and fail after `number` of them."""
    for count, task in enumerate(reversed(list(tasks))):
        if count == number:
            raise WorkerDiedError("a worker process was killed by SIGKILL")
        yield work(shared, task)


@pytest.fixture(scope="module")
def table(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "iris.parquet"
    make(file, iris)
    return file


@pytest.mark.parametrize("seed", range(SEEDS))
def test_its_values_are_those_of_a_search(seed: int, table: Path, new_search: Callable[..., Search], iris: DataSplits) -> None:
    """Compare the values of all trials bit for bit, including circuits with inert gates."""
    frame = pd.read_parquet(table).set_index("circuit")
    training, limits = TrainingConfig(epochs=EPOCHS), SearchConfig(population=10, generations=3, patience=3)
    data = DataConfig(split_seed=0)
    search = new_search(small_config(seed=seed, data=data, training=training, search=limits, space=SPACE))
    run(search, iris, Signals(), on_trial=lambda _: None)
    trials = successful(search)
    assert len(trials) == 30
    for trial in trials:
        row, attributes = frame.loc[trial.user_attrs["circuit"]], trial.user_attrs
        assert row[f"val_right_e{EPOCHS}_s{seed}"] / len(iris.validation) == attributes["val_accuracy"]
        assert trial.values == [row["quantum_flops_profiler"], 1 - attributes["val_accuracy"]]
        costs = Costs.of(Genome.from_params(trial.params).circuit, n_features=4, n_classes=3)
        assert all(row[name] == attributes[name] == cost for name, cost in vars(costs).items() if cost is not None)


def test_circuits_with_the_same_live_gates_have_the_same_values(table: Path) -> None:
    frame = pd.read_parquet(table)
    assert len(frame) == len(plan_of().effective_of) > frame["trained"].nunique() == len(plan_of().circuits)
    values = [name for name in frame if "_right_" in name or "_loss_" in name]
    assert len(values) == 3 * 2 * 3 * SEEDS
    assert (frame.groupby("trained")[values].nunique() == 1).all(axis=None)
    for circuit, effective in plan_of().effective_of.items():
        (row,) = frame[frame["circuit"] == circuit.digest].itertuples()
        assert row.trained == effective.digest == effective_circuit(circuit).digest
        rotations = [
            rotation
            for rotation in (row.rotation_1, row.rotation_2, row.rotation_3, row.rotation_4)
            if isinstance(rotation, str)
        ]
        assert rotations == list(circuit.rotations) and len(rotations) == row.depth
        genes = (row.n_qubits, row.embedding, row.entangler, row.topology)
        assert genes == (circuit.n_qubits, circuit.embedding, circuit.entangler, circuit.topology)


def test_it_says_of_what_it_is(table: Path, iris: DataSplits) -> None:
    document = read_document(table)
    assert document == json.loads(json.dumps(table_document(plan_of(), iris)))
    assert document["sizes"] == {"train": 90, "validation": 30, "test": 30}
    assert document["protocol"]["checkpoints"] == [1, 2, 5] and document["protocol"]["seeds"] == SEEDS
    assert document["versions"] == versions() and document["licence"] == "MIT"
    seconds = pd.read_parquet(seconds_file(table))
    assert list(seconds["circuit"]) == list(pd.read_parquet(table, columns=["circuit"])["circuit"])
    assert (seconds[["seconds_s0", "seconds_s1"]] > 0).all(axis=None)
    assert {"processor", "finished"} <= set(read_document(seconds_file(table)))


@pytest.mark.slow
def test_it_is_the_same_whatever_the_number_of_workers(table: Path, iris: DataSplits, tmp_path: Path) -> None:
    progress = make(tmp_path / "iris.parquet", iris, hand_out=partial(shared_out, processes=2))
    assert progress[0] == 0 and progress[-1] == plan_of().trainings and progress == sorted(progress)
    assert digest(tmp_path / "iris.parquet") == digest(table)
    assert not folder_of(tmp_path / "iris.parquet").exists()


def test_it_goes_on_where_it_was_interrupted(table: Path, iris: DataSplits, tmp_path: Path) -> None:
    file = tmp_path / "iris.parquet"
    for chunks in (5, 3):
        with pytest.raises(WorkerDiedError, match="SIGKILL. Finished trainings are kept; repeat the command to resume"):
            make(file, iris, hand_out=partial(until, chunks))
        assert not file.exists()
    # Damage a file, as a power failure may leave it.
    damaged = folder_of(file) / "seed001-000.npz"
    (damaged if damaged.exists() else sorted(folder_of(file).glob("*.npz"))[0]).write_bytes(b"PK")
    progress = make(file, iris)
    assert progress[0] == 7 * (progress[1] - progress[0]) and progress[-1] == plan_of().trainings
    assert digest(file) == digest(table)
    # A finished table is not computed again.
    assert make(file, iris) == []


def test_parts_of_another_table_are_refused(iris: DataSplits, tmp_path: Path) -> None:
    file = tmp_path / "iris.parquet"
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        make(file, iris, hand_out=partial(until, 1))
    pattern = "iris.parquet.parts belongs to another table: protocol.seeds: stored 2, requested 3; remove it to start again, or"
    with pytest.raises(StudyMismatchError, match=pattern):
        make(file, iris, plan_of(seeds=3))
    (folder_of(file) / "plan.json").write_text("{")
    with pytest.raises(OutputError, match="plan.json is damaged; remove the folder to start again"):
        make(file, iris)


def test_another_table_in_its_place_is_refused(table: Path, iris: DataSplits, tmp_path: Path) -> None:
    with pytest.raises(StudyMismatchError, match="is another table: protocol.seeds: stored 2, requested 3; choose another"):
        make(table, iris, plan_of(seeds=3))
    assert not folder_of(table).exists()
    (tmp_path / "mine.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"mine.parquet is not a table, or is damaged; name a file"):
        make(tmp_path / "mine.parquet", iris)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"other.parquet is a Parquet file of another program; name a file"):
        make(tmp_path / "other.parquet", iris)


def test_two_at_one_table_are_refused(iris: DataSplits, tmp_path: Path) -> None:
    file = tmp_path / "iris.parquet"
    with (
        chunk_folder(file, json.loads(json.dumps(table_document(plan_of(), iris)))).locked(),
        pytest.raises(OutputError, match="another process is writing to .*iris.parquet.parts; wait until it ends, or choose"),
    ):
        make(file, iris)


def test_what_cannot_be_kept_is_told_in_a_line(iris: DataSplits, tmp_path: Path) -> None:
    file = tmp_path / "iris.parquet"
    (folder_of(file) / "seed000-000.npz" / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot write .*seed000-000.npz: Is a directory. Finished trainings are kept"):
        make(file, iris)


def test_a_worker_with_other_versions_is_refused(iris: DataSplits) -> None:
    job = Job(
        circuits=plan_of().circuits, splits=iris, training=TrainingConfig(epochs=1), versions=versions() | {"numba": "0.1"}
    )
    with pytest.raises(StudyMismatchError, match="has other versions, numba: stored 0.1, requested .*; install the"):
        train_chunk(job, Chunk(0, 0, 0, 1))


def test_a_sample_has_all_circuits_that_its_trainings_stand_for() -> None:
    everything, part = plan_of(), plan_of(fraction=0.2)
    assert set(part.circuits) < set(everything.circuits)
    assert part.effective_of == {circuit: one for circuit, one in everything.effective_of.items() if one in set(part.circuits)}


def test_chunks_are_all_trainings_seed_by_seed() -> None:
    plan = plan_of(among=None, seeds=3)
    chunks = plan.chunks()
    assert [(chunk.seed, row) for chunk in chunks for row in range(chunk.begin, chunk.end)] == [
        (seed, row) for seed in range(3) for row in range(len(plan.circuits))
    ]
    assert len({chunk.name for chunk in chunks}) == len(chunks) <= 300


def test_differences_are_told_by_their_place() -> None:
    assert document_differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}}) == [
        "a.c: stored 2, requested 4",
        "d: stored 3, requested None",
    ]


def test_a_limited_table_has_the_front_of_the_whole_one_up_to_the_limit(iris: DataSplits, table: Path, tmp_path: Path) -> None:
    config = plan_of().config.model_copy(update={"space": SPACE, "limits": LimitsConfig(max_flops=170)})
    make(tmp_path / "few.parquet", iris, plan_of(config=config, among=circuits_within(Limits.of(config, iris))))
    few, whole = Table(tmp_path / "few.parquet"), Table(table)
    flops = whole.column("quantum_flops_profiler")
    assert set(few.circuits) == {digest for digest, cost in zip(whole.circuits, flops, strict=True) if cost <= 170}
    assert 0 < len(few) < len(whole)
    fronts = [[replace(entry, seconds=None) for entry in one.front(EPOCHS)] for one in (few, whole)]
    assert fronts[0] == [entry for entry in fronts[1] if entry.quantum_flops_profiler <= 170] != fronts[1]
