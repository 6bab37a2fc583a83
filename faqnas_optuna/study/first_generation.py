"""First generations from known circuits, in place of random ones.

The scores of a circuit depend on its effective circuit and the protocol alone. Scores of another study therefore replace
trainings only if protocol, versions and processor are equal; they are then, bit for bit, those of the trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DamagedStudyError, GenomeError
from faqnas_optuna.storage.bulk_trials import NewTrial
from faqnas_optuna.study.description import Origin, SourceKind, WarmStart
from faqnas_optuna.study.pareto import layers
from faqnas_optuna.study.records import SOURCE, SOURCE_SCORES
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.study import StoredStudy, versions
from faqnas_optuna.training.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Source:
    """Source of a first generation."""

    origin: Origin
    circuits: Sequence[tuple[Circuit, Mapping[str, Any]]]
    """Circuits in the order in which they are queued, each with the attributes of its trial."""
    protocols: Sequence[Mapping[str, Any]] = ()
    """Protocols of the scores, one for each set of versions that the workers of a study had."""
    no_scores_because: str | None = None
    """Reason for which no scores can be reused, whatever the protocol."""


def source_of_study(study: StoredStudy[SearchState]) -> Source:
    """Return the circuits of a search or race: first the front, then the further non-dominated layers.

    Raises:
        ConfigError: The study has no circuits.
        StudyMismatchError: The study is damaged, or was created by an incompatible version.
    """
    study.check_series()
    state = read_state(study)
    # A race selects its front by confidence bounds, not by the mean scores of its trials.
    front = {candidate.trial for candidate in state.front}
    candidates = state.candidates
    points = np.array([(candidate.cost, candidate.val_error) for candidate in candidates]).reshape(-1, 2)
    ranked = sorted(
        ((candidate.trial not in front, layer, candidate.cost, candidate.record.circuit), candidate)
        for layer, candidate in zip(layers(points), candidates, strict=True)
    )
    origin = {"study": study.name, "created": study.description.created}
    circuits = []
    for _, candidate in ranked:
        circuit = candidate.genome.circuit
        # Otherwise scores could be attributed to a circuit that never had them.
        if circuit.digest != candidate.record.circuit:
            raise DamagedStudyError.of(study.name, f"the genes of trial {candidate.trial} are not those of its circuit")
        attributes = {SOURCE: {**origin, "trial": candidate.trial}, SOURCE_SCORES: vars(candidate.scores)}
        circuits.append((circuit, attributes))
    if not circuits:
        raise ConfigError(f"study {study.name!r} has no successful trial to start from; name another source")
    description = study.description
    reason = None
    if description.race:
        reason = "a race trains from other random seeds"
    elif any(candidate.scores.val_balanced_accuracy is None for candidate in candidates):
        reason = "its trials are from before balanced accuracy"
    # Workers on other machines may have had other versions than the process that created the study.
    all_versions = [description.versions, *study.metadata.worker_versions()]
    return Source(
        origin=Origin(kind=SourceKind.STUDY, name=study.name, identity=description.created),
        circuits=circuits,
        protocols=[_protocol(study.config, description.data_fingerprint, description.columns, each) for each in all_versions],
        no_scores_because=reason,
    )


def first_generation(source: Source, config: StudyConfig, splits: DataSplits) -> tuple[WarmStart, list[NewTrial]]:
    """Return the first generation of a new search: at most as many distinct circuits of a source as the population.

    Raises:
        ConfigError: No circuit of the source is in the space and within the limits.
    """
    # Compared here and not when the source is read: `--repeats auto` decides on the repeats after that.
    requested = _protocol(config, splits.fingerprint, splits.columns, versions())
    differences = (
        f"{name} differs ({protocol.get(name)}, {requested.get(name)})"
        for protocol in source.protocols
        for name in {**protocol, **requested}
        if protocol.get(name) != requested.get(name)
    )
    reason = source.no_scores_because or next(differences, None)
    limits = Limits.of(config, splits)
    # By circuit, because several rows of a file may describe the same one.
    queued: dict[Circuit, NewTrial] = {}
    left_out: set[Circuit] = set()
    for circuit, attributes in source.circuits:
        if len(queued) == config.search.population:
            break
        if reason:
            attributes = {SOURCE: attributes[SOURCE]}
        try:
            genome = limits.genome_of(circuit)
        except GenomeError:
            left_out.add(circuit)
        else:
            queued.setdefault(circuit, NewTrial(params=genome.to_params(), user_attrs=attributes))
    if not queued:
        raise ConfigError(
            f"none of the {len(left_out):,} circuits of {source.origin} is in the space and within the limits of"
            " the new study; change these, or name another source"
        )
    warm_start = WarmStart(**vars(source.origin), circuits=len(queued), left_out=len(left_out), trained_because=reason)
    return warm_start, list(queued.values())


def _protocol(config: StudyConfig, fingerprint: str, columns: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that decides the scores of a circuit, by names as users know them.

    Args:
        fingerprint: Fingerprint of the data before preprocessing.
        columns: Treatment of each column of a data file.
        versions: Versions of packages, and the processor.
    """
    settings = config.model_dump(mode="json")
    # Space, cost and score are not part of it: they decide which circuits are trained and compared, not how. The general
    # settings come first, because they explain a difference better than the fingerprint, which follows from them.
    return {
        "dataset": config.dataset,
        "seed": config.seed,
        **{f"data.{name}": value for name, value in settings["data"].items()},
        # By default that of the study.
        "data.split_seed": config.split_seed,
        **{f"training.{name}": value for name, value in settings["training"].items()},
        "engine": settings["engine"],
        "data fingerprint": fingerprint,
        # The fingerprint covers the data before preprocessing, which the columns describe.
        **{f"column {name}": treatment for name, treatment in columns.items()},
        **{f"version of {name}": value for name, value in versions.items()},
    }
