"""Serving every running study of a storage in turn, the least advanced first, by one worker."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from optuna.storages import BaseStorage

from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.errors import DataError, FailingWorkerError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.signals import POLL_S, AskedToLeaveError, Signals
from faqnas_optuna.storage.opening import disconnect, unread
from faqnas_optuna.storage.outages import DATABASE_TIMEOUT_S, patiently
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import load_data
from faqnas_optuna.study.work import Evaluate, WorkerAction
from faqnas_optuna.workers.loop import StudyWorker

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIND_STUDIES_EVERY_S = 1.0


class _StudyScheduler:
    """The studies that a worker serves in turn."""

    def __init__(
        self,
        storage: BaseStorage,
        signals: Signals,
        *,
        data_dir: Path | None,
        database_timeout_s: float,
        evaluate: Evaluate | None,
    ) -> None:
        self.workers: dict[str, StudyWorker] = {}
        self.served = 0
        self._storage = storage
        self._signals = signals
        self._data_dir = data_dir
        self._database_timeout_s = database_timeout_s
        self._evaluate = evaluate
        self._refused: set[str] = set()
        self._next_search = 0.0

    def find_studies(self) -> None:
        """Take up the running studies that are new or go on; once a second."""
        if time.monotonic() < self._next_search:
            return
        found = self._patiently(self._running_names)
        for name in found:
            if name not in self.workers and name not in self._refused:
                self._patiently(partial(self._take_up, name))
        # One that was deleted may be made anew, and better; one that is resumed deserves another try.
        self._refused.intersection_update(found)
        self._next_search = time.monotonic() + FIND_STUDIES_EVERY_S

    def _patiently(self, action: Callable[[], T]) -> T:
        release = partial(disconnect, self._storage)
        return patiently(action, self._signals, timeout_s=self._database_timeout_s, release=release)

    def _running_names(self) -> list[str]:
        return [name for name, has_stopped in our_studies(self._storage).items() if not has_stopped]

    def is_idle(self) -> bool:
        """Whether no study runs, not even one that came or was resumed in the last second."""
        if not self.workers:
            self._next_search = 0.0
            self.find_studies()
        return not self.workers

    def running(self) -> list[StudyWorker]:
        """Those that run. The others are left when the last trial has ended, or was given up."""
        running = []
        for name, worker in list(self.workers.items()):
            with self._leaving(name):
                action = worker.look()
                if action is WorkerAction.RUNNING:
                    if worker.is_failing:
                        raise worker.failing_worker()
                    running.append(worker)
                elif action is WorkerAction.STOPPED and not worker.state.running:
                    del self.workers[name]
        return running

    def run_trial(self, workers: Iterable[StudyWorker]) -> StudyState | None:
        """Run a trial of the first study that has one; where that study stands, as far as it was looked at."""
        for worker in workers:
            with self._leaving(worker.study.name):
                if worker.run_trial():
                    return worker.state
        return None

    @contextmanager
    def _leaving(self, name: str) -> Iterator[None]:
        """Leave a study that was deleted or damaged, or of which every trial fails here."""
        try:
            yield
        except (StudyNotFoundError, StudyMismatchError, FailingWorkerError) as error:
            logger.warning("leaving out study %s: %s", name, error)
            del self.workers[name]
            if not isinstance(error, StudyNotFoundError):
                self._refused.add(name)

    def _take_up(self, name: str) -> None:
        try:
            study = open_study(unread(self._storage), name)
            splits = load_data(study, self._data_dir)
        except (DataError, StudyMismatchError) as error:
            logger.warning("leaving out study %s: %s", name, error)
            self._refused.add(name)
            return
        except StudyNotFoundError:
            # Deleted since it was found.
            return
        self.workers[name] = StudyWorker(
            study, splits, self._signals, database_timeout_s=self._database_timeout_s, evaluate=self._evaluate
        )
        self.served += 1


def serve(
    storage: BaseStorage,
    signals: Signals,
    *,
    data_dir: Path | None,
    until_idle: bool,
    on_trial: Callable[[StudyState], None],
    on_idle: Callable[[], None] = lambda: None,
    database_timeout_s: float = DATABASE_TIMEOUT_S,
    evaluate: Evaluate | None = None,
) -> int:
    """Run trials of every running study of a storage in turn, the least advanced first, and wait for new ones.

    A study whose data are not on this machine is left out, with a warning; so is one that is deleted meanwhile.

    Args:
        until_idle: leave when no study runs, instead of waiting.
        on_trial: called after each trial, and while those of others are waited for, to show progress.
        on_idle: called while no study runs.
        evaluate: counts and trains a circuit; None for `training.evaluation.evaluate`.

    Returns:
        How many studies there were to serve.
    """
    scheduler = _StudyScheduler(storage, signals, data_dir=data_dir, database_timeout_s=database_timeout_s, evaluate=evaluate)
    with suppress(AskedToLeaveError):
        while not signals.first:
            scheduler.find_studies()
            running = sorted(scheduler.running(), key=lambda worker: worker.study.priority(worker.state))
            if state := scheduler.run_trial(running):
                on_trial(state)
            elif until_idle and scheduler.is_idle():
                break
            else:
                for worker in list(scheduler.workers.values())[:1]:
                    on_trial(worker.state)
                if not scheduler.workers:
                    on_idle()
                signals.wait(POLL_S if running else FIND_STUDIES_EVERY_S)
    return scheduler.served
