"""Closing generations, and when a study stops.

A generation closes when its successful trials reach the population size. Its hypervolume, that of all successful trials up to
it, is then written once and not changed any more, so that every worker decides on the same numbers. The decision to stop is a
study attribute too: whoever sees the reason first writes it down, and all workers read it before each trial.
"""

import getpass
import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.pareto import hypervolume
from faqnas_optuna.study import GENERATION_KEY, Search, front, save_limit, utc_now

STOP = "stop"
RESUMED = "resumed"
CLOSED_PREFIX = "generation:"
IMPROVEMENT = 1e-9
"""A hypervolume that grows by less, relatively, has not grown: such a difference is rounding."""


class StopReason(StrEnum):
    """Why a study has stopped."""

    GENERATIONS = "generations"
    """All generations that were asked for are closed."""
    STAGNATION = "stagnation"
    """The hypervolume has not grown for as many generations as the patience allows."""
    REQUESTED = "requested"
    """Somebody ran `faqnas-optuna stop`."""
    NO_SUCCESS = "no-success"
    """A whole population of trials failed and none has ever succeeded."""


@dataclass(frozen=True, kw_only=True)
class ClosedGeneration:
    """What is kept of a generation."""

    generation: int
    trials: int
    """Successful trials of this generation when it closed."""
    front: int
    """Distinct circuits on the front of all generations so far."""
    hypervolume: float
    """Of that front, as a share of the box up to the reference point."""
    closed_at: str
    """UTC."""


def closed_generations(search: Search) -> list[ClosedGeneration]:
    """By number. They are kept one attribute each, so that closing one cannot damage another."""
    attributes = search.study.user_attrs
    found = [ClosedGeneration(**value) for name, value in attributes.items() if name.startswith(CLOSED_PREFIX)]
    return sorted(found, key=lambda closed: closed.generation)


def current_generation(search: Search) -> int:
    """The generation that a trial started now would belong to, counted from 0."""
    return len(closed_generations(search))


def close_generations(search: Search) -> None:
    """Close every generation that has become full, and stop the study if that was the last or the progress has ended."""
    trials = search.successful()
    sizes = Counter(generation_of(trial) for trial in trials)
    closed = current_generation(search)
    while sizes[closed] >= search.config.search.population:
        so_far = [trial for trial in trials if (number := generation_of(trial)) is not None and number <= closed]
        entry = ClosedGeneration(
            generation=closed,
            trials=sizes[closed],
            front=len(front(so_far)),
            hypervolume=search_hypervolume(search, so_far),
            closed_at=utc_now(),
        )
        search.study.set_user_attr(f"{CLOSED_PREFIX}{closed}", asdict(entry))
        closed += 1
    if reason := _reason_to_stop(search):
        stop(search, reason)


def generation_of(trial: FrozenTrial) -> int | None:
    """The number that the sampler stored with the trial; None if it did not sample it."""
    return trial.system_attrs.get(GENERATION_KEY)


def search_hypervolume(search: Search, trials: Sequence[FrozenTrial]) -> float:
    """Share of the box up to the study's reference point that the trials dominate."""
    points = np.array([trial.values for trial in trials], dtype=np.float64).reshape(-1, 2)
    return hypervolume(points, search.reference_point)


def stop_of(search: Search) -> dict[str, Any] | None:
    """Reason, time and author of the stop; None while the study runs."""
    stopped: dict[str, Any] | None = search.study.user_attrs.get(STOP)
    return stopped


def stop(search: Search, reason: StopReason) -> None:
    """Tell all workers to stop, unless a reason stands there already."""
    if stop_of(search) is None:
        search.study.set_user_attr(STOP, {"reason": reason, "at": utc_now(), "by": author()})


def resume(search: Search, *, generations: int | None = None) -> Search:
    """Let a stopped study go on, with a new limit of generations if one is given. The patience counts from here.

    Raises:
        ConfigError: the limit leaves no generation to run.
    """
    closed = current_generation(search)
    limit = generations or search.config.search.generations
    if limit <= closed:
        raise ConfigError(
            f"study {search.name!r} has closed {closed} generations and its limit is {limit}:"
            f" give it more with: faqnas-optuna resume {search.name} --generations {closed + 4}"
        )
    if generations:
        search = save_limit(search, generations)
    if stop_of(search) is not None:
        resumed = {"generation": closed, "trial": len(search.trials()), "at": utc_now(), "by": author()}
        search.study.set_user_attr(RESUMED, [*search.study.user_attrs.get(RESUMED, []), resumed])
        search.study.set_user_attr(STOP, None)
    return search


def author() -> str:
    """Who acts: user, host and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def stagnated(hypervolumes: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` hypervolumes brought nothing over the one before them."""
    if len(hypervolumes) <= patience:
        return False
    return hypervolumes[-1] <= hypervolumes[-1 - patience] * (1 + IMPROVEMENT)


def _reason_to_stop(search: Search) -> StopReason | None:
    limits = search.config.search
    hypervolumes = [closed.hypervolume for closed in closed_generations(search)]
    resumptions = search.study.user_attrs.get(RESUMED)
    since = resumptions[-1] if resumptions else {"generation": 0, "trial": 0}
    if len(hypervolumes) >= limits.generations:
        return StopReason.GENERATIONS
    # The generation before the resumption is what the next ones must beat.
    if stagnated(hypervolumes[max(since["generation"] - 1, 0) :], limits.patience):
        return StopReason.STAGNATION
    failed = [trial for trial in search.trials(TrialState.FAIL) if trial.number >= since["trial"]]
    if len(failed) >= limits.population and not search.successful():
        return StopReason.NO_SUCCESS
    return None
