import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faqnas_optuna.signals import AT_ONCE_S, Signals
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


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
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
        exec("for number in (signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), number)")
raise SystemExit(signals.exit_code)
"""


def test_an_interruption_within_a_text_that_is_executed_leaves_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    # As a module, which is how workers are started.
    finished = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, timeout=TIMEOUT_S)
    assert finished.returncode == 143


LOST = """
import ctypes, os, signal, time
from faqnas_optuna.signals import Signals

@ctypes.CFUNCTYPE(None)
def callback():
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
        time.sleep(0.01)

with Signals().caught() as signals:
    with signals.giving_up():
        callback()
        time.sleep(60)
        print("too late")
print(signals.exit_code)
"""


def test_an_interruption_that_gets_lost_in_a_callback_is_raised_again() -> None:
    """Interrupt a callback, such as those of the compiler and of Python's clean-up, which print the exception and continue."""
    finished = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert (finished.stdout, finished.stderr) == ("143\n", "SIGTERM: leaving\n")


def test_a_signal_that_is_sent_twice_at_once_is_one() -> None:
    requests: list[signal.Signals] = []
    with Signals().caught() as signals:
        signals.on_signal.append(requests.append)
        for pause_s in (0.01, AT_ONCE_S, 0.01):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(pause_s)
    assert requests == [signal.SIGTERM] * 2


def test_the_limit_of_computing_time_is_one_signal_however_often_it_is_repeated() -> None:
    """Check that the signal, which the system repeats each second, counts once, and that another signal is the second."""
    reached = []
    with Signals().caught() as signals, signals.giving_up():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGXCPU)
            time.sleep(AT_ONCE_S)
        reached.append("repeated")
        assert not signals.is_urgent
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AT_ONCE_S)
        reached.append("after")
    assert (reached, signals.exit_code) == (["repeated"], 128 + signal.SIGXCPU)
    assert signals.is_urgent


def test_the_first_signal_ends_what_loses_nothing() -> None:
    reached = []
    with Signals().caught() as signals, signals.giving_up(at_first=True):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        reached.append("after")
    assert (reached, signals.exit_code) == ([], 143)


@pytest.mark.parametrize("pipe_first", [True, False])
def test_who_is_both_told_and_signalled_is_asked_once(pipe_first: bool) -> None:
    """Check that a notice through the pipe and a signal count as one request, and that a second pair gives up the trial."""
    ours, theirs = os.pipe()
    requests: list[signal.Signals] = []

    def ask(*, by_pipe: bool) -> None:
        if by_pipe:
            os.write(theirs, bytes([signal.SIGTERM]))
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AT_ONCE_S)

    reached = []
    with Signals().caught() as signals:
        signals.on_signal.append(requests.append)
        signals.listen(ours)
        with signals.giving_up():
            for by_pipe in (pipe_first, not pipe_first):
                ask(by_pipe=by_pipe)
            reached.append("once")
            for by_pipe in (pipe_first, not pipe_first):
                ask(by_pipe=by_pipe)
            reached.append("twice")
        assert (reached, requests) == (["once"], [signal.SIGTERM] * 2)
        # The other process may end in any way.
        os.close(theirs)
        time.sleep(0.1)
        assert len(requests) == 2
    os.close(ours)


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
