"""Closing generations, and when a study stops.

A generation closes when its successful trials reach the population size. The hypervolume of all trials that have succeeded by
then is written with it, and every worker decides on what is written. The decision to stop is a study attribute too: whoever
sees the reason first writes it down, and all workers read it before each trial. Each is written once, under the study's lock.
"""

import getpass
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from optuna.storages import BaseStorage

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import DESCRIPTION, Search, save_limit, stored_limits, utc_now
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.storage.trials import get_study_user_attr

STOP = "stop"
"""The study attribute that tells all workers to leave."""
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
    FAILURES = "failures"
    """As many trials as a generation has failed one after the other, on every worker."""


@dataclass(frozen=True, kw_only=True)
class ClosedGeneration:
    """What is kept of a generation."""

    generation: int
    trials: int
    """Successful trials of this generation when it closed."""
    front: int
    """Distinct circuits on the front when it closed."""
    hypervolume: float
    """Of that front, as a share of the box up to the reference point."""
    closed_at: str
    """UTC."""


def closed_generations(search: Search) -> list[ClosedGeneration]:
    """By number. They are kept one attribute each, so that closing one cannot damage another."""
    attributes = search.study.user_attrs
    found = [ClosedGeneration(**value) for name, value in attributes.items() if name.startswith(CLOSED_PREFIX)]
    return sorted(found, key=lambda closed: closed.generation)


def close_generations(standing: Standing) -> dict[str, Any] | None:
    """Close every generation that has become full, and stop the study if that was the last or the progress has ended.

    Returns:
        Reason, time and author of the stop; None if the study runs on.
    """
    search, full = standing.search, standing.full_generations
    if stopped := stop_of(search):
        return stopped
    is_new = full > 0 and get_study_user_attr(search.study, f"{CLOSED_PREFIX}{full - 1}") is None
    if is_new:
        _close(standing)
    # The last generation is looked at again if a worker has closed it and died before it could stop the study.
    is_due = is_new or full >= search.config.search.generations

    def reason() -> StopReason | None:
        return (_reason_to_stop(search) if is_due else None) or (StopReason.FAILURES if _all_fail(standing) else None)

    # Asked again under the lock: meanwhile somebody may have resumed the study, with a new limit.
    return _write_stop(search, reason) if reason() else None


def running_names(storage: BaseStorage) -> list[str]:
    """The studies of a storage that are ours and have not stopped, by name."""
    return sorted(
        study.study_name
        for study in storage.get_all_studies()
        if DESCRIPTION in study.user_attrs and not study.user_attrs.get(STOP)
    )


def stop_of(search: Search) -> dict[str, Any] | None:
    """Reason, time and author of the stop; None while the study runs."""
    stopped: dict[str, Any] | None = get_study_user_attr(search.study, STOP)
    return stopped


def stop(search: Search, reason: StopReason) -> dict[str, Any]:
    """Tell all workers to stop, unless a reason stands there already; return what stands there."""
    stopped = _write_stop(search, lambda: reason)
    assert stopped is not None
    return stopped


def resume(search: Search, *, generations: int | None = None) -> Search:
    """Let a stopped study go on, with a new limit of generations if one is given. The patience counts from here.

    Raises:
        ConfigError: the limit leaves no generation to run.
    """
    with study_lock(search.study), search.existing():
        closed = len(closed_generations(search))
        limit = generations or search.config.search.generations
        if limit <= closed:
            raise ConfigError(
                f"study {search.name!r} has closed {closed} generations and its limit is {limit}: give it more with",
                command=f"resume {search.name} --generations {closed + 4}",
            )
        if generations:
            search = save_limit(search, generations)
        stopped = stop_of(search)
        if generations or stopped:
            trials = len(search.study.get_trials(deepcopy=False))
            resumed = {"generation": closed, "trial": trials, "limit": limit, "at": utc_now(), "by": author(), "stop": stopped}
            search.study.set_user_attr(RESUMED, [*resumptions(search), resumed])
            search.study.set_user_attr(STOP, None)
        return search


def resumptions(search: Search) -> list[dict[str, Any]]:
    """Each `resume`: closed generations and trials at that time, the limit from then on, time, author, the stop it ended."""
    return get_study_user_attr(search.study, RESUMED) or []


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


def _close(standing: Standing) -> None:
    with study_lock(standing.search.study), standing.search.existing():
        for number in range(len(closed_generations(standing.search)), standing.full_generations):
            closed = ClosedGeneration(
                generation=number,
                trials=standing.generation_sizes[number],
                front=len(standing.front),
                hypervolume=standing.hypervolume,
                closed_at=utc_now(),
            )
            standing.search.study.set_user_attr(f"{CLOSED_PREFIX}{number}", asdict(closed))


def _reason_to_stop(search: Search) -> StopReason | None:
    """What the closed generations say."""
    limits = stored_limits(search)
    hypervolumes = [closed.hypervolume for closed in closed_generations(search)]
    if len(hypervolumes) >= limits.generations:
        return StopReason.GENERATIONS
    # The generation before the last resumption is what the next ones must beat.
    since = max(last_resumption(search)["generation"] - 1, 0)
    return StopReason.STAGNATION if stagnated(hypervolumes[since:], limits.patience) else None


def _all_fail(standing: Standing) -> bool:
    """Whether as many trials as a generation have failed since the last success, and whoever runs one now has failed too.

    A machine on which every training fails fails fast: it must not end the work of others.
    """
    population = standing.search.config.search.population
    if len(standing.failing) < population:
        return False
    since = last_resumption(standing.search)["trial"]
    failing = [trial for trial in standing.failing if trial.number >= since]
    workers = {trial.user_attrs.get("worker") for trial in failing}
    return len(failing) >= population and all(trial.user_attrs.get("worker", "") in workers for trial in standing.running)


def _write_stop(search: Search, decide: Callable[[], StopReason | None]) -> dict[str, Any] | None:
    """Stop the study, unless it has stopped; return what stands there, if anything does."""
    with study_lock(search.study), search.existing():
        stopped = stop_of(search)
        if stopped is None and (reason := decide()):
            stopped = {"reason": reason, "at": utc_now(), "by": author()}
            search.study.set_user_attr(STOP, stopped)
        return stopped


def last_resumption(search: Search) -> dict[str, Any]:
    """Closed generations and trials at the time of the last resumption; none of either if there was none."""
    return (resumptions(search) or [{"generation": 0, "trial": 0}])[-1]
