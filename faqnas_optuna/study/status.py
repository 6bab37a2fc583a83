"""Status of a study and its workers, as values for tables and JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.optuna_internals import study_id_of, trial_id_of
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import StoredStudy


def study_status(state: StudyState, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a study and its workers.

    Args:
        own: Values that only this kind of study has; those of other kinds are None.
    """
    study = state.study
    stop = stop_document(study)
    status = {
        "study": study.name,
        "dataset": study.config.dataset,
        **stop,
        # A study is idle if no worker runs a trial, whether it waits for workers or they have died.
        "state": stop["state"] or ("running" if state.running else "idle"),
        "resumed": [asdict(resumption) for resumption in study.metadata.resumptions()],
        "confirms": None,
        "race": None,
        "generations_closed": None,
        "generations": None,
        "population": None,
        "trials": {
            "successful": state.successful,
            "running": len(state.running),
            "failed": len(state.errors),
            "given_up": state.given_up,
            "waiting": state.waiting,
        },
        "workers": _workers(state),
        "trials_per_minute": state.trials_per_minute,
        # A study that has stopped needs no more trials, however many were planned.
        "minutes_left": None if stop["stop"] else _minutes_left(state),
        "score": str(study.config.score),
        "best_score": None,
        "majority_score": study.description.majority_score,
        "front": None,
        "hypervolume": None,
        "linear_hypervolume": None,
    }
    return {**status, **own}


def stop_document(study: StoredStudy[Any]) -> dict[str, Any]:
    """Return whether, why and when a study has stopped, with the time since its creation."""
    stop = study.metadata.stop()
    if stop is None:
        return {"state": None, "because": None, "stop": None}
    began = datetime.fromisoformat(study.description.created)
    ended = datetime.fromisoformat(stop.at)
    # The time of a stop is in whole seconds, so it may be up to a second before the creation. If it is earlier, the clock was
    # set back, and the duration is unknown.
    duration = (ended - began).total_seconds()
    seconds = None if duration < -1 else round(max(duration, 0), 3)
    because = stop.reason.in_words(study.config.search)
    return {"state": stop.reason.state, "because": because, "stop": asdict(stop) | {"seconds": seconds}}


def _workers(state: StudyState) -> list[dict[str, Any]]:
    """Return the worker of each running trial, with its circuit and the age of its last heartbeat in seconds."""
    study = state.study
    silent = backend(study.study).seconds_silent(study_id_of(study.study))
    return [
        {
            # A trial that has just begun may have neither worker, circuit nor heartbeat yet.
            "worker": trial.user_attrs.get("worker"),
            "trial": trial.number,
            "circuit": study.subject(trial),
            "heard_s_ago": silent.get(trial_id_of(trial)),
        }
        for trial in state.running
    ]


def _minutes_left(state: StudyState) -> float | None:
    """Return the minutes until all planned trials are done, at the pace of the recent trials; None if the pace is unknown."""
    # An upper bound: the study may stop earlier, for example by stagnation.
    n_remaining = max(state.study.planned - state.successful, 0)
    return n_remaining / state.trials_per_minute if state.trials_per_minute else None
