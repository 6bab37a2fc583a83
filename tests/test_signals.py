import os
import signal
import time

import pytest

from faqnas_optuna.signals import Signals


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
    with pytest.raises(KeyboardInterrupt, match="not ours"), Signals().giving_up():
        raise KeyboardInterrupt("not ours")


def test_a_signal_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().caught() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert signals.first is None
    finally:
        signal.signal(signal.SIGHUP, before)
