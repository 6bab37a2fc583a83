"""Optuna's cache in front of the database, with trials of this process as drafts.

Optuna writes each parameter and attribute of a trial separately. A draft collects these changes, and they are stored together:
once before the training, and once when the trial finishes. A worker that dies earlier leaves a running trial without genes, as
it may with Optuna alone.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.storage.heartbeats import HeartbeatStorage
from faqnas_optuna.storage.optuna_internals import (
    STUDY_SYSTEM_ATTRS,
    STUDY_USER_ATTRS,
    CachedStorage,
    JSONSerializable,
    trial_id_of,
)
from faqnas_optuna.storage.trial_reading import read_study_attributes
from faqnas_optuna.storage.trial_writing import Pending, begin_trial, empty_pending, finish_trial, write_pending


class History:
    """Trials of a study as this process has read them."""

    def __init__(self) -> None:
        self.finished: list[FrozenTrial] = []
        """Finished trials in the order in which this process learned about them.

        The list only grows, so that a caller may resume from an index.
        """
        self.unfinished: dict[int, FrozenTrial] = {}
        """Unfinished trials, by number."""
        self._by_number: dict[int, FrozenTrial] = {}
        self._in_order = True

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace an unfinished one by its new state."""
        previous = self._by_number.get(trial.number)
        # A finished trial never changes.
        if previous is not None and trial.number not in self.unfinished:
            return
        if trial.state.is_finished():
            self.unfinished.pop(trial.number, None)
            self.finished.append(trial)
        else:
            self.unfinished[trial.number] = trial
        if previous is None and self._by_number:
            self._in_order &= trial.number > next(reversed(self._by_number))
        self._by_number[trial.number] = trial

    def trials(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """Return the trials in these states, or all trials, sorted by number as samplers expect."""
        # Samplers often ask for running trials only, of which there are few.
        if states is not None and not any(state in states for state in TrialState if state.is_finished()):
            return [trial for _, trial in sorted(self.unfinished.items()) if trial.state in states]
        # Trials nearly always arrive in order, so that this seldom sorts.
        if not self._in_order:
            self._by_number = dict(sorted(self._by_number.items()))
            self._in_order = True
        return [trial for trial in self._by_number.values() if states is None or trial.state in states]


class BatchedStorage(CachedStorage):
    """Storage that keeps the running trials of this process as drafts.

    All changes except those of drafts are in the database when a call returns.
    """

    def __init__(self, backend: HeartbeatStorage) -> None:
        super().__init__(backend)
        self.backend = backend
        self._drafts: dict[int, tuple[FrozenTrial, Pending]] = {}
        self._histories: defaultdict[int, History] = defaultdict(History)
        self._reads = True

    def read(self, study_id: int) -> History:
        """Read the new trials of a study and return its history."""
        self.read_new_trials(study_id)
        return self.history(study_id)

    def history(self, study_id: int) -> History:
        """Return the history of a study as of the last reading."""
        return self._histories[study_id]

    @contextmanager
    def cached_reads(self) -> Iterator[None]:
        """Let Optuna use the trials as of the last reading within the block, instead of reading before every use."""
        with self._reading(False):
            yield

    @contextmanager
    def fresh_reads(self) -> Iterator[None]:
        """Let Optuna read new trials before every use within the block, even inside `cached_reads`."""
        with self._reading(True):
            yield

    @contextmanager
    def _reading(self, reads: bool) -> Iterator[None]:
        previous = self._reads
        self._reads = reads
        try:
            yield
        finally:
            self._reads = previous

    def store(self, trial_id: int) -> None:
        """Store the pending changes of a draft.

        Raises:
            UpdateFinishedTrialError: The trial was given up in the meantime.
        """
        if trial_id not in self._drafts:
            raise UpdateFinishedTrialError(f"the trial with id {trial_id} was given up")
        trial, pending = self._drafts[trial_id]
        write_pending(self.backend.engine, trial, pending)
        self._drafts[trial_id] = (trial, Pending(started=pending.started))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the user attributes of a study, by name."""
        return read_study_attributes(self.backend.engine, study_id, STUDY_USER_ATTRS)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study, by name."""
        return read_study_attributes(self.backend.engine, study_id, STUDY_SYSTEM_ATTRS)

    def delete_study(self, study_id: int) -> None:
        # SQLite may assign the id to a new study, which must not inherit the history.
        super().delete_study(study_id)
        self._histories.pop(study_id, None)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a trial as a draft, or add a copy of a template; return its id.

        Raises:
            KeyError: The study was deleted.
        """
        if template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        trial, pending = begin_trial(self.backend.engine, study_id)
        trial_id = trial_id_of(trial)
        self._drafts[trial_id] = (trial, pending)
        self.add_to_cache(study_id, trial)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Finish a draft and store its pending changes, or change the state of any other trial.

        Returns:
            True if the state has changed; False if another process has begun the queued trial.

        Raises:
            UpdateFinishedTrialError: The trial was given up in the meantime, or deleted with its study.
        """
        if trial_id not in self._drafts:
            has_changed = super().set_trial_state_values(trial_id, state, values)
            if has_changed and state is TrialState.RUNNING:
                # A queued trial that this process has begun is its draft from now on.
                pending = empty_pending(self.backend.engine, trial_id)
                self._drafts[trial_id] = (self.backend.get_trial(trial_id), pending)
            return has_changed
        trial, pending = self._drafts[trial_id]
        try:
            completed = finish_trial(self.backend.engine, trial, pending, state, values)
        except UpdateFinishedTrialError:
            # From now on, reads must return the state in the database.
            del self._drafts[trial_id]
            raise
        del self._drafts[trial_id]
        trial.state = state
        trial.values = values
        trial.datetime_complete = completed
        self.add_to_cache(self.study_of(trial_id), trial)
        return True

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of a draft.

        Raises:
            ValueError: Other trials of the study have the parameter with an incompatible distribution.
        """
        if trial_id not in self._drafts:
            return super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        trial, pending = self._drafts[trial_id]
        first_distribution = self.distributions(self.study_of(trial_id)).setdefault(param_name, distribution)
        check_distribution_compatibility(first_distribution, distribution)
        pending.params[param_name] = (param_value_internal, distribution)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a draft."""
        if trial_id not in self._drafts:
            return super().set_trial_user_attr(trial_id, key, value)
        trial, pending = self._drafts[trial_id]
        # An attribute that is not pending is in the database: from `store`, or from the trial that this one repeats.
        if key in trial.user_attrs and key not in pending.user:
            if trial.user_attrs[key] == value:
                return
            pending.replaced.add(key)
        pending.user[key] = json.dumps(value)
        trial.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: JSONSerializable) -> None:
        """Set a system attribute of a draft."""
        if trial_id not in self._drafts:
            return super().set_trial_system_attr(trial_id, key, value)
        trial, pending = self._drafts[trial_id]
        if key in trial.system_attrs and key not in pending.system:
            # Samplers set each attribute once. The rare change of one in the database is left to Optuna.
            super().set_trial_system_attr(trial_id, key, value)
            trial.system_attrs[key] = value
            return
        pending.system[key] = json.dumps(value)
        trial.system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a copy of a draft, or of a trial in the database."""
        draft = self._drafts.get(trial_id)
        return copy.deepcopy(draft[0]) if draft else super().get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study sorted by number, including the drafts of this process with their pending changes."""
        if self._reads:
            self.read_new_trials(study_id)
        with self.lock:
            trials = self._histories[study_id].trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def on_read(self, study_id: int, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Add trials to the history of their study, with drafts in place of the trials that this process runs."""
        current = [self._draft_or(trial) for trial in trials]
        for trial in current:
            self._histories[study_id].add(trial)
        return current

    def _draft_or(self, trial: FrozenTrial) -> FrozenTrial:
        """Return the draft of a trial that was read from the database, or the trial itself if it has none."""
        trial_id = trial_id_of(trial)
        if trial_id not in self._drafts:
            return trial
        if trial.state.is_finished():
            # Another worker has given the trial up.
            del self._drafts[trial_id]
            return trial
        return self._drafts[trial_id][0]
