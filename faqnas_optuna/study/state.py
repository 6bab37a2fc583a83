"""State of a study, updated incrementally after every trial."""

import math
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
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.heartbeats import FIXED_PARAMS
from faqnas_optuna.storage.opening import batched
from faqnas_optuna.storage.optuna_internals import study_id_of
from faqnas_optuna.study.pareto import linear_hypervolume, log_hypervolume, non_dominated
from faqnas_optuna.study.records import SOURCE_SCORES, Candidate, generation_of, is_error, place_of
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.stopping import Failure, Point, full_generations
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.pooling import pooled_errors

RECENT = 30
"""Number of recent trials from which the pace is computed."""
PAUSE_S = 30
"""Seconds between the ends of two trials, beyond twice the longest recent training, from which the gap counts as a pause."""


class StudyState(ABC):
    """Summary of the trials of a study. It is empty until the first call of `refresh`.

    A study has thousands of trials and is read after each of them. A call of `refresh` therefore processes only the trials that
    have finished since the last call.
    """

    def __init__(self, study: StoredStudy[Any]) -> None:
        self.study = study
        self.has_stopped = False
        """True if this process knows that the study has stopped."""
        self.closed = 0
        """Number of generations that this process knows to be closed; a confirmation has none."""
        self.successful = 0
        """Number of successful trials with a result."""
        self.failed = 0
        """Number of failed trials."""
        self.errors: list[int] = []
        """Numbers of the trials that failed with an error, not by a signal or the death of their worker."""
        self.failing: list[FrozenTrial] = []
        """Trials that failed with an error after the last successful training."""
        self.without_result = 0
        """Number of successful trials with a generation but without result.

        Their attributes were deleted, or another objective function was used with the study.
        """
        self.n_missing = 0
        """Number of trials whose numbers were assigned but which are not in the database."""
        self.running: list[FrozenTrial] = []
        self.waiting = 0
        """Number of queued trials."""
        self._completed: deque[tuple[float, float]] = deque(maxlen=RECENT + 1)
        """End of each recent trial on the clock of its worker, and the duration of its training, in seconds."""
        self._n_read = 0
        self._last = -1

    def refresh(self) -> None:
        """Read the trials of the study and add those that have finished since the last call."""
        optuna_study = self.study.study
        history = batched(optuna_study).read(study_id_of(optuna_study))
        unfinished = [trial for _, trial in sorted(history.unfinished.items())]
        # An unfinished trial that is not running waits in Optuna's queue.
        self.running = [trial for trial in unfinished if trial.state is TrialState.RUNNING]
        self.waiting = len(unfinished) - len(self.running)
        new = sorted(history.finished[self._n_read :], key=lambda trial: trial.number)
        # Before anything is changed: if a trial is damaged, the state stays consistent.
        self.study.check_trials((*new, *unfinished))
        self._n_read += len(new)
        # The order in time of the new trials is unknown: all failures are added, and any successful training clears them
        # in `_add`.
        failed = [trial for trial in new if trial.state is TrialState.FAIL]
        self.failed += len(failed)
        errors = [trial for trial in failed if is_error(trial)]
        self.errors += [trial.number for trial in errors]
        self.failing += errors
        complete = [trial for trial in new if self.study.has_result(trial)]
        self.without_result += sum(self._lacks_result(trial) for trial in new)
        # Numbers are assigned without gaps, so a gap means that a trial was deleted from the database.
        self._last = max([self._last, *(trial.number for trial in (*new, *unfinished))])
        self.n_missing = self._last + 1 - len(history.finished) - len(unfinished)
        for trial in complete:
            self.successful += 1
            # A trial that another program added may lack the time or the duration.
            if trial.datetime_complete:
                self._completed.append((trial.datetime_complete.timestamp(), trial.user_attrs.get("seconds", 0.0)))
        self._add(complete)

    @abstractmethod
    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        """Add successful trials with a result, sorted by number, and clear `failing` if one of them is a new training."""

    @property
    def given_up(self) -> int:
        """Number of failed trials that were interrupted or abandoned, or whose reason is unknown."""
        return self.failed - len(self.errors)

    @property
    def failures(self) -> list[Failure]:
        """Failures after the last successful training, in the order of their trials."""
        return [Failure(trial=trial.number, worker=trial.user_attrs.get("worker", "unknown")) for trial in self.failing]

    @property
    def running_workers(self) -> list[str]:
        """Names of the workers of the running trials; empty for a worker that has not stored its name yet."""
        return [trial.user_attrs.get("worker", "") for trial in self.running]

    @property
    def trials_per_minute(self) -> float | None:
        """Pace of the recent trials, by the clocks of the workers; None before there are two."""
        # While a study runs, consecutive trials end within the longest training time of each other. A gap of more than twice
        # that plus `PAUSE_S` is a pause, or a clock that was changed, and is left out.
        longest_s = 2 * max((seconds for _, seconds in self._completed), default=0.0) + PAUSE_S
        completed = sorted(self._completed)
        # Of the trial before the recent ones, only the end counts.
        before, recent = (completed[0], completed[1:]) if len(completed) > RECENT else ((-math.inf, 0.0), completed)
        elapsed_s = 0.0
        for (previous, _), (end, seconds) in pairwise([before, *recent]):
            # The first trial, also after a pause, took as long as its training. Trials in parallel end at nearly the same time.
            elapsed_s += end - previous if end - previous <= longest_s else seconds
        # A single trial may have reused a training, in no time.
        return 60 * len(recent) / elapsed_s if len(recent) > 1 and elapsed_s else None

    def _lacks_result(self, trial: FrozenTrial) -> bool:
        is_numbered = trial.state is TrialState.COMPLETE and generation_of(trial) is not None
        return is_numbered and not self.study.has_result(trial)


KindOfState = TypeVar("KindOfState", bound=StudyState)


def read_state(study: StoredStudy[KindOfState]) -> KindOfState:
    """Read the state of a study."""
    state = study.new_state()
    state.refresh()
    return state


def candidates_of_trials(search: StoredStudy["SearchState"], trials: Iterable[FrozenTrial]) -> list[Candidate]:
    """Return successful trials of a search as candidates, with the errors by which the search selects its front."""
    candidates = [Candidate.of_trial(trial, search.config) for trial in trials]
    if search.config.search.front is ErrorEstimate.TRAINED:
        return candidates
    # A pooled error depends on all trials of the search.
    error_of = {candidate.record.circuit: candidate.val_error for candidate in read_state(search).candidates}
    return [replace(candidate, val_error=error_of[candidate.record.circuit]) for candidate in candidates]


class SearchState(StudyState):
    """Summary of the trials of a search."""

    def __init__(self, study: StoredStudy[Any]) -> None:
        super().__init__(study)
        self.by_circuit: dict[str, FrozenTrial] = {}
        """First successful trial of each circuit, by digest."""
        self.by_effective: dict[str, FrozenTrial] = {}
        """First successful trial of each effective circuit, by digest."""
        self.generation_sizes: Counter[int] = Counter()
        """Number of successful trials of each generation."""
        self.circuits: defaultdict[int, dict[str, Point]] = defaultdict(dict)
        """Values of the circuits of each generation, by digest."""
        self.reused = 0
        """Number of trials that reused a training."""
        self.best_score: float | None = None
        """Highest score on the validation part, by the study's kind of score."""
        self._front: list[str] = []
        self._pooled: tuple[int, dict[str, Candidate]] = (0, {})
        """All circuits with pooled errors by digest, and the number of finished trials from which these were computed.

        The computation takes about 0.1 s.
        """

    @property
    def front(self) -> list[Candidate]:
        """Distinct non-dominated circuits, sorted by cost; each with its first trial."""
        if self.study.config.search.front is ErrorEstimate.POOLED:
            candidates = self.candidates
            points = np.array([(candidate.cost, candidate.val_error) for candidate in candidates], np.float64).reshape(-1, 2)
            is_on_front = non_dominated(points)
            front = [candidate for candidate, is_member in zip(candidates, is_on_front, strict=True) if is_member]
        else:
            front = self._as_trained(self._front)
        return sorted(front, key=lambda candidate: (candidate.cost, candidate.place))

    def choose(self, rule: SelectionRule) -> Candidate:
        """Return the circuit of the front that a rule selects.

        Raises:
            ConfigError: No circuit of the front satisfies the rule.
        """
        try:
            return rule.choose(self.front)
        except ConfigError as error:
            # A report or an experiment applies one rule to several studies.
            raise ConfigError(f"study {self.study.name!r}: {error}") from error

    @property
    def front_size(self) -> int | None:
        """Number of circuits on the front; None for a pooled front, which is too slow to compute just to count it."""
        return None if self.study.config.search.front is ErrorEstimate.POOLED else len(self._front)

    @property
    def candidates(self) -> list[Candidate]:
        """Distinct circuits of the search, with the errors by which the front is selected; each with its first trial."""
        return self.candidates_of(self.by_circuit)

    def candidates_of(self, circuits: Iterable[str]) -> list[Candidate]:
        """Return circuits, given by their digests, as `candidates` does."""
        if self.study.config.search.front is ErrorEstimate.TRAINED:
            return self._as_trained(circuits)
        if self._pooled[0] != self._n_read:
            pooled = _pooled(self._as_trained(self.by_circuit))
            self._pooled = (self._n_read, dict(zip(self.by_circuit, pooled, strict=True)))
        return [self._pooled[1][circuit] for circuit in circuits]

    def _as_trained(self, circuits: Iterable[str]) -> list[Candidate]:
        """Return candidates with the errors of their own trainings, for digests of circuits."""
        return [Candidate.of_trial(self.by_circuit[circuit], self.study.config) for circuit in circuits]

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front in (log₁₀ cost, validation error), from 0 to 1, with errors as trained."""
        return log_hypervolume(self._points(self._front), self.study.description.flops_range)

    @property
    def linear_hypervolume(self) -> float:
        """Hypervolume of the front in (cost, validation error), for comparison with the literature."""
        return linear_hypervolume(self._points(self._front), self.study.description.flops_range)

    @property
    def extent(self) -> dict[str, Any]:
        """Progress of the study, as values for JSON."""
        return {"generations": self.full_generations}

    @property
    def full_generations(self) -> int:
        """Number of consecutive generations, from the first, with as many successful trials as the population."""
        return full_generations(self.generation_sizes, self.study.config.search.population)

    @property
    def open_generations(self) -> set[int]:
        """Generations of the running trials."""
        # A trial that has just begun may have no generation yet.
        return {number for trial in self.running if (number := generation_of(trial)) is not None}

    @property
    def has_room(self) -> bool:
        """True if the first incomplete generation needs more trials than those already successful or running in it."""
        generation = self.full_generations
        # A worker that dies as it begins a queued trial leaves it without a generation; it will be requeued for this one.
        running = [
            trial
            for trial in self.running
            if generation_of(trial) == generation or (generation_of(trial) is None and FIXED_PARAMS in trial.system_attrs)
        ]
        return self.generation_sizes[generation] + len(running) < self.study.config.search.population

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        circuits = set(self._front)
        score = f"val_{self.study.config.score.key}"
        for trial in trials:
            circuit = trial.user_attrs["circuit"]
            generation = generation_of(trial)
            _keep_first(self.by_circuit, circuit, trial)
            # Older studies, which lack this attribute, trained every circuit.
            _keep_first(self.by_effective, trial.user_attrs.get("effective", circuit), trial)
            circuits.add(circuit)
            if "reused_from" in trial.user_attrs or SOURCE_SCORES in trial.user_attrs:
                self.reused += 1
            else:
                # A reused training does not show that the workers can train.
                self.failing = []
            self.best_score = max(self.best_score or 0.0, trial.user_attrs[score])
            if generation is not None:
                self.generation_sizes[generation] += 1
                self.circuits[generation][circuit] = (trial.values[0], trial.values[1])
        # The new front follows from the old front and the new circuits: a dominated circuit stays dominated.
        pool = sorted(circuits)
        is_on_front = non_dominated(self._points(pool))
        self._front = [circuit for circuit, is_member in zip(pool, is_on_front, strict=True) if is_member]

    def _points(self, circuits: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Return the points (circuits, 2) of cost and validation error, for digests of circuits."""
        points = [self.by_circuit[circuit].values for circuit in circuits]
        return np.array(points, dtype=np.float64).reshape(-1, 2)


def _pooled(candidates: list[Candidate]) -> list[Candidate]:
    """Return candidates whose errors are estimated from the trainings of all of them."""
    if not candidates:
        return []
    effective = [effective_circuit(candidate.genome.circuit) for candidate in candidates]
    # Circuits that share an effective circuit share a training, which counts once.
    errors = {circuit: candidate.val_error for circuit, candidate in zip(effective, candidates, strict=True)}
    pooled = pooled_errors(list(errors), list(errors.values()), [1] * len(errors))
    pooled_error_of = dict(zip(errors, pooled.tolist(), strict=True))
    return [
        replace(candidate, val_error=pooled_error_of[circuit]) for candidate, circuit in zip(candidates, effective, strict=True)
    ]


def _keep_first(trials: dict[str, FrozenTrial], digest: str, trial: FrozenTrial) -> None:
    """Store a trial under its circuit's digest unless a trial with a lower place is there."""
    # Trials do not finish in the order of their numbers, and requeued ones have higher numbers than their places.
    earlier = trials.get(digest)
    if earlier is None or place_of(trial) < place_of(earlier):
        trials[digest] = trial
