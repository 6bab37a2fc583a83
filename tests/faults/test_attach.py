"""Workers and commands that join a study with different data, settings or versions."""

from pathlib import Path

import pytest

from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data.loading import load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, create, load
from faqnas_optuna.study.study import versions
from tests.support.crew import Crew, trials_of
from tests.support.databases import sqlite_and_postgres
from tests.support.studies import change_versions

pytestmark = pytest.mark.slow

SMALL = StudyConfig(dataset="iris", search=SearchConfig(population=2, generations=1), training=TrainingConfig(epochs=1))
START_SMALL = ("start", "--dataset", "iris", "--population", "2", "--generations", "1", "--epochs", "1")


@pytest.fixture
def search(any_storage_url: str, iris: DataSplits) -> Search:
    """Create a small study without trials."""
    return create(open_storage(any_storage_url, create=True), "iris", SMALL, iris)


def refused(crew: Crew, *commands: tuple[str, ...]) -> list[str]:
    """Run commands at the same time, check that each is refused with exit code 3, and return their output."""
    processes = [crew.start(*command) for command in commands]
    assert crew.leave()[-len(commands) :] == [3] * len(commands), crew.printed()
    return [crew.printed(process) for process in processes]


@sqlite_and_postgres
def test_a_data_file_that_has_changed_is_refused(any_storage_url: str, crew: Crew, tmp_path: Path) -> None:
    file = tmp_path / "flowers.csv"
    rows = [f"{row / 10},{row % 7},{'yes' if row % 2 else 'no'}" for row in range(30)]
    file.write_text("\n".join(["length,width,ill", *rows, ""]))
    start = ("start", str(file), "--target", "ill")
    crew.start(*start, "--detach")
    assert crew.leave() == [0], crew.printed()
    search = load(open_storage(any_storage_url), "flowers")
    stored_fingerprint = search.description.data_fingerprint
    file.write_text(file.read_text().replace("0.1,", "0.2,"))
    fingerprint = load_splits(search.config, files=search.description.files).fingerprint
    assert fingerprint != stored_fingerprint
    assert refused(crew, start, ("worker", "flowers"), ("resume", "flowers")) == 3 * [
        f"Error: study 'flowers' was made with other data; flowers.csv fingerprint: stored {stored_fingerprint},"
        f" here {fingerprint}; use the same files, or start another study with --study\n"
    ]
    assert trials_of(search) == []


@sqlite_and_postgres
def test_another_space_or_protocol_is_refused(search: Search, crew: Crew, tmp_path: Path) -> None:
    differences = {
        "[space]\nn_qubits = [2, 3]\nembedding = ['angle']": (
            "space.n_qubits: stored [2, 3, 4, 5, 6, 7, 8, 9, 10], requested [2, 3];"
            " space.embedding: stored ['angle', 'amplitude'], requested ['angle']"
        ),
        "[training]\nlearning_rate = 0.1\nrepeats = 3": (
            "training.learning_rate: stored 0.003, requested 0.1; training.repeats: stored 1, requested 3"
        ),
        "flops = 'analytic'": "flops: stored profiler, requested analytic",
    }
    files = [tmp_path / f"{number}.toml" for number in range(len(differences))]
    for file, settings in zip(files, differences, strict=True):
        file.write_text(settings)
    assert refused(crew, *[(*START_SMALL, "--config", str(file)) for file in files]) == [
        f"Error: study 'iris' exists with other settings: {difference};"
        " use the stored ones, or start another study with --study\n"
        for difference in differences.values()
    ]
    assert trials_of(search) == []


@sqlite_and_postgres
def test_another_version_of_the_package_is_refused(search: Search, crew: Crew) -> None:
    change_versions(search, faqnas_optuna="0.0.9", optuna="4.9.0", torch="2.10.0")
    here = versions()
    assert refused(crew, START_SMALL, ("worker", "iris"), ("resume", "iris")) == 3 * [
        "Error: study 'iris' was made with other versions:"
        f" faqnas-optuna: stored 0.0.9, here {here['faqnas-optuna']}; optuna: stored 4.9.0, here {here['optuna']};"
        " install those, or start another study with --study\n"
    ]
    assert trials_of(search) == []


@sqlite_and_postgres
@pytest.mark.parametrize("command", [START_SMALL, ("worker", "iris"), ("resume", "iris")], ids=lambda command: command[0])
def test_another_version_of_torch_is_recorded(search: Search, crew: Crew, command: tuple[str, ...]) -> None:
    change_versions(search, torch="2.10.0")
    crew.start(*command)
    assert crew.leave() == [0], crew.printed()
    assert len(trials_of(search)) == 2
    assert search.metadata.worker_versions() == [versions()]
