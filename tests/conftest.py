"""Fixtures and helpers of several test files."""

import gc
import importlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import hypothesis
import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.confirmation.baselines import Baseline
from faqnas_optuna.confirmation.opening import create_or_extend, open_study
from faqnas_optuna.confirmation.plan import ConfirmationBudget, finalists_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import open_storage, storage_lock
from faqnas_optuna.study.description import ConfirmationPlan
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search, create, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.values import Costs
from faqnas_optuna.workers.loop import run
from tests.support.browser import browse as browse  # the fixtures
from tests.support.browser import chromium as chromium
from tests.support.browser import profile as profile
from tests.support.crew import GRACE_S, Crew
from tests.support.databases import any_storage_url as any_storage_url
from tests.support.databases import mariadb_server as mariadb_server
from tests.support.databases import mariadb_url as mariadb_url
from tests.support.databases import postgres_server as postgres_server
from tests.support.databases import postgres_url as postgres_url
from tests.support.forked import Forked
from tests.support.guarded import pytest_configure as pytest_configure
from tests.support.guarded import pytest_unconfigure as pytest_unconfigure
from tests.support.processes import TIMEOUT_S as TIMEOUT_S
from tests.support.processes import cli_environment as cli_environment

# No test depends on how fast this machine is.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without garbage collections, which would take a third of the time.

    What the imports leave stays until the end: no later garbage collection looks through it either.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    # Optuna reports each trial, which hides the output of a failing test.
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


@pytest.fixture(scope="session", autouse=True)
def _many_files() -> None:
    """Allow more open files than the usual 1,024: databases that tests have opened stay open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if 0 <= most < 8192 else 8192, most))


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> None:
    importlib.import_module("tests.support.migrations")


@pytest.fixture(scope="session", autouse=True)
def _signals_for_children() -> None:
    """Let the processes that tests start receive signals, even if the tests run under nohup or in the background."""
    # Children inherit an ignored signal, but not a handler.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def iris() -> DataSplits:
    return named.load("iris", seed=0)


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/faqnas.db"


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Temporary directory that other users may enter."""
    # pytest closes its directories to other users when another run begins.
    with TemporaryDirectory(prefix="faqnas-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


@pytest.fixture
def crew(logs: Path, any_storage_url: str) -> Iterator[Crew]:
    with Crew(logs, any_storage_url, grace_s=GRACE_S) as crew:
        yield crew


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Database without studies, for copies: a copy takes a tenth of the time that creating the tables takes."""
    file = tmp_path_factory.mktemp("none") / "faqnas.db"
    open_storage(f"sqlite:///{file}", create=True)
    return file


@pytest.fixture
def new_search(empty_database: Path, tmp_path: Path, storage_url: str, iris: DataSplits) -> Callable[..., Search]:
    """Function that creates a study on Iris in a separate database of the test."""

    def make(config: StudyConfig | None = None, name: str = "iris") -> Search:
        file = tmp_path / "faqnas.db"
        if not file.exists():
            copy_database(empty_database, file)
        storage = open_storage(storage_url)
        # Creating a study requires the lock, as in the program.
        with storage_lock(storage_url):
            return create(storage, name, config or small_config(), iris)

    return make


@pytest.fixture(scope="session")
def database_of_eight(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Database with a study on Iris of eight trials, for copies: a copy takes a hundredth of the time of the trials."""
    file = tmp_path_factory.mktemp("eight") / "faqnas.db"
    search = create(open_storage(f"sqlite:///{file}", create=True), "iris", small_config(), iris)
    run_trials(search, 8, cheap_values)
    return file


@pytest.fixture
def search_of_eight(database_of_eight: Path, tmp_path: Path, storage_url: str) -> Search:
    """Study on Iris of eight trials in a separate database of the test."""
    copy_database(database_of_eight, tmp_path / "faqnas.db")
    return load(open_storage(storage_url), "iris")


@pytest.fixture(scope="session")
def confirmed_database(database_of_eight: Path, iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Database with that study and the confirmation of its front, trained for two epochs from three seeds."""
    file = tmp_path_factory.mktemp("confirmed") / "faqnas.db"
    copy_database(database_of_eight, file)
    url = f"sqlite:///{file}"
    search = load(open_storage(url), "iris")
    confirmation = confirm(search, url, read_state(search).front, ConfirmationBudget(epochs=2, repeats=3))
    # This trains all networks, once in a process of the tests.
    run(confirmation, iris, Signals(), on_trial=lambda _: None)
    return file


@pytest.fixture
def confirmed(confirmed_database: Path, tmp_path: Path, storage_url: str) -> Confirmation:
    """Confirmation of a study on Iris in a separate database of the test."""
    copy_database(confirmed_database, tmp_path / "faqnas.db")
    return load_confirmation(open_storage(storage_url), "iris.confirm")


def load_confirmation(storage: BaseStorage, name: str) -> Confirmation:
    confirmation = open_study(storage, name)
    assert isinstance(confirmation, Confirmation)
    return confirmation


def confirm(
    search: Search, url: str, candidates: Iterable[Candidate], budget: ConfirmationBudget, name: str = "iris.confirm"
) -> Confirmation:
    """Create the confirmation of some circuits of a study on Iris, or extend it."""
    plan = ConfirmationPlan(
        study=search.name,
        created=search.description.created,
        epochs=search.config.training.epochs,
        finalists=finalists_of(candidates, config=search.config, n_features=4, n_classes=3),
        baselines=tuple(map(str, Baseline)),
    )
    return create_or_extend(search.study._storage, url, name, search, plan, budget)


def copy_database(file: Path, to: Path) -> None:
    """Copy a database, including the changes that are still in the write-ahead log beside its file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", [str(to)])


def small_config(**changes: object) -> StudyConfig:
    """Return a configuration with four trials a generation, two generations and one epoch."""
    settings = {"search": SearchConfig(population=4, generations=2), "training": TrainingConfig(epochs=1), **changes}
    return StudyConfig(dataset="iris", **settings)  # type: ignore[arg-type]  # pydantic checks them


def successful(study: StoredStudy[Any]) -> list[FrozenTrial]:
    return study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def reason_of(study: StoredStudy[Any]) -> StopReason | None:
    """Return the stored reason why a study has stopped, or None."""
    stop = study.metadata.stop()
    return stop.reason if stop else None


def run_trials(
    search: Search,
    count: int,
    values: Callable[[Genome], tuple[float, float]],
    *,
    seconds: Callable[[Genome], float] = lambda _: 0.0,
) -> None:
    """Run trials of the study that compute their values by a function instead of training."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        genome = suggest(trial, search.config.space)
        try:
            flops, error = values(genome)
        except Exception as failure:
            # Workers store the reason of a failure like this.
            trial.set_user_attr(FAILURE, repr(failure))
            raise
        attributes = {
            "circuit": genome.circuit.digest,
            "summary": str(genome.circuit),
            "val_accuracy": 1 - error,
            **vars(Costs.of(genome.circuit, n_features=4, n_classes=3)),
            "seconds": seconds(genome),
            "worker": "test:1",
        }
        for name, value in attributes.items():
            # Costs of devices are None.
            if value is not None:
                trial.set_user_attr(name, value)
        return flops, error

    search.study.optimize(objective, n_trials=count)


def cheap_values(genome: Genome) -> tuple[float, float]:
    """Return two conflicting objectives: more qubits and layers cost more and have a smaller error."""
    return float(genome.n_qubits * genome.depth), 1 / (genome.n_qubits + genome.depth)


class Completed(Protocol):
    returncode: int
    stdout: str
    stderr: str


RunCli = Callable[..., Completed]


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Function that runs `faqnas-optuna` as a process in the directory of the test."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Completed:
        command = [sys.executable, "-m", "faqnas_optuna", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=cli_environment(env), capture_output=True, text=True, timeout=TIMEOUT_S
        )

    return run


@pytest.fixture
def start_cli(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Function that starts `faqnas-optuna` as a process, which is killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "faqnas_optuna", *arguments]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=cli_environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


@pytest.fixture
def second_thread(tmp_path: Path) -> dict[str, str]:
    """Environment of a process with a second thread, which must start extra workers as new processes instead of forking."""
    # Python imports `sitecustomize` at its start.
    program = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    directory = tmp_path / "site"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))}


@pytest.fixture
def fork_cli(tmp_path: Path) -> Iterator[Callable[..., Forked]]:
    """Function that starts `faqnas-optuna` in a forked process, which saves the imports of `start_cli`."""
    processes: list[Forked] = []

    def fork(*arguments: str, env: Mapping[str, str] | None = None, **settings: Any) -> Forked:
        process = Forked(arguments, directory=tmp_path, env=cli_environment(env), **settings)
        processes.append(process)
        return process

    yield fork
    for process in processes:
        process.end()


@pytest.fixture
def run_forked(fork_cli: Callable[..., Forked]) -> RunCli:
    """Function that runs `faqnas-optuna` in a forked process, which saves the imports of `run_cli`."""

    def run(*arguments: str, **settings: Any) -> Completed:
        process = fork_cli(*arguments, **settings)
        out, err = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(arguments, process.wait(timeout=TIMEOUT_S), out, err)

    return run


@pytest.fixture
def cli_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Function that runs a command in this process and returns exit code, stdout and stderr; seconds faster than a process."""
    from faqnas_optuna.__main__ import main

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FAQNAS_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["faqnas-optuna", *arguments])
        with pytest.raises(SystemExit, match=r"^\d+$") as exited:
            main()
        captured = capsys.readouterr()
        return int(exited.value.code or 0), captured.out, captured.err

    return run
