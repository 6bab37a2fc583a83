"""The state of a study, refreshed after every trial at the cost of what is new."""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.config import ErrorEstimate
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE, GIVEN_UP
from faqnas_optuna.storage.opening import batched
from faqnas_optuna.storage.optuna_internals import study_id_of
from faqnas_optuna.study.pareto import linear_hypervolume, log_hypervolume, non_dominated
from faqnas_optuna.study.records import Candidate, generation_of
from faqnas_optuna.study.stopping import Failure, Point, full_generations
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.pooling import pooled_errors

RECENT = 30
"""How many of the last trials tell the pace."""
PAUSE_S = 30
"""Time beside its training that a trial may take, for instance to wait for the database, before that counts as a pause."""
INTERRUPTED = (KeyboardInterrupt.__name__, Interruption.__name__)
"""How the reason begins of a trial that was ended by a signal."""


class StudyState(ABC):
    """The trials of a study, summed up. It begins empty: call `refresh`.

    A study has thousands of trials and is looked at after each of them, so what is derived from finished trials is kept, and
    only those that have finished since the last look are added.
    """

    def __init__(self, study: StoredStudy[Any]) -> None:
        self.study = study
        self.has_stopped = False
        """Whether this process knows that the study has stopped."""
        self.successful = 0
        self.failed = 0
        self.errors: list[int] = []
        """Numbers of the trials that failed by an error of their own, not by a signal or the death of their worker."""
        self.failing: list[FrozenTrial] = []
        """Those since a trial was last seen to be trained with success."""
        self.without_result = 0
        """Successful trials that have a generation but no result: their attributes were deleted, or somebody has run another
        objective."""
        self.missing = 0
        """Trials whose numbers were given, and which are not in the database."""
        self.running: list[FrozenTrial] = []
        self.waiting = 0
        self._completed: deque[tuple[float, float]] = deque(maxlen=RECENT)
        """When each of the last trials ended, by the clock of its worker, and for how many seconds it trained."""
        self._seen = 0
        self._last = -1

    def refresh(self) -> None:
        """Read the study's trials, and take in those that have finished since."""
        optuna_study = self.study.study
        history = batched(optuna_study).read(study_id_of(optuna_study))
        unfinished = [trial for _, trial in sorted(history.unfinished.items())]
        self.running = [trial for trial in unfinished if trial.state is TrialState.RUNNING]
        self.waiting = len(unfinished) - len(self.running)
        new = sorted(history.finished[self._seen :], key=lambda trial: trial.number)
        self.study.check_trials((*new, *unfinished))
        self._seen += len(new)
        failed = [trial for trial in new if trial.state is TrialState.FAIL]
        self.failed += len(failed)
        errors = [trial for trial in failed if _is_error(trial.user_attrs.get(FAILURE))]
        self.errors += [trial.number for trial in errors]
        self.failing += errors
        complete = [trial for trial in new if self.study.has_result(trial)]
        self.without_result += sum(self._lacks_result(trial) for trial in new)
        self._last = max([self._last, *(trial.number for trial in (*new, *unfinished))])
        self.missing = self._last + 1 - len(history.finished) - len(unfinished)
        for trial in complete:
            self.successful += 1
            if trial.datetime_complete:
                self._completed.append((trial.datetime_complete.timestamp(), trial.user_attrs.get("seconds", 0.0)))
        self._add(complete)

    @abstractmethod
    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in successful trials with a result, sorted by number."""

    @property
    def given_up(self) -> int:
        """How many trials failed by no error of their own."""
        return self.failed - len(self.errors)

    @property
    def failures(self) -> list[Failure]:
        """What has failed since a trial was last trained with success, in order."""
        return [Failure(trial=trial.number, worker=trial.user_attrs.get("worker", "unknown")) for trial in self.failing]

    @property
    def running_workers(self) -> list[str]:
        """The workers of the running trials; an empty name of one that has not stored its name yet."""
        return [trial.user_attrs.get("worker", "") for trial in self.running]

    @property
    def trials_per_minute(self) -> float | None:
        """The pace of the last trials, by the clocks of the workers; None before there are two.

        While anybody works, the ends of two trials are no further apart than the longest training takes. A longer gap is a
        pause of the study, or a clock that was set back or forward, and does not count.
        """
        longest_s = 2 * max((seconds for _, seconds in self._completed), default=0.0) + PAUSE_S
        ends = sorted(end for end, _ in self._completed)
        gaps = [later - earlier for earlier, later in pairwise(ends) if later - earlier <= longest_s]
        return 60 * len(gaps) / sum(gaps) if sum(gaps) else None

    def _lacks_result(self, trial: FrozenTrial) -> bool:
        is_numbered = trial.state is TrialState.COMPLETE and generation_of(trial) is not None
        return is_numbered and not self.study.has_result(trial)


KindOfState = TypeVar("KindOfState", bound=StudyState)


def read_state(study: StoredStudy[KindOfState]) -> KindOfState:
    """Return the state of a study as it is now."""
    state = study.new_state()
    state.refresh()
    return state


class SearchState(StudyState):
    """The trials of a search, summed up."""

    def __init__(self, study: StoredStudy[Any]) -> None:
        super().__init__(study)
        self.by_circuit: dict[str, FrozenTrial] = {}
        """The first successful trial of each circuit, by digest."""
        self.by_effective: dict[str, FrozenTrial] = {}
        """The first of those whose effective gates are the same, by the digest of the circuit that stands for them."""
        self.generation_sizes: Counter[int] = Counter()
        """Successful trials of each generation that the sampler numbered."""
        self.circuits: defaultdict[int, dict[str, Point]] = defaultdict(dict)
        """Values of the circuits of each such generation, by digest."""
        self.closed = 0
        """How many generations this process knows to be closed."""
        self.reused = 0
        self.best_score: float | None = None
        """On the validation part, of the score that the study goes by."""
        self._front: list[str] = []
        self._pooled: tuple[int, list[Candidate]] = (0, [])
        """All circuits with pooled errors, and from how many finished trials these were computed, which takes a tenth of a
        second."""

    @property
    def front(self) -> list[Candidate]:
        """The distinct non-dominated circuits by cost; of clones the first trial."""
        if self.study.config.search.front is ErrorEstimate.POOLED:
            candidates = self.candidates
            points = np.array([(one.cost, one.val_error) for one in candidates], np.float64).reshape(-1, 2)
            found = [one for one, kept in zip(candidates, non_dominated(points), strict=True) if kept]
        else:
            found = self._as_trained(self._front)
        return sorted(found, key=lambda candidate: (candidate.cost, candidate.trial))

    @property
    def front_size(self) -> int | None:
        """The number of circuits on the front; None of a pooled front, which is too expensive to be computed for a number."""
        return None if self.study.config.search.front is ErrorEstimate.POOLED else len(self._front)

    @property
    def candidates(self) -> list[Candidate]:
        """All distinct circuits, with the errors that the front is chosen by; of clones the first trial."""
        if self.study.config.search.front is ErrorEstimate.TRAINED:
            return self._as_trained(self.by_circuit)
        if self._pooled[0] != self._seen:
            self._pooled = (self._seen, _pooled(self._as_trained(self.by_circuit)))
        return self._pooled[1]

    def _as_trained(self, circuits: Iterable[str]) -> list[Candidate]:
        return [Candidate.of_trial(self.by_circuit[circuit], self.study.config) for circuit in circuits]

    @property
    def hypervolume(self) -> float:
        """Share that is dominated of the box around all circuits in (log₁₀ cost, validation error), as trained."""
        return log_hypervolume(self._points(self._front), self.study.description.flops_range)

    @property
    def linear_hypervolume(self) -> float:
        """The same in (cost, validation error), for comparison with the literature."""
        return linear_hypervolume(self._points(self._front), self.study.description.flops_range)

    @property
    def full_generations(self) -> int:
        """How many generations, from the first, have as many successful trials as the population."""
        return full_generations(self.generation_sizes, self.study.config.search.population)

    @property
    def open_generations(self) -> set[int]:
        """Those of the running trials that have one already."""
        return {number for trial in self.running if (number := generation_of(trial)) is not None}

    @property
    def has_room(self) -> bool:
        """Whether the first generation that is not full has fewer successful and running trials than the population."""
        generation = self.full_generations
        running = [trial for trial in self.running if generation_of(trial) == generation]
        return self.generation_sizes[generation] + len(running) < self.study.config.search.population

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        circuits = set(self._front)
        score = f"val_{self.study.config.score.key}"
        for trial in trials:
            circuit, generation = trial.user_attrs["circuit"], generation_of(trial)
            _keep_first(self.by_circuit, circuit, trial)
            # Studies without this attribute trained each circuit for itself.
            _keep_first(self.by_effective, trial.user_attrs.get("effective", circuit), trial)
            circuits.add(circuit)
            if "reused_from" in trial.user_attrs:
                self.reused += 1
            else:
                # A circuit that is reused says nothing of the health of the workers.
                self.failing = []
            self.best_score = max(self.best_score or 0.0, trial.user_attrs[score])
            if generation is not None:
                self.generation_sizes[generation] += 1
                self.circuits[generation][circuit] = (trial.values[0], trial.values[1])
        pool = sorted(circuits)
        keep = non_dominated(self._points(pool))
        self._front = [circuit for circuit, kept in zip(pool, keep, strict=True) if kept]

    def _points(self, circuits: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        points = [self.by_circuit[circuit].values for circuit in circuits]
        return np.array(points, dtype=np.float64).reshape(-1, 2)


def _pooled(candidates: list[Candidate]) -> list[Candidate]:
    """Replace the error of each circuit by what all trainings say together."""
    if not candidates:
        return []
    effective = [effective_circuit(candidate.genome.circuit) for candidate in candidates]
    errors = {circuit: one.val_error for circuit, one in zip(effective, candidates, strict=True)}
    pooled = pooled_errors(list(errors), list(errors.values()), [1] * len(errors))
    by_circuit = dict(zip(errors, pooled.tolist(), strict=True))
    return [replace(one, val_error=by_circuit[circuit]) for one, circuit in zip(candidates, effective, strict=True)]


def _keep_first(trials: dict[str, FrozenTrial], digest: str, trial: FrozenTrial) -> None:
    known = trials.get(digest)
    if known is None or trial.number < known.number:
        trials[digest] = trial


def _is_error(failure: str | None) -> bool:
    return failure is not None and not failure.startswith((*INTERRUPTED, GIVEN_UP))
