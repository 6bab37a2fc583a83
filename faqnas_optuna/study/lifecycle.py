"""Stopping and resuming of studies of either kind.

There is no coordinator. Every worker checks the study after each of its trials and makes any decision that is due. The decision
to stop is written once, under the study's lock, and all workers read it before each trial.
"""

import getpass
import os
import socket
from typing import Any, TypeVar

from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.metadata import utc_now
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.stopping import FailureFacts, Resumption, Stop, StopReason, all_fail
from faqnas_optuna.study.study import StoredStudy

Kind = TypeVar("Kind", bound=StoredStudy[Any])


def stop(study: StoredStudy[Any], reason: StopReason) -> Stop:
    """Store the reason to stop, which all workers then follow; return the stored stop, which may be an earlier one."""
    with study_lock(study.study), study.existing():
        return study.metadata.stop() or write_stop(study, reason)


def resume(study: Kind, *, generations: int | None = None, trials: int | None = None) -> Kind:
    """Resume a stopped study, or give a running one new limits. Stagnation is measured from here, but not after a time limit.

    Args:
        generations: New maximum number of generations; None to keep the stored one.
        trials: New maximum number of successful trials; None to keep the stored one.

    Raises:
        ConfigError: The limits leave no trial to run.
    """
    # Under the lock, so that no worker stops the study between the check and the resumption.
    with study_lock(study.study), study.existing():
        limits = study.check_resumable(generations=generations, trials=trials)
        last_stop = study.metadata.stop()
        has_new_limit = bool(generations or trials)
        if has_new_limit:
            study = study.with_limits(limits)
        # A running study without a new limit is left unchanged.
        if has_new_limit or last_stop:
            stored = study.study.get_trials(deepcopy=False)
            resumption = Resumption(
                generation=len(study.metadata.closed_generations()),
                # Not the number of trials, since some may have been deleted from the database.
                trial=max((trial.number + 1 for trial in stored), default=0),
                limit=limits.generations,
                at=utc_now(),
                by=author(),
                stop=last_stop,
                successful=sum(map(study.has_result, stored)),
            )
            study.metadata.resume(resumption)
        return study


def last_resumption(study: StoredStudy[Any]) -> Resumption | None:
    """Return the last resumption of a study, apart from those after a time limit; None if there was none."""
    # A time limit changes nothing else: failures and generations without improvement are counted across it. Otherwise a search
    # in short sessions would never stop by its patience.
    resumptions = study.metadata.resumptions()
    return next((one for one in reversed(resumptions) if not (one.stop and one.stop.reason is StopReason.SECONDS)), None)


def author() -> str:
    """Return user, host and process of the caller, for the records of stops and resumptions."""
    # Users of a shared study want to know who stopped it, and on which machine the process is.
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def may_all_fail(state: StudyState) -> bool:
    """Return whether a study should stop because all its trials fail.

    The check needs no lock; the decision is made again under the lock.
    """
    study = state.study
    # Nearly always true, and it saves reading the resumptions.
    if len(state.failing) < study.config.search.population:
        return False
    return all_fail(
        FailureFacts(
            limits=study.config.search,
            resumed=last_resumption(study),
            failing=state.failures,
            running_workers=state.running_workers,
        )
    )


def write_stop(study: StoredStudy[Any], reason: StopReason) -> Stop:
    """Store why a study stops, and return it. The caller holds the study lock."""
    new_stop = Stop(reason=reason, at=utc_now(), by=author())
    study.metadata.write_stop(new_stop)
    return new_stop
