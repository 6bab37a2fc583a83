import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.signals import AT_ONCE_S
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, create, load
from tests.conftest import TIMEOUT_S
from tests.support.crew import LEAVE_S, SOON_S, Crew, new_study, process_of, trials_of, wait_until
from tests.support.databases import sqlite_and_postgres
from tests.support.forked import Forked, StderrReader
from tests.support.sampling import mostly_slow
from tests.support.terminal import on_a_terminal

each_signal = pytest.mark.parametrize("number", mostly_slow([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))

START = ("start", "--dataset", "iris", "--epochs", "1")
SLOW_TRIALS = """
import time
from pathlib import Path
from faqnas_optuna.training import evaluation, pilot
evaluate = evaluation.evaluate
def slow(*arguments):
    Path("begun").touch()
    time.sleep(2)
    return evaluate(*arguments)
evaluation.evaluate = slow
pilot.measure_reliability = lambda *_, **__: None
"""
"""Module `sitecustomize` for a process whose trials create a file `begun` and take two seconds."""


@sqlite_and_postgres
@each_signal
def test_the_first_signal_lets_the_running_trial_finish(any_storage_url: str, crew: Crew, number: signal.Signals) -> None:
    process = crew.start("start", "--dataset", "iris", trial_s=1)
    wait_until(lambda: bool(crew.log(process)), SOON_S, "a trial has begun")
    time.sleep(0.2)
    os.kill(process.pid or 0, number)
    # `timeout` sends the signal twice: to the process and to its group.
    time.sleep(0.05)
    os.kill(process.pid or 0, number)
    assert crew.leave() == [128 + number], crew.printed()
    # On a slow machine the second trial may be running by then.
    assert {trial.state for trial in trials_of(load(open_storage(any_storage_url), "iris"))} == {TrialState.COMPLETE}
    assert f"{number.name}: finishing the running trial; signal again to abandon it" in crew.printed()
    assert "interrupted; finished trials are kept. Continue with: faqnas-optuna resume iris\n" in crew.printed()


@sqlite_and_postgres
@each_signal
def test_the_second_signal_ends_the_running_trial(any_storage_url: str, crew: Crew, number: signal.Signals) -> None:
    search = new_study(any_storage_url, "s")
    process = crew.start("worker", "s", trial_s=60)
    wait_until(lambda: bool(crew.log(process)), SOON_S, "a trial has begun")
    time.sleep(0.2)
    os.kill(process.pid or 0, number)
    # Two signals at the same time count as one, so send the second one later.
    wait_until(lambda: "finishing the running trial" in crew.printed(), SOON_S, "the first signal is noted")
    time.sleep(AT_ONCE_S)
    os.kill(process.pid or 0, number)
    assert crew.leave() == [128 + number], crew.printed()
    (trial,) = trials_of(search)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["failure"] == f"Interruption: abandoned after {number.name} and {number.name}"
    assert "interrupted; finished trials are kept. Continue with: faqnas-optuna worker s\n" in crew.printed()


@pytest.fixture
def slow_trials(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process with slow trials."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_TRIALS)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))}


@pytest.mark.slow
@pytest.mark.parametrize("gone", [("stderr",), ("stdout", "stderr")], ids="+".join)
def test_a_trial_is_finished_although_nobody_reads_the_messages(
    start_cli: Callable[..., subprocess.Popen[str]],
    slow_trials: dict[str, str],
    storage_url: str,
    tmp_path: Path,
    gone: tuple[str, ...],
) -> None:
    """Close the pipes of the messages first, as Ctrl-C does with `2>&1 | tee log`."""
    process = start_cli(*START, env=slow_trials)
    wait_until((tmp_path / "begun").exists, SOON_S, "a trial has begun")
    for stream in gone:
        getattr(process, stream).close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=TIMEOUT_S) == 130
    assert [trial.state for trial in trials_of(load(open_storage(storage_url), "iris"))] == [TrialState.COMPLETE]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a terminal that a process opens becomes its own on Linux")
@pytest.mark.parametrize("command", [START, ("worker", "s")], ids=["start", "worker"])
def test_a_trial_is_finished_although_the_terminal_is_closed(
    slow_trials: dict[str, str], storage_url: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    new_study(storage_url, "s")
    with on_a_terminal(command, tmp_path, slow_trials) as (process, terminal):

        def has_begun() -> bool:
            # Read the terminal: a full one would block the process.
            with suppress(BlockingIOError):
                os.read(terminal, 65_536)
            return (tmp_path / "begun").exists()

        wait_until(has_begun, SOON_S, "a trial has begun")
        os.close(terminal)
        assert process.wait(timeout=TIMEOUT_S) == 128 + signal.SIGHUP
    study = "iris" if command is START else "s"
    assert [trial.state for trial in trials_of(load(open_storage(storage_url), study))] == [TrialState.COMPLETE]


def two_at_work(url: str, fork_cli: Callable[..., Forked], iris: DataSplits, trial_s: float) -> tuple[Search, Forked]:
    """Start a search with two workers, wait until both are in a trial of `trial_s` seconds, and return it."""
    limits = SearchConfig(generations=9999, patience=9999)
    config = StudyConfig(dataset="iris", training=TrainingConfig(epochs=1), search=limits)
    search = create(open_storage(url, create=True), "iris", config, iris)
    options = (*START, "--generations", "9999", "--patience", "9999")
    process = fork_cli(*options, "--workers", "2", env={"FAQNAS_STORAGE": url}, trial_s=trial_s, trains=False)

    def workers() -> set[int]:
        running = [trial.user_attrs for trial in trials_of(search) if trial.state is TrialState.RUNNING]
        # A trial that has just begun has no worker yet.
        return {process_of(attributes["worker"]) for attributes in running if "worker" in attributes}

    wait_until(lambda: len(workers()) == 2, SOON_S, "both are at a trial")
    return search, process


@pytest.mark.slow
@sqlite_and_postgres
@pytest.mark.parametrize("to", ["one", "all", "all, backwards"])
@pytest.mark.parametrize(("signals", "trial_s"), [(1, 1), (2, 600)], ids=["first", "second"])
def test_signals_reach_the_workers_that_another_has_started(
    any_storage_url: str, fork_cli: Callable[..., Forked], iris: DataSplits, signals: int, trial_s: float, to: str
) -> None:
    """Send signals to one or all processes of a job, as batch systems and service managers do."""
    search, process = two_at_work(any_storage_url, fork_cli, iris, trial_s)
    stderr = StderrReader(process)
    (child,) = psutil.Process(process.pid).children()
    try:
        signalled = {"one": [process.pid], "all": [process.pid, child.pid], "all, backwards": [child.pid, process.pid]}[to]

        def send() -> None:
            for pid in signalled:
                # The process may have ended after the first signal.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                time.sleep(0.2)

        send()
        noted = "SIGTERM: finishing the running trial; signal again to abandon it\n"
        wait_until(lambda: noted in stderr.text, SOON_S, "the first signal is noted")
        if signals == 2:
            time.sleep(AT_ONCE_S)
            send()
        assert process.wait(timeout=LEAVE_S) == 143, stderr.all()
        assert stderr.all().count("SIGTERM: finishing") == 1
        # A worker that was already notified by its parent may receive the second signal while it exits.
        codes = re.findall(rf"^worker {child.pid} ended with exit code (.*)$", stderr.all(), re.MULTILINE)
        assert codes == [] or (codes == ["-15"] and len(signalled) + signals == 4), stderr.all()
        assert not child.is_running()
    finally:
        # The worker survives if its parent is killed.
        with suppress(psutil.NoSuchProcess):
            child.kill()
    trials = trials_of(search)
    if signals == 1:
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    else:
        assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
        assert {trial.user_attrs["failure"] for trial in trials} == {"Interruption: abandoned after SIGTERM and SIGTERM"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process can be set on Linux alone")
def test_a_limit_of_computing_time_lets_the_running_trial_finish(fork_cli: Callable[..., Forked], storage_url: str) -> None:
    """Set a soft CPU limit as batch systems do: the trial computes for several seconds after it, with a signal each second."""
    search = new_study(storage_url, "s")
    process = fork_cli("worker", "s", env={"FAQNAS_STORAGE": storage_url}, fault="compute", trains=False)
    stderr = StderrReader(process)
    wait_until(lambda: bool(trials_of(search) and trials_of(search)[0].params), SOON_S, "a trial has begun")
    worker = psutil.Process(process.pid)
    times = worker.cpu_times()
    _, hard = worker.rlimit(psutil.RLIMIT_CPU)
    worker.rlimit(psutil.RLIMIT_CPU, (int(times.user + times.system) + 1, hard))
    assert process.wait(timeout=LEAVE_S) == 128 + signal.SIGXCPU, stderr.all()
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}
    assert stderr.all().count("SIGXCPU: finishing the running trial") == 1


@pytest.mark.slow
def test_a_suspended_worker_is_reported_and_two_signals_end_it(
    storage_url: str, fork_cli: Callable[..., Forked], iris: DataSplits
) -> None:
    _, process = two_at_work(storage_url, fork_cli, iris, 1)
    stderr = StderrReader(process)
    (child,) = psutil.Process(process.pid).children()
    try:
        child.suspend()
        process.terminate()
        suspended = f"waiting for worker {child.pid}, which is suspended"
        wait_until(lambda: suspended in stderr.text, SOON_S, "the suspended worker is reported")
        time.sleep(AT_ONCE_S)
        process.terminate()
        assert process.wait(timeout=LEAVE_S) == 143, stderr.all()
        assert stderr.all().count(suspended) == 1
        assert not child.is_running()
    finally:
        with suppress(psutil.NoSuchProcess):
            child.kill()
