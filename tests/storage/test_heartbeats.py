import re
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from threading import Thread

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from faqnas_optuna.storage import heartbeats
from faqnas_optuna.storage.heartbeats import HeartbeatStorage, beating
from faqnas_optuna.storage.opening import backend, open_storage
from tests.support.crew import SOON_S, wait_until
from tests.support.databases import on_sqlite, set_clock

GRACE_S = 1


@pytest.fixture
def study(any_storage_url: str) -> optuna.Study:
    """Create a study with one running trial that has no heartbeat yet."""
    study = optuna.create_study(storage=open_storage(any_storage_url, create=True, grace_s=GRACE_S), study_name="s")
    study.enqueue_trial({"x": 3}, user_attrs={"asked": "by hand"})
    # Begin the trial by Optuna's own storage, which sends heartbeats only on request.
    plain = optuna.load_study(storage=RDBStorage(backend(study).url), study_name="s")
    plain.ask({"x": optuna.distributions.IntDistribution(0, 9)})
    return study


def give_up(study: optuna.Study, *, retry: bool = True) -> list[int | None]:
    storage: HeartbeatStorage = backend(study)
    return [storage.give_up(study._study_id, trial_id, retry=retry) for trial_id in storage.stale_trials(study._study_id)]


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def wait_for_stale(study: optuna.Study) -> list[int]:
    """Poll for stale trials as a worker does, until there are some."""
    deadline = time.monotonic() + SOON_S
    while not (stale := backend(study).stale_trials(study._study_id)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return stale


def give_up_in_time(study: optuna.Study, *, retry: bool = True) -> list[int]:
    """Give up stale trials, poll until there are some, and return their numbers.

    A single look is not enough: it is ignored if this process was suspended for a second.
    """
    deadline = time.monotonic() + SOON_S
    while not (numbers := [number for number in give_up(study, retry=retry) if number is not None]):
        assert time.monotonic() < deadline, "nothing was given up"
        time.sleep(0.3)
    return numbers


def test_a_trial_that_was_never_heard_of_is_given_up_and_queued_anew(study: optuna.Study) -> None:
    """Give up a trial whose worker died before the first heartbeat."""
    assert give_up(study) == []
    assert give_up_in_time(study) == [0]
    assert give_up(study) == []
    given_up, queued = study.get_trials()
    assert (given_up.state, queued.state) == (TrialState.FAIL, TrialState.WAITING)
    assert given_up.datetime_complete is not None
    assert queued.params == given_up.params == {"x": 3}
    assert queued.user_attrs == {"asked": "by hand"}
    assert re.fullmatch(r"given up: its worker was silent for \d+ s", given_up.user_attrs["failure"])
    assert (queued.system_attrs["failed_trial"], queued.system_attrs["retry_history"]) == (0, [0])


@pytest.mark.slow
def test_the_grace_period_of_the_silent_outlives_whoever_looks(study: optuna.Study, any_storage_url: str) -> None:
    """Check that workers which live for less than the grace period also give up trials."""
    assert backend(study).stale_trials(study._study_id) == []
    time.sleep(GRACE_S + 1.1)
    other = optuna.load_study(storage=open_storage(any_storage_url, grace_s=GRACE_S), study_name="s")
    # After a gap, the database may have been down and other workers may be about to send heartbeats.
    assert give_up(other) == []
    assert give_up_in_time(other) == [0]


@pytest.mark.parametrize(("other_heard_s_ago", "is_stale"), [(200, True), (299, False), (0, False)])
def test_a_newcomer_learns_from_the_beats_of_others(
    study: optuna.Study, any_storage_url: str, other_heard_s_ago: int, is_stale: bool
) -> None:
    """Check that a trial is stale only if a heartbeat of another trial shows that the database was up meanwhile."""
    silent, other = (trial._trial_id for trial in (study.trials[0], study.ask()))
    hear(study, {silent: 300, other: other_heard_s_ago})
    study.tell(1, 0.0)
    newcomer = backend(optuna.load_study(storage=open_storage(any_storage_url, grace_s=60), study_name="s"))
    assert newcomer.stale_trials(study._study_id) == ([silent] if is_stale else [])


def hear(study: optuna.Study, seconds_ago: dict[int, int]) -> None:
    """Store heartbeats of trials, each a number of seconds ago on the database's clock."""
    with Session(backend(study).engine) as session, session.begin():
        now = heartbeats._database_time(session)
        for trial_id, seconds in seconds_ago.items():
            session.add(models.TrialHeartbeatModel(trial_id=trial_id, heartbeat=now - timedelta(seconds=seconds)))


@pytest.mark.slow
@on_sqlite
def test_a_machine_that_has_slept_hears_the_others_first(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (trial_id,) = wait_for_stale(study)
    awake = heartbeats._now
    monkeypatch.setattr(heartbeats, "_now", lambda: awake() + 3600)
    assert give_up(study) == []
    assert wait_for_stale(study) == [trial_id]


@on_sqlite
@pytest.mark.parametrize(("grace_s", "interval_s"), [(1, 1), (30, 5), (60, 10), (600, 10)])
def test_nobody_beats_too_seldom_for_workers_with_the_default(any_storage_url: str, grace_s: int, interval_s: int) -> None:
    study = optuna.create_study(storage=open_storage(any_storage_url, create=True, grace_s=grace_s))
    assert backend(study).interval_s == interval_s


@pytest.mark.slow
@on_sqlite
def test_a_trial_is_tried_three_times(study: optuna.Study) -> None:
    for number in range(3):
        assert give_up(study) == []
        assert give_up_in_time(study) == [number]
        if number < 2:
            study.ask()
    assert states(study) == [TrialState.FAIL] * 3
    assert {trial.system_attrs.get("failed_trial", 0) for trial in study.get_trials()} == {0}


def test_a_trial_about_which_nothing_was_decided_is_not_queued_anew(study: optuna.Study) -> None:
    """Give up a trial whose worker died before the trial had a generation; a retry would overfill the next generation."""
    study.tell(0, 1.0)
    study.ask()
    give_up(study)
    assert give_up_in_time(study) == [1]
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL]


def test_a_trial_that_is_heard_again_in_the_last_moment_is_kept(study: optuna.Study) -> None:
    give_up(study)
    (trial_id,) = wait_for_stale(study)
    backend(study).record_heartbeat(trial_id)
    assert backend(study).give_up(study._study_id, trial_id, retry=True) is None
    assert states(study) == [TrialState.RUNNING]


def test_a_heartbeat_ahead_of_the_clock_is_given_up_after_the_grace_period(study: optuna.Study) -> None:
    """Store a heartbeat one hour ahead, as if the database's clock was set back afterwards."""
    hear(study, {study.trials[0]._trial_id: -3600})
    began = time.monotonic()
    assert give_up_in_time(study) == [0]
    assert GRACE_S < time.monotonic() - began < SOON_S
    (failure,) = re.findall(r"silent for (\d+) s", study.trials[0].user_attrs["failure"])
    assert int(failure) <= time.monotonic() - began + 1


@pytest.mark.slow
@pytest.mark.parametrize("is_newcomer", [False, True])
def test_a_clock_that_is_set_forward_gives_up_nobody_who_lives(any_storage_url: str, is_newcomer: bool) -> None:
    """Set the clock forward for a worker that has been listening, and for one that has just started."""
    grace_s = 3
    study = optuna.create_study(storage=open_storage(any_storage_url, create=True, grace_s=grace_s), study_name="s")
    trial_id, study_id = study.ask()._trial_id, study._study_id

    def newcomer() -> HeartbeatStorage:
        return backend(optuna.load_study(storage=open_storage(any_storage_url, grace_s=grace_s), study_name="s"))

    def listen(storage: HeartbeatStorage, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            backend(study).record_heartbeat(trial_id)
            assert storage.stale_trials(study_id) == []
            time.sleep(0.3)

    looker = newcomer()
    listen(looker, grace_s + 2)
    looker = newcomer() if is_newcomer else looker
    for _ in range(2):
        set_clock(any_storage_url, by_s=3600)
        assert looker.stale_trials(study_id) == []
        listen(looker, grace_s + 2)
    wait_until(lambda: looker.stale_trials(study_id) == [trial_id], SOON_S, "the worker, silent now, is given up")


def test_no_heartbeat_is_heard_in_the_future(study: optuna.Study) -> None:
    (trial_id,) = (trial._trial_id for trial in study.get_trials())
    backend(study).record_heartbeat(trial_id)
    assert backend(study).seconds_silent(study._study_id)[trial_id] >= 0
    set_clock(backend(study).url, by_s=-3600)
    assert backend(study).seconds_silent(study._study_id) == {}


@pytest.mark.slow
@on_sqlite
def test_a_lock_that_only_beats_wait_for_is_noticed(any_storage_url: str) -> None:
    """Check that a waiting worker, whose reads still succeed, notices that a lock prevents all heartbeats."""
    grace_s = 3
    storage = open_storage(any_storage_url, create=True, grace_s=grace_s)
    study = optuna.create_study(storage=storage, study_name="s")
    looker = backend(optuna.load_study(storage=open_storage(any_storage_url, grace_s=grace_s), study_name="s"))
    stale: list[int] = []

    def look_for(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for trial_id in looker.stale_trials(study._study_id):
                if looker.give_up(study._study_id, trial_id, retry=True) is not None:
                    stale.append(trial_id)
            time.sleep(0.1)

    trial_id = study.ask()._trial_id
    with beating(backend(study), trial_id):
        look_for(grace_s + 1)
        looking = Thread(target=look_for, args=(2 * grace_s,))
        with closing(sqlite3.connect(str(make_url(any_storage_url).database), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            looking.start()
            wait_until(lambda: backend(study).seconds_silent(study._study_id)[trial_id] > grace_s, SOON_S, "it is silent")
            time.sleep(0.3)
        looking.join()
    assert stale == []


@on_sqlite
def test_a_trial_of_a_stopped_study_is_not_queued_anew(study: optuna.Study) -> None:
    give_up(study)
    assert give_up_in_time(study, retry=False) == [0]
    assert states(study) == [TrialState.FAIL]


@on_sqlite
def test_a_trial_that_has_finished_meanwhile_is_left_alone(study: optuna.Study) -> None:
    give_up(study)
    (trial_id,) = wait_for_stale(study)
    study.tell(0, 1.0)
    assert backend(study).give_up(study._study_id, trial_id, retry=True) is None
    assert states(study) == [TrialState.COMPLETE]


def test_seconds_silent_are_those_since_the_last_beat(study: optuna.Study) -> None:
    storage = backend(study)
    assert storage.seconds_silent(study._study_id) == {}
    (trial_id,) = (trial._trial_id for trial in study.get_trials())
    began = time.monotonic()
    storage.record_heartbeat(trial_id)
    time.sleep(2)
    silent = storage.seconds_silent(study._study_id)[trial_id]
    # Databases that store whole seconds may be off by one.
    assert 1 <= silent < time.monotonic() - began + 1
