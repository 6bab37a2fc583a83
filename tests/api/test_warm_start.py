"""Sources of first generations, by command and from Python."""

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from faqnas_optuna import Study, load_table, search
from faqnas_optuna.api.warm_start import circuit_of, read_source
from faqnas_optuna.circuits.genome import GENES, Circuit, Genome
from faqnas_optuna.errors import ConfigError, GenomeError, StudyMismatchError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.records import SOURCE
from tests.conftest import RunCli
from tests.support.sampling import drawn_circuits

Cli = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {"population": 4, "generations": 1, "epochs": 1, "space": {"n_qubits": [2, 3], "depth": [1, 2]}}
OPTIONS = ("--population", "4", "--generations", "1", "--epochs", "1")
TABLE = Path(__file__).parents[2] / "studies" / "tables" / "iris.parquet"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Database with the search `source` of one generation."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/faqnas.db"
    search("iris", study="source", storage=url, **SMALL)
    return url


def write(file: Path, circuits: list[Circuit], **cells: str) -> list[dict[str, str]]:
    """Write circuits as rows without inactive rotations, and return the rows."""
    rows = []
    for circuit in circuits:
        genes = {"n_qubits": str(circuit.n_qubits), "depth": str(circuit.depth)}
        genes |= {gene: str(getattr(circuit, gene)) for gene in ("embedding", "entangler", "topology")}
        rotations = [*circuit.rotations, "", "", ""][:4]
        genes |= {f"rotation_{layer}": str(rotation) for layer, rotation in enumerate(rotations, 1)}
        rows.append({"note": "ours", **genes, **cells})
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, fieldnames=[*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return rows


@pytest.mark.slow
def test_the_command_and_python_start_alike(url: str, cli_here: Cli) -> None:
    study = search("iris", study="python", start_from="source", storage=url, **SMALL)
    Path("space.toml").write_text('dataset = "iris"\n[space]\nn_qubits = [2, 3]\ndepth = [1, 2]\n')
    code, out, err = cli_here("start", "--config", "space.toml", "--study", "command", "--from", "source", *OPTIONS, "--json")
    assert code == 0 and "First generation: 4 circuits of study source, values reused\n" in err
    document = json.loads(out)
    assert (document["trained"], document["reused"]) == (0, 4)
    assert document["warm_start"]["trained_because"] is None
    assert document["warm_start"] == study.describe()["warm_start"] == study.report()["provenance"]["warm_start"]
    by_command = Study.load("command", storage=url)
    assert by_command.trials.equals(study.trials)
    assert study.describe(0)["source"]["values"] == "reused"
    shown = cli_here("show", "command", "0")[1]
    assert ", values reused\n" in next(line for line in shown.splitlines(keepends=True) if line.startswith("source "))
    assert "4 circuits of study source, values reused" in cli_here("show", "command")[1]
    study.confirm(top=1, epochs=1, repeats=2, detach=True)
    assert Study.load("python.confirm", storage=url).describe()["warm_start"] is None


def test_the_same_source_continues_and_another_is_refused(url: str, cli_here: Cli) -> None:
    write(Path("front.csv"), drawn_circuits(4, seed=1))
    other = {**SMALL, "space": {}}
    for _ in range(2):
        study = search("iris", study="warm", start_from="front.csv", storage=url, **other)
        assert len(study.optuna.trials) == 4
    # Leaving the source out agrees with any.
    assert len(search("iris", study="warm", storage=url, **other).optuna.trials) == 4
    write(Path("front.csv"), drawn_circuits(4, seed=2))
    for source in ("front.csv", "source"):
        code, _, err = cli_here("start", "iris", "--study", "warm", "--from", source, *OPTIONS)
        assert code == 3 and "exists with another first generation: stored file front.csv (" in err
    with pytest.raises(StudyMismatchError, match="stored none, requested file front.csv \\([0-9a-f]{16}\\); leave out --from"):
        search("iris", study="source", start_from="front.csv", storage=url, **SMALL)
    Path("front.csv").unlink()
    assert len(search("iris", study="warm", start_from="front.csv", storage=url, **other).optuna.trials) == 4


def test_a_study_that_was_made_again_is_another_source(url: str) -> None:
    search("iris", study="warm", start_from="source", storage=url, **SMALL)
    optuna.delete_study(study_name="source", storage=open_storage(url))
    search("iris", study="warm", start_from="source", storage=url, **SMALL)
    search("iris", study="source", storage=url, **SMALL)
    with pytest.raises(StudyMismatchError, match="stored study source .*, requested study source"):
        search("iris", study="warm", start_from="source", storage=url, **SMALL)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "there is no study 'nope'"),
        ("", "a study's name has 1 to 100 letters"),
        ("new", "study 'new' cannot start from itself"),
        ("nope.csv", "nope.csv: the file does not exist"),
        ("nope.parquet", "nope.parquet does not exist"),
        ("nine.csv", "none of the 2 circuits of file nine.csv is in the space and within the limits"),
        ("short.csv", "short.csv: has no column 'rotation_4'; a file of circuits has the columns n_qubits, "),
        ("empty.csv", "empty.csv: holds no circuits"),
        ("odd.csv", "odd.csv, row 1: gene 'embedding' must be one of angle, .*; it is 'angel'; correct the row, or delete it"),
        ("text.csv", "text.csv, row 1: gene 'n_qubits' must be one of 2, .*; it is '3.5'"),
        ("gap.csv", "gap.csv, row 1: .*rotation_1"),
        ("deep.csv", "deep.csv, row 1: gene 'depth' must be one of 1, .*; it is 'x'"),
    ],
)
def test_an_unusable_source_creates_nothing(url: str, cli_here: Cli, source: str, message: str) -> None:
    nine = [circuit for circuit in drawn_circuits(99, seed=0) if circuit.n_qubits == 9][:2]
    rows = write(Path("nine.csv"), nine)
    write(Path("odd.csv"), nine, embedding="angel")
    write(Path("text.csv"), nine, n_qubits="3.5")
    write(Path("gap.csv"), nine, rotation_1="")
    write(Path("deep.csv"), nine, depth="x", rotation_4="")
    Path("short.csv").write_text(",".join([*rows[0]][:-1]) + "\nours,3,2\n")
    Path("empty.csv").write_text(",".join(rows[0]) + "\n")
    Path("space.toml").write_text("[space]\nn_qubits = [2, 3]\n")
    code, out, err = cli_here("start", "iris", "--config", "space.toml", "--study", "new", "--from", source)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    with pytest.raises(Exception, match=message):
        search("iris", study="new", config="space.toml", start_from=source, storage=url)
    assert optuna.get_all_study_names(open_storage(url)) == ["source"]


def test_a_refused_source_leaves_no_database(cli_here: Cli, tmp_path: Path) -> None:
    code, _, err = cli_here("start", "iris", "--from", "nope")
    assert code == 2 and "no other study in this database; name another source" in err
    assert list(tmp_path.iterdir()) == []


def test_a_confirmation_is_no_source(confirmed: Any, storage_url: str) -> None:
    with pytest.raises(ConfigError, match="study 'iris.confirm' has no front: it confirms circuits of 'iris'"):
        search("iris", study="warm", start_from="iris.confirm", storage=storage_url)


def test_a_file_is_read_in_its_order_without_repetitions(url: str) -> None:
    circuits = drawn_circuits(3, seed=4)
    write(Path("mine.csv"), [circuits[0], circuits[0], *circuits[1:]])
    study = search("iris", study="warm", start_from=Path("mine.csv"), storage=url, detach=True, population=4)
    trials = study.optuna.trials
    assert [Genome.from_params(trial.system_attrs["fixed_params"]).circuit for trial in trials] == circuits
    assert [trial.user_attrs[SOURCE] for trial in trials] == [{"file": "mine.csv", "place": place} for place in (1, 3, 4)]
    assert study.status()["trials"]["waiting"] == 3


@pytest.mark.parametrize(
    "command",
    [("pareto", "source", "--csv"), pytest.param(("space", "--fraction", "0.001", "--out"), marks=pytest.mark.slow)],
)
def test_our_own_files_are_sources(url: str, cli_here: Cli, command: tuple[str, ...]) -> None:
    assert cli_here(*command, "own.csv")[0] == 0
    with Path("own.csv").open() as text:
        digests = [row["circuit"] for row in csv.DictReader(text)] if command[0] == "space" else None
    circuits = [circuit for circuit, _ in read_source("own.csv", None, epochs=1).circuits]
    if digests is None:
        front = Study.load("source", storage=url).front
        digests = front["digest"].tolist()
    assert [circuit.digest for circuit in circuits] == digests


def test_a_table_is_ranked_by_its_front() -> None:
    source = read_source(str(TABLE), None, epochs=5)
    table = load_table(TABLE)
    front = [entry.circuit for entry in table.front(5)]
    digests = [circuit.digest for circuit, _ in source.circuits]
    assert digests[: len(front)] == front
    entries = [table.query(digest) for digest in digests]
    points = [(entry.quantum_flops_profiler, -entry.val_accuracy) for entry in entries]
    second = non_dominated(np.array(points[len(front) :]))
    layer = second.sum()
    assert second[:layer].all()
    assert len(digests) == len(set(digests))


@pytest.mark.slow
def test_a_race_is_trained_again(url: str) -> None:
    Study.load("source", storage=url).race(name="raced", trainings=2_000, among=True, workers=1, progress=False)
    study = search("iris", study="warm", start_from="raced", storage=url, detach=True, **SMALL)
    assert study.describe()["warm_start"]["trained_because"] == "a race trains from other random seeds"
    front = Study.load("raced", storage=url).front["digest"].tolist()
    queued = [Genome.from_params(trial.system_attrs["fixed_params"]).circuit.digest for trial in study.optuna.trials]
    assert set(queued[: len(front)]) <= set(front)


def test_circuits_are_given_in_any_form(url: str) -> None:
    study = Study.load("source", storage=url)
    candidate = study.pick("best")
    row = study.front.set_index("trial").loc[candidate.trial]
    genes = candidate.genome.to_params()
    texts = {gene: str(value) for gene, value in genes.items()}
    forms = [candidate, candidate.genome, candidate.genome.circuit, genes, texts, row, row.to_dict()]
    assert {circuit_of(form) for form in forms} == {candidate.genome.circuit}
    with pytest.raises(GenomeError, match="it lacks depth"):
        circuit_of({gene: value for gene, value in genes.items() if gene != "depth"})
    for other in (None, 5, "knee"):
        with pytest.raises(GenomeError, match=f"a circuit is a genome, .*; it is {other!r}"):
            circuit_of(other)


def test_a_queued_circuit_is_trained_next(url: str) -> None:
    study = Study.load("source", storage=url)
    with pytest.raises(ConfigError, match="study 'source' has stopped; continue it first with: faqnas-optuna resume source"):
        study.enqueue(study.pick())
    running = search("iris", study="running", storage=url, detach=True, **SMALL)
    genes = {gene: study.pick("best").genome.to_params()[gene] for gene in GENES}
    running.enqueue(genes)
    running.resume()
    trial = running.optuna.trials[0]
    assert Genome.from_params(trial.params).circuit == study.pick("best").genome.circuit
    assert "queued_by" in running.describe(0)["source"]
    with pytest.raises(GenomeError, match="is outside the space, in which n_qubits is 2, 3"):
        search("iris", study="other", storage=url, detach=True, **SMALL).enqueue({**genes, "n_qubits": 9})


@pytest.mark.slow
def test_a_damaged_source_ends_with_one_line(url: str, run_cli: RunCli) -> None:
    with sqlite3.connect("faqnas.db") as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = '\"high\"' WHERE key = 'val_accuracy'")
    result = run_cli("start", "iris", "--study", "new", "--from", "source")
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (3, "", 1)
    assert "study 'source' is damaged in the database" in result.stderr
