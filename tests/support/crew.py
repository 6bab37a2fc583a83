"""Workers for tests of faults: `faqnas-optuna` in processes that start in a fraction of a second and keep a log.

They are forked from a process that has imported everything. Instead of training, an evaluation sleeps for a moment and computes
its values from the circuit.
"""

import itertools
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.__main__ import THREAD_VARIABLES
from faqnas_optuna.__main__ import main as faqnas_main
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.confirmation import objective as confirmation_objective
from faqnas_optuna.confirmation.baselines import ConfirmationResult, Model, confirm_once
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study import objective
from faqnas_optuna.study.search import Search, create
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.study.work import Evaluate, TrialOutcome
from faqnas_optuna.training import evaluation, pilot
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.training.scoring import Scores, confusion
from faqnas_optuna.training.values import Costs

# Includes what the command line imports lazily, such as drivers of databases: each process would import it again.
PRELOADED = [
    # The first, which makes garbage collections rare, and the last have to be that.
    "tests",
    "alembic.command",
    "alembic.migration",
    "faqnas_optuna.api.search_service",
    "faqnas_optuna.cli.display",
    "faqnas_optuna.cli.program",
    "faqnas_optuna.confirmation.report",
    "faqnas_optuna.reporting.documents",
    "faqnas_optuna.workers.cluster",
    "faqnas_optuna.workers.extra",
    "faqnas_optuna.workers.loop",
    "psycopg",
    "pymysql",
    "sklearn.datasets",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "tests.support.forked",
    "tests.support.migrations",
    "tests.support.registries",
    "tests.support.terminal",
    "tests.support.warm_up",
    "tests.support.frozen",
]

GRACE_S = 3
IMPORTS_S = 120
SOON_S = 90
"""Limit for events that normally take a second or two, even on a slow machine; a test that waits longer fails."""
POLL_S = 0.05
LONGEST_POLL_S = 0.5
LEAVE_S = 120
"""Limit for the end of a worker after a request to stop."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Line of a worker's log."""

    worker: str
    """Name of the worker's process."""
    event: str
    """`begun`: the worker has begun the trial; `waits`: it waits for others before it stores the values; `done`: the database
    has acknowledged the values."""
    trial: int
    at: float
    """Seconds since the epoch."""
    values: tuple[float, ...]


class Crew:
    """Worker processes of a test, which are killed at the end of its block.

    Args:
        directory: Directory of the logs and the output of the processes.
        url: URL of the database.
        grace_s: Seconds after which a silent trial is given up.
    """

    def __init__(self, directory: Path, url: str, *, grace_s: int) -> None:
        self.directory = directory
        self._environment = {"FAQNAS_STORAGE": url, "FAQNAS_GRACE": str(grace_s)}
        self._context = forking()
        self._numbers = itertools.count()
        self.processes: list[ForkServerProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()

    def barrier(self, parties: int) -> Barrier:
        return self._context.Barrier(parties)

    def start(
        self,
        *arguments: str,
        trial_s: float = 0.2,
        fault: str | None = None,
        fault_in: int = 1,
        dies_before_heartbeat: bool = False,
        barrier: Barrier | None = None,
        joined: Barrier | None = None,
    ) -> ForkServerProcess:
        """Run `faqnas-optuna` in a process.

        Args:
            trial_s: Seconds that an evaluation takes.
            fault: Key of `FAULTS`, which happens in evaluations.
            fault_in: N if the fault happens to one in N circuits.
            dies_before_heartbeat: Whether the process kills itself between creating its first trial and the first heartbeat
                of that trial.
            barrier: Barrier at which the process waits before the command begins.
            joined: Barrier at which the process waits after its first evaluation, before it stores the values. Then all
                processes that wait there have a trial.
        """
        # A number and not the process id, which the system may reuse.
        name = f"{next(self._numbers):04}"
        files = self.directory / name
        settings = (arguments, self._environment, files, trial_s, (fault, fault_in), dies_before_heartbeat, barrier, joined)
        process = self._context.Process(name=name, target=_work, args=settings)
        process.start()
        self.processes.append(process)
        return process

    def leave(self, within_s: float = LEAVE_S) -> list[int | None]:
        """Wait for all processes to end, and return their exit codes."""
        deadline = time.monotonic() + within_s
        for process in self.processes:
            # One limit for all; a process that has ended by then is still joined.
            process.join(max(deadline - time.monotonic(), 0.1))
        return [process.exitcode for process in self.processes]

    def log(self, process: ForkServerProcess | None = None) -> list[Entry]:
        """Return the log of a process, by default of all processes."""
        paths = self.directory.glob("*.log") if process is None else [self.directory / f"{process.name}.log"]
        return [entry for path in paths if path.exists() for entry in _entries(path)]

    def printed(self, process: ForkServerProcess | None = None) -> str:
        """Return the output of a process, by default of all processes, on stdout and stderr."""
        paths = sorted(self.directory.glob("*.out" if process is None else f"{process.name}.out"))
        return "".join(path.read_text(errors="replace") for path in paths)


@cache
def forking() -> ForkServerContext:
    """Return the context whose server process, from which workers are forked, has imported everything.

    The imports may take longer than a test waits for its workers, so the first call waits for them itself.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    first = context.Process(target=time.sleep, args=(0,))
    with pytest.MonkeyPatch.context() as patch:
        for variable in THREAD_VARIABLES:
            # The command line sets these before it imports torch; forked processes inherit the imported torch.
            patch.setenv(variable, os.environ.get(variable, "1"))
        # The first process starts the server, which imports everything before it forks.
        first.start()
    first.join(IMPORTS_S)
    assert first.exitcode == 0, f"imports take longer than {IMPORTS_S} s"
    return context


def new_study(url: str, name: str, *, population: int = 50, generations: int = 100_000, synchronous: bool = False) -> Search:
    """Create a study on Iris, which by default does not stop by itself."""
    limits = SearchConfig(population=population, generations=generations, patience=100_000, synchronous=synchronous)
    return create(open_storage(url, create=True), name, StudyConfig(dataset="iris", search=limits), named.load("iris", seed=0))


def trials_of(study: StoredStudy[Any]) -> list[FrozenTrial]:
    """Return all trials of a study, read from the database."""
    return study.study.get_trials(deepcopy=False)


def seconds_open(trial: FrozenTrial) -> float:
    """Return the seconds from the start of a trial to its end."""
    assert trial.datetime_start is not None and trial.datetime_complete is not None
    return (trial.datetime_complete - trial.datetime_start).total_seconds()


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until a condition is true.

    Args:
        what: Description of the condition for the error.

    Raises:
        TimeoutError: The condition is still false after `within_s` seconds.
    """
    deadline = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(f"not within {within_s} s: {what}")
        # A condition that takes long, since it reads a database or the machine is busy, is looked at less often.
        time.sleep(min(max(POLL_S, 10 * (now - began)), LONGEST_POLL_S))


def process_of(worker: str) -> int:
    """Return the process id in the name of a worker."""
    return int(worker.rpartition(":")[2].partition("-")[0])


def values_of(trial: FrozenTrial, config: StudyConfig) -> tuple[float, float]:
    """Return the values that a crew's workers compute for the circuit of a trial."""
    return instant_evaluation(Genome.from_params(trial.params).circuit).objectives(config)


@cache
def instant_evaluation(circuit: Circuit) -> Evaluation:
    """Return made-up scores that depend on the effective circuit alone, like real ones."""
    # It must take no time: tests run more workers than there are cores.
    costs = Costs.of(circuit, n_features=4, n_classes=3)
    score = int(effective_circuit(circuit).digest, 16) % 997 / 997
    return Evaluation(costs=costs, val_accuracies=(score,), val_balanced_accuracies=(score,), seconds=0.0)


def _raise(error: Exception) -> Evaluation:
    raise error


def _compute(evaluation: Evaluation) -> Evaluation:
    """Compute for three seconds of processor time, as a training does."""
    until = time.process_time() + 3
    while time.process_time() < until:
        pass
    return evaluation


def _die() -> Evaluation:
    """Kill the process, as Linux does when the machine runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


FAULTS: Mapping[str, Callable[[Evaluation], Evaluation]] = {
    "nan": lambda evaluation: replace(evaluation, val_accuracies=(math.nan,)),
    "inf": lambda evaluation: replace(evaluation, val_accuracies=(-math.inf,)),
    "error": lambda _: _raise(ValueError("no such gate\nin this circuit")),
    "memory": lambda _: _raise(MemoryError("out of memory")),
    "death": lambda _: _die(),
    "compute": _compute,
}


def _work(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: Path,
    trial_s: float,
    fault: tuple[str | None, int],
    dies_before_heartbeat: bool,
    barrier: Barrier | None,
    joined: Barrier | None,
) -> None:
    """Run the command line with an evaluation that sleeps, and log what the database acknowledges; the body of a process."""
    output = os.open(files.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The server process may have settings of the user.
    for name in [name for name in os.environ if name.startswith("FAQNAS_")]:
        del os.environ[name]
    os.environ.update(environment)
    log = os.open(files.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    # One system call for each line, synchronised: a kill may cut the last line but loses none before it.
    def write(line: str) -> None:
        os.write(log, f"{line}\n".encode())
        os.fsync(log)

    train_nothing(trial_s, *fault)
    confirm_nothing(trial_s)
    _log_trials(write, joined)
    if dies_before_heartbeat:
        # The first heartbeat is stored together with the genes of the trial.
        BatchedStorage.store = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    sys.argv = ["faqnas-optuna", *arguments]
    if barrier is not None:
        barrier.wait(timeout=LEAVE_S)
    faqnas_main()


def train_nothing(trial_s: float, fault: str | None = None, fault_in: int = 1) -> None:
    """Make evaluations in this process sleep and compute their values from the circuit; confirmations sleep and train."""
    slow_down(lambda circuit, _splits, _config: instant_evaluation(circuit), trial_s, fault, fault_in)
    # Nothing is trained: kernels need not be compiled, and there is no reliability to measure.
    vars(evaluation)["prepare"] = lambda _engine: None
    vars(pilot)["measure_reliability"] = lambda *_, **__: None


def confirm_nothing(trial_s: float) -> None:
    """Make confirmations in this process sleep and compute their values from the network and the seed."""

    def confirm(
        model: Model, circuit: Circuit, splits: DataSplits, _training: TrainingConfig, *, generator: np.random.Generator
    ) -> ConfirmationResult:
        time.sleep(trial_s)
        true = splits.test.y
        drawn = int(generator.integers(2**32)) + crc32(f"{model} {circuit.digest}".encode())
        predicted = np.where(np.arange(len(true)) < drawn % len(true), true, (true + 1) % splits.n_classes)
        counts = confusion(true, predicted, n_classes=splits.n_classes)
        accuracy = Scores.of_confusion(counts).accuracy
        return ConfirmationResult(
            test_accuracy=accuracy,
            validation_accuracy=accuracy,
            validation_balanced_accuracy=accuracy,
            confusion=counts,
            losses=(0.1,),
            validation_accuracies=(accuracy,),
            parameters=1,
            seconds=0.0,
        )

    vars(confirmation_objective)["confirm_once"] = confirm


def slow_down(evaluate: Evaluate, trial_s: float, fault: str | None = None, fault_in: int = 1) -> None:
    """Make evaluations and confirmations in this process sleep first, and evaluations of one in `fault_in` circuits fail."""

    def slow(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        time.sleep(trial_s)
        if fault is None or int(circuit.digest, 16) % fault_in:
            return evaluate(circuit, splits, config)
        return FAULTS[fault](evaluate(circuit, splits, config))

    # In the module, where workers look the function up at each trial.
    vars(evaluation)["evaluate"] = slow

    def slow_confirmation(*arguments: Any, **settings: Any) -> ConfirmationResult:
        time.sleep(trial_s)
        return confirm_once(*arguments, **settings)

    vars(confirmation_objective)["confirm_once"] = slow_confirmation


def _log_trials(write: Callable[[str], object], joined: Barrier | None) -> None:
    """Log the beginning of each trial and the commit of its values; the first trial waits at the barrier."""
    run = objective.Objective.__call__
    store = BatchedStorage.set_trial_state_values

    def logged_run(self: objective.Objective, trial: optuna.Trial) -> TrialOutcome:
        nonlocal joined
        write(f"begun {trial.number} {time.time()}")
        outcome = run(self, trial)
        if joined is not None:
            # Here and not in the evaluation, which a trial that reuses the values of its circuit does not call.
            write(f"waits {trial.number} {time.time()}")
            # Without a limit: the process is killed at the end of the test.
            joined.wait()
            joined = None
        return outcome

    def logged_store(self: BatchedStorage, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        is_stored = store(self, trial_id, state, values)
        if is_stored and state is TrialState.COMPLETE and values is not None:
            write(f"done {self.get_trial(trial_id).number} {time.time()} {' '.join(map(repr, values))}")
        return is_stored

    objective.Objective.__call__ = logged_run  # type: ignore[method-assign]
    BatchedStorage.set_trial_state_values = logged_store  # type: ignore[method-assign]


def _entries(path: Path) -> list[Entry]:
    # An incomplete last line was being written when the worker was killed.
    lines = [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [
        Entry(worker=path.stem, event=event, trial=int(number), at=float(at), values=tuple(map(float, values)))
        for event, number, at, *values in lines
    ]
