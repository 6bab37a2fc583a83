"""Study that retrains finalists of a search and their controls from new random seeds and evaluates them on the test part.

The trainings wait in Optuna's queue, from which any number of workers take them. Every worker refills the queue with missing
trainings: those that were never queued, those that a signal ended, and those of finalists added since.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.confirmation.baselines import ConfirmationResult
from faqnas_optuna.confirmation.plan import (
    BASELINES,
    NO_BASELINES,
    ConfirmationBudget,
    Training,
    all_trainings,
    missing_trainings,
    name_for,
)
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from faqnas_optuna.storage.opening import batched, study_lock
from faqnas_optuna.storage.optuna_internals import begin_queued_trial
from faqnas_optuna.study import checks
from faqnas_optuna.study.description import ConfirmationPlan, Description, Finalist
from faqnas_optuna.study.lifecycle import last_resumption, may_all_fail, write_stop
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.status import study_status
from faqnas_optuna.study.stopping import Stop, StopReason
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.study.work import Evaluate, Lock, Progress, RunTrial, WorkerAction

# Workers read the whole queue after each of their trials, so it is filled in portions.
QUEUED_AT_ONCE = 64
"""Number of trainings that are queued together, once the queue is empty."""
REQUIRED_ATTRIBUTES = ("network", "seed", "test_accuracy", "confusion", "losses", "validation_accuracies", "parameters")
"""User attributes that every successful trial must have; without them its result cannot be read."""
STATES = {"done": TrialState.COMPLETE, "running": TrialState.RUNNING, "waiting": TrialState.WAITING}
"""States of trials by the names that documents use."""


class ConfirmationState(StudyState):
    """The state of a confirmation, summed up from its trials."""

    def __init__(self, study: StoredStudy[Any]) -> None:
        super().__init__(study)
        # Updated under the lock. An outdated number only delays the requeueing of failed trainings.
        self.resumed_at = 0
        """Number of the first trial since the last resumption, as far as this process has read it."""

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        # A success ends a series of failures, and nothing else of a successful trial is summed up.
        if trials:
            self.failing = []


class Confirmation(StoredStudy[ConfirmationState]):
    """A study that confirms circuits of a search."""

    result_attribute = "test_accuracy"

    @classmethod
    def of(cls, study: optuna.Study, description: Description) -> Self:
        """Return a confirmation that is ready to run trainings."""
        # All parameters come from the queue, so the sampler suggests nothing.
        study.sampler = RandomSampler(seed=description.config.seed)
        return cls(study=study, description=description)

    @property
    def plan(self) -> ConfirmationPlan:
        """The plan of the confirmation."""
        plan = self.description.confirms
        assert plan is not None
        return plan

    def finalist(self, number: int) -> Finalist:
        """Return a finalist by the number of its trial in the search.

        Raises:
            LookupError: The trial is not a finalist.
        """
        # The finalist may have been added since this process loaded the study.
        finalist = self.plan.finalist(number) or self.reload().plan.finalist(number)
        if finalist is None:
            raise LookupError(f"trial {number} is no finalist")
        return finalist

    def all_trainings(self) -> list[Training]:
        """Return all trainings, in the order in which they are queued."""
        return all_trainings(self.plan, repeats=self.config.training.repeats)

    def with_finalists(self, finalists: Iterable[Finalist], *, repeats: int | None) -> "Confirmation":
        """Store further finalists or seeds, and return the study with them.

        The caller must hold the study lock.
        """
        return Confirmation(study=self.study, description=self.metadata.extend(finalists, repeats=repeats))

    def new_state(self) -> ConfirmationState:
        return ConfirmationState(self)

    @property
    def planned(self) -> int:
        return len(self.all_trainings())

    def damage(self, trial: FrozenTrial) -> str | None:
        if self.has_result(trial):
            return checks.damage(trial, ConfirmationResult, REQUIRED_ATTRIBUTES)
        return checks.damage(trial, None, ())

    def subject(self, trial: FrozenTrial) -> str | None:
        network: str | None = trial.user_attrs.get("network")
        return network

    def advance(self, state: ConfirmationState, *, lock: Lock = study_lock) -> WorkerAction:
        """Queue missing trainings, or stop the confirmation when all have ended, and return what workers do next."""
        state.has_stopped = bool(self.stop())
        # Asked without the lock, which is taken only if something is likely to change.
        if not state.has_stopped and (self._has_work(state) or may_all_fail(state)):
            state.has_stopped = bool(self._queue_or_stop(state, lock))
            state.refresh()
        if state.has_stopped:
            return WorkerAction.STOPPED
        return WorkerAction.RUNNING if state.waiting else WorkerAction.FULL

    def wants_trials(self, state: ConfirmationState) -> bool:
        """Return True: a confirmation needs every one of its trials."""
        return True

    def next_trial(self, state: ConfirmationState, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        if not may_begin():
            return None
        # The trials as last read suffice: claiming a waiting trial fails in the database if another worker was faster.
        with batched(self.study).cached_reads():
            return begin_queued_trial(self.study)

    def objective(
        self, state: ConfirmationState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None
    ) -> RunTrial:
        # Imports numba, which readers of a confirmation do not need.
        from faqnas_optuna.confirmation.objective import ConfirmationObjective

        return ConfirmationObjective(self.config, splits, finalist=self.finalist, worker=worker)

    def priority(self, state: ConfirmationState) -> tuple[int, int]:
        """Return the progress as a number of generations, which can be compared with searches, and the number of trainings."""
        # A confirmation counts as having the generations of its search, spread over its trainings.
        share = state.successful / self.planned
        return int(share * self.config.search.generations), state.successful

    def progress(self, state: ConfirmationState) -> Progress:
        return Progress(
            study=self.name,
            trials=state.successful,
            planned=state.successful if state.has_stopped else self.planned,
        )

    def status(self, state: ConfirmationState) -> dict[str, Any]:
        return study_status(state, {"confirms": self.plan.study})

    def check_resumable(self, *, generations: int | None = None, trials: int | None = None) -> SearchConfig:
        if generations:
            raise ConfigError(f"study {self.name!r} is a confirmation, which has no generations; leave out --generations")
        if trials:
            raise ConfigError(f"study {self.name!r} is a confirmation, which needs all its trainings; leave out --trials")
        return self.config.search

    def continuation(self) -> str:
        """Return the command that resumes the confirmation or, if it is complete, the command that shows its results."""
        stop = self.metadata.stop()
        if stop is None or stop.reason is not StopReason.CONFIRMED:
            return f"resume {self.name}"
        return self.show_command

    @property
    def show_command(self) -> str:
        """Command that shows the results of the confirmation, to be typed after `faqnas-optuna`."""
        name_option = "" if self.name == name_for(self.plan.study) else f" --name {self.name}"
        return f"confirm {self.plan.study}{name_option}"

    def check_budget(self, budget: ConfirmationBudget) -> None:
        """Check that a requested budget agrees with the stored one, or extends it by further seeds.

        Raises:
            StudyMismatchError: The number of epochs or the baselines differ, or fewer seeds are requested.
        """
        # Seeds can be added to a confirmation, but trainings of different lengths cannot be compared. With other baselines,
        # some circuits would be compared with more controls than others.
        training = self.config.training
        baselines = BASELINES if self.plan.chosen is None else self.plan.chosen
        if budget.epochs not in (None, training.epochs):
            difference = f"epochs: stored {training.epochs}, requested {budget.epochs}"
        elif budget.repeats is not None and budget.repeats < training.repeats:
            difference = f"repeats: stored {training.repeats}, requested {budget.repeats}"
        elif budget.baselines not in (None, baselines):
            stored, requested = (",".join(names or ()) or NO_BASELINES for names in (baselines, budget.baselines))
            difference = f"baselines: stored {stored}, requested {requested}"
        else:
            return
        raise StudyMismatchError(
            f"study {self.name!r} exists with other settings: {difference}; use the stored values, or choose another name"
            " with --name"
        )

    def is_done(self, candidates: Sequence[Candidate], budget: ConfirmationBudget) -> bool:
        """Return whether the confirmation of some circuits is complete, so that its results can be shown at once."""
        stop = self.metadata.stop()
        finalists = {finalist.trial for finalist in self.plan.finalists}
        asks_more = budget.repeats not in (None, self.config.training.repeats)
        has_all = finalists.issuperset(candidate.trial for candidate in candidates) and not asks_more
        if not has_all or stop is None or stop.reason is not StopReason.CONFIRMED:
            return False
        # Failed trainings are tried again when the command is repeated: the machine may have been at fault.
        return not self.training_counts(self.study.get_trials(deepcopy=False))["failed"]

    def training_counts(self, trials: Sequence[FrozenTrial]) -> dict[str, int]:
        """Return the number of trainings in the plan, and how many of them are in which state.

        Failed trainings that will be tried again do not count as failed.
        """
        by_state: defaultdict[TrialState, set[tuple[str, int]]] = defaultdict(set)
        for trial in trials:
            by_state[trial.state].add((trial.user_attrs.get("network", ""), trial.user_attrs.get("seed", -1)))
        due = missing_trainings(self.all_trainings(), trials, resumed_at=self._resumed_at())
        remaining = {(training.network, training.repeat) for training in self.all_trainings()}
        counts = {"needed": len(remaining)}
        # A training may have several trials, since failed ones are repeated: the best state counts.
        for name, state in STATES.items():
            counts[name] = len(remaining & by_state[state])
            remaining -= by_state[state]
        return counts | {"failed": len(remaining) - len(due)}

    def _resumed_at(self) -> int:
        """Return the number of the first trial since the last resumption; 0 if there was none."""
        resumption = last_resumption(self)
        return resumption.trial if resumption else 0

    def _has_work(self, state: ConfirmationState) -> bool:
        """Return whether, by the last reading, trainings must be queued or the confirmation is complete."""
        if state.waiting:
            return False
        with batched(self.study).cached_reads():
            trials = self.study.get_trials(deepcopy=False)
        return not state.running or bool(missing_trainings(self.all_trainings(), trials, resumed_at=state.resumed_at))

    def _queue_or_stop(self, state: ConfirmationState, lock: Lock) -> Stop | None:
        """Queue missing trainings or stop the confirmation, and return the stop if there is one."""
        with lock(self.study), self.existing():
            stop = self.metadata.stop()
            if stop:
                return stop
            # Before this process had the lock, others may have added finalists, or queued and finished the missing trainings:
            # everything is read again.
            state.refresh()
            trainings = self.reload().all_trainings()
            state.resumed_at = self._resumed_at()
            due = missing_trainings(trainings, self.study.get_trials(deepcopy=False), resumed_at=state.resumed_at)
            if may_all_fail(state):
                return write_stop(self, StopReason.FAILURES)
            if not (due or state.waiting or state.running):
                return write_stop(self, StopReason.CONFIRMED)
            if not state.waiting:
                enqueue(self.study, due[:QUEUED_AT_ONCE])
            return None


def enqueue(study: optuna.Study, trainings: Iterable[Training]) -> None:
    """Queue trainings for any worker.

    The caller must hold the study lock, or several processes would queue the same trainings.
    """
    # Stored now, the attributes identify waiting trials too.
    for training in trainings:
        study.enqueue_trial(
            {"finalist": training.finalist, "model": training.model, "seed": training.repeat},
            user_attrs={"network": training.network, "seed": training.repeat},
        )
