"""Decisions to close generations and to stop studies, as pure functions of known facts.

A generation is *full* when the number of its successful trials has reached the population. It *closes* when, in addition, none
of its trials is running any more. The values of a closed generation cover all trials up to and including it, so they do not
depend on the order in which workers report, or on the worker that closes it. Generations close in order, and after each there
may be a reason to stop the study.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.study.pareto import linear_hypervolume, log_hypervolume, non_dominated
from faqnas_optuna.wording import counted

IMPROVEMENT = 1e-9
"""Minimum relative growth of a hypervolume that counts as an improvement; less is a rounding error."""

Point = tuple[float, float]
"""Cost and validation error of a circuit."""


class StopReason(StrEnum):
    """Reason for which a study has stopped."""

    GENERATIONS = "generations"
    """All generations up to the limit are closed."""
    TRIALS = "trials"
    """The search has as many successful trials as its limit; the last generation may be incomplete."""
    STAGNATION = "stagnation"
    """The hypervolume has not grown for a number of generations, the patience."""
    REQUESTED = "requested"
    """A user has run `faqnas-optuna stop`."""
    SECONDS = "seconds"
    """The time limit of the command or call that runs the study is over."""
    CONFIRMED = "confirmed"
    """All trainings of a confirmation are complete."""
    RACED = "raced"
    """A race has spent its budget, or certified its front."""
    FAILURES = "failures"
    """Failure of as many consecutive trials as the population, on all workers."""

    @property
    def state(self) -> str:
        """State of a study that has stopped for this reason: finished, stopped or failed."""
        if self is StopReason.FAILURES:
            return "failed"
        return "stopped" if self.is_temporary else "finished"

    @property
    def is_temporary(self) -> bool:
        """Whether the study would go on without the stop, so that a repeated command continues it."""
        return self in (StopReason.REQUESTED, StopReason.SECONDS)

    def in_words(self, limits: SearchConfig) -> str:
        """Return the reason as the continuation of a sentence after a colon."""
        is_single = limits.generations == 1
        all_done = "the only generation is done" if is_single else f"all {limits.generations} generations are done"
        patience = "1 generation" if limits.patience == 1 else f"{limits.patience} generations"
        return {
            StopReason.GENERATIONS: all_done,
            StopReason.STAGNATION: f"{patience} brought no improvement",
            StopReason.TRIALS: "the only trial is done" if limits.trials == 1 else f"all {limits.trials} trials are done",
            StopReason.REQUESTED: "a user requested it",
            StopReason.SECONDS: "its time limit is over",
            StopReason.CONFIRMED: "all trainings are done",
            StopReason.RACED: "the race is over",
            StopReason.FAILURES: f"{limits.population} trials failed in a row",
        }[self]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedGeneration:
    """Values of a closed generation, stored in the study."""

    generation: int
    """Number of the generation, from 0."""
    trials: int
    """Number of its successful trials."""
    front: int
    """Number of distinct circuits on the front of all generations up to this one."""
    hypervolume: float
    """Hypervolume of that front in (log₁₀ cost, validation error), by which stagnation is detected."""
    linear_hypervolume: float
    """Hypervolume of that front in (cost, validation error), for comparison with the literature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Record of the stop of a study."""

    reason: StopReason
    at: str
    """Time in UTC."""
    by: str
    """User, host and process that stopped the study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumption:
    """Record of a resumption of a study, or of a new limit of generations."""

    generation: int
    """Number of closed generations at that time."""
    trial: int
    """Number of trials at that time."""
    limit: int
    """Maximum number of generations from then on."""
    at: str
    """Time in UTC."""
    by: str
    """User, host and process that resumed the study."""
    stop: Stop | None
    """Stop that the resumption ended; None if the study was running."""
    successful: int | None = None
    """Number of successful trials at that time; None in studies of earlier versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Trial that failed with an error."""

    trial: int
    """Number of the trial."""
    worker: str
    """Name of the worker that ran the trial."""


@dataclass(frozen=True, kw_only=True)
class FailureFacts:
    """Facts that decide whether a study stops because all its trials fail."""

    limits: SearchConfig
    resumed: Resumption | None = None
    """Last resumption of the study."""
    failing: Sequence[Failure] = ()
    """Failures after the last successful training, in the order of their trials."""
    running_workers: Collection[str] = ()
    """Names of the workers of the running trials; empty for a worker that has not stored its name yet."""


@dataclass(frozen=True, kw_only=True)
class SearchFacts(FailureFacts):
    """Facts about a running search that decide which generations close and whether it stops."""

    flops_range: tuple[float, float]
    """First objective of the cheapest and of the most expensive circuit of the space."""
    circuits: Mapping[int, Mapping[str, Point]]
    """Values of each successful circuit, by generation and digest."""
    sizes: Mapping[int, int]
    """Number of successful trials of each generation; several of them may have the same circuit."""
    open_generations: Collection[int] = ()
    """Generations of the running trials."""
    closed: Sequence[ClosedGeneration] = ()
    """Closed generations in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Changes that a worker must store in the study."""

    close: tuple[ClosedGeneration, ...] = field(default=())
    """Generations to close, in order."""
    stop: StopReason | None = None
    """Reason to stop the study; None to continue."""


def full_generations(sizes: Mapping[int, int], population: int) -> int:
    """Return the number of consecutive generations, from the first, that are full.

    >>> full_generations({0: 20, 1: 20, 2: 7}, population=20)
    2
    """
    full = 0
    while sizes.get(full, 0) >= population:
        full += 1
    return full


def ready_to_close(sizes: Mapping[int, int], open_generations: Iterable[int], *, population: int, closed: int) -> range:
    """Return the generations that can be closed after the first `closed` ones.

    They are full, and no trial of them or of an earlier generation is running.
    """
    # A running trial of an earlier generation may still enter the front, so later generations wait for it.
    end = min(full_generations(sizes, population), min(open_generations, default=math.inf))
    return range(closed, max(closed, int(end)))


def has_all_trials(sizes: Mapping[int, int], limits: SearchConfig) -> bool:
    """Return whether the generations have as many successful trials together as the limit of trials, if there is one."""
    return limits.trials is not None and sum(sizes.values()) >= limits.trials


def is_complete(sizes: Mapping[int, int], limits: SearchConfig) -> bool:
    """Return whether a search needs no further successful trial."""
    return full_generations(sizes, limits.population) >= limits.generations or has_all_trials(sizes, limits)


def decide(facts: SearchFacts) -> Decision:
    """Decide which generations to close, and whether to stop the study after the last of them."""
    ready = ready_to_close(facts.sizes, facts.open_generations, population=facts.limits.population, closed=len(facts.closed))
    closed = list(facts.closed)
    # There may be a reason already: the worker that closed the last generation may have died before it stored the stop.
    reason = _reason_to_stop(closed, facts)
    # Reasons are checked after every generation, so that the result is the same if several become ready at once.
    for generation in ready:
        if reason:
            break
        closed.append(_close(generation, facts))
        reason = _reason_to_stop(closed, facts)
    # Of two limits that are reached together, the number of trials is the one that the user has set.
    if reason in (None, StopReason.GENERATIONS) and has_all_trials(facts.sizes, facts.limits):
        reason = StopReason.TRIALS
    if reason is None and all_fail(facts):
        reason = StopReason.FAILURES
    return Decision(close=tuple(closed[len(facts.closed) :]), stop=reason)


def all_fail(facts: FailureFacts) -> bool:
    """Return whether all trials of a study fail.

    That is so if, after the last resumption and the last success, at least as many trials as the population have failed, and
    each worker with a running trial has failed at least once.
    """
    since = facts.resumed.trial if facts.resumed else 0
    failing = [failure for failure in facts.failing if failure.trial >= since]
    # A machine on which every training fails goes through many trials quickly. It must not stop the work of the others.
    workers = {failure.worker for failure in failing}
    return len(failing) >= facts.limits.population and workers.issuperset(facts.running_workers)


def stagnated(hypervolumes: Sequence[float], patience: int) -> bool:
    """Return whether the last `patience` hypervolumes brought no improvement over the one before them.

    >>> stagnated([0.5, 0.6, 0.6, 0.6], patience=2)
    True
    """
    if len(hypervolumes) <= patience:
        return False
    return hypervolumes[-1] <= hypervolumes[-1 - patience] * (1 + IMPROVEMENT)


def refusal_to_resume(*, closed: int, sizes: Mapping[int, int], limits: SearchConfig) -> str | None:
    """Return why a study cannot be resumed, as the continuation of a sentence about it; None if it can.

    Args:
        closed: Number of closed generations.
        sizes: Number of successful trials of each generation.
        limits: Limits after the resumption.
    """
    if has_all_trials(sizes, limits):
        return f"has {counted(sum(sizes.values()), 'successful trial')} and its limit is {limits.trials}"
    if limits.generations > closed:
        return None
    return f"has closed {closed} generations and its limit is {limits.generations}"


def _reason_to_stop(closed: Sequence[ClosedGeneration], facts: SearchFacts) -> StopReason | None:
    """Return the reason to stop after these closed generations; None if there is none."""
    if len(closed) >= facts.limits.generations:
        return StopReason.GENERATIONS
    # After a resumption the patience starts again, from the last generation before it.
    since = max(facts.resumed.generation - 1, 0) if facts.resumed else 0
    hypervolumes = [generation.hypervolume for generation in closed[since:]]
    return StopReason.STAGNATION if stagnated(hypervolumes, facts.limits.patience) else None


def _close(generation: int, facts: SearchFacts) -> ClosedGeneration:
    """Return the values of a generation, over all generations up to it."""
    # By digest, so that a circuit that occurs in several generations counts once.
    circuits: dict[str, Point] = {}
    for number in range(generation + 1):
        circuits |= facts.circuits[number]
    points = np.array(list(circuits.values()), dtype=np.float64)
    return ClosedGeneration(
        generation=generation,
        trials=facts.sizes[generation],
        front=int(non_dominated(points).sum()),
        hypervolume=log_hypervolume(points, facts.flops_range),
        linear_hypervolume=linear_hypervolume(points, facts.flops_range),
    )
