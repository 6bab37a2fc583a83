"""Crashes and failures in real processes, with real signals and databases."""

import json
import math
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SAWarning

from faqnas_optuna.circuits.genome import enumerate_genomes
from faqnas_optuna.storage.heartbeats import DEFAULT_GRACE_S
from faqnas_optuna.storage.opening import backend, open_storage
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.search import load
from faqnas_optuna.study.stopping import StopReason
from tests.conftest import reason_of
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, seconds_open, trials_of, wait_until
from tests.support.databases import on_sqlite, sqlite_and_postgres
from tests.support.jepsen import chains, end, given_up_and_retried, jepsen, unexplained, violations_of

pytestmark = pytest.mark.slow

QUEUED = 40
"""Ten for each of the four workers that run them."""


@sqlite_and_postgres
def test_nothing_acknowledged_is_lost_when_workers_are_killed(any_storage_url: str, logs: Path) -> None:
    # The long run is on the server, where a worker sends more statements.
    kills = 25 if any_storage_url.startswith("postgresql") else 8
    figures = jepsen(any_storage_url, logs, kills=kills, gap_s=0.25, within_s=SOON_S, seed=1)
    assert figures.violations == [], figures
    # At least a fifth of the kills must interrupt a trial; the others fall between trials.
    assert figures.given_up >= kills // 5, figures
    assert figures.complete >= figures.acknowledged >= kills, figures


@on_sqlite
@pytest.mark.parametrize(
    ("damage", "pattern"),
    [
        ("UPDATE trial_values SET value = value + 1 WHERE trial_id = 1 AND objective = 0", "altered: .* trial=0"),
        ("UPDATE trials SET state = 'FAIL' WHERE number = 0", "lost: .* trial=0"),
        ("UPDATE trials SET state = 'RUNNING' WHERE number = 0", "trial 0 is RUNNING"),
        ("DELETE FROM trials WHERE number = 0", "the [0-9]+ trials are not numbered from 0"),
    ],
    ids=["altered", "lost", "open", "deleted"],
)
def test_the_comparison_sees_damage(any_storage_url: str, crew: Crew, damage: str, pattern: str) -> None:
    search = new_study(any_storage_url, "s")
    crew.start("worker", "s", trial_s=0)
    wait_until(lambda: sum(entry.event == "done" for entry in crew.log()) >= 3, SOON_S, "three trials are done")
    end(search, crew)
    with closing(sqlite3.connect(str(make_url(any_storage_url).database))) as connection, connection:
        connection.execute(damage)
    violations = violations_of(load(open_storage(any_storage_url), "s"), crew.log())
    assert any(re.match(pattern, violation) for violation in violations), violations


@on_sqlite
def test_the_comparison_sees_what_the_kills_do_not_explain(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    victim = crew.start("worker", "s", trial_s=60)
    wait_until(lambda: bool(crew.log(victim)), SOON_S, "the victim has begun a trial")
    time.sleep(0.5)
    victim.kill()
    killed_at = {victim.name: time.time()}
    crew.start("worker", "s")
    wait_until(lambda: given_up_and_retried(search, 0), SOON_S, "another worker takes over")
    end(search, crew)
    within = {"within_s": float(SOON_S)}
    assert unexplained(search, crew.log(), killed_at, **within) == []
    assert unexplained(search, crew.log(), {}, **within) == [f"trial 0 was given up, but worker {victim.name} was not killed"]
    long_ago = {victim.name: killed_at[victim.name] - SOON_S}
    (late,) = unexplained(search, crew.log(), long_ago, **within)
    assert re.match("trial 0 was open for .* after its worker's death", late)
    untold = [entry for entry in crew.log() if (entry.event, entry.trial) != ("done", 1)]
    assert unexplained(search, untold, killed_at, **within) == ["trial 1 was stored, but its worker got no acknowledgement"]


@sqlite_and_postgres
def test_a_trial_whose_worker_died_before_its_first_heartbeat_is_given_up(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    # The trial lasts long enough for the heartbeat thread to start, even on a slow machine.
    victim = crew.start("worker", "s", trial_s=5, dies_before_heartbeat=True)
    victim.join(SOON_S)
    assert victim.exitcode == -9, crew.printed()
    assert [trial.state for trial in trials_of(search)] == [TrialState.RUNNING]
    other = crew.start("worker", "s")
    wait_until(lambda: bool(crew.log(other)), SOON_S, "another worker has begun a trial")
    wait_until(lambda: trials_of(search)[0].state is TrialState.FAIL, SOON_S, "trial 0 is given up")
    assert re.fullmatch(r"given up: .* was silent for \d+ s", trials_of(search)[0].user_attrs["failure"])
    # The trial must not be given up before the grace period is over.
    assert seconds_open(trials_of(search)[0]) >= GRACE_S - 1
    end(search, crew)


def test_six_processes_start_one_study(any_storage_url: str, crew: Crew) -> None:
    at_once = crew.barrier(6)
    limits = ("--dataset", "iris", "--population", "2", "--generations", "1", "--epochs", "1")
    for _ in range(6):
        crew.start("start", *limits, trial_s=0, barrier=at_once)
    assert crew.leave() == [0] * 6, crew.printed()
    search = load(open_storage(any_storage_url), "iris")
    assert violations_of(search, crew.log()) == []


def test_no_queued_trial_runs_twice(any_storage_url: str, logs: Path) -> None:
    search = new_study(any_storage_url, "s", population=500)
    genomes = enumerate_genomes(search.config.space.genes)
    for _, genome in zip(range(QUEUED), genomes, strict=False):
        search.study.enqueue_trial(genome.to_params())
    # The default grace period: on a slow machine a worker that waits for the CPU must not count as dead.
    with Crew(logs, any_storage_url, grace_s=DEFAULT_GRACE_S) as crew:
        at_once = crew.barrier(4)
        for _ in range(4):
            crew.start("worker", "s", trial_s=0.01, barrier=at_once)
        wait_until(lambda: all(trial.state.is_finished() for trial in trials_of(search)[:QUEUED]), 120, "the queue is empty")
        wait_until(lambda: all(crew.log(worker) for worker in crew.processes), SOON_S, "all four have begun a trial")
        end(search, crew)
        begun = [entry for entry in crew.log() if entry.event == "begun"]
    assert sorted(entry.trial for entry in begun) == list(range(len(trials_of(search))))
    assert len({entry.worker for entry in begun}) == 4
    assert not any(trial.state is TrialState.FAIL for trial in trials_of(search))


@sqlite_and_postgres
def test_a_worker_that_was_suspended_drops_its_late_result_and_goes_on(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    until = crew.barrier(2)
    sleeper = crew.start("worker", "s", joined=until)
    wait_until(lambda: bool(crew.log(sleeper)), SOON_S, "the worker has begun a trial")
    wait_until(lambda: bool(backend(search.study).seconds_silent(search.study._study_id)), SOON_S, "it was heard")
    # Suspend the worker between two heartbeats: a process suspended in a transaction would keep its locks.
    time.sleep(0.2)
    assert sleeper.pid is not None
    os.kill(sleeper.pid, SIGSTOP)
    try:
        crew.start("worker", "s")
        wait_until(lambda: given_up_and_retried(search, 0), SOON_S, "another worker takes over")
    finally:
        os.kill(sleeper.pid, SIGCONT)
    until.wait(SOON_S)
    wait_until(lambda: any(entry.event == "done" for entry in crew.log(sleeper)), SOON_S, "the worker goes on")
    end(search, crew)
    assert crew.leave() == [0, 0]
    assert [(entry.event, entry.trial) for entry in crew.log(sleeper)][:1] == [("begun", 0)]
    assert ("done", 0) not in [(entry.event, entry.trial) for entry in crew.log()]
    late, retry = chains(trials_of(search))[0]
    assert (late.state, late.values, retry.state) == (TrialState.FAIL, None, TrialState.COMPLETE)


@sqlite_and_postgres
def test_a_study_that_is_deleted_ends_its_workers_with_one_line(any_storage_url: str, crew: Crew) -> None:
    """Delete the study as `optuna delete-study` does."""
    new_study(any_storage_url, "s")
    for _ in range(2):
        # Long trials leave time to delete the study between two of them, even on a slow machine.
        crew.start("worker", "s", "--quiet", trial_s=3)
    wait_until(lambda: len({entry.worker for entry in crew.log()}) == 2, SOON_S, "both have begun a trial")
    storage = open_storage(any_storage_url)

    def is_deleted() -> bool:
        # Optuna ignores a failed deletion if a trial was added at the same time, so try until the study is gone. Also, when a
        # deletion and a worker lock the same trials in different orders, PostgreSQL aborts one of them.
        with suppress(KeyError, StorageInternalError), warnings.catch_warnings():
            # SQLAlchemy warns about attributes that a worker has just written.
            warnings.simplefilter("ignore", SAWarning)
            optuna.delete_study(study_name="s", storage=storage)
        return list(our_studies(storage)) == []

    wait_until(is_deleted, SOON_S, "the study is deleted")
    assert crew.leave() == [2, 2], crew.printed()
    errors = [line for line in crew.printed().splitlines() if not line.startswith("trial ")]
    assert errors == ["Error: study 's' was deleted; list the remaining studies with: faqnas-optuna status"] * 2


@sqlite_and_postgres
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nan", r"TrainingError: the objectives must be finite; they are \([\d.]+, nan\)"),
        ("inf", r"TrainingError: the objectives must be finite; they are \([\d.]+, inf\)"),
        ("error", "ValueError: no such gate in this circuit"),
        ("memory", "MemoryError: out of memory"),
    ],
)
def test_trials_that_fail_keep_their_reason_and_the_study_goes_on(
    any_storage_url: str, crew: Crew, cli_here: Callable[..., tuple[int, str, str]], fault: str, reason: str
) -> None:
    search = new_study(any_storage_url, "s", population=5, generations=4)
    crew.start("worker", "s", trial_s=0, fault=fault, fault_in=3)
    assert crew.leave() == [0], crew.printed()
    failed = [trial for trial in trials_of(search) if trial.state is TrialState.FAIL]
    assert reason_of(search) == StopReason.GENERATIONS
    assert len(failed) >= 3
    assert all(re.fullmatch(reason, trial.user_attrs["failure"]) and trial.values is None for trial in failed)
    assert violations_of(search, crew.log()) == []
    # Each failure is reported when it happens, in one line.
    assert len(re.findall(rf"^trial \d+ failed: {reason}$", crew.printed(), re.MULTILINE)) == len(failed)
    document = json.loads(cli_here("pareto", "s", "--json", "--storage", any_storage_url)[1])
    on_front = [(entry["quantum_flops"], entry["val_error"], entry["val_accuracy"]) for entry in document["front"]]
    assert on_front
    assert all(map(math.isfinite, [*sum(on_front, ()), document["hypervolume"]]))
    assert not {entry["trial"] for entry in document["front"]} & {trial.number for trial in failed}


@on_sqlite
@pytest.mark.parametrize("fault", ["nan", "memory"])
def test_a_study_in_which_nothing_succeeds_stops(any_storage_url: str, crew: Crew, fault: str) -> None:
    for name in ("start", "resume"):
        arguments = ("--dataset", "iris", "--population", "6") if name == "start" else ("iris",)
        crew.start(name, *arguments, trial_s=0, fault=fault)
        assert crew.leave()[-1] == 5, crew.printed()
    search = load(open_storage(any_storage_url), "iris")
    assert reason_of(search) == StopReason.FAILURES
    assert [trial.state for trial in trials_of(search)] == [TrialState.FAIL] * 12
    errors = re.findall(r"^Error: (.*)$", crew.printed(), re.MULTILINE)
    assert errors == [
        f"no trial of study 'iris' has succeeded, and {failed} have failed;"
        f" see the last with: faqnas-optuna show iris {failed - 1}"
        for failed in (6, 12)
    ]
