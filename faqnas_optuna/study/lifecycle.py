"""The course of a study: what is known goes to `generations`, and what is decided goes into the ledger, under the study's lock.
A confirmation goes on until all its trainings are done.

Every worker looks after each of its trials, and whoever looks does what is due. The decision to stop is written once, and all
workers read it before each trial.
"""

import getpass
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto

from optuna import Study

from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.opening import drafts, study_lock
from faqnas_optuna.study.confirmation import ConfirmationBudget, baselines_for, enqueue, extended, finalists_of, missing
from faqnas_optuna.study.metadata import ConfirmationPlan, utc_now
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.stopping import (
    Failure,
    Known,
    Resumption,
    Stop,
    StopReason,
    all_fail,
    decide,
    ready_to_close,
    refusal_to_resume,
)
from faqnas_optuna.study.study import Search

QUEUED_AT_ONCE = 64
"""So many trainings of a confirmation are queued when the last of those before was begun: each worker reads the whole queue
after each of its trials."""

Lock = Callable[[Study], AbstractContextManager[Callable[[], bool]]]


class WorkerAction(Enum):
    """What a study asks of its workers."""

    RUNNING = auto()
    """To run trials."""
    FULL = auto()
    """To wait for the trials that still run: its last generation has all that it needs."""
    STOPPED = auto()
    """To leave."""


def advance(state: StudyState, *, lock: Lock = study_lock) -> WorkerAction:
    """Close the generations that are ready, and stop the study if there is a reason.

    Args:
        state: the study, read just now.
        lock: holds off the other workers while a decision is made and written.
    """
    search = state.search
    population = search.config.search.population
    state.has_stopped = bool(search.stop())
    if search.is_confirmation:
        return _advance_confirmation(state, lock)
    if not state.has_stopped:
        sizes = state.generation_sizes
        ready = ready_to_close(sizes, state.open_generations, population=population, closed=state.closed)
        state.has_stopped = bool((ready or _may_all_fail(state)) and _decide(state, lock))
    if state.has_stopped:
        return WorkerAction.STOPPED
    return WorkerAction.RUNNING if wants_trials(search, state) else WorkerAction.FULL


def _advance_confirmation(state: StudyState, lock: Lock) -> WorkerAction:
    """Queue what is missing, and stop the confirmation once nothing is left to do."""
    if not state.has_stopped and (_is_due(state) or _may_all_fail(state)):
        state.has_stopped = bool(_go_on_confirming(state, lock))
        state.refresh()
    if state.has_stopped:
        return WorkerAction.STOPPED
    return WorkerAction.RUNNING if state.waiting else WorkerAction.FULL


def _is_due(state: StudyState) -> bool:
    """Whether, as this process knows it, the queue is empty and something is to be queued, or all is done."""
    if state.waiting:
        return False
    study, description = state.search.study, state.search.description
    with drafts(study).as_last_read():
        trials = study.get_trials(deepcopy=False)
    return not state.running or bool(missing(description, trials, since=state.confirmed_since))


def _go_on_confirming(state: StudyState, lock: Lock) -> Stop | None:
    """Do what is due, unless somebody else has; return why the confirmation has stopped, if it has."""
    search, study, metadata = state.search, state.search.study, state.search.metadata
    with lock(study), search.existing():
        if stopped := metadata.stop():
            return stopped
        state.refresh()
        # Read under the lock: meanwhile somebody may have added finalists, or have queued and done what was missing.
        description, resumed = metadata.description(), last_resumption(search)
        assert description is not None
        state.confirmed_since = resumed.trial if resumed else 0
        due = missing(description, study.get_trials(deepcopy=False), since=state.confirmed_since)
        if _may_all_fail(state):
            return _write_stop(search, StopReason.FAILURES)
        if not (due or state.waiting or state.running):
            return _write_stop(search, StopReason.CONFIRMED)
        if not state.waiting:
            enqueue(study, due[:QUEUED_AT_ONCE])
        return None


def wants_trials(search: Search, state: StudyState) -> bool:
    """Whether not all generations that the study may have are full, or it is a confirmation, of which every trial is needed."""
    if search.is_confirmation:
        return True
    full = state.full_generations
    if full < search.config.search.generations:
        return True
    # Somebody may have raised the limit since this process came.
    description = search.metadata.description()
    return description is None or full < description.config.search.generations


def stop(search: Search, reason: StopReason) -> Stop:
    """Tell all workers to stop, unless a reason stands there already; return what stands there."""
    with study_lock(search.study), search.existing():
        return search.metadata.stop() or _write_stop(search, reason)


def check_resumable(search: Search, *, generations: int | None = None) -> int:
    """The limit of generations that a study would go on with.

    Args:
        generations: the new limit; the old one holds if there is none.

    Raises:
        ConfigError: the limit leaves no generation to run.
    """
    closed = len(search.metadata.closed_generations())
    limit = generations or search.config.search.generations
    if search.is_confirmation and generations:
        raise ConfigError(f"study {search.name!r} is a confirmation, which has no generations; leave out --generations")
    if refusal := refusal_to_resume(closed=closed, limit=limit):
        command = f"resume {search.name} --generations {closed + 4}"
        raise ConfigError(f"study {search.name!r} {refusal}: give it more with", command=command)
    return limit


def resume(search: Search, *, generations: int | None = None) -> Search:
    """Let a stopped study go on, with a new limit of generations if one is given. The patience counts from here.

    Raises:
        ConfigError: the limit leaves no generation to run.
    """
    with study_lock(search.study), search.existing():
        limit, stopped = check_resumable(search, generations=generations), search.metadata.stop()
        if generations:
            search = search.with_limit(generations)
        if generations or stopped:
            resumption = Resumption(
                generation=len(search.metadata.closed_generations()),
                trial=max((trial.number + 1 for trial in search.study.get_trials(deepcopy=False)), default=0),
                limit=limit,
                at=utc_now(),
                by=author(),
                stop=stopped,
            )
            search.metadata.resume(resumption)
        return search


def confirming(
    url: str, name: str, search: Search, candidates: Sequence[Candidate], splits: DataSplits, budget: ConfirmationBudget
) -> Search:
    """The confirmation of some circuits of a search, made, extended or resumed, for workers to run.

    Args:
        url: of the search's storage.
        name: of the confirmation.

    Raises:
        StudyMismatchError: it exists with another budget, or confirms something else.
    """
    confirms = ConfirmationPlan(
        study=search.name,
        created=search.description.created,
        epochs=search.config.training.epochs,
        finalists=finalists_of(candidates, config=search.config, n_features=splits.n_features, n_classes=splits.n_classes),
        baselines=baselines_for(len(splits.train)),
    )
    confirmation = extended(search.study._storage, url, name, search, confirms, budget)
    return resume(confirmation) if confirmation.metadata.stop() else confirmation


def last_resumption(search: Search) -> Resumption | None:
    """The last time that somebody let the study go on or gave it a new limit."""
    resumptions = search.metadata.resumptions()
    return resumptions[-1] if resumptions else None


def author() -> str:
    """Who acts: user, host and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def _may_all_fail(state: StudyState) -> bool:
    """Asked without the lock, after each trial that fails."""
    return len(state.failing) >= state.search.config.search.population and all_fail(_known(state))


def _decide(state: StudyState, lock: Lock) -> Stop | None:
    """Do what is due, unless somebody else has; return why the study has stopped, if it has."""
    search, metadata = state.search, state.search.metadata
    with lock(search.study), search.existing():
        if stopped := metadata.stop():
            return stopped
        # Read under the lock: meanwhile somebody may have resumed the study, with a new limit.
        known = _known(state)
        decision = decide(known)
        for closed in decision.close:
            metadata.close(closed, at=utc_now())
        state.closed = len(known.closed) + len(decision.close)
        return _write_stop(search, decision.stop) if decision.stop else None


def _known(state: StudyState) -> Known:
    metadata = state.search.metadata
    description = metadata.description()
    assert description is not None
    return Known(
        limits=description.config.search,
        flops_range=description.flops_range,
        circuits=state.circuits,
        sizes=state.generation_sizes,
        open_generations=state.open_generations,
        closed=metadata.closed_generations(),
        resumed=last_resumption(state.search),
        failing=[Failure(trial=trial.number, worker=trial.user_attrs.get("worker", "unknown")) for trial in state.failing],
        running_workers=[trial.user_attrs.get("worker", "") for trial in state.running],
    )


def _write_stop(search: Search, reason: StopReason) -> Stop:
    stopped = Stop(reason=reason, at=utc_now(), by=author())
    search.metadata.write_stop(stopped)
    return stopped
