"""A search as an Optuna study: creating it, loading it, and reading its trials.

Everything that decides what a study finds is stored with it, in one study attribute written at once: configuration, data
fingerprint, reference point, versions. A worker needs no more than the storage and the study's name.
"""

import hashlib
import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.circuits.genome import Genome, enumerate_genomes
from faqnas_optuna.config import FlopsCounter, SearchConfig, StudyConfig, did_you_mean, differences
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.learning.evaluation import Evaluation
from faqnas_optuna.search.sampler import SeededNSGAIISampler
from faqnas_optuna.storage.trials import get_study_user_attr

DESCRIPTION = "faqnas"
"""The study attribute that holds what decides the study."""
METRICS = ["quantum FLOPs", "validation error"]
GENERATION_KEY = "NSGAIISampler:generation"
"""Where Optuna's sampler keeps a trial's generation."""
SERIES = {"faqnas-optuna": 2, "optuna": 1}
"""How many parts of a version must agree between workers of one study."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What a trial attribute each records, in words that a reader of the dashboard understands."""

    circuit: str
    """The circuit's digest."""
    summary: str
    """The circuit in words."""
    quantum_flops_profiler: int
    quantum_flops_analytic: int
    classical_flops: int
    parameters: int
    val_accuracy: float
    val_accuracy_std: float | None
    """Over the repeats; None if there is one."""
    seconds: float
    """Spent by this trial: near nothing if it was reused."""
    worker: str
    reused_from: int | None
    """The trial whose training serves this one too."""

    @classmethod
    def of_evaluation(cls, genome: Genome, evaluation: Evaluation, *, worker: str) -> Self:
        return cls(
            circuit=genome.circuit.digest,
            summary=str(genome.circuit),
            quantum_flops_profiler=evaluation.quantum_flops_profiler,
            quantum_flops_analytic=evaluation.quantum_flops_analytic,
            classical_flops=evaluation.classical_flops,
            parameters=evaluation.parameters,
            val_accuracy=evaluation.val_accuracy,
            val_accuracy_std=evaluation.val_accuracy_std,
            seconds=round(evaluation.seconds, 3),
            worker=worker,
            reused_from=None,
        )

    def to_attributes(self) -> dict[str, Any]:
        """Attributes that say something: those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {name: attributes.get(name) for name in cls.__dataclass_fields__}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A successful trial."""

    trial: int
    generation: int | None
    """None of a trial that NSGA-II did not suggest."""
    genome: Genome
    quantum_flops: int
    """By the study's counter."""
    val_error: float
    record: TrialRecord

    @classmethod
    def of_trial(cls, trial: FrozenTrial) -> Self:
        return cls(
            trial=trial.number,
            generation=trial.system_attrs.get(GENERATION_KEY),
            genome=Genome.from_params(trial.params),
            quantum_flops=int(trial.values[0]),
            val_error=trial.values[1],
            record=TrialRecord.from_attributes(trial.user_attrs),
        )


@dataclass(frozen=True, kw_only=True)
class Search:
    """An Optuna study with what decides it."""

    study: optuna.Study
    config: StudyConfig
    created: str
    """UTC."""
    data_fingerprint: str
    sizes: Mapping[str, int]
    """Samples in the parts `train`, `validation` and `test`."""
    reference_point: tuple[float, float]
    """(quantum FLOPs, validation error) that no candidate exceeds; hypervolumes are shares of this box."""

    @property
    def name(self) -> str:
        return self.study.study_name

    @contextmanager
    def existing(self) -> Iterator[None]:
        """Do something with the study's trials, unless somebody has deleted it, as one can with Optuna's own tools.

        Raises:
            StudyNotFoundError: it was deleted, before or meanwhile. A new one may be in its place, with the same ids on SQLite:
                results of the old one must not become results of the new one.
        """
        self._check_existence()
        try:
            yield
        except KeyError:
            self._check_existence()
            raise

    def _check_existence(self) -> None:
        description = get_study_user_attr(self.study, DESCRIPTION)
        if description is None or description["created"] != self.created:
            raise StudyNotFoundError(f"study {self.name!r} was deleted meanwhile; see which are left with", command="status")

    def check_data(self, splits: DataSplits) -> None:
        """Refuse data other than those the study was made with.

        Raises:
            StudyMismatchError: the fingerprints differ.
        """
        if splits.fingerprint != self.data_fingerprint:
            raise StudyMismatchError(
                f"study {self.name!r} was made with other data; {splits.name} fingerprint: stored {self.data_fingerprint},"
                f" here {splits.fingerprint}; use the same files, or start another study with --study"
            )

    def check_versions(self) -> None:
        """Refuse versions that may mean other things by the same words; remember others that may give other numbers.

        Raises:
            StudyMismatchError: Optuna's or this package's series differs.
        """
        stored, here = self.study.user_attrs[DESCRIPTION]["versions"], versions()
        if breaking := [package for package in SERIES if _series(package, stored) != _series(package, here)]:
            found = "; ".join(f"{package}: stored {stored[package]}, here {here[package]}" for package in breaking)
            raise StudyMismatchError(
                f"study {self.name!r} was made with other versions: {found}; install those, or start another study with --study"
            )
        if stored != here:
            digest = hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()[:8]
            self.study.set_user_attr(f"versions:{digest}", here)

    def check_config(self, asked: StudyConfig) -> None:
        """Refuse a configuration other than the stored one.

        Raises:
            StudyMismatchError: names every setting that differs.
        """
        if found := differences(self.config, asked):
            only_limit = [line.partition(":")[0] for line in found] == ["search.generations"]
            raise StudyMismatchError(
                f"study {self.name!r} exists with other settings: {'; '.join(found)};"
                " ask for the stored ones, or start another study with --study" + (", or run" if only_limit else ""),
                command=f"resume {self.name} --generations N" if only_limit else None,
            )


def create(storage: BaseStorage, name: str, config: StudyConfig, splits: DataSplits) -> Search:
    """Make a study. The caller holds the storage's creation lock.

    Raises:
        ConfigError: the name is none that every database and file system takes, or belongs to a study that is not ours.
    """
    check_name(name)
    description = {
        "config": config.model_dump(mode="json"),
        "data_fingerprint": splits.fingerprint,
        "sizes": {part: len(getattr(splits, part)) for part in ("train", "validation", "test")},
        "reference_point": reference_point(config),
        # To the microsecond: it tells a study from a later one of the same name.
        "created": datetime.now(UTC).isoformat(),
        "versions": versions(),
    }
    directions = [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
    study = optuna.create_study(
        storage=storage, study_name=name, directions=directions, sampler=_sampler(config), load_if_exists=True
    )
    # What is there already must be what an interrupted creation leaves: nothing.
    if study.directions != directions or study.user_attrs or study.get_trials(deepcopy=False):
        raise ConfigError(f"there is a study {name!r} that faqnas-optuna did not make; choose another name with --study")
    with warnings.catch_warnings():
        # Marked experimental since Optuna 3.2; the dashboard labels its axes with it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(METRICS)
    study.set_user_attr(DESCRIPTION, description)
    return _search(study, description)


def open_or_create(storage: BaseStorage, name: str, config: StudyConfig, splits: DataSplits) -> Search:
    """Go on with the study of this name, or make it. The caller holds the storage's creation lock.

    Raises:
        StudyMismatchError: it exists with other settings or other data.
    """
    try:
        search = load(storage, name)
    except StudyNotFoundError:
        return create(storage, name, config, splits)
    search.check_config(config)
    search.check_versions()
    search.check_data(splits)
    return search


def load(storage: BaseStorage, name: str) -> Search:
    """Open a study that exists.

    Raises:
        ConfigError: no study can have this name.
        StudyNotFoundError: there is no study of this name, or it is not one of ours.
    """
    check_name(name)
    try:
        study = optuna.load_study(storage=storage, study_name=name)
        description = study.user_attrs.get(DESCRIPTION)
    except KeyError as error:
        if known := names(storage):
            raise StudyNotFoundError(f"there is no study {name!r}{did_you_mean(name, known)}") from error
        told = f"there is no study {name!r}, nor any other; begin one with"
        raise StudyNotFoundError(told, command="start --dataset wine") from error
    if description is None:
        raise StudyNotFoundError(f"study {name!r} was not made by faqnas-optuna; choose another name with --study")
    search = _search(study, description)
    study.sampler = _sampler(search.config)
    return search


def names(storage: BaseStorage) -> list[str]:
    """The studies of a storage that are ours, by name."""
    # Not Optuna's summaries: they read all trials.
    return sorted(study.study_name for study in storage.get_all_studies() if DESCRIPTION in study.user_attrs)


def stored_limits(search: Search) -> SearchConfig:
    """The limits as they are now: somebody may have raised them since this worker came."""
    description = search.study.user_attrs[DESCRIPTION]
    return StudyConfig.from_settings(description["config"], source=f"study {search.name!r}").search


def save_limit(search: Search, generations: int) -> Search:
    """Store a new limit of generations; the sampler knows nothing of it."""
    limits = search.config.search.model_copy(update={"generations": generations})
    config = search.config.model_copy(update={"search": limits})
    description = search.study.user_attrs[DESCRIPTION] | {"config": config.model_dump(mode="json")}
    search.study.set_user_attr(DESCRIPTION, description)
    return replace(search, config=config)


def reference_point(config: StudyConfig) -> tuple[float, float]:
    """A tenth more quantum FLOPs than the dearest circuit of the space, and an error of 1.

    Both counts grow with qubits and depth, so the dearest circuit is among the largest ones.
    """
    largest = config.space.genes | {"n_qubits": (max(config.space.n_qubits),), "depth": (max(config.space.depth),)}
    count = analytic_flops if config.flops is FlopsCounter.ANALYTIC else profiler_flops
    circuits = {genome.circuit for genome in enumerate_genomes(largest)}
    return 1.1 * max(count(circuit) for circuit in circuits), 1.0


def check_name(name: str) -> None:
    """Raises:
    ConfigError: the name of a study has other characters than letters, digits, and . _ -
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"a study's name has 1 to 100 letters, digits and . _ - and begins with a letter or digit; it is {name[:40]!r}"
        )


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = ("faqnas-optuna", "optuna", "torch", "pennylane", "numpy", "scikit-learn")
    return {"python": sys.version.split()[0], **{package: version(package) for package in packages}}


def _series(package: str, found: Mapping[str, str]) -> list[str]:
    return found[package].split(".")[: SERIES[package]]


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sampler(config: StudyConfig) -> SeededNSGAIISampler:
    return SeededNSGAIISampler(config.search, config.space.genes, seed=config.seed)


def _search(study: optuna.Study, description: Mapping[str, Any]) -> Search:
    flops, error = description["reference_point"]
    try:
        config = StudyConfig.from_settings(description["config"], source=f"study {study.study_name!r}")
    except ConfigError as unknown:
        raise StudyMismatchError(
            f"{unknown}; it was made by faqnas-optuna {description['versions']['faqnas-optuna']}: install that"
        ) from unknown
    return Search(
        study=study,
        config=config,
        created=description["created"],
        data_fingerprint=description["data_fingerprint"],
        sizes=description["sizes"],
        reference_point=(flops, error),
    )
