"""Results, settings and data of a study as documents of plain values, for JSON and for tables."""

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
from faqnas_optuna.circuits.functions import function_of, is_entangled
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import Score, is_file
from faqnas_optuna.data.named import recipe_of
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import FailuresError, NoSuccessfulTrialError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES, Device
from faqnas_optuna.reporting.columns import Output, values
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import SOURCE, SOURCE_SCORES, Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, StudyState, candidates_of_trials, read_state
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy

SCHEMA_VERSION = 1
"""Version of the JSON documents, increased whenever a change would break their readers."""


def pareto_document(state: SearchState, pick: SelectionRule | None = None) -> dict[str, Any]:
    """Return the front of a study, or one circuit of it, with the origin of its values.

    Args:
        pick: Rule that selects one circuit; None for the whole front.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded yet.
    """
    check_successful(state)
    search = state.study
    front = state.front
    candidates = [state.choose(pick)] if pick else front
    choice = {"rule": str(pick), "why": pick.why(front, cost_with_name=search.config.cost_with_name)} if pick else None
    return {
        "schema_version": SCHEMA_VERSION,
        "study": search.name,
        "dataset": search.config.dataset,
        "score": str(search.config.score),
        "cost": search.config.cost,
        "majority_score": search.description.majority_score,
        **state.extent,
        "hypervolume": state.hypervolume,
        "linear_hypervolume": state.linear_hypervolume,
        "front": [_front_entry(candidate, search.description) for candidate in candidates],
        **({"pick": choice} if choice else {}),
        "provenance": provenance(search),
    }


def check_successful(state: SearchState) -> None:
    """Check that a study has a front.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded yet.
    """
    if not state.successful:
        raise _nothing_succeeded(state)


def provenance(study: StoredStudy[Any]) -> dict[str, Any]:
    """Return the settings, data and versions that decided the values of a study, to be stored beside the values."""
    description = study.description
    return {
        "settings": description.config.model_dump(mode="json"),
        "data_fingerprint": description.data_fingerprint,
        "sizes": dict(description.sizes),
        # Missing in studies of earlier versions.
        "majority": None if description.majority is None else description.majority.to_json(),
        "created": description.created,
        "versions": dict(description.versions),
        "reliability": None if description.reliability is None else asdict(description.reliability),
        "warm_start": _warm_start(study),
    }


def start_document(state: SearchState, *, seconds: float, checks: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the front of a study with the numbers of its trials, how it stopped, and the time of the command.

    Args:
        seconds: Duration of the command, which is short if the search had already finished.
        checks: Findings about the data; None if the data were not checked.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded.
    """
    document = pareto_document(state)
    stop = stop_document(state.study)
    return document | {
        "seconds": round(seconds, 3),
        # Reused trials succeeded without training; `given_up` counts trials whose worker died or was interrupted.
        "trials": state.successful + state.failed,
        "trained": state.successful - state.reused,
        "reused": state.reused,
        "failed": len(state.errors),
        "given_up": state.given_up,
        "warm_start": _warm_start(state.study),
        **stop,
        "checks": checks,
        # Without a stop the study can be resumed: a signal ended this command.
        "stop_reason": stop["stop"] and stop["stop"]["reason"],
        "state": stop["state"] or "interrupted",
    }


def data_document(splits: DataSplits, *, is_checked: bool = True) -> dict[str, Any]:
    """Return the samples, classes, parts and columns of a data set, the keys of generated data, and the findings about it.

    Args:
        is_checked: Whether the data were checked; otherwise the findings are None.
    """
    # Only generated data have a recipe; a file may have a name that looks like one.
    recipe = None if is_file(splits.name) else recipe_of(splits.name)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    # `y` holds indices into `classes`.
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
    """Return the settings of a study, its state, and the preprocessing of each column of its data."""
    description = study.description
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        **stop_document(study),
        **provenance(study),
        "files": None if description.files is None else description.files.to_json(),
        "columns": dict(description.columns),
    }


def _warm_start(study: StoredStudy[Any]) -> dict[str, Any] | None:
    """Return the source of the first generation of a search; None if the sampler suggested it."""
    warm_start = study.description.warm_start
    return None if warm_start is None else {**asdict(warm_start), "summary": warm_start.summary}


def to_the_minute(at: str) -> str:
    """Return an ISO 8601 time as readers write it, in UTC.

    >>> to_the_minute("2026-11-25T14:42:10+01:00")
    '2026-11-25 13:42 UTC'
    """
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def check_failures(study: StoredStudy[Any]) -> None:
    """Check that a study was not stopped by consecutive failures of trials.

    Raises:
        NoSuccessfulTrialError: Failures stopped the study before any trial succeeded.
        FailuresError: Failures stopped the study after some trials had succeeded.
    """
    stop = study.metadata.stop()
    if stop is None or stop.reason is not StopReason.FAILURES:
        return
    state = read_state(study)
    if not state.successful:
        raise _nothing_succeeded(state)
    raise FailuresError(
        f"study {study.name!r} has stopped because {study.config.search.population} trials failed in a row; see the last with",
        command=f"show {study.name} {state.errors[-1]}",
    )


def _nothing_succeeded(state: StudyState) -> NoSuccessfulTrialError:
    """Return the error for a study without successful trials, with the command that shows more."""
    name = state.study.name
    if not state.errors:
        return NoSuccessfulTrialError(f"study {name!r} has no successful trial yet; see", command=f"status {name}")
    return NoSuccessfulTrialError(
        f"no trial of study {name!r} has succeeded, and {len(state.errors)} have failed; see the last with",
        command=f"show {name} {state.errors[-1]}",
    )


def trial_head(study: StoredStudy[Any], trial: FrozenTrial) -> dict[str, Any]:
    """Return the state of a trial and, if it failed, the reason."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "trial": trial.number,
        "state": trial.state.name.lower(),
    }
    if trial.state is TrialState.FAIL:
        document["failure"] = trial.user_attrs.get(FAILURE)
    if source := trial.user_attrs.get(SOURCE):
        document["source"] = source | {"values": "reused" if SOURCE_SCORES in trial.user_attrs else "trained"}
    return document


def trial_document(search: Search, number: int) -> dict[str, Any]:
    """Return all stored values of a trial of a search, with a drawing of its circuit.

    Raises:
        StudyNotFoundError: The study has no trial of this number.
    """
    trial = search.trial(number)
    document = trial_head(search, trial)
    # A trial that was interrupted before all genes were suggested has no circuit.
    if len(trial.params) < len(search.config.space.genes):
        return document
    # Importing PennyLane takes seconds, which only a drawing should cost.
    from faqnas_optuna.circuits.pennylane_circuit import draw

    genome = Genome.from_params(trial.params)
    candidate = candidates_of_trials(search, [trial])[0] if search.has_result(trial) else None
    cheapest_flops = candidate.costs.cheapest_flops(search.config) if candidate else None
    document["score"] = str(search.config.score)
    document |= _circuit(genome, cheapest_flops) | {"drawing": draw(genome.circuit)}
    document["hardware"] = hardware_document(genome.circuit, search.config.device)
    return document | _results(candidate, search.description) if candidate else document


def front_csv(document: Mapping[str, Any]) -> str:
    """Return the front of a `pareto_document` as CSV, with one line per circuit.

    Each gene has a column, as have the canonical topology and rotations. The columns of the study, its settings and versions
    as JSON among them, repeat in every line.
    """
    origin = document["provenance"]
    study = {
        "study": document["study"],
        "dataset": document["dataset"],
        "seed": origin["settings"]["seed"],
        **{name: json.dumps(origin[name]) for name in ("settings", "versions")},
    }
    rows = [_csv_row(entry) | entry["genome"] | study for entry in document["front"]]
    text = io.StringIO()
    # The line ends are those of the other files that the package writes, not the CRLF of the csv module.
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of an entry of the front, without its genes."""
    nested = ("genome", "canonical", "effective", "function", *(f"val_{score.key}_interval" for score in Score))
    # The accuracy stays among the plain values; the balanced accuracy follows at the end, with the intervals.
    row = {name: value for name, value in entry.items() if name not in (*nested, "val_balanced_accuracy")}
    for name in (f"val_{score.key}" for score in Score):
        low, high = entry[f"{name}_interval"] or (None, None)
        row |= {name: entry[name], f"{name}_low": low, f"{name}_high": high}
    canonical_form = entry["canonical"]
    row["summary"] = canonical_form["summary"]
    row["canonical_topology"] = canonical_form["topology"]
    row["canonical_rotations"] = " ".join(canonical_form["rotations"])
    row |= {name: entry["effective"][name] for name in ("inert", "cheapest", "cheapest_flops")}
    return row | {"function": entry["function"]["summary"], "is_entangled": entry["function"]["is_entangled"]}


def _front_entry(candidate: Candidate, study: Description) -> dict[str, Any]:
    """Return the entry of a circuit in a `pareto_document`."""
    return {
        "trial": candidate.trial,
        **values(Output.ENTRY, candidate, study),
        **_circuit(candidate.genome, candidate.costs.cheapest_flops(study.config)),
    }


def hardware_document(circuit: Circuit, own: Device | None) -> list[dict[str, Any]]:
    """Return the costs of a circuit on every built-in device, and on the study's device if it is another.

    Args:
        own: Device of the study; None if it has none.
    """
    # A study's device of a built-in name replaces that one: its figures may differ.
    devices = {device.name: device for device in (*DEVICES.values(), *([own] if own else []))}
    return [
        {"device": device.name, "date": device.date, "esp": cost.esp} | asdict(cost)
        for device in devices.values()
        for cost in [hardware_cost(circuit, device)]
    ]


def _circuit(genome: Genome, cheapest_flops: int | None) -> dict[str, Any]:
    """Return a genome with its canonical and its effective circuit, and its function.

    Args:
        cheapest_flops: Quantum FLOPs of the effective circuit; None for a trial without a result.
    """
    circuit = genome.circuit
    gates = EffectiveGates(circuit=circuit)
    effective = effective_circuit(circuit)
    function = function_of(circuit)
    return {
        "genome": genome.to_params(),
        "canonical": canonical(circuit),
        "circuit": circuit.digest,
        "effective": {
            "summary": str(gates),
            # The text is empty if no gate is inert; documents have null for what is missing.
            "inert": gates.inert or None,
            "lacks": gates.lacks,
            "cheapest": str(effective),
            "cheapest_flops": cheapest_flops,
            "circuit": effective.digest,
        },
        "function": {
            "circuit": function.digest,
            "summary": str(function),
            "is_entangled": is_entangled(circuit),
        },
    }


def canonical(circuit: Circuit) -> dict[str, Any]:
    """Return a circuit as plain values, with its summary in words."""
    return {
        "n_qubits": circuit.n_qubits,
        "embedding": str(circuit.embedding),
        "entangler": str(circuit.entangler),
        "topology": str(circuit.topology),
        "rotations": [str(rotation) for rotation in circuit.rotations],
        # The key is absent in the paper's space, whose circuits upload the data once.
        **({"reuploading": True} if circuit.reuploading else {}),
        "summary": str(circuit),
    }


def _results(candidate: Candidate, study: Description) -> dict[str, Any]:
    """Return the values of a successful trial, with its generation, duration and worker."""
    record = candidate.record
    return {
        # Users see generations counted from 1; the sampler counts from 0.
        "generation": None if candidate.generation is None else candidate.generation + 1,
        **values(Output.TRIAL, candidate, study),
        "seconds": record.seconds,
        "worker": record.worker,
        "reused_from": record.reused_from,
    }
