import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faqnas_optuna.signals import Signals
from tests.conftest import TIMEOUT_S


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


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_what_batch_systems_send_before_the_end_is_caught(number: signal.Signals) -> None:
    with Signals().caught() as signals:
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    assert (signals.first, signals.exit_code) == (number, 128 + number)


INTERRUPTED = """
import os, signal
from faqnas_optuna.signals import Signals
with Signals().caught() as signals:
    with signals.giving_up():
        exec("for _ in range(2): os.kill(os.getpid(), signal.SIGTERM)")
raise SystemExit(signals.exit_code)
"""


def test_an_interruption_within_a_text_that_is_executed_leaves_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    # As a module, which is how workers are started.
    finished = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, timeout=TIMEOUT_S)
    assert finished.returncode == 143


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
