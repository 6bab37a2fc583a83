"""Run loop of a worker.

No acknowledged result is lost, however a worker ends: every trial is in the database before the next one begins.
"""

import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import FailingWorkerError, PlatformError
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.signals import POLL_S, AskedToLeaveError, Signals
from faqnas_optuna.storage.heartbeats import FAILURE, beating
from faqnas_optuna.storage.opening import backend, disconnect, study_lock
from faqnas_optuna.storage.optuna_internals import storage_of, study_id_of, trial_id_of
from faqnas_optuna.storage.outages import DATABASE_ERRORS, DATABASE_TIMEOUT_S, database_reason, is_transient, retry_while_away
from faqnas_optuna.study.lifecycle import last_resumption, stop
from faqnas_optuna.study.records import INTERRUPTED, SOURCE
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.study.work import Evaluate, Lock, TrialOutcome, WorkerAction
from faqnas_optuna.training import evaluation

logger = logging.getLogger(__name__)

T = TypeVar("T")

GIVE_UP_EVERY_S = 1.0
"""Interval between two searches for trials of dead workers."""
SHORTEST_PAUSE_S = 0.005
"""First pause of a worker that waits for an event which is due; each further pause is twice as long."""


def worker_name() -> str:
    """Return a unique name of this worker, as stored in a trial's `worker` attribute: host, process id and a random mark.

    The mark distinguishes containers, which may share a host name and all run as process 1.
    """
    # A forked copy of this process is another worker, and so is another Dask task in a thread of it.
    return f"{socket.gethostname()}:{os.getpid()}-{_mark(os.getpid(), threading.get_ident())}"


@cache
def _mark(_process: int, _thread: int) -> str:
    return secrets.token_hex(3)


class StudyWorker:
    """Worker that runs trials of one study, holding the study's state in memory.

    Args:
        study: Study to serve.
        splits: Data of the study.
        signals: Signals that end a trial or the worker.
        database_timeout_s: Maximum time to wait for a database that is unavailable.
        evaluate: Function that counts and trains a circuit; None for `training.evaluation.evaluate`.
        lock: Lock that excludes other workers while a trial of a synchronous study begins.
        seconds: Time after which this worker stops the study; None for no limit.
    """

    def __init__(
        self,
        study: StoredStudy[Any],
        splits: DataSplits,
        signals: Signals,
        *,
        database_timeout_s: float = DATABASE_TIMEOUT_S,
        evaluate: Evaluate | None = None,
        lock: Lock = study_lock,
        seconds: float | None = None,
    ) -> None:
        self.study = study
        self.state: StudyState = study.new_state()
        self._study = study.study
        self._objective = study.objective(self.state, splits, worker=worker_name(), evaluate=evaluate)
        self._lock = lock
        self._signals = signals
        self._database_timeout_s = database_timeout_s
        self._next_giving_up = 0.0
        self._plotted = (0, False)
        """Number of closed generations, and whether the study had stopped, when this worker last checked the plots."""
        self._has_warned_of_gaps = False
        if evaluate is None and not signals.first:
            # Import and compile now, so that the first trial does not include that time.
            with signals.giving_up(at_first=True):
                evaluation.prepare(study.config.engines)
        self._failed_in_a_row: list[int] = []
        self._deadline = time.monotonic() + (math.inf if seconds is None else seconds)

    def look(self) -> WorkerAction:
        """Requeue trials of dead workers, read the new trials, and return what this worker should do next."""

        def take_in() -> WorkerAction:
            # Before the refresh, which takes a new worker seconds in a study of thousands of trials.
            self._give_up_stale_trials()
            self.state.refresh()
            self._warn_of_gaps()
            action = self.study.advance(self.state)
            if action is not WorkerAction.STOPPED and time.monotonic() >= self._deadline:
                stop(self.study, StopReason.SECONDS)
                action = self.study.advance(self.state)
            self._store_plots()
            return action

        return self._patiently(take_in)

    def _store_plots(self) -> None:
        """Store the plots of the study if they lack a generation that was closed since this worker last checked."""
        # Checked when the study has stopped too: the worker that closed the last generation may have died before it drew it.
        reached = (self.state.closed, self.state.has_stopped)
        if reached != self._plotted:
            store_plots(self.study, lambda: self.state)
            self._plotted = reached

    def _warn_of_gaps(self) -> None:
        """Log once that trials of the study, or their attributes, were deleted from the database."""
        state = self.state
        gaps = state.n_missing + state.without_result
        if gaps and not self._has_warned_of_gaps:
            self._has_warned_of_gaps = True
            logger.warning(
                "study %s: %d trials or their results are missing from the database; other trials replace them",
                self.study.name,
                gaps,
            )

    @property
    def is_failing(self) -> bool:
        """Whether a whole generation of trials failed in a row on this worker since the study was last resumed."""
        failed = self._failed_in_a_row
        population = self.study.config.search.population
        if len(failed) < population:
            return False
        # Resuming gives a failing worker another chance: its cause may have been mended.
        resumed = last_resumption(self.study)
        return resumed is None or failed[-population] >= resumed.trial

    @property
    def others_succeed(self) -> bool:
        """Whether the study as a whole has not failed as many trials in a row."""
        return len(self.state.failing) < self.study.config.search.population

    def failing_worker(self) -> FailingWorkerError:
        """Return the error by which this worker leaves the study."""
        name = self.study.name
        failed = self._failed_in_a_row
        message = (
            f"the last {len(failed)} trials of {worker_name()} in study {name!r} failed while others succeed; see why with"
        )
        return FailingWorkerError(message, command=f"show {name} {failed[-1]}")

    def run_trial(self) -> bool:
        """Run one trial; the study goes on if it fails.

        Returns:
            Whether a trial was run; in a synchronous study other workers may have to finish theirs first.
        """
        try:
            return self._run_one()
        finally:
            self._signals.has_trial = False

    def _run_one(self) -> bool:
        trial = self._patiently(self._ask)
        if trial is None:
            return False
        try:
            with beating(backend(self._study), trial_id_of(trial)):
                self._run(trial)
        except UpdateFinishedTrialError:
            _drop(trial)
        except PlatformError as error:
            backend(self._study).abandon(study_id_of(self._study), trial_id_of(trial), str(error))
            raise
        except AskedToLeaveError:
            logger.warning("trial %d is not stored; another worker will run it again", trial.number)
            raise
        return True

    def await_others(self) -> None:
        """Wait until no trial of the study is running."""
        # Start with short pauses: the last trials may end within milliseconds.
        pause_s = SHORTEST_PAUSE_S
        while self.state.running and not self._signals.first:
            self._signals.wait(pause_s)
            self.look()
            pause_s = min(2 * pause_s, POLL_S)

    def _give_up_stale_trials(self) -> None:
        """Fail the trials of dead workers, and requeue them if the study still needs trials."""
        if time.monotonic() < self._next_giving_up:
            return
        storage = backend(self._study)
        study_id = study_id_of(self._study)
        for trial_id in storage.stale_trials(study_id):
            retry = self.study.metadata.stop() is None and self.study.wants_trials(self.state)
            number = storage.give_up(study_id, trial_id, retry=retry)
            if number is not None:
                logger.warning("trial %d is given up: its worker was silent for too long", number)
        self._next_giving_up = time.monotonic() + GIVE_UP_EVERY_S

    def _ask(self) -> optuna.Trial | None:
        # A signal may have arrived while this worker read the study or waited for a lock.
        if self._signals.first:
            return None
        return self.study.next_trial(self.state, lock=self._lock, may_begin=self._may_begin)

    def _may_begin(self) -> bool:
        """Return whether a trial may begin, which it may not after a signal; later signals let the trial finish."""
        self._signals.has_trial = not self._signals.first
        return self._signals.has_trial

    def _run(self, trial: optuna.Trial) -> None:
        outcome = None
        try:
            with self._signals.giving_up():
                outcome = self._objective(trial)
        except DATABASE_ERRORS as error:
            # The trial will be requeued like that of a dead worker.
            logger.warning("trial %d was lost with the database: %s", trial.number, database_reason(error))
            if is_transient(error):
                return
            raise
        if outcome is None:
            # The second signal arrived just before or after the objective.
            raise AskedToLeaveError
        self._patiently(partial(self._tell, trial, outcome), keep_on=True)
        if outcome.values is None:
            self._failed_in_a_row.append(trial.number)
        elif outcome.has_trained:
            self._failed_in_a_row.clear()

    def _tell(self, trial: optuna.Trial, outcome: TrialOutcome) -> None:
        """Store an outcome, unless the trial was given up meanwhile, for example while this process was suspended."""
        reason = str(outcome.attributes.get(FAILURE))
        if SOURCE in trial.user_attrs and reason.startswith(INTERRUPTED):
            # Requeued, since the sampler would suggest another circuit in place of a queued one.
            backend(self._study).abandon(study_id_of(self._study), trial_id_of(trial), reason)
            return
        state = TrialState.FAIL if outcome.values is None else TrialState.COMPLETE
        try:
            # Attributes first: a trial with values must never lack them, however this worker ends.
            for name, value in outcome.attributes.items():
                trial.set_user_attr(name, value)
            self._study.tell(trial, values=outcome.values, state=state)
        except (UpdateFinishedTrialError, ValueError):
            stored = storage_of(self._study).get_trial(trial_id_of(trial)).state
            # Equal states: the outcome was stored but the connection broke before the reply.
            if not stored.is_finished():
                raise
            if stored is not state:
                _drop(trial)

    def _patiently(self, action: Callable[[], T], *, keep_on: bool = False) -> T:
        def act() -> T:
            with self.study.if_it_exists():
                return action()

        release = partial(disconnect, storage_of(self._study))
        return retry_while_away(act, self._signals, timeout_s=self._database_timeout_s, release=release, keep_on=keep_on)


def _drop(trial: optuna.Trial) -> None:
    logger.warning("trial %d was given up meanwhile; its late result is dropped", trial.number)


def run(
    study: StoredStudy[Any],
    splits: DataSplits,
    signals: Signals,
    *,
    on_trial: Callable[[StudyState], None],
    database_timeout_s: float = DATABASE_TIMEOUT_S,
    evaluate: Evaluate | None = None,
    seconds: float | None = None,
) -> None:
    """Run trials of one study until it stops or a signal arrives.

    Args:
        on_trial: Function that is called before the first trial and after each, to show progress.
        database_timeout_s: Maximum time to wait for a database that is unavailable.
        evaluate: Function that counts and trains a circuit; None for `training.evaluation.evaluate`.
        seconds: Time after which the study is stopped, from the first trial on; None for no limit.

    Raises:
        StudyNotFoundError: The study was deleted meanwhile.
        FailingWorkerError: All trials fail on this worker while others go on.
    """
    worker = StudyWorker(study, splits, signals, database_timeout_s=database_timeout_s, evaluate=evaluate, seconds=seconds)
    with suppress(AskedToLeaveError):
        while not signals.first:
            action = worker.look()
            on_trial(worker.state)
            if action is WorkerAction.STOPPED:
                if worker.state.running:
                    worker.await_others()
                    on_trial(worker.state)
                return
            if worker.is_failing and worker.others_succeed:
                raise worker.failing_worker()
            # A failing worker waits for results of others, which show whether it or the whole study fails.
            if action is WorkerAction.FULL or worker.is_failing or not worker.run_trial():
                signals.wait(POLL_S)
        # Look once more: the last trial may have ended the study.
        worker.look()
        on_trial(worker.state)
