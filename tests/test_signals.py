import os
import signal
import time

import pytest
from optuna.trial import TrialState

from faqnas_optuna.signals import Signals
from faqnas_optuna.storage import open_storage
from faqnas_optuna.study import load
from tests.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.databases import on_sqlite

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


def test_the_first_signal_is_noted_and_the_second_interrupts_only_a_trial() -> None:
    with Signals().caught() as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        assert signals.first is signal.SIGTERM
        assert signals.exit_code == 143
        reached = []
        with signals.giving_up():
            reached.append("before")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
            reached.append("after")
        assert reached == ["before"]


def test_an_interruption_that_is_not_ours_goes_on_up() -> None:
    with pytest.raises(KeyboardInterrupt), Signals().giving_up():
        raise KeyboardInterrupt


def test_a_signal_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().caught() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert signals.first is None
    finally:
        signal.signal(signal.SIGHUP, before)


@on_sqlite
@each_signal
def test_the_first_signal_lets_the_running_trial_finish(any_storage_url: str, crew: Crew, number: signal.Signals) -> None:
    process = crew.start("start", "--dataset", "iris", trial_s=3)
    wait_until(lambda: bool(crew.log(process)), SOON_S, "a trial has begun")
    time.sleep(0.2)
    os.kill(process.pid or 0, number)
    assert crew.leave() == [128 + number], crew.printed()
    assert [trial.state for trial in trials_of(load(open_storage(any_storage_url), "iris"))] == [TrialState.COMPLETE]
    assert f"{number.name}: finishing the running trial; once more to give it up" in crew.printed()
    assert "interrupted; finished trials are kept. Go on with: faqnas-optuna resume iris\n" in crew.printed()


@on_sqlite
@each_signal
def test_the_second_signal_ends_the_running_trial(any_storage_url: str, crew: Crew, number: signal.Signals) -> None:
    search = new_study(any_storage_url, "s")
    process = crew.start("worker", "s", trial_s=60)
    wait_until(lambda: bool(crew.log(process)), SOON_S, "a trial has begun")
    time.sleep(0.2)
    for _ in range(2):
        os.kill(process.pid or 0, number)
        time.sleep(0.2)
    assert crew.leave() == [128 + number], crew.printed()
    (trial,) = trials_of(search)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["failure"] == f"KeyboardInterrupt: given up after {number.name} and {number.name}"
    assert "interrupted; finished trials are kept. Go on with: faqnas-optuna worker s\n" in crew.printed()
