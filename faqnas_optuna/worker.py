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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from optuna.storages import BaseStorage

from faqnas_optuna import datasets
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.errors import DataError, StudyMismatchError
from faqnas_optuna.generations import close_generations, stop_of
from faqnas_optuna.objective import Objective
from faqnas_optuna.standing import Standing
from faqnas_optuna.study import Search, load, names

logger = logging.getLogger(__name__)

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
            # Optuna has ended the trial as failed. Without a signal that was caught here the interruption is not ours.
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
    """

    def __init__(self, search: Search, splits: DataSplits, signals: Signals) -> None:
        self.standing = Standing(search)
        self._objective = Objective(self.standing, splits, worker=worker_name())
        self._signals = signals

    def look(self) -> bool:
        """Take in what all workers have done since; whether the study runs on."""
        self.standing.refresh()
        return close_generations(self.standing) is None

    def run_trial(self) -> None:
        """Run one trial. If it fails the study goes on."""
        with self._signals.giving_up():
            self.standing.search.study.optimize(self._objective, n_trials=1, catch=(Exception,))


def run(search: Search, splits: DataSplits, signals: Signals, *, on_trial: Callable[[Standing], None]) -> None:
    """Run trials of one study until it stops or a signal arrives.

    Args:
        on_trial: called before the first trial and after each, to show progress.
    """
    shift = Shift(search, splits, signals)
    while True:
        running = shift.look()
        on_trial(shift.standing)
        if not running or signals.first:
            return
        shift.run_trial()


def serve(storage: BaseStorage, signals: Signals, *, data_dir: Path | None, on_trial: Callable[[Standing], None]) -> int:
    """Run trials of every running study of a storage in turn, the least advanced first, until none runs.

    A study whose data are not on this machine is left out, with a warning.

    Returns:
        How many studies there were to serve.
    """
    shifts: dict[str, Shift] = {}
    refused: set[str] = set()
    while signals.first is None:
        for name in names(storage):
            if name in shifts or name in refused or stop_of(search := load(storage, name)) is not None:
                continue
            try:
                shifts[name] = Shift(search, load_data(search, data_dir), signals)
            except (DataError, StudyMismatchError) as error:
                logger.warning("leaving out study %s: %s", name, error)
                refused.add(name)
        running = [shift for shift in shifts.values() if shift.look()]
        if not running:
            break
        chosen = min(running, key=lambda shift: (shift.standing.full_generations, shift.standing.successful))
        chosen.run_trial()
        on_trial(chosen.standing)
    return len(shifts)


def load_data(search: Search, data_dir: Path | None) -> DataSplits:
    """The data of a study.

    Raises:
        DataError: it is not on this machine.
        StudyMismatchError: it is, but differs from what the study was made with.
    """
    splits = datasets.load(search.config.dataset, seed=search.config.seed, data_dir=data_dir)
    search.check_data(splits)
    return splits


@contextmanager
def extra_workers(count: int, search: Search, signals: Signals, *, storage_url: str, data_dir: Path | None) -> Iterator[None]:
    """Start workers for a study in processes of their own, pass signals on to them, and wait for them at the end."""
    # The URL may hold a password, which the arguments of a process would show to every user of the machine.
    environment = os.environ | {"FAQNAS_STORAGE": storage_url}
    if data_dir:
        environment["FAQNAS_DATA_DIR"] = str(data_dir)
    command = [sys.executable, "-m", "faqnas_optuna", "worker", search.name, "--quiet"]
    # A session of its own: Ctrl-C reaches this process alone, and children get each signal once, from here.
    processes = [subprocess.Popen(command, env=environment, start_new_session=True) for _ in range(count)]

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
