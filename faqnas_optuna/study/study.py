"""Interface of stored studies, which searches and confirmations implement.

Workers, status and dashboard use this interface and do not distinguish the two kinds.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from faqnas_optuna.config import SearchConfig, StudyConfig, file_suffix
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.loading import Files, load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.errors import ConfigError, DamagedStudyError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.storage.bulk_trials import NewTrial
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.metadata import StudyMetadata, our_studies
from faqnas_optuna.study.stopping import Stop
from faqnas_optuna.study.work import Evaluate, Lock, Progress, RunTrial, WorkerAction

DIRECTIONS = [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
# Before version 1.0 of this package, a minor version may change the meaning of settings.
SERIES = {"faqnas-optuna": 2, "optuna": 1}
"""Number of leading parts of a version that must be equal for all workers of a study, by package."""
MAX_NAME_LENGTH = 100
"""Maximum number of characters of a study's name."""
NAME_PATTERN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_LENGTH - 1}}}")
"""Pattern of names that are valid in every database and as the name of a file."""

State = TypeVar("State")
"""Type of the state of a kind of study."""


@dataclass(frozen=True, kw_only=True)
class StoredStudy(ABC, Generic[State]):
    """Optuna study with the description that decides its results."""

    result_attribute: ClassVar[str]
    """Name of an attribute that every successful trial of this package has; others were added by other programs."""
    study: optuna.Study
    description: Description
    """Description when the study was loaded."""

    @abstractmethod
    def new_state(self) -> State:
        """Return an empty state of the study, which the caller refreshes."""

    @property
    @abstractmethod
    def planned(self) -> int:
        """Number of successful trials that the study needs, unless it stops earlier."""

    @abstractmethod
    def damage(self, trial: FrozenTrial) -> str | None:
        """Describe the damage of a stored trial, to follow the name of the study in an error; return None if it is valid."""

    @abstractmethod
    def subject(self, trial: FrozenTrial) -> str | None:
        """Describe the network that a trial trains; return None if the trial has not stored it yet."""

    @abstractmethod
    def advance(self, state: State, *, lock: Lock = study_lock) -> WorkerAction:
        """Store the decisions that are due in the study, and return the next action of its workers.

        Args:
            state: State of the study, refreshed just before.
            lock: Exclusive lock, held while a decision is made and stored.
        """

    @abstractmethod
    def wants_trials(self, state: State) -> bool:
        """Return whether the trial of a dead worker should be requeued."""

    @abstractmethod
    def next_trial(self, state: State, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        """Begin a trial; return None if no trial should be run now.

        Args:
            state: State of the study as of the last refresh.
            lock: Exclusive lock, held if workers must begin trials one at a time.
            may_begin: Called just before the trial begins; returns False if it must not begin.
        """

    @abstractmethod
    def objective(self, state: State, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> RunTrial:
        """Return the function that runs a trial.

        Args:
            state: State of the study; the caller refreshes it before each trial.
            splits: Data of the study.
            worker: Name of this process, stored with each trial.
            evaluate: Function that counts and trains a circuit; None for `training.evaluation.evaluate`.
        """

    @abstractmethod
    def priority(self, state: State) -> tuple[int, int]:
        """Return the progress of the study as a sort key; of several studies, the one with the lowest key is served first."""

    @abstractmethod
    def progress(self, state: State) -> Progress:
        """Return the progress of the study, for display while it runs."""

    @abstractmethod
    def status(self, state: State) -> dict[str, Any]:
        """Return the status of the study and its workers, as values for JSON."""

    @abstractmethod
    def check_resumable(self, *, generations: int | None = None, trials: int | None = None) -> SearchConfig:
        """Return the limits of the study after a resumption.

        Args:
            generations: New limit of generations; None for the stored one.
            trials: New limit of successful trials; None for the stored one.

        Raises:
            ConfigError: The limits leave no trial to run.
        """

    @abstractmethod
    def continuation(self) -> str:
        """Return the command, without the program's name, that resumes the study or, if it is complete, shows it."""

    def has_result(self, trial: FrozenTrial) -> bool:
        """Return whether a trial is successful and has a result of this package."""
        return trial.state is TrialState.COMPLETE and self.result_attribute in trial.user_attrs

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.study_name

    @property
    def config(self) -> StudyConfig:
        """Settings of the study."""
        return self.description.config

    @property
    def metadata(self) -> StudyMetadata:
        """Access to the attributes of the study in the database."""
        return StudyMetadata(self.study)

    def reload(self) -> Self:
        """Return the study with its present description, which a resumption may have changed."""
        description = self.metadata.description()
        assert description is not None
        return replace(self, description=description)

    def with_limits(self, limits: SearchConfig) -> Self:
        """Store new limits of generations and trials, and return the study with them. The caller holds the study lock."""
        return replace(self, description=self.metadata.change_limits(limits))

    @contextmanager
    def existing(self) -> Iterator[None]:
        """Run the block only if the study has not been deleted, as it can be with Optuna's tools.

        Raises:
            StudyNotFoundError: The study was deleted before or during the block.
        """
        # On SQLite a new study may have the ids of the deleted one. Results of the old study must not become results of the
        # new one.
        self.stop()
        with self.if_it_exists():
            yield

    @contextmanager
    def if_it_exists(self) -> Iterator[None]:
        """Translate `KeyError` of the block if the study has been deleted, without the check of `existing` before the block.

        Raises:
            StudyNotFoundError: The study was deleted.
        """
        try:
            yield
        except KeyError:
            # Optuna raises it for a study or trial that it does not find.
            self.stop()
            raise

    def stop(self) -> Stop | None:
        """Return when and why the study has stopped; None while it runs.

        Raises:
            StudyNotFoundError: The study was deleted.
        """
        # The time of creation distinguishes the study from a later one of the same name.
        created, stop = self.metadata.created_and_stop()
        if created != self.description.created:
            raise StudyNotFoundError(f"study {self.name!r} was deleted; list the remaining studies with", command="status")
        return stop

    def trials(self) -> list[FrozenTrial]:
        """Read all trials, sorted by number.

        Raises:
            DamagedStudyError: A trial is damaged.
        """
        trials = self.study.get_trials(deepcopy=False)
        self.check_trials(trials)
        return trials

    def trial(self, number: int) -> FrozenTrial:
        """Read the trial with a number.

        Raises:
            StudyNotFoundError: The study has no trial with this number.
            DamagedStudyError: A trial is damaged.
        """
        # The number is not the index in the list if trials were deleted.
        trials = {trial.number: trial for trial in self.trials()}
        if number not in trials:
            have = f"0 to {max(trials)}" if trials else "none yet"
            raise StudyNotFoundError(f"study {self.name!r} has no trial {number}; it has {have}")
        return trials[number]

    def check_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Refuse damaged trials.

        Raises:
            DamagedStudyError: A trial is damaged; the message names the first one.
        """
        for trial in trials:
            reason = self.damage(trial)
            if reason:
                raise DamagedStudyError.of(self.name, reason)

    def check_data(self, splits: DataSplits) -> None:
        """Refuse data that differ from those with which the study was created.

        Raises:
            StudyMismatchError: The fingerprints differ.
        """
        fingerprint = self.description.data_fingerprint
        if splits.fingerprint != fingerprint:
            raise StudyMismatchError(
                f"study {self.name!r} was made with other data; {splits.name} fingerprint: stored {fingerprint},"
                f" here {splits.fingerprint}; use the same files, or start another study with --study"
            )

    def check_versions(self) -> None:
        """Refuse incompatible versions, and record other versions that may affect results.

        Raises:
            StudyMismatchError: Optuna or this package is of another series.
        """
        self.check_series()
        here = versions()
        if self.description.versions != here:
            self.metadata.record_versions(here)

    def check_series(self) -> None:
        """Refuse incompatible versions.

        Raises:
            StudyMismatchError: Optuna or this package is of another series.
        """
        # Another series may give another meaning to the same settings. Other differences may change numbers in the last digits.
        original = self.description.versions
        here = versions()
        incompatible = [package for package in SERIES if _series(package, original) != _series(package, here)]
        if incompatible:
            listed = "; ".join(f"{package}: stored {original[package]}, here {here[package]}" for package in incompatible)
            raise StudyMismatchError(
                f"study {self.name!r} was made with other versions: {listed}; install those, or start another study with"
                " --study"
            )


def create_study(storage: BaseStorage, name: str, description: Description, queued: Sequence[NewTrial] = ()) -> optuna.Study:
    """Create a study with its description and its first trials. The caller holds the lock of the storage.

    Raises:
        ConfigError: The name is invalid, or belongs to a study that this package did not create.
    """
    check_name(name)
    # A creation that a crash or an outage has interrupted is completed here.
    study = optuna.create_study(storage=storage, study_name=name, directions=DIRECTIONS, load_if_exists=True)
    metadata = StudyMetadata(study)
    # An existing study must be empty, as an interrupted creation leaves it.
    if study.directions != DIRECTIONS or not metadata.is_blank() or study.get_trials(deepcopy=False):
        raise ConfigError(f"there is a study {name!r} that faqnas-optuna did not make; choose another name with --study")
    metadata.describe(description, queued)
    return study


def load_stored(storage: BaseStorage, name: str) -> tuple[optuna.Study, Description]:
    """Load an existing study of either kind with its description.

    Raises:
        ConfigError: The name is invalid.
        StudyNotFoundError: No study has this name, or this package did not create it.
        StudyMismatchError: Another version of this package created the study, and this one cannot read its description.
        DamagedStudyError: The description of the study is damaged.
    """
    check_name(name)
    try:
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError as error:
        names = list(our_studies(storage))
        if names:
            raise StudyNotFoundError(f"there is no study {name!r}{did_you_mean(name, names)}") from error
        message = f"there is no study {name!r} and no other study of faqnas-optuna; start one with"
        raise StudyNotFoundError(message, command="start --dataset wine") from error
    description = StudyMetadata(study).description()
    if description is None:
        raise StudyNotFoundError(
            f"study {name!r} was not created by faqnas-optuna; list those that were with", command="status"
        )
    if study.directions != DIRECTIONS:
        directions = ", ".join(direction.name.lower() for direction in study.directions) or "none"
        raise DamagedStudyError.of(name, f"both objectives must be minimised; its directions are: {directions}")
    return study, description


def load_data(study: StoredStudy[Any], data_dir: Path | None, *, files: Files | None = None) -> DataSplits:
    """Load the data of a study.

    Args:
        data_dir: Directory of the data files; None for their last known paths, and for the user's cache for IDX files.
        files: Paths of the data files; None for the paths when the study was created.

    Raises:
        DataError: The data are not on this machine, or cannot be used.
        StudyMismatchError: Data or installed versions differ from those with which the study was created.
    """
    # Before the data: with other versions the fingerprints may differ for reasons that the user cannot see.
    study.check_versions()
    description = study.description
    non_numeric = description.schema or None
    splits = load_splits(study.config, files=files or description.files, data_dir=data_dir, non_numeric=non_numeric)
    study.check_data(splits)
    return splits


def default_name(dataset: str) -> str:
    """Return the default name of a study: that of its data set or file, without suffix and invalid characters.

    Raises:
        ConfigError: No character of the file name is valid in the name of a study.

    >>> default_name("patients 2024.csv")
    'patients-2024'
    """
    # A suffix may have two parts, such as .csv.gz.
    suffix = file_suffix(dataset) or ""
    name = dataset[: len(dataset) - len(suffix)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:100]
    if not name:
        raise ConfigError(f"the file name {dataset!r} gives no name for a study; choose one with --study")
    return name


def check_name(name: str) -> None:
    """Refuse an invalid name of a study.

    Raises:
        ConfigError: The name does not match `NAME_PATTERN`.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"a study's name has 1 to 100 letters, digits and . _ - and begins with a letter or digit; it is {name[:40]!r}"
        )


def versions() -> dict[str, str]:
    """Return the installed versions that may affect results, by package, and the model of the processor."""
    packages = ("faqnas-optuna", "optuna", "torch", "pennylane", "numba", "numpy", "scikit-learn")
    # numba compiles for the processor, which decides the order of summands and so the last bits of results.
    machine = {"python": sys.version.split()[0], "processor": processor()}
    return machine | {package: version(package) for package in packages}


def _series(package: str, versions_by_package: Mapping[str, str]) -> list[str]:
    """Return the leading parts of a package's version that must be equal for all workers."""
    return versions_by_package[package].split(".")[: SERIES[package]]
