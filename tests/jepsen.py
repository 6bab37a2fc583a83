"""Workers that are killed at random while each keeps a log of what it was told is stored; at the end both are compared.

    python -m tests.jepsen --storage URL --minutes 10

The workers are `faqnas-optuna worker` itself, in processes forked from one that has imported everything, so that one starts
in a fraction of a second. An evaluation there sleeps for a moment instead of training, and its values follow from the circuit.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from faqnas_optuna import datasets, objective
from faqnas_optuna.__main__ import main as faqnas_main
from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.evaluation import Evaluation
from faqnas_optuna.flops import analytic_flops, profiler_flops
from faqnas_optuna.generations import StopReason, stop
from faqnas_optuna.genome import Circuit, Genome
from faqnas_optuna.storage import open_storage
from faqnas_optuna.study import Search, create

PRELOADED = [
    "faqnas_optuna.display",
    "faqnas_optuna.report",
    "faqnas_optuna.worker",
    "psycopg",
    "pymysql",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
]
RETRIES = 2
LEAVE_S = 60
"""A worker that is told to stop is gone by then."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of a worker's log."""

    worker: int
    """Its process id."""
    event: str
    """`begun`: the worker runs the trial; `done`: the database has acknowledged its values."""
    trial: int
    values: tuple[float, ...]


class Crew:
    """The processes of a test. Those that are left at the end are killed.

    Args:
        directory: where each keeps its log, and what it prints.
        url: of the database.
        grace_s: how long a silent trial is waited for.
    """

    def __init__(self, directory: Path, url: str, *, grace_s: int) -> None:
        self.directory = directory
        self._environment = {"FAQNAS_STORAGE": url, "FAQNAS_GRACE": str(grace_s)}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
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
        self, *arguments: str, trial_s: float = 0.05, dies_before_heartbeat: bool = False, barrier: Barrier | None = None
    ) -> ForkServerProcess:
        """Run `faqnas-optuna` with these arguments.

        Args:
            trial_s: how long an evaluation takes.
            dies_before_heartbeat: the process kills itself between creating its first trial and the trial's first heartbeat.
            barrier: waited for before the command begins.
        """
        settings = (arguments, self._environment, self.directory, trial_s, dies_before_heartbeat, barrier)
        process = self._context.Process(target=_work, args=settings)
        process.start()
        self.processes.append(process)
        return process

    def leave(self) -> list[int | None]:
        """Wait for all to end; their exit codes."""
        deadline = time.monotonic() + LEAVE_S
        for process in self.processes:
            process.join(max(deadline - time.monotonic(), 0.1))
        return [process.exitcode for process in self.processes]

    def log(self, process: ForkServerProcess | None = None) -> list[Entry]:
        """What a process, or all, have written."""
        paths = self.directory.glob("*.log") if process is None else [self.directory / f"{process.pid}.log"]
        return [entry for path in paths if path.exists() for entry in _entries(path)]

    def printed(self) -> str:
        """What all have written to stdout and stderr."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.out")))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run amounted to."""

    seed: int
    kills: int
    seconds: float
    trials: int
    complete: int
    acknowledged: int
    given_up: int
    retried: int
    longest_s: float
    """The longest that a trial that was given up had been open."""
    violations: list[str]
    """Of the promise; it holds if there are none."""


def jepsen(
    url: str,
    directory: Path,
    *,
    kills: int = 8,
    gap_s: float = 1.0,
    workers: int = 4,
    grace_s: int = 3,
    trial_s: float = 0.05,
    seed: int = 0,
) -> Figures:
    """Kill workers at random instants, replace them, and compare what they were told with what is stored.

    Args:
        gap_s: the mean time from one kill to the next, which is uniform from none to twice it.
        seed: of the instants and the victims.
    """
    started, chance, name = time.monotonic(), random.Random(seed), "jepsen"
    search = new_study(url, name)
    with Crew(directory, url, grace_s=grace_s) as crew:
        living = [crew.start("worker", name, "--quiet", trial_s=trial_s) for _ in range(workers)]
        wait_until(lambda: len(_workers_in(crew.log())) == workers, LEAVE_S, "all workers have begun a trial")
        for _ in range(kills):
            time.sleep(chance.uniform(0, 2 * gap_s))
            victim = living.pop(chance.randrange(workers))
            victim.kill()
            living.append(crew.start("worker", name, "--quiet", trial_s=trial_s))
        unsettled = settle(search, within_s=2 * grace_s + 1)
        stop(search, StopReason.REQUESTED)
        crew.leave()
        violations = [
            *(f"trial {number} was still open {2 * grace_s} s after the last kill" for number in unsettled),
            *(f"worker {process.pid} ended with {process.exitcode}" for process in living if process.exitcode != 0),
            # A trial without any heartbeat is timed by a worker, which must itself live that long.
            *violations_of(search, crew.log(), open_s=4 * grace_s),
            *(f"a worker printed: {line}" for line in crew.printed().splitlines() if "Traceback" in line or "Error" in line),
            *sqlite_violations(url),
        ]
        trials = trials_of(search)
        given_up = [trial for trial in trials if trial.state is TrialState.FAIL]
        return Figures(
            seed=seed,
            kills=kills,
            seconds=round(time.monotonic() - started, 1),
            trials=len(trials),
            complete=sum(trial.state is TrialState.COMPLETE for trial in trials),
            acknowledged=sum(entry.event == "done" for entry in crew.log()),
            given_up=len(given_up),
            retried=sum("failed_trial" in trial.system_attrs for trial in trials),
            longest_s=round(max((seconds_open(trial) for trial in given_up), default=0.0), 1),
            violations=violations,
        )


def violations_of(search: Search, log: Sequence[Entry], *, open_s: float) -> list[str]:
    """Where the workers' logs, the database and the promise disagree.

    Args:
        open_s: how long a trial that is given up may have been open.
    """
    trials = trials_of(search)
    stored = {trial.number: trial for trial in trials}
    found = []
    if sorted(stored) != list(range(len(trials))):
        found.append(f"the {len(trials)} trials are not numbered from 0: {sorted(trial.number for trial in trials)}")
    for entry in log:
        trial = stored.get(entry.trial)
        if trial is None or (entry.event == "done" and trial.state is not TrialState.COMPLETE):
            found.append(f"lost: {entry} is stored as {trial and trial.state.name}")
        elif entry.event == "done" and tuple(trial.values) != entry.values:
            found.append(f"altered: {entry} is stored as {trial.values}")
    for (event, number), times in Counter((entry.event, entry.trial) for entry in log).items():
        if times > 1:
            found.append(f"trial {number} was {event} {times} times")
    for trial in trials:
        if not trial.state.is_finished():
            found.append(f"trial {trial.number} is {trial.state.name}")
        elif trial.state is TrialState.COMPLETE and tuple(trial.values) != values_of(trial, search.config):
            found.append(f"trial {trial.number} has {trial.values}, its circuit {values_of(trial, search.config)}")
        elif trial.state is TrialState.FAIL and trial.values is not None:
            found.append(f"trial {trial.number} was given up, and has {trial.values}")
        elif trial.state is TrialState.FAIL and seconds_open(trial) > open_s:
            found.append(f"trial {trial.number} was given up after {seconds_open(trial):.1f} s")
    for first, chain in chains(trials).items():
        accepted = [trial.number for trial in chain if trial.state is TrialState.COMPLETE]
        if len(accepted) > 1 or len(chain) > 1 + RETRIES:
            found.append(f"trial {first} was run as {[trial.number for trial in chain]} and accepted as {accepted}")
    return found


def chains(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Each trial that is not itself a retry, by number, with its retries."""
    grouped: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        grouped.setdefault(trial.system_attrs.get("failed_trial", trial.number), []).append(trial)
    return grouped


def sqlite_violations(url: str) -> list[str]:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    with closing(sqlite3.connect(str(parsed.database), timeout=10)) as connection:
        answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return [] if answers == ["ok"] else [f"PRAGMA integrity_check: {answers}"]


def settle(search: Search, *, within_s: float) -> list[int]:
    """Wait until every trial that has begun by now is finished, and none is queued; the numbers of those that are not."""
    latest = max((trial.number for trial in trials_of(search)), default=-1)
    deadline = time.monotonic() + within_s
    while True:
        trials = trials_of(search)
        left = [trial for trial in trials if not trial.state.is_finished()]
        unsettled = [trial.number for trial in left if trial.number <= latest or trial.state is TrialState.WAITING]
        if not unsettled or time.monotonic() > deadline:
            return unsettled
        time.sleep(0.2)


def new_study(url: str, name: str, *, population: int = 50) -> Search:
    """A study over Iris that does not stop by itself."""
    limits = SearchConfig(population=population, generations=100_000, patience=100_000)
    return create(
        open_storage(url, create=True), name, StudyConfig(dataset="iris", search=limits), datasets.load("iris", seed=0)
    )


def trials_of(search: Search) -> list[FrozenTrial]:
    """All trials, read anew."""
    return search.study.get_trials(deepcopy=False)


def seconds_open(trial: FrozenTrial) -> float:
    """From the trial's start to its end."""
    assert trial.datetime_start is not None and trial.datetime_complete is not None
    return (trial.datetime_complete - trial.datetime_start).total_seconds()


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Raises:
    TimeoutError: it has not come true.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


def values_of(trial: FrozenTrial, config: StudyConfig) -> tuple[float, float]:
    """The values that the workers here give to a trial's circuit."""
    return _evaluation(Genome.from_params(trial.params).circuit).objectives(config.flops)


@cache
def _evaluation(circuit: Circuit) -> Evaluation:
    """A pure function of the circuit, as the real one is."""
    return Evaluation(
        val_accuracies=(int(circuit.digest, 16) % 997 / 997,),
        quantum_flops_profiler=profiler_flops(circuit),
        quantum_flops_analytic=analytic_flops(circuit),
        classical_flops=1,
        parameters=1,
        seconds=0.0,
    )


def _work(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    trial_s: float,
    dies_before_heartbeat: bool,
    barrier: Barrier | None,
) -> None:
    """The body of a process: the command line, with an evaluation that sleeps and a log of what the database acknowledges."""
    printed = os.open(directory / f"{os.getpid()}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    for name in [name for name in os.environ if name.startswith("FAQNAS_")]:
        del os.environ[name]
    os.environ.update(environment)
    log = os.open(directory / f"{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def evaluate(circuit: Circuit, _splits: DataSplits, _config: StudyConfig) -> Evaluation:
        time.sleep(trial_s)
        return _evaluation(circuit)

    def write(line: str) -> None:
        os.write(log, f"{line}\n".encode())
        os.fsync(log)

    vars(objective)["evaluate"] = evaluate
    _log_trials(write)
    if dies_before_heartbeat:
        RDBStorage.record_heartbeat = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    sys.argv = ["faqnas-optuna", *arguments]
    if barrier is not None:
        barrier.wait(timeout=LEAVE_S)
    faqnas_main()


def _log_trials(write: Callable[[str], object]) -> None:
    """Write a line when a trial begins, and when the database has committed its values."""
    run, store = objective.Objective.__call__, RDBStorage.set_trial_state_values

    def logged_run(self: objective.Objective, trial: optuna.Trial) -> objective.Outcome:
        write(f"begun {trial.number}")
        return run(self, trial)

    def logged_store(self: RDBStorage, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        stored = store(self, trial_id, state, values)
        if stored and state is TrialState.COMPLETE and values is not None:
            write(f"done {self.get_trial(trial_id).number} {' '.join(map(repr, values))}")
        return stored

    objective.Objective.__call__ = logged_run  # type: ignore[method-assign]
    RDBStorage.set_trial_state_values = logged_store  # type: ignore[method-assign]


def _entries(path: Path) -> list[Entry]:
    # A line without its end was being written when the worker was killed.
    lines = [line.split() for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [
        Entry(worker=int(path.stem), event=event, trial=int(number), values=tuple(map(float, values)))
        for event, number, *values in lines
    ]


def _workers_in(log: Sequence[Entry]) -> set[int]:
    return {entry.worker for entry in log}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.jepsen", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--storage", required=True, metavar="URL", help="an empty database")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--gap", type=float, default=1.0, metavar="SECONDS", help="mean time between two kills")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--grace", type=int, default=3, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="faqnas-jepsen-") as directory:
        figures: dict[str, Any] = asdict(
            jepsen(
                asked.storage,
                Path(directory),
                kills=round(60 * asked.minutes / asked.gap),
                gap_s=asked.gap,
                workers=asked.workers,
                grace_s=asked.grace,
                seed=asked.seed,
            )
        )
    print(json.dumps(figures, indent=2))
    return int(bool(figures["violations"]))


if __name__ == "__main__":
    sys.exit(main())
