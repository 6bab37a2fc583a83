"""Stops and resumptions, which are alike for every study.

Every worker looks after each of its trials, and whoever looks does what is due. The decision to stop is written once, under the
study's lock, and all workers read it before each trial.
"""

import getpass
import os
import socket
from typing import Any, TypeVar

from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.metadata import utc_now
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.stopping import KnownFailures, Resumption, Stop, StopReason, all_fail
from faqnas_optuna.study.study import StoredStudy

Kind = TypeVar("Kind", bound=StoredStudy[Any])


def stop(study: StoredStudy[Any], reason: StopReason) -> Stop:
    """Tell all workers to stop, unless a reason stands there already; return what stands there."""
    with study_lock(study.study), study.existing():
        return study.metadata.stop() or write_stop(study, reason)


def resume(study: Kind, *, generations: int | None = None) -> Kind:
    """Let a stopped study go on, with a new limit of generations if one is given. The patience counts from here.

    Raises:
        ConfigError: the limit leaves no generation to run.
    """
    with study_lock(study.study), study.existing():
        limit = study.check_resumable(generations=generations)
        stopped = study.metadata.stop()
        if generations:
            study = study.with_limit(generations)
        if generations or stopped:
            resumption = Resumption(
                generation=len(study.metadata.closed_generations()),
                trial=max((trial.number + 1 for trial in study.study.get_trials(deepcopy=False)), default=0),
                limit=limit,
                at=utc_now(),
                by=author(),
                stop=stopped,
            )
            study.metadata.resume(resumption)
        return study


def last_resumption(study: StoredStudy[Any]) -> Resumption | None:
    """The last time that somebody let the study go on or gave it a new limit."""
    resumptions = study.metadata.resumptions()
    return resumptions[-1] if resumptions else None


def author() -> str:
    """Who acts: user, host and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def may_all_fail(state: StudyState) -> bool:
    """Whether the study is to stop because all its trials fail. Asked without the lock, after each trial that fails."""
    study = state.study
    if len(state.failing) < study.config.search.population:
        return False
    return all_fail(
        KnownFailures(
            limits=study.config.search,
            resumed=last_resumption(study),
            failing=state.failures,
            running_workers=state.running_workers,
        )
    )


def write_stop(study: StoredStudy[Any], reason: StopReason) -> Stop:
    """Write down why a study stops. The caller holds the study lock."""
    stopped = Stop(reason=reason, at=utc_now(), by=author())
    study.metadata.write_stop(stopped)
    return stopped
