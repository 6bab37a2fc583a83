"""How far a study is and who works on it, as plain values: for tables and JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.optuna_internals import study_id_of, trial_id_of
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import StoredStudy


def study_status(state: StudyState, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a study is, and who works on it.

    Args:
        own: the values that a study of its kind has; the others are None.
    """
    study = state.study
    stop = stop_document(study)
    status = {
        "study": study.name,
        "dataset": study.config.dataset,
        **stop,
        "state": stop["state"] or ("running" if state.running else "idle"),
        "resumed": [asdict(resumption) for resumption in study.metadata.resumptions()],
        "confirms": None,
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
    """Whether, why and when a study has stopped."""
    stopped = study.metadata.stop()
    if stopped is None:
        return {"state": None, "because": None, "stop": None}
    began, ended = (datetime.fromisoformat(at) for at in (study.description.created, stopped.at))
    # The stop is kept in whole seconds. An earlier one says that the clock was set back, and nothing about the time between.
    took = (ended - began).total_seconds()
    seconds = None if took < -1 else round(max(took, 0), 3)
    because = stopped.reason.in_words(study.config.search)
    return {"state": stopped.reason.state, "because": because, "stop": asdict(stopped) | {"seconds": seconds}}


def _workers(state: StudyState) -> list[dict[str, Any]]:
    """Who is at a trial: host and process, what it runs, and how long ago its last heartbeat was."""
    study = state.study
    silent = backend(study.study).seconds_silent(study_id_of(study.study))
    return [
        {
            # Each is stored by the worker in its own time: a trial may have just begun.
            "worker": trial.user_attrs.get("worker"),
            "trial": trial.number,
            "circuit": study.subject(trial),
            "heard_s_ago": silent.get(trial_id_of(trial)),
        }
        for trial in state.running
    ]


def _minutes_left(state: StudyState) -> float | None:
    """Until all planned trials are done, at the pace of the last trials; the study may stop sooner."""
    left = state.study.planned - state.successful
    return max(left, 0) / state.trials_per_minute if state.trials_per_minute else None
