"""Output of `status` while workers are running, and the record of stops and resumptions."""

import getpass
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from optuna.trial import TrialState

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.study.state import PAUSE_S, RECENT
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, process_of, trials_of, wait_until
from tests.support.databases import sqlite_and_postgres

pytestmark = pytest.mark.slow

Cli = Callable[..., tuple[int, str, str]]

POPULATION, GENERATIONS = 20, 50
HOST = socket.gethostname()


def status(cli_here: Cli, url: str) -> dict[str, Any]:
    code, out, err = cli_here("status", "s", "--json", "--storage", url)
    assert (code, err) == (0, "")
    (study,) = json.loads(out)["studies"]
    return dict(study)


@sqlite_and_postgres
def test_status_tells_who_is_at_work_and_how_fast(any_storage_url: str, crew: Crew, cli_here: Cli) -> None:
    search = new_study(any_storage_url, "s", population=POPULATION, generations=GENERATIONS)
    processes = {process.pid: process for process in (crew.start("worker", "s", trial_s=2) for _ in range(2))}

    def stored_at() -> list[float]:
        """Return when the completed trials in the database ended, by the workers' clocks."""
        finished = [trial.datetime_complete for trial in trials_of(search) if trial.state is TrialState.COMPLETE]
        return sorted(at.timestamp() for at in finished if at)

    wait_until(lambda: len(stored_at()) >= 4, SOON_S, "four trials are done")
    documents: list[dict[str, Any]] = []
    asked_at = 0.0
    stored_times: list[float] = []

    def both_are_heard() -> bool:
        """Return whether `status` shows a heartbeat of both workers, with no trial stored while it was reading."""
        nonlocal asked_at, stored_times
        asked_at, stored_times = time.time(), stored_at()
        documents.append(status(cli_here, any_storage_url))
        # A trial that has just begun has no worker name yet.
        named_workers = [worker for worker in documents[-1]["workers"] if worker["worker"]]
        silent_s = {process_of(worker["worker"]): worker["heard_s_ago"] for worker in named_workers}
        are_heard = silent_s.keys() == processes.keys() and all(s is not None and 0 <= s < GRACE_S for s in silent_s.values())
        # The pace ignores pauses of the whole machine, so none may be among the last trials.
        goes_on = all(later - earlier < PAUSE_S for earlier, later in pairwise(stored_times[-RECENT:]))
        return are_heard and goes_on and stored_at() == stored_times

    wait_until(both_are_heard, SOON_S, "both are shown")
    study = documents[-1]
    assert (study["state"], study["trials"]["running"]) == ("running", 2)
    trials = trials_of(search)
    for worker in study["workers"]:
        log = crew.log(processes[process_of(worker["worker"])])
        assert worker["trial"] in [entry.trial for entry in log if entry.event == "begun"]
        assert worker["trial"] not in [entry.trial for entry in log if entry.event == "done" and entry.at < asked_at]
        assert worker["circuit"] == str(Genome.from_params(trials[worker["trial"]].params).circuit)
    assert study["trials"]["successful"] == len(stored_times)
    # The trials of the crew state that they took no time.
    before, *recent = [stored_times[0], *stored_times][-RECENT - 1 :]
    assert study["trials_per_minute"] == pytest.approx(60 * len(recent) / (recent[-1] - before), rel=0.01)
    remaining = POPULATION * GENERATIONS - study["trials"]["successful"]
    assert study["minutes_left"] == pytest.approx(remaining / study["trials_per_minute"])


@sqlite_and_postgres
def test_status_as_text_tells_the_same(any_storage_url: str, crew: Crew, cli_here: Cli) -> None:
    new_study(any_storage_url, "s", population=POPULATION, generations=GENERATIONS)
    pids = [crew.start("worker", "s", trial_s=1.2).pid for _ in range(2)]
    last = [""]

    def is_told() -> bool:
        _, last[0], _ = cli_here("status", "--storage", any_storage_url)
        lines = last[0].splitlines()
        workers = [rf"{re.escape(HOST)}:{pid}-[0-9a-f]{{6}} +s +\d+ +\d+ s ago  \d+ qubits, .*" for pid in pids]
        pace = r"s: \d+\.\d trials per minute, (at most \d+ minutes?|less than a minute) left"
        return all(any(re.fullmatch(pattern, line) for line in lines) for pattern in [*workers, pace])

    try:
        wait_until(is_told, SOON_S, "both workers and the pace are reported")
    except TimeoutError:
        pytest.fail(last[0])
    assert re.search(rf"^s +\d+/{GENERATIONS} +\d+ .* running, 2 workers$", last[0], re.MULTILINE), last[0]


@sqlite_and_postgres
def test_who_stops_and_resumes_a_study_is_on_record(any_storage_url: str, crew: Crew, cli_here: Cli) -> None:
    search = new_study(any_storage_url, "s")
    crew.start("worker", "s")
    wait_until(lambda: bool(crew.log()), SOON_S, "the worker has begun a trial")
    began = datetime.now(UTC)
    stopper = crew.start("stop", "s")
    assert crew.leave() == [0, 0], crew.printed()
    stopped = search.metadata.stop()
    assert stopped is not None
    assert (stopped.reason, stopped.by) == ("requested", f"{getpass.getuser()}@{HOST}:{stopper.pid}")
    assert_just_now(stopped.at, began)
    assert asdict(stopped).items() <= status(cli_here, any_storage_url)["stop"].items()
    line = f"\ns stopped {to_the_minute(stopped.at)}: a user requested it ({stopped.by})\n"
    assert line in cli_here("status", "--storage", any_storage_url)[1]

    began = datetime.now(UTC)
    resumer = crew.start("resume", "s")
    wait_until(lambda: bool(crew.log(resumer)), SOON_S, "the study goes on")
    assert search.metadata.stop() is None
    (resumed,) = search.metadata.resumptions()
    assert (resumed.stop, resumed.by) == (stopped, f"{getpass.getuser()}@{HOST}:{resumer.pid}")
    assert_just_now(resumed.at, began)
    assert status(cli_here, any_storage_url)["resumed"] == [asdict(resumed)]
    line = f"\ns resumed {to_the_minute(resumed.at)} ({resumed.by})\n"
    assert line in cli_here("status", "--storage", any_storage_url)[1]
    os.kill(resumer.pid or 0, signal.SIGTERM)
    assert crew.leave() == [0, 0, 143], crew.printed()


def assert_just_now(text: str, began: datetime) -> None:
    """Check that a time is in UTC and not before `began`, to the whole second."""
    at = datetime.fromisoformat(text)
    assert at.utcoffset() == timedelta(0)
    assert began - timedelta(seconds=1) < at <= datetime.now(UTC)
