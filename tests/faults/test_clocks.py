"""Dead and live workers while the clock of the database is set back or forward."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from faqnas_optuna.storage.opening import backend
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import on_sqlite, set_clock
from tests.support.jepsen import end, given_up_and_retried

pytestmark = pytest.mark.slow

LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
HOUR_S = 3600


def test_a_trial_of_a_dead_worker_is_given_up_in_time_though_the_clock_was_set_back(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    victim = crew.start("worker", "s", trial_s=60)
    wait_until(lambda: bool(backend(search.study).seconds_silent(search.study._study_id)), SOON_S, "the victim was heard")
    victim.kill()
    victim.join()
    set_clock(any_storage_url, by_s=-HOUR_S)
    crew.start("worker", "s")
    wait_until(lambda: given_up_and_retried(search, 0), SOON_S, "another worker takes over")
    end(search, crew)


@on_sqlite
@pytest.mark.skipif(LIBFAKETIME is None, reason="libfaketime is not installed; on Debian: apt-get install faketime")
def test_a_worker_whose_clock_is_an_hour_behind_gives_up_a_dead_one(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    victim = crew.start("worker", "s", trial_s=60)
    wait_until(lambda: bool(backend(search.study).seconds_silent(search.study._study_id)), SOON_S, "the victim was heard")
    victim.kill()
    victim.join()
    behind = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": f"-{HOUR_S}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    settings = {"FAQNAS_STORAGE": any_storage_url, "FAQNAS_GRACE": str(GRACE_S)}
    worker = subprocess.Popen(
        [sys.executable, "-m", "faqnas_optuna", "worker", "s", "--quiet"], env=os.environ | behind | settings
    )
    try:
        wait_until(lambda: given_up_and_retried(search, 0), SOON_S, "another worker takes over")
    finally:
        worker.kill()
        worker.wait()


def test_nobody_who_lives_is_given_up_when_the_clock_is_set_forward(any_storage_url: str, logs: Path) -> None:
    search = new_study(any_storage_url, "s")
    # Longer than in other tests: on a slow machine a worker that waits for the CPU must not count as dead.
    with Crew(logs, any_storage_url, grace_s=12) as crew:
        for _ in range(2):
            crew.start("worker", "s", trial_s=3)
        wait_until(lambda: len({entry.worker for entry in crew.log()}) == 2, SOON_S, "both have begun a trial")
        for _ in range(6):
            set_clock(any_storage_url, by_s=HOUR_S)
            time.sleep(1)
        end(search, crew)
    assert not [trial for trial in trials_of(search) if trial.state is TrialState.FAIL]
