"""How far studies are, and who is at work: for progress, tables and JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from optuna.storages import BaseStorage

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import Score
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.reporting.documents import SCHEMA_VERSION, stop_document
from faqnas_optuna.storage.opening import backend
from faqnas_optuna.study.confirmation import needed
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.study import load


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a study stands. A confirmation has no generations, no front and no hypervolume."""

    study: str
    generation: int
    """The one that is being filled, counted from 1."""
    generations: int
    trials: int
    """Successful ones."""
    planned: int
    """Trials if all generations are needed; of a study that has stopped, those it has."""
    best_score: float | None
    """Of the circuits, on the validation part."""
    front: int | None
    """Circuits on it; None of a pooled front, which would have to be computed after each trial."""
    hypervolume: float
    """In (log₁₀ cost, validation error)."""
    score: Score = Score.ACCURACY
    """The one that the study goes by."""
    is_confirmation: bool = False
    """Its trials are trainings."""


def progress(state: StudyState) -> Progress:
    limits = state.search.config.search
    if state.search.is_confirmation:
        return Progress(
            study=state.search.name,
            generation=1,
            generations=1,
            trials=state.successful,
            planned=state.successful if state.has_stopped else len(needed(state.search.description)),
            best_score=None,
            front=0,
            hypervolume=0.0,
            is_confirmation=True,
        )
    return Progress(
        study=state.search.name,
        generation=min(state.full_generations + 1, limits.generations),
        generations=limits.generations,
        trials=state.successful,
        planned=state.successful if state.has_stopped else limits.population * limits.generations,
        best_score=state.best_score,
        front=state.front_size,
        hypervolume=state.hypervolume,
        score=state.search.config.score,
    )


def status_document(storage: BaseStorage, study: str | None) -> dict[str, Any]:
    """One study, or all of a storage; of all, those that this version cannot read are named with the reason."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "studies": [], "left_out": []}
    for name in [study] if study else our_studies(storage):
        try:
            search = load(storage, name)
            with search.existing():
                document["studies"].append(study_status(StudyState.of(search)))
        except (ConfigError, StudyMismatchError, StudyNotFoundError) as error:
            if study:
                raise
            document["left_out"].append({"study": name, "reason": str(error)})
    return document


def study_status(state: StudyState) -> dict[str, Any]:
    """How far a study is, and who is at work."""
    search, stop = state.search, stop_document(state.search)
    limits, confirms = search.config.search, search.description.confirms
    return {
        "study": search.name,
        "dataset": search.config.dataset,
        **stop,
        "state": stop["state"] or ("running" if state.running else "idle"),
        "resumed": [asdict(resumption) for resumption in search.metadata.resumptions()],
        "confirms": confirms and confirms.study,
        "generations_closed": None if confirms else state.full_generations,
        "generations": None if confirms else limits.generations,
        "population": None if confirms else limits.population,
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
        "score": str(search.config.score),
        "best_score": state.best_score,
        "majority_score": search.description.majority_score,
        "front": None if confirms else len(state.front),
        "hypervolume": None if confirms else state.hypervolume,
        "linear_hypervolume": None if confirms else state.linear_hypervolume,
    }


def _workers(state: StudyState) -> list[dict[str, Any]]:
    """Who is at a trial: host and process, what it runs, and how long ago its last heartbeat was."""
    study = state.search.study
    silent = backend(study).seconds_silent(study._study_id)
    genes = len(state.search.config.space.genes)
    return [
        {
            # Each is told by the worker in its own time: a trial may have just begun.
            "worker": trial.user_attrs.get("worker"),
            "trial": trial.number,
            "circuit": str(Genome.from_params(trial.params).circuit)
            if len(trial.params) == genes
            else trial.user_attrs.get("network"),
            "heard_s_ago": silent.get(trial._trial_id),
        }
        for trial in state.running
    ]


def _minutes_left(state: StudyState) -> float | None:
    """Until all generations are closed, at the pace of the last trials; the study may stop sooner."""
    limits = state.search.config.search
    left = limits.population * limits.generations - state.successful
    if state.search.is_confirmation:
        left = len(needed(state.search.description)) - state.successful
    return max(left, 0) / state.trials_per_minute if state.trials_per_minute else None
