"""The run loop of a worker, the signals that end it, and starting more workers.

The first signal lets the running trial finish; the second ends it as failed, with the reason. Nothing that was acknowledged is
lost either way, because every trial is in the database before the next begins.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from faqnas_optuna import datasets
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.errors import DataError, StudyMismatchError
from faqnas_optuna.generations import close_generations, stop_of
from faqnas_optuna.objective import Objective, Outcome
from faqnas_optuna.standing import Standing
from faqnas_optuna.storage import (
    DATABASE_ERRORS,
    database_reason,
    give_up_stale_trials,
    heartbeat_interval,
    is_passing,
    set_trial_user_attrs,
    study_lock,
)
from faqnas_optuna.study import Search, load, names

logger = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE_TIMEOUT_S = 600.0
"""So long a worker waits for a database that has gone away."""
LONGEST_DELAY_S = 15.0
POLL_S = 0.1

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """The signals this process has received while `caught` was active."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """What asked to leave after the running trial; None while nothing has."""
        self.on_signal: list[Callable[[signal.Signals], None]] = []
        """Called with every signal, for instance to pass it on to other processes."""
        self._may_interrupt = False

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells have it; 0 if there was none."""
        return 128 + self.first if self.first else 0

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Handle signals here instead of dying by them. Only in the main thread."""
        # What is ignored stays so: nohup starts a program that way.
        caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._handle) for number in caught}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """Let the second signal end what runs inside; at any other time there is nothing to give up."""
        self._may_interrupt = True
        try:
            yield
        except KeyboardInterrupt:
            # It came between the trial and here. Without a signal that was caught the interruption is not ours.
            if self.first is None:
                raise
        finally:
            self._may_interrupt = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        received = signal.Signals(number)
        for callback in self.on_signal:
            callback(received)
        if self.first is None:
            self.first = received
            logger.warning("%s: finishing the running trial; once more to give it up", received.name)
        elif self._may_interrupt:
            self._may_interrupt = False
            raise KeyboardInterrupt(f"given up after {self.first.name} and {received.name}")


def worker_name() -> str:
    """Host and process, as a trial's `worker` attribute has them."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Shift:
    """This worker's part in one study: one trial at a time, with what the study has found kept at hand.

    Args:
        search: the study.
        splits: its data.
        signals: what may end a trial.
        database_timeout_s: how long to wait for a database that has gone away.
    """

    def __init__(
        self,
        search: Search,
        splits: DataSplits,
        signals: Signals,
        *,
        database_timeout_s: float = DATABASE_TIMEOUT_S,
    ) -> None:
        self.standing = Standing(search)
        self._study = search.study
        self._objective = Objective(self.standing, splits, worker=worker_name())
        self._signals = signals
        self._database_timeout_s = database_timeout_s

    def look(self) -> bool:
        """Take in what all workers have done since; whether the study runs on."""

        def take_in() -> bool:
            self.standing.refresh()
            return close_generations(self.standing) is None

        return self._patiently(take_in)

    def run_trial(self) -> None:
        """Run one trial. If it fails the study goes on.

        In a synchronous study there may be none to run before others have finished theirs; then this waits a little.
        """
        trial = self._patiently(self._ask)
        if trial is None:
            time.sleep(POLL_S)
            return
        try:
            with self._signals.giving_up(), beating(self._study, trial._trial_id):
                outcome = self._objective(trial)
        except DATABASE_ERRORS as error:
            # It is given up, like that of a dead worker, and queued anew.
            logger.warning("trial %d was lost with the database: %s", trial.number, database_reason(error))
            return
        self._patiently(lambda: self._tell(trial, outcome))

    def await_others(self) -> None:
        """Wait until no trial runs any more, giving up those whose workers are gone."""
        while self.standing.running and not self._signals.first:
            self._patiently(lambda: give_up_stale_trials(self._study))
            time.sleep(POLL_S)
            self.look()

    def _ask(self) -> optuna.Trial | None:
        give_up_stale_trials(self._study)
        with warnings.catch_warnings():
            # Optuna beats only in `optimize`; here `beating` does.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            if not self.standing.search.config.search.synchronous:
                return self._study.ask()
            with study_lock(self._study):
                self.standing.refresh()
                if not self.standing.waiting and not self.standing.has_room:
                    return None
                trial = self._study.ask()
                # The sampler numbers the generation when it is first asked for genes: that must be in the lock.
                _ = trial.relative_params
                return trial

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Store an outcome, unless the trial was given up in the meantime (this process may have been suspended)."""
        state = TrialState.FAIL if outcome.values is None else TrialState.COMPLETE
        try:
            set_trial_user_attrs(self._study, trial._trial_id, outcome.attributes)
            self._study.tell(trial, values=outcome.values, state=state)
        except (UpdateFinishedTrialError, ValueError):
            stored = self._study._storage.get_trial(trial._trial_id).state
            # Equal states: it was stored, and the connection broke before we heard of it.
            if not stored.is_finished():
                raise
            if stored is not state:
                logger.warning("trial %d was given up meanwhile; its late result is dropped", trial.number)

    def _patiently(self, action: Callable[[], T]) -> T:
        return patiently(action, self._signals, timeout_s=self._database_timeout_s)


def patiently(action: Callable[[], T], signals: Signals, *, timeout_s: float) -> T:
    """Do something again and again while the database is away, for as long as it may be; a signal ends that."""
    deadline, delay = None, 0.25
    while True:
        try:
            return action()
        except DATABASE_ERRORS as error:
            deadline = deadline or time.monotonic() + timeout_s
            if not is_passing(error) or signals.first or time.monotonic() + delay > deadline:
                raise
            logger.warning("the database does not answer (%s); trying again in %g s", database_reason(error), delay)
            time.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)


@contextmanager
def beating(study: optuna.Study, trial_id: int) -> Iterator[None]:
    """Say again and again that a trial is alive, from a thread of its own."""
    done, interval = Event(), heartbeat_interval(study)
    storage: Any = study._storage

    def beat() -> None:
        storage.record_heartbeat(trial_id)
        while not done.wait(interval):
            storage.record_heartbeat(trial_id)

    thread = Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        # It may hang on a dead connection; a last beat that comes late does no harm.
        thread.join(timeout=1)


def run(
    search: Search,
    splits: DataSplits,
    signals: Signals,
    *,
    on_trial: Callable[[Standing], None],
    database_timeout_s: float = DATABASE_TIMEOUT_S,
) -> None:
    """Run trials of one study until it stops or a signal arrives.

    Args:
        on_trial: called before the first trial and after each, to show progress.
        database_timeout_s: how long to wait for a database that has gone away.
    """
    shift = Shift(search, splits, signals, database_timeout_s=database_timeout_s)
    while True:
        running = shift.look()
        on_trial(shift.standing)
        if signals.first:
            return
        if not running:
            shift.await_others()
            return
        shift.run_trial()


def serve(
    storage: BaseStorage,
    signals: Signals,
    *,
    data_dir: Path | None,
    until_idle: bool,
    on_trial: Callable[[Standing], None],
    database_timeout_s: float = DATABASE_TIMEOUT_S,
) -> int:
    """Run trials of every running study of a storage in turn, the least advanced first, and wait for new ones.

    A study whose data are not on this machine is left out, with a warning.

    Args:
        until_idle: leave when no study runs, instead of waiting.

    Returns:
        How many studies there were to serve.
    """
    shifts: dict[str, Shift] = {}
    refused: set[str] = set()
    while not signals.first:
        for name in names(storage):
            if name in shifts or name in refused or stop_of(search := load(storage, name)) is not None:
                continue
            try:
                splits = load_data(search, data_dir)
                shifts[name] = Shift(search, splits, signals, database_timeout_s=database_timeout_s)
            except (DataError, StudyMismatchError) as error:
                logger.warning("leaving out study %s: %s", name, error)
                refused.add(name)
        running = [shift for shift in shifts.values() if shift.look()]
        if running:
            chosen = min(running, key=lambda shift: (shift.standing.full_generations, shift.standing.successful))
            chosen.run_trial()
            on_trial(chosen.standing)
        elif until_idle:
            break
        else:
            time.sleep(1)
    return len(shifts)


def load_data(search: Search, data_dir: Path | None) -> DataSplits:
    """The data of a study.

    Raises:
        DataError: it is not on this machine.
        StudyMismatchError: it is, but it or the versions installed here differ from what the study was made with.
    """
    search.check_versions()
    splits = datasets.load(search.config.dataset, seed=search.config.seed, data_dir=data_dir)
    search.check_data(splits)
    return splits


@contextmanager
def extra_workers(count: int, search: Search, signals: Signals, *, environment: Mapping[str, str]) -> Iterator[None]:
    """Start workers for a study in processes of their own, pass signals on to them, and wait for them at the end.

    Args:
        environment: what they need beside this process's: the storage above all.
    """
    command = [sys.executable, "-m", "faqnas_optuna", "worker", search.name, "--quiet"]
    # A session of its own: Ctrl-C reaches this process alone, and children get each signal once, from here.
    processes = [subprocess.Popen(command, env=os.environ | dict(environment), start_new_session=True) for _ in range(count)]

    def pass_on(received: signal.Signals) -> None:
        for process in processes:
            process.send_signal(received)

    signals.on_signal.append(pass_on)
    try:
        yield
    except BaseException:
        pass_on(signal.SIGTERM)
        raise
    finally:
        for process in processes:
            if code := process.wait():
                logger.warning("worker %d ended with exit code %d", process.pid, code)
        signals.on_signal.remove(pass_on)
