"""Optuna's cache before the database, in which a trial of this process is a draft.

What Optuna writes to a trial piece by piece is kept in the draft and stored at once: when it is told to, before the training,
and when the trial finishes. A worker that dies in between leaves a running trial without genes, as it may with Optuna alone.
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
from faqnas_optuna.storage.trial_statements import (
    Pending,
    begin_trial,
    finish_trial,
    pending_of,
    read_study_attributes,
    write_pending,
)


class History:
    """The trials of a study that this process knows."""

    def __init__(self) -> None:
        self.finished: list[FrozenTrial] = []
        """In the order in which they were seen to have finished: whoever has taken in so many needs only the rest."""
        self.unfinished: dict[int, FrozenTrial] = {}
        """By number."""
        self._by_number: dict[int, FrozenTrial] = {}
        self._in_order = True

    def take_in(self, trial: FrozenTrial) -> None:
        """Add a trial, or what has become of it."""
        known = self._by_number.get(trial.number)
        if known is not None and trial.number not in self.unfinished:
            return
        if trial.state.is_finished():
            self.unfinished.pop(trial.number, None)
            self.finished.append(trial)
        else:
            self.unfinished[trial.number] = trial
        if known is None and self._by_number:
            self._in_order &= trial.number > next(reversed(self._by_number))
        self._by_number[trial.number] = trial

    def trials(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """Those in some states, or all, by number, as samplers expect them."""
        if states is not None and not any(state in states for state in TrialState if state.is_finished()):
            return [trial for _, trial in sorted(self.unfinished.items()) if trial.state in states]
        if not self._in_order:
            self._by_number, self._in_order = dict(sorted(self._by_number.items())), True
        return [trial for trial in self._by_number.values() if states is None or trial.state in states]


class BatchedStorage(CachedStorage):
    """See above. What is not written to a draft is in the database when a call returns."""

    def __init__(self, backend: HeartbeatStorage) -> None:
        super().__init__(backend)
        self.backend = backend
        self._drafts: dict[int, tuple[FrozenTrial, Pending]] = {}
        self._histories: defaultdict[int, History] = defaultdict(History)
        self._reads = True

    def read(self, study_id: int) -> History:
        """All trials of a study, with what is new in the database."""
        self.read_new_trials(study_id)
        return self.history(study_id)

    def history(self, study_id: int) -> History:
        """All trials of a study as they were last read."""
        return self._histories[study_id]

    @contextmanager
    def as_last_read(self) -> Iterator[None]:
        """Let Optuna find the trials as they were last read, instead of reading them again and again."""
        with self._reading(False):
            yield

    @contextmanager
    def as_it_is_now(self) -> Iterator[None]:
        """Within the above: let Optuna read them after all."""
        with self._reading(True):
            yield

    @contextmanager
    def _reading(self, reads: bool) -> Iterator[None]:
        before, self._reads = self._reads, reads
        try:
            yield
        finally:
            self._reads = before

    def store(self, trial_id: int) -> None:
        """Store what was written to a draft so far.

        Raises:
            UpdateFinishedTrialError: the trial was given up in the meantime.
        """
        if trial_id not in self._drafts:
            raise UpdateFinishedTrialError(f"the trial of id {trial_id} was given up")
        trial, pending = self._drafts[trial_id]
        write_pending(self.backend.engine, trial, pending)
        self._drafts[trial_id] = (trial, Pending(started=pending.started))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """By name."""
        return read_study_attributes(self.backend.engine, study_id, STUDY_USER_ATTRS)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """By name."""
        return read_study_attributes(self.backend.engine, study_id, STUDY_SYSTEM_ATTRS)

    def delete_study(self, study_id: int) -> None:
        super().delete_study(study_id)
        self._histories.pop(study_id, None)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a draft, or add a trial as it is given.

        Raises:
            KeyError: the study was deleted.
        """
        if template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        trial, pending = begin_trial(self.backend.engine, study_id)
        trial_id = trial_id_of(trial)
        self._drafts[trial_id] = (trial, pending)
        self.add_to_cache(study_id, trial)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Finish a draft, with all that was written to it; a queued trial that begins becomes one.

        Raises:
            UpdateFinishedTrialError: the trial was given up in the meantime, or deleted with its study.
        """
        if trial_id not in self._drafts:
            changed = super().set_trial_state_values(trial_id, state, values)
            if changed and state is TrialState.RUNNING:
                # It was queued, and is a trial of this process from now on.
                pending = pending_of(self.backend.engine, trial_id)
                self._drafts[trial_id] = (self.backend.get_trial(trial_id), pending)
            return changed
        trial, pending = self._drafts[trial_id]
        try:
            completed = finish_trial(self.backend.engine, trial, pending, state, values)
        except UpdateFinishedTrialError:
            # What became of it stands in the database.
            del self._drafts[trial_id]
            raise
        del self._drafts[trial_id]
        trial.state, trial.values, trial.datetime_complete = state, values, completed
        self.add_to_cache(self.study_of(trial_id), trial)
        return True

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Note a parameter in a draft.

        Raises:
            ValueError: other trials of the study have it with another distribution.
        """
        if trial_id not in self._drafts:
            return super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        trial, pending = self._drafts[trial_id]
        known = self.distributions(self.study_of(trial_id)).setdefault(param_name, distribution)
        check_distribution_compatibility(known, distribution)
        pending.params[param_name] = (param_value_internal, distribution)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note an attribute in a draft."""
        if trial_id not in self._drafts:
            return super().set_trial_user_attr(trial_id, key, value)
        trial, pending = self._drafts[trial_id]
        if key in trial.user_attrs and key not in pending.user:
            if trial.user_attrs[key] == value:
                return
            pending.replaced.add(key)
        pending.user[key] = json.dumps(value)
        trial.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: JSONSerializable) -> None:
        """Note an attribute in a draft."""
        if trial_id not in self._drafts:
            return super().set_trial_system_attr(trial_id, key, value)
        trial, pending = self._drafts[trial_id]
        if key in trial.system_attrs and key not in pending.system:
            # Samplers set one once; another value of what stands in the database already is left to Optuna.
            super().set_trial_system_attr(trial_id, key, value)
            trial.system_attrs[key] = value
            return
        pending.system[key] = json.dumps(value)
        trial.system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A copy of a draft, or what stands in the database."""
        draft = self._drafts.get(trial_id)
        return copy.deepcopy(draft[0]) if draft else super().get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """By number, drafts as this process knows them."""
        if self._reads:
            self.read_new_trials(study_id)
        with self.lock:
            trials = self._histories[study_id].trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def on_read(self, study_id: int, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Take trials into the history of their study, those that this process runs as it knows them."""
        current = [self._as_drafted(trial) for trial in trials]
        for trial in current:
            self._histories[study_id].take_in(trial)
        return current

    def _as_drafted(self, read: FrozenTrial) -> FrozenTrial:
        """What this process knows of a trial that was read, which is more if it is running it."""
        trial_id = trial_id_of(read)
        if trial_id not in self._drafts:
            return read
        if read.state.is_finished():
            # It was given up by another.
            del self._drafts[trial_id]
            return read
        return self._drafts[trial_id][0]
