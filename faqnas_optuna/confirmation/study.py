"""The confirmation: a study that retrains finalists of a search from new seeds, beside their controls.

They are judged on the test part. The trainings wait in Optuna's queue, so workers anywhere take their part. Whoever looks
queues what is missing: what was begun and never queued, or ended by a signal, or is needed since a finalist was added.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from faqnas_optuna.confirmation.baselines import Confirmed
from faqnas_optuna.confirmation.plan import ConfirmationBudget, Training, missing, name_for, needed
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from faqnas_optuna.storage.opening import batched, study_lock
from faqnas_optuna.storage.optuna_internals import begin_queued_trial
from faqnas_optuna.study import checks
from faqnas_optuna.study.lifecycle import last_resumption, may_all_fail, write_stop
from faqnas_optuna.study.metadata import ConfirmationPlan, Description, Finalist
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.status import study_status
from faqnas_optuna.study.stopping import Stop, StopReason
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.study.work import Evaluate, Lock, Progress, RunTrial, WorkerAction

QUEUED_AT_ONCE = 64
"""Number of trainings that are queued when the last of those before has begun: each worker reads the whole queue after each of
its trials."""
NEEDED = ("network", "seed", "test_accuracy", "confusion", "losses", "validation_accuracies", "parameters")
"""The attributes of a training without which nothing can be said of it."""
STATES = {"done": TrialState.COMPLETE, "running": TrialState.RUNNING, "waiting": TrialState.WAITING}
"""What is told of trainings, by name."""


class ConfirmationState(StudyState):
    """The trials of a confirmation, summed up."""

    def __init__(self, study: StoredStudy[Any]) -> None:
        super().__init__(study)
        self.resumed_at = 0
        """The first trial since the confirmation was last resumed, as far as this process knows."""

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        if trials:
            self.failing = []


class Confirmation(StoredStudy[ConfirmationState]):
    """A confirmation of some circuits of a search."""

    result_attribute = "test_accuracy"

    @classmethod
    def of(cls, study: optuna.Study, description: Description) -> Self:
        """Return a confirmation that is ready to run trainings."""
        # All that it trains is queued, so the sampler suggests nothing.
        study.sampler = RandomSampler(seed=description.config.seed)
        return cls(study=study, description=description)

    @property
    def plan(self) -> ConfirmationPlan:
        """What is confirmed."""
        plan = self.description.confirms
        assert plan is not None
        return plan

    def finalist(self, number: int) -> Finalist:
        """Return the finalist that is a trial of the search. It may have been added since this study was loaded."""
        finalist = self.plan.finalist(number) or self.reload().plan.finalist(number)
        if finalist is None:
            raise LookupError(f"trial {number} is no finalist")
        return finalist

    def needed(self) -> list[Training]:
        """Return all trainings, in the order of the queue."""
        return needed(self.plan, repeats=self.config.training.repeats)

    def with_finalists(self, finalists: Iterable[Finalist], *, repeats: int | None) -> "Confirmation":
        """Write more finalists, or repeats, into the study, and return it with these. The caller holds the study lock."""
        return Confirmation(study=self.study, description=self.metadata.extend(finalists, repeats=repeats))

    def new_state(self) -> ConfirmationState:
        return ConfirmationState(self)

    @property
    def planned(self) -> int:
        return len(self.needed())

    def damage(self, trial: FrozenTrial) -> str | None:
        return checks.damage(trial, Confirmed, NEEDED) if self.has_result(trial) else checks.damage(trial, None, ())

    def subject(self, trial: FrozenTrial) -> str | None:
        network: str | None = trial.user_attrs.get("network")
        return network

    def advance(self, state: ConfirmationState, *, lock: Lock = study_lock) -> WorkerAction:
        """Queue what is missing, and stop the confirmation once nothing is left to do."""
        state.has_stopped = bool(self.stop())
        if not state.has_stopped and (self._is_due(state) or may_all_fail(state)):
            state.has_stopped = bool(self._do_what_is_due(state, lock))
            state.refresh()
        if state.has_stopped:
            return WorkerAction.STOPPED
        return WorkerAction.RUNNING if state.waiting else WorkerAction.FULL

    def wants_trials(self, state: ConfirmationState) -> bool:
        """Whether every trial is needed, as it is."""
        return True

    def next_trial(self, state: ConfirmationState, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        if not may_begin():
            return None
        with batched(self.study).cached_reads():
            return begin_queued_trial(self.study)

    def objective(
        self, state: ConfirmationState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None
    ) -> RunTrial:
        # It brings numba, which readers do without.
        from faqnas_optuna.confirmation.objective import ConfirmationObjective

        return ConfirmationObjective(self.config, splits, finalist=self.finalist, worker=worker)

    def priority(self, state: ConfirmationState) -> tuple[int, int]:
        """Return as many generations as the search was allowed, in the share of the trainings that is done; and trainings."""
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

    def check_resumable(self, *, generations: int | None = None) -> int:
        if generations:
            raise ConfigError(f"study {self.name!r} is a confirmation, which has no generations; leave out --generations")
        return self.config.search.generations

    def continuation(self) -> str:
        """Return the command that goes on with the confirmation; of one that is done, the command that shows it."""
        stopped = self.metadata.stop()
        if stopped is None or stopped.reason is not StopReason.CONFIRMED:
            return f"resume {self.name}"
        return self.shown_by

    @property
    def shown_by(self) -> str:
        """The command that shows what the confirmation has found."""
        named = "" if self.name == name_for(self.plan.study) else f" --name {self.name}"
        return f"confirm {self.plan.study}{named}"

    def check_budget(self, budget: ConfirmationBudget) -> None:
        """Refuse other epochs, and fewer repeats: more can be added.

        Raises:
            StudyMismatchError: names what differs.
        """
        training = self.config.training
        if budget.epochs not in (None, training.epochs):
            difference = f"epochs: stored {training.epochs}, requested {budget.epochs}"
        elif budget.repeats is not None and budget.repeats < training.repeats:
            difference = f"repeats: stored {training.repeats}, requested {budget.repeats}"
        else:
            return
        raise StudyMismatchError(
            f"study {self.name!r} exists with other settings: {difference}; use the stored ones, or choose another name"
            " with --name"
        )

    def is_done(self, candidates: Sequence[Candidate], budget: ConfirmationBudget) -> bool:
        """Whether nothing is left to do for these: neither their data nor torch are needed to show what was found."""
        stopped = self.metadata.stop()
        finalists = {finalist.trial for finalist in self.plan.finalists}
        asks_more = budget.repeats not in (None, self.config.training.repeats)
        is_all_there = finalists.issuperset(candidate.trial for candidate in candidates) and not asks_more
        if not is_all_there or stopped is None or stopped.reason is not StopReason.CONFIRMED:
            return False
        # What has failed is tried again: it may have been the machine.
        return not self.trainings(self.study.get_trials(deepcopy=False))["failed"]

    def trainings(self, trials: Sequence[FrozenTrial]) -> dict[str, int]:
        """Return how many trainings are needed, and what has become of them.

        A training that failed is not counted as failed where it is tried again.
        """
        by_state: defaultdict[TrialState, set[tuple[str, int]]] = defaultdict(set)
        for trial in trials:
            by_state[trial.state].add((trial.user_attrs.get("network", ""), trial.user_attrs.get("seed", -1)))
        due = missing(self.needed(), trials, since=self._resumed_at())
        left = {(training.network, training.seed) for training in self.needed()}
        counts = {"needed": len(left)}
        for name, state in STATES.items():
            counts[name] = len(left & by_state[state])
            left -= by_state[state]
        return counts | {"failed": len(left) - len(due)}

    def _resumed_at(self) -> int:
        """The first trial since the last resumption."""
        resumed = last_resumption(self)
        return resumed.trial if resumed else 0

    def _is_due(self, state: ConfirmationState) -> bool:
        """Whether, as this process knows it, the queue is empty and something is to be queued, or all is done."""
        if state.waiting:
            return False
        with batched(self.study).cached_reads():
            trials = self.study.get_trials(deepcopy=False)
        return not state.running or bool(missing(self.needed(), trials, since=state.resumed_at))

    def _do_what_is_due(self, state: ConfirmationState, lock: Lock) -> Stop | None:
        """Do what is due, unless somebody else has; return why the confirmation has stopped, if it has."""
        with lock(self.study), self.existing():
            if stopped := self.metadata.stop():
                return stopped
            state.refresh()
            # Read under the lock: meanwhile somebody may have added finalists, or have queued and done what was missing.
            needed_now = self.reload().needed()
            state.resumed_at = self._resumed_at()
            due = missing(needed_now, self.study.get_trials(deepcopy=False), since=state.resumed_at)
            if may_all_fail(state):
                return write_stop(self, StopReason.FAILURES)
            if not (due or state.waiting or state.running):
                return write_stop(self, StopReason.CONFIRMED)
            if not state.waiting:
                enqueue(self.study, due[:QUEUED_AT_ONCE])
            return None


def enqueue(study: optuna.Study, trainings: Iterable[Training]) -> None:
    """Queue trainings for whoever asks first. The caller holds the study lock."""
    for training in trainings:
        study.enqueue_trial(
            {"finalist": training.finalist, "model": training.model, "seed": training.seed},
            user_attrs={"network": training.network, "seed": training.seed},
        )
