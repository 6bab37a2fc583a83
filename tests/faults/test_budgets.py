"""Limits of trials and of time, with several worker processes."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.stopping import StopReason
from tests.conftest import TIMEOUT_S, reason_of, successful
from tests.support.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import on_sqlite, sqlite_and_postgres
from tests.support.forked import Forked

pytestmark = pytest.mark.slow

SEARCH = ("start", "--dataset", "iris", "--population", "8", "--patience", "99")


def detached(url: str, crew: Crew, *options: str) -> Search:
    """Create a search for workers of the crew."""
    crew.start(*SEARCH, "--detach", *options)
    assert crew.leave() == [0], crew.printed()
    return load(open_storage(url), "iris")


@sqlite_and_postgres
@pytest.mark.parametrize("options", [(), ("--synchronous",)], ids=["asynchronous", "synchronous"])
def test_three_workers_run_exactly_the_trials(any_storage_url: str, crew: Crew, options: tuple[str, ...]) -> None:
    search = detached(any_storage_url, crew, "--trials", "20", *options)
    joined = crew.barrier(3)
    for _ in range(3):
        # All of them have a trial before the first is stored.
        crew.start("worker", "iris", trial_s=0.05, joined=joined)
    assert set(crew.leave()) == {0}, crew.printed()
    assert [trial.state for trial in trials_of(search)] == [TrialState.COMPLETE] * 20
    assert len({trial.user_attrs["worker"] for trial in trials_of(search)}) == 3
    assert reason_of(search) is StopReason.TRIALS


@on_sqlite
def test_the_last_trial_of_a_killed_worker_is_repeated(any_storage_url: str, crew: Crew) -> None:
    search = detached(any_storage_url, crew, "--trials", "1")
    killed = crew.start("worker", "iris", trial_s=60)
    wait_until(lambda: bool(crew.log(killed)), SOON_S, "the only trial has begun")
    other = crew.start("worker", "iris", trial_s=0.05)
    killed.kill()
    crew.leave()
    assert other.exitcode == 0, crew.printed()
    assert [trial.state for trial in trials_of(search)] == [TrialState.FAIL, TrialState.COMPLETE]
    assert reason_of(search) is StopReason.TRIALS


@sqlite_and_postgres
def test_a_time_limit_stops_a_search_for_all_its_workers(any_storage_url: str, crew: Crew) -> None:
    """Attach a worker with short trials to a process that is in a long trial when the time is over."""
    search = new_study(any_storage_url, "iris")
    attached = crew.start("worker", "iris", trial_s=0.1)
    wait_until(lambda: bool(crew.log(attached)), SOON_S, "the attached worker has begun a trial")
    limited = crew.start("resume", "iris", "--seconds", "1", trial_s=3)
    wait_until(lambda: reason_of(search) is StopReason.SECONDS, SOON_S, "the time is over")
    stopped_at = time.time()
    assert crew.leave() == [0, 0], crew.printed()
    assert max(entry.at for entry in crew.log(attached) if entry.event == "begun") < stopped_at
    # The process with the limit begins no second trial, and no trial is lost.
    assert len([entry for entry in crew.log(limited) if entry.event == "begun"]) == 1
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}
    assert "Stopped: its time limit is over." in crew.printed(limited) and "resume iris  " in crew.printed(limited)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_same_command_continues_for_as_long_again(fork_cli: Callable[..., Forked], storage_url: str, workers: str) -> None:
    """Kill the process with the time limit, whose forked worker survives, and repeat its command twice."""
    command = (*SEARCH, "--generations", "9999", "--workers", workers)

    def start(*options: str) -> Forked:
        environment = {"FAQNAS_STORAGE": storage_url, "FAQNAS_GRACE": "3"}
        return fork_cli(*command, *options, env=environment, trial_s=0.1, trains=False)

    assert start("--detach").wait(TIMEOUT_S) == 0
    search = load(open_storage(storage_url), "iris")
    killed = start("--seconds", "60")
    wait_until(lambda: len(successful(search)) >= 4, SOON_S, "some trials are done")
    os.kill(killed.pid, signal.SIGKILL)
    complete = {trial.number for trial in successful(search)}
    for _ in range(2):
        assert start("--seconds", "1").wait(TIMEOUT_S) == 0
        assert reason_of(search) is StopReason.SECONDS
        after = {trial.number for trial in successful(search)}
        assert complete < after
        complete = after
    assert len(search.metadata.resumptions()) == 1
