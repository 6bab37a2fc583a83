"""A worker that serves all running studies of a storage in turn, the least advanced first."""

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
from faqnas_optuna.storage.opening import disconnect, with_empty_cache
from faqnas_optuna.storage.outages import DATABASE_TIMEOUT_S, retry_while_away
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import load_data
from faqnas_optuna.study.work import Evaluate, WorkerAction
from faqnas_optuna.workers.loop import StudyWorker

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIND_STUDIES_EVERY_S = 1.0


class _StudyScheduler:
    """Running studies that one worker serves in turn."""

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
        """Add studies that are new or were resumed; does nothing within a second of the last call."""
        if time.monotonic() < self._next_search:
            return
        names = self._patiently(self._running_names)
        for name in names:
            if name not in self.workers and name not in self._refused:
                self._patiently(partial(self._take_up, name))
        # A refused study that stopped gets another try when it runs again: it may have been replaced or mended.
        self._refused.intersection_update(names)
        self._next_search = time.monotonic() + FIND_STUDIES_EVERY_S

    def _patiently(self, action: Callable[[], T]) -> T:
        release = partial(disconnect, self._storage)
        return retry_while_away(action, self._signals, timeout_s=self._database_timeout_s, release=release)

    def _running_names(self) -> list[str]:
        return [name for name, has_stopped in our_studies(self._storage).items() if not has_stopped]

    def is_idle(self) -> bool:
        """Return whether no study is running, looking again if none was."""
        if not self.workers:
            self._next_search = 0.0
            self.find_studies()
        return not self.workers

    def running(self) -> list[StudyWorker]:
        """Return the workers of running studies, and drop stopped studies after their last trial."""
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
        """Run a trial of the first study that has one; return the last known state of that study."""
        for worker in workers:
            with self._leaving(worker.study.name):
                if worker.run_trial():
                    return worker.state
        return None

    @contextmanager
    def _leaving(self, name: str) -> Iterator[None]:
        """Drop a study that was deleted or damaged, or whose trials all fail on this worker."""
        try:
            yield
        except (StudyNotFoundError, StudyMismatchError, FailingWorkerError) as error:
            logger.warning("skipping study %s: %s", name, error)
            del self.workers[name]
            if not isinstance(error, StudyNotFoundError):
                self._refused.add(name)

    def _take_up(self, name: str) -> None:
        try:
            # SQLite reuses the ids of deleted studies, whose trials would reappear from Optuna's cache.
            study = open_study(with_empty_cache(self._storage), name)
            splits = load_data(study, self._data_dir)
        except (DataError, StudyMismatchError) as error:
            logger.warning("skipping study %s: %s", name, error)
            self._refused.add(name)
            return
        except StudyNotFoundError:
            # The study was deleted meanwhile.
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

    A study whose data are not on this machine is skipped with a warning, and so is one that is deleted meanwhile.

    Args:
        until_idle: Return when no study is running, instead of waiting for one.
        on_trial: Function that is called after each trial, and while waiting for other workers, to show progress.
        on_idle: Function that is called while no study is running.
        evaluate: Function that counts and trains a circuit; None for `training.evaluation.evaluate`.

    Returns:
        Number of studies that were served.
    """
    scheduler = _StudyScheduler(storage, signals, data_dir=data_dir, database_timeout_s=database_timeout_s, evaluate=evaluate)
    with suppress(AskedToLeaveError):
        while not signals.first:
            scheduler.find_studies()
            # Sorted again after each trial: all studies advance at the same pace.
            running = sorted(scheduler.running(), key=lambda worker: worker.study.priority(worker.state))
            if state := scheduler.run_trial(running):
                on_trial(state)
            elif until_idle and scheduler.is_idle():
                break
            else:
                # All studies wait for trials of others; the bar shows the first.
                for worker in list(scheduler.workers.values())[:1]:
                    on_trial(worker.state)
                if not scheduler.workers:
                    on_idle()
                signals.wait(POLL_S if running else FIND_STUDIES_EVERY_S)
    return scheduler.served
