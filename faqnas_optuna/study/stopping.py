"""When generations close and studies stop: decided from what is known, without reading or writing anything.

A generation is *full* when as many of its trials have succeeded as the population has. It *closes* when, besides, none of its
trials runs any more. What is kept of it then is of all trials up to it, so that it does not matter in which order workers
report, nor who looks when. Generations close in order, and after each the study may have a reason to stop.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.study.pareto import linear_hypervolume, log_hypervolume, non_dominated

IMPROVEMENT = 1e-9
"""A hypervolume that grows by less, relatively, has not grown: such a difference is rounding."""

Point = tuple[float, float]
"""(cost, validation error)"""


class StopReason(StrEnum):
    """Why a study has stopped."""

    GENERATIONS = "generations"
    """All generations that were asked for are closed."""
    STAGNATION = "stagnation"
    """The hypervolume has not grown for as many generations as the patience allows."""
    REQUESTED = "requested"
    """Somebody ran `faqnas-optuna stop`."""
    CONFIRMED = "confirmed"
    """All trainings of a confirmation are done."""
    FAILURES = "failures"
    """As many trials as a generation has failed one after the other, on every worker."""

    @property
    def state(self) -> str:
        """Of a study that has stopped for it: one that has done what was asked of it is finished."""
        return {StopReason.REQUESTED: "stopped", StopReason.FAILURES: "failed"}.get(self, "finished")

    def in_words(self, limits: SearchConfig) -> str:
        """The reason, to be read after a colon."""
        one = limits.generations == 1
        patience = "1 generation" if limits.patience == 1 else f"{limits.patience} generations"
        return {
            StopReason.GENERATIONS: "the only generation is done" if one else f"all {limits.generations} generations are done",
            StopReason.STAGNATION: f"{patience} brought no improvement",
            StopReason.REQUESTED: "somebody asked for it",
            StopReason.CONFIRMED: "all trainings are done",
            StopReason.FAILURES: f"{limits.population} trials failed in a row",
        }[self]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedGeneration:
    """What is kept of a generation."""

    generation: int
    trials: int
    """Its successful trials."""
    front: int
    """Distinct circuits on the front of all generations up to it."""
    hypervolume: float
    """Of that front, in (log₁₀ cost, validation error): it decides whether the search still gets anywhere."""
    linear_hypervolume: float
    """The same in (cost, validation error), for comparison with the literature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """That a study has stopped."""

    reason: StopReason
    at: str
    """UTC."""
    by: str
    """User, host and process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumption:
    """That a study goes on, or was given a new limit."""

    generation: int
    """Closed generations at that time."""
    trial: int
    """Trials at that time."""
    limit: int
    """Of generations, from then on."""
    at: str
    """UTC."""
    by: str
    """User, host and process."""
    stop: Stop | None
    """The one that it ended, if the study had stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A trial that failed by an error of its own."""

    trial: int
    worker: str


@dataclass(frozen=True, kw_only=True)
class KnownFailures:
    """What decides whether a study stops because all its trials fail."""

    limits: SearchConfig
    resumed: Resumption | None = None
    """The last resumption."""
    failing: Sequence[Failure] = ()
    """What has failed since a trial was last trained with success, in order."""
    running_workers: Collection[str] = ()
    """The workers of the running trials; an empty name of one that has not stored its name yet."""


@dataclass(frozen=True, kw_only=True)
class Known(KnownFailures):
    """What is known of a search that has not stopped."""

    flops_range: tuple[float, float]
    """The first objective of the cheapest and the dearest circuit of the space."""
    circuits: Mapping[int, Mapping[str, Point]]
    """The values of each circuit that succeeded, by generation and digest."""
    sizes: Mapping[int, int]
    """Successful trials of each generation; several may be of one circuit."""
    open_generations: Collection[int] = ()
    """Those of the running trials."""
    closed: Sequence[ClosedGeneration] = ()
    """What is kept so far, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to be written down."""

    close: tuple[ClosedGeneration, ...] = field(default=())
    stop: StopReason | None = None


def full_generations(sizes: Mapping[int, int], population: int) -> int:
    """How many generations, from the first, are full."""
    full = 0
    while sizes.get(full, 0) >= population:
        full += 1
    return full


def ready_to_close(sizes: Mapping[int, int], open_generations: Iterable[int], *, population: int, closed: int) -> range:
    """The generations after the first `closed` that are full, and of which no trial, nor of one before, still runs."""
    last = min(full_generations(sizes, population), min(open_generations, default=math.inf))
    return range(closed, max(closed, int(last)))


def decide(known: Known) -> Decision:
    """Which generations to close, and whether to stop after the last of them.

    The reasons are asked for after each generation in turn, as if each had been looked at when it closed.
    """
    ready = ready_to_close(known.sizes, known.open_generations, population=known.limits.population, closed=len(known.closed))
    closed = list(known.closed)
    # Of those that are kept already too: whoever wrote the last one down may have died before the stop.
    reason = _reason_to_stop(closed, known)
    for generation in ready:
        if reason:
            break
        closed.append(_close(generation, known))
        reason = _reason_to_stop(closed, known)
    if reason is None and all_fail(known):
        reason = StopReason.FAILURES
    return Decision(close=tuple(closed[len(known.closed) :]), stop=reason)


def all_fail(known: KnownFailures) -> bool:
    """Whether, since the last resumption and success, as many as a generation failed, and all who run a trial are among them.

    A machine on which every training fails fails fast: it must not end the work of others.
    """
    since = known.resumed.trial if known.resumed else 0
    failing = [failure for failure in known.failing if failure.trial >= since]
    workers = {failure.worker for failure in failing}
    return len(failing) >= known.limits.population and workers.issuperset(known.running_workers)


def stagnated(hypervolumes: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` hypervolumes brought nothing over the one before them."""
    if len(hypervolumes) <= patience:
        return False
    return hypervolumes[-1] <= hypervolumes[-1 - patience] * (1 + IMPROVEMENT)


def refusal_to_resume(*, closed: int, limit: int) -> str | None:
    """Why a study with so many closed generations cannot go on up to a limit; None if it can."""
    if limit > closed:
        return None
    return f"has closed {closed} generations and its limit is {limit}"


def _reason_to_stop(closed: Sequence[ClosedGeneration], known: Known) -> StopReason | None:
    """What the closed generations say."""
    if len(closed) >= known.limits.generations:
        return StopReason.GENERATIONS
    # The generation before the last resumption is what the next ones must beat.
    since = max(known.resumed.generation - 1, 0) if known.resumed else 0
    hypervolumes = [generation.hypervolume for generation in closed[since:]]
    return StopReason.STAGNATION if stagnated(hypervolumes, known.limits.patience) else None


def _close(generation: int, known: Known) -> ClosedGeneration:
    circuits: dict[str, Point] = {}
    for number in range(generation + 1):
        circuits |= known.circuits[number]
    points = np.array(list(circuits.values()), dtype=np.float64)
    return ClosedGeneration(
        generation=generation,
        trials=known.sizes[generation],
        front=int(non_dominated(points).sum()),
        hypervolume=log_hypervolume(points, known.flops_range),
        linear_hypervolume=linear_hypervolume(points, known.flops_range),
    )
