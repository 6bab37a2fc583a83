"""What a study has found, as plain documents: for JSON and for tables."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.errors import FailuresError, NoSuccessfulTrialError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.search.generations import StopReason
from faqnas_optuna.search.ledger import our_studies
from faqnas_optuna.search.records import Candidate
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search, load
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import backend

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands."""

    study: str
    generation: int
    """The one that is being filled, counted from 1."""
    generations: int
    trials: int
    """Successful ones."""
    planned: int
    """Trials if all generations are needed."""
    best_accuracy: float | None
    front: int
    hypervolume: float


def progress(standing: Standing) -> Progress:
    limits = standing.search.config.search
    return Progress(
        study=standing.search.name,
        generation=min(standing.full_generations + 1, limits.generations),
        generations=limits.generations,
        trials=standing.successful,
        planned=limits.population * limits.generations,
        best_accuracy=standing.best_accuracy,
        front=len(standing.front),
        hypervolume=standing.hypervolume,
    )


def pareto_document(standing: Standing) -> dict[str, Any]:
    """The front of a study.

    Raises:
        NoSuccessfulTrialError: there is none yet.
    """
    search = standing.search
    if not standing.successful:
        raise _nothing_succeeded(standing)
    return {
        "schema_version": SCHEMA_VERSION,
        "study": search.name,
        "dataset": search.config.dataset,
        "generations": standing.full_generations,
        "hypervolume": standing.hypervolume,
        "front": [_front_entry(candidate) for candidate in standing.front],
    }


def start_document(standing: Standing, *, seconds: float) -> dict[str, Any]:
    """The front with what the search took.

    Raises:
        NoSuccessfulTrialError: nothing succeeded.
    """
    document, stopped = pareto_document(standing), standing.search.ledger.stop()
    return document | {
        "seconds": round(seconds, 3),
        "trials": standing.successful + standing.failed,
        "trained": standing.successful - standing.reused,
        "reused": standing.reused,
        "failed": len(standing.errors),
        "given_up": standing.given_up,
        "stop_reason": stopped.reason if stopped else None,
    }


def check_failures(search: Search) -> None:
    """Do nothing, unless the study has stopped because trial after trial failed.

    Raises:
        NoSuccessfulTrialError: none has succeeded.
        FailuresError: some had before.
    """
    stopped = search.ledger.stop()
    if stopped is None or stopped.reason is not StopReason.FAILURES:
        return
    standing = Standing.of(search)
    if not standing.successful:
        raise _nothing_succeeded(standing)
    raise FailuresError(
        f"study {search.name!r} has stopped because {search.config.search.population} trials failed in a row;"
        " see the last with",
        command=f"show {search.name} {standing.errors[-1]}",
    )


def _nothing_succeeded(standing: Standing) -> NoSuccessfulTrialError:
    name = standing.search.name
    if not standing.errors:
        return NoSuccessfulTrialError(f"study {name!r} has no successful trial yet; see", command=f"status {name}")
    return NoSuccessfulTrialError(
        f"no trial of study {name!r} has succeeded, and {len(standing.errors)} have failed; see the last with",
        command=f"show {name} {standing.errors[-1]}",
    )


def status_document(storage: BaseStorage, study: str | None) -> dict[str, Any]:
    """One study, or all of a storage; of all, those that this version cannot read are named with the reason."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "studies": [], "left_out": []}
    for name in [study] if study else our_studies(storage):
        try:
            search = load(storage, name)
            with search.existing():
                document["studies"].append(_study_status(Standing.of(search)))
        except (StudyMismatchError, StudyNotFoundError) as error:
            if study:
                raise
            document["left_out"].append({"study": name, "reason": str(error)})
    return document


def trial_document(search: Search, number: int) -> dict[str, Any]:
    """Everything that is stored of a trial, with the drawing of its circuit.

    Raises:
        StudyNotFoundError: the study has no trial of this number.
    """
    trials = search.study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        have = f"0 to {len(trials) - 1}" if trials else "none yet"
        raise StudyNotFoundError(f"study {search.name!r} has no trial {number}; it has {have}")
    trial = trials[number]
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": search.name,
        "trial": number,
        "state": trial.state.name.lower(),
    }
    if trial.state is TrialState.FAIL:
        document["failure"] = trial.user_attrs.get(FAILURE)
    if len(trial.params) < len(search.config.space.genes):
        # Ended before all genes were suggested.
        return document
    # It brings PennyLane: only whoever draws waits for it.
    from faqnas_optuna.circuits.reference import draw

    genome = Genome.from_params(trial.params)
    document |= {"genome": genome.to_params(), "circuit": genome.circuit.digest, "drawing": draw(genome.circuit)}
    if trial.state is TrialState.COMPLETE and "circuit" in trial.user_attrs:
        document |= _results(Candidate.of_trial(trial), search.description.sizes["validation"])
    return document


def front_csv(document: Mapping[str, Any]) -> str:
    """The front of a `pareto_document`, a line a circuit, each gene in a column of its own."""
    rows = [{**{k: v for k, v in entry.items() if k != "genome"}, **entry["genome"]} for entry in document["front"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _front_entry(candidate: Candidate) -> dict[str, Any]:
    return {
        "trial": candidate.trial,
        "quantum_flops": candidate.quantum_flops,
        "classical_flops": candidate.record.classical_flops,
        "parameters": candidate.record.parameters,
        "val_accuracy": candidate.record.val_accuracy,
        "val_error": candidate.val_error,
        "genome": candidate.genome.to_params(),
        "circuit": candidate.record.circuit,
    }


def _results(candidate: Candidate, n_validation: int) -> dict[str, Any]:
    from scipy.stats import binomtest

    record = candidate.record

    right = round(record.val_accuracy * n_validation)
    interval = binomtest(right, n_validation).proportion_ci(method="wilson")
    return {
        "generation": candidate.generation,
        "quantum_flops": candidate.quantum_flops,
        "quantum_flops_profiler": record.quantum_flops_profiler,
        "quantum_flops_analytic": record.quantum_flops_analytic,
        "classical_flops": record.classical_flops,
        "parameters": record.parameters,
        "val_accuracy": record.val_accuracy,
        "val_accuracy_std": record.val_accuracy_std,
        # Wilson's, 95 %: what so few samples can tell of one training (DOI 10.1080/01621459.1927.10502953).
        "val_accuracy_interval": [round(float(interval.low), 4), round(float(interval.high), 4)],
        "val_error": candidate.val_error,
        "seconds": record.seconds,
        "worker": record.worker,
        "reused_from": record.reused_from,
    }


def _study_status(standing: Standing) -> dict[str, Any]:
    search = standing.search
    stopped = search.ledger.stop()
    limits = search.config.search
    return {
        "study": search.name,
        "dataset": search.config.dataset,
        "state": "stopped" if stopped else "running" if standing.running else "idle",
        "stop": asdict(stopped) if stopped else None,
        "resumed": [asdict(resumption) for resumption in search.ledger.resumptions()],
        "generations_closed": standing.full_generations,
        "generations": limits.generations,
        "population": limits.population,
        "trials": {
            "successful": standing.successful,
            "running": len(standing.running),
            "failed": len(standing.errors),
            "given_up": standing.given_up,
            "waiting": standing.waiting,
        },
        "workers": _workers(standing),
        "trials_per_minute": standing.trials_per_minute,
        "minutes_left": _minutes_left(standing) if not stopped else None,
        "best_accuracy": standing.best_accuracy,
        "front": len(standing.front),
        "hypervolume": standing.hypervolume,
    }


def _workers(standing: Standing) -> list[dict[str, Any]]:
    """Who is at a trial: host and process, what it runs, and how long ago its last heartbeat was."""
    study = standing.search.study
    silent = backend(study).seconds_silent(study._study_id)
    genes = len(standing.search.config.space.genes)
    return [
        {
            # Each is told by the worker in its own time: a trial may have just begun.
            "worker": trial.user_attrs.get("worker"),
            "trial": trial.number,
            "circuit": str(Genome.from_params(trial.params).circuit) if len(trial.params) == genes else None,
            "heard_s_ago": silent.get(trial._trial_id),
        }
        for trial in standing.running
    ]


def _minutes_left(standing: Standing) -> float | None:
    """Until all generations are closed, at the pace of the last trials; the study may stop sooner."""
    limits = standing.search.config.search
    left = limits.population * limits.generations - standing.successful
    return max(left, 0) / standing.trials_per_minute if standing.trials_per_minute else None
