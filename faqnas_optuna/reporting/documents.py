"""Results, settings and data of a study as plain documents, for JSON and for tables."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.effective import EffectiveGates, effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import Score, is_file
from faqnas_optuna.data.named import recipe_of
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import FailuresError, NoSuccessfulTrialError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES, Device
from faqnas_optuna.reporting.columns import Output, values
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, StudyState, read_state
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy

SCHEMA_VERSION = 1


def pareto_document(state: SearchState, pick: SelectionRule | None = None) -> dict[str, Any]:
    """The front of a study.

    Args:
        pick: takes one circuit of it.

    Raises:
        NoSuccessfulTrialError: there is none yet.
    """
    check_successful(state)
    search, front = state.study, state.front
    return {
        "schema_version": SCHEMA_VERSION,
        "study": search.name,
        "dataset": search.config.dataset,
        "score": str(search.config.score),
        "cost": search.config.cost,
        "majority_score": search.description.majority_score,
        "generations": state.full_generations,
        "hypervolume": state.hypervolume,
        "linear_hypervolume": state.linear_hypervolume,
        "front": [_front_entry(one, search.description) for one in ([pick.choose(front)] if pick else front)],
        **({"pick": {"rule": str(pick), "why": pick.why(front, cost_with_name=search.config.cost_with_name)}} if pick else {}),
        "provenance": provenance(search),
    }


def check_successful(state: SearchState) -> None:
    """Refuse a study that has no front.

    Raises:
        NoSuccessfulTrialError: no trial has succeeded yet.
    """
    if not state.successful:
        raise _nothing_succeeded(state)


def provenance(study: StoredStudy[Any]) -> dict[str, Any]:
    """What decides the values of a study, to be kept beside them."""
    described = study.description
    return {
        "settings": described.config.model_dump(mode="json"),
        "data_fingerprint": described.data_fingerprint,
        "sizes": dict(described.sizes),
        "majority": None if described.majority is None else described.majority.to_json(),
        "created": described.created,
        "versions": dict(described.versions),
        "reliability": None if described.reliability is None else asdict(described.reliability),
    }


def start_document(state: SearchState, *, seconds: float, checks: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The front with what the search took.

    Args:
        checks: the findings about the data; None if they were not checked.
        seconds: what the command took, which may have found the search finished.

    Raises:
        NoSuccessfulTrialError: nothing succeeded.
    """
    document, stop = pareto_document(state), stop_document(state.study)
    return document | {
        "seconds": round(seconds, 3),
        "trials": state.successful + state.failed,
        "trained": state.successful - state.reused,
        "reused": state.reused,
        "failed": len(state.errors),
        "given_up": state.given_up,
        **stop,
        "checks": checks,
        "stop_reason": stop["stop"] and stop["stop"]["reason"],
        "state": stop["state"] or "interrupted",
    }


def data_document(splits: DataSplits, *, is_checked: bool = True) -> dict[str, Any]:
    """Return samples, classes and parts of a data set, what was done to its columns, the keys of generated data, and warnings.

    Args:
        is_checked: whether warnings are wanted.
    """
    recipe = None if is_file(splits.name) else recipe_of(splits.name)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    counts = Counter(splits.classes[index] for part in parts.values() for index in part.y.tolist())
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": splits.name,
        "samples": sum(map(len, parts.values())),
        "features": splits.n_features,
        "classes": [{"class": label, "samples": counts[label]} for label in splits.classes],
        "parts": {name: len(part) for name, part in parts.items()},
        "data_fingerprint": splits.fingerprint,
        "columns": dict(splits.columns),
        "keys": recipe.to_json() if recipe else [],
        "majority": splits.majority.to_json(),
        "checks": [finding.to_json() for finding in splits.findings] if is_checked else None,
    }


def study_document(study: StoredStudy[Any]) -> dict[str, Any]:
    """Return the settings of a study, and what was done to each column of its data."""
    description = study.description
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        **stop_document(study),
        **provenance(study),
        "files": None if description.files is None else description.files.to_json(),
        "columns": dict(description.columns),
    }


def to_the_minute(at: str) -> str:
    """A time of the ledger as readers write it: `2026-11-25 13:42 UTC`."""
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def check_failures(study: StoredStudy[Any]) -> None:
    """Do nothing, unless the study has stopped because trial after trial failed.

    Raises:
        NoSuccessfulTrialError: none has succeeded.
        FailuresError: some had before.
    """
    stopped = study.metadata.stop()
    if stopped is None or stopped.reason is not StopReason.FAILURES:
        return
    state = read_state(study)
    if not state.successful:
        raise _nothing_succeeded(state)
    raise FailuresError(
        f"study {study.name!r} has stopped because {study.config.search.population} trials failed in a row; see the last with",
        command=f"show {study.name} {state.errors[-1]}",
    )


def _nothing_succeeded(state: StudyState) -> NoSuccessfulTrialError:
    name = state.study.name
    if not state.errors:
        return NoSuccessfulTrialError(f"study {name!r} has no successful trial yet; see", command=f"status {name}")
    return NoSuccessfulTrialError(
        f"no trial of study {name!r} has succeeded, and {len(state.errors)} have failed; see the last with",
        command=f"show {name} {state.errors[-1]}",
    )


def trial_head(study: StoredStudy[Any], trial: FrozenTrial) -> dict[str, Any]:
    """Return how a trial ended."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "trial": trial.number,
        "state": trial.state.name.lower(),
    }
    if trial.state is TrialState.FAIL:
        document["failure"] = trial.user_attrs.get(FAILURE)
    return document


def trial_document(search: Search, number: int) -> dict[str, Any]:
    """Everything that is stored of a trial of a search, with the drawing of its circuit.

    Raises:
        StudyNotFoundError: the study has no trial of this number.
    """
    trial = search.trial(number)
    document = trial_head(search, trial)
    if len(trial.params) < len(search.config.space.genes):
        # Ended before all genes were suggested.
        return document
    # It brings PennyLane: only whoever draws waits for it.
    from faqnas_optuna.circuits.pennylane_circuit import draw

    genome = Genome.from_params(trial.params)
    found = Candidate.of_trial(trial, search.config) if search.has_result(trial) else None
    cheapest_flops = found.costs.cheapest_flops(search.config) if found else None
    document["score"] = str(search.config.score)
    document |= _circuit(genome, cheapest_flops) | {"drawing": draw(genome.circuit)}
    document["hardware"] = hardware_document(genome.circuit, search.config.device)
    return document | _results(found, search.description) if found else document


def front_csv(document: Mapping[str, Any]) -> str:
    """The front of a `pareto_document`, a line a circuit.

    Each gene has a column of its own, and so have the canonical forms of those that change by it. What decided the values
    follows in every line, settings and versions as JSON.
    """
    told = document["provenance"]
    study = {
        "study": document["study"],
        "dataset": document["dataset"],
        "seed": told["settings"]["seed"],
        **{name: json.dumps(told[name]) for name in ("settings", "versions")},
    }
    rows = []
    for entry in document["front"]:
        # What is of a score stands behind, but for the accuracy.
        hidden = (
            "genome",
            "canonical",
            "effective",
            "val_balanced_accuracy",
            *(f"val_{score.key}_interval" for score in Score),
        )
        row = {name: value for name, value in entry.items() if name not in hidden}
        form, effective = entry["canonical"], entry["effective"]
        told_form = {"canonical_topology": form["topology"], "canonical_rotations": " ".join(form["rotations"])}
        told_form |= {name: effective[name] for name in ("inert", "cheapest", "cheapest_flops")}
        for name in (f"val_{score.key}" for score in Score):
            low, high = entry[f"{name}_interval"] or (None, None)
            row |= {name: entry[name], f"{name}_low": low, f"{name}_high": high}
        rows.append(row | {"summary": form["summary"]} | told_form | entry["genome"] | study)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _front_entry(candidate: Candidate, study: Description) -> dict[str, Any]:
    return {
        "trial": candidate.trial,
        **values(Output.ENTRY, candidate, study),
        **_circuit(candidate.genome, candidate.costs.cheapest_flops(study.config)),
    }


def hardware_document(circuit: Circuit, own: Device | None) -> list[dict[str, Any]]:
    """What a circuit costs on each device that we know by name, and on the study's own."""
    devices = {device.name: device for device in (*DEVICES.values(), *([own] if own else []))}
    return [
        {"device": device.name, "date": device.date, "esp": cost.esp} | asdict(cost)
        for device in devices.values()
        for cost in [hardware_cost(circuit, device)]
    ]


def _circuit(genome: Genome, cheapest_flops: int | None) -> dict[str, Any]:
    """Return the genome, its circuit without the inactive genes, and its effective circuit.

    Args:
        cheapest_flops: quantum FLOPs of the effective circuit; None for a trial that was not counted.
    """
    circuit, gates, effective = genome.circuit, EffectiveGates(circuit=genome.circuit), effective_circuit(genome.circuit)
    return {
        "genome": genome.to_params(),
        "canonical": canonical(circuit),
        "circuit": circuit.digest,
        "effective": {
            "summary": str(gates),
            "inert": gates.inert or None,
            "lacks": gates.lacks,
            "cheapest": str(effective),
            "cheapest_flops": cheapest_flops,
            "circuit": effective.digest,
        },
    }


def canonical(circuit: Circuit) -> dict[str, Any]:
    """A circuit in plain values, and in words."""
    return {
        "n_qubits": circuit.n_qubits,
        "embedding": str(circuit.embedding),
        "entangler": str(circuit.entangler),
        "topology": str(circuit.topology),
        "rotations": [str(rotation) for rotation in circuit.rotations],
        **({"reuploading": True} if circuit.reuploading else {}),
        "summary": str(circuit),
    }


def _results(candidate: Candidate, study: Description) -> dict[str, Any]:
    record = candidate.record
    return {
        # From 1, as everywhere; the sampler counts from 0.
        "generation": None if candidate.generation is None else candidate.generation + 1,
        **values(Output.TRIAL, candidate, study),
        "seconds": record.seconds,
        "worker": record.worker,
        "reused_from": record.reused_from,
    }
