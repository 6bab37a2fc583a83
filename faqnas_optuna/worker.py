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

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna import datasets
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.generations import close_generations, current_generation, stop_of
from faqnas_optuna.objective import FAILURE, Objective
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

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells have it; 0 if there was none."""
        return 128 + self.first if self.first else 0

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Handle signals here instead of dying by them. Only in the main thread."""
        previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        received = signal.Signals(number)
        for callback in self.on_signal:
            callback(received)
        if self.first is None:
            self.first = received
            logger.warning("%s: finishing the running trial; once more to give it up", received.name)
        else:
            raise KeyboardInterrupt(f"given up after {self.first.name} and {received.name}")


def worker_name() -> str:
    """Host and process, as a trial's `worker` attribute has them."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run(search: Search, splits: DataSplits, signals: Signals, *, on_trial: Callable[[Search], None]) -> None:
    """Run trials of one study until it stops or a signal arrives.

    Args:
        search: the study.
        splits: its data.
        signals: what may end the loop.
        on_trial: called after each trial, to show progress.
    """
    objective = Objective(search, splits, worker=worker_name())
    while stop_of(search) is None and signals.first is None:
        _run_trial(search, objective, signals)
        on_trial(search)


def serve(storage: BaseStorage, signals: Signals, *, data_dir: Path | None, on_trial: Callable[[Search], None]) -> int:
    """Run trials of every running study of a storage in turn, the least advanced first, until none runs.

    Returns:
        How many studies there were to serve.
    """
    objectives: dict[str, tuple[Search, Objective]] = {}
    while signals.first is None:
        running = [search for name in names(storage) if stop_of(search := load(storage, name)) is None]
        if not running:
            break
        chosen = min(running, key=lambda search: (current_generation(search), len(search.trials())))
        if chosen.name not in objectives:
            objectives[chosen.name] = (chosen, Objective(chosen, load_data(chosen, data_dir), worker=worker_name()))
        search, objective = objectives[chosen.name]
        _run_trial(search, objective, signals)
        on_trial(search)
    return len(objectives)


def load_data(search: Search, data_dir: Path | None) -> DataSplits:
    """The data of a study.

    Raises:
        DataError: it is not on this machine.
        StudyMismatchError: it is, but differs from what the study was made with.
    """
    splits = datasets.load(search.config.dataset, seed=search.config.seed, data_dir=data_dir)
    search.check_data(splits)
    return splits


def use_one_thread() -> None:
    """Workers are processes: with several threads each they would only get in each other's way, and sums would round
    differently from one machine to the next."""
    import torch

    torch.set_num_threads(1)


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
    finally:
        for process in processes:
            process.wait()
        signals.on_signal.remove(pass_on)


def _run_trial(search: Search, objective: Objective, signals: Signals) -> None:
    try:
        search.study.optimize(objective, n_trials=1, catch=(Exception,), callbacks=[_log_failure])
    except KeyboardInterrupt:
        # The second signal, raised by `Signals`; Optuna has ended the trial as failed. Without `Signals` it is not ours.
        if signals.first is None:
            raise
    close_generations(search)


def _log_failure(_study: Study, trial: FrozenTrial) -> None:
    """One line for a failed trial; the study goes on."""
    if trial.state is TrialState.FAIL:
        logger.warning("trial %d failed: %s", trial.number, trial.user_attrs.get(FAILURE, "unknown reason"))
