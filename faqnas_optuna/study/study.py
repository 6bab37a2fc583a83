"""The interface of a stored study, which a search and a confirmation implement.

Whatever runs, follows or shows a study uses this interface, and does not ask which of the two it has.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from faqnas_optuna.config import StudyConfig, file_suffix
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.loading import Files, load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.errors import ConfigError, DamagedStudyError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.metadata import Description, StudyMetadata, our_studies
from faqnas_optuna.study.stopping import Stop
from faqnas_optuna.study.work import Evaluate, Lock, Progress, RunTrial, WorkerAction

DIRECTIONS = [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
SERIES = {"faqnas-optuna": 2, "optuna": 1}
"""How many parts of a version must agree between workers of one study."""
LONGEST_NAME = 100
NAME_PATTERN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")

State = TypeVar("State")
"""The state of a study of one kind."""


@dataclass(frozen=True, kw_only=True)
class StoredStudy(ABC, Generic[State]):
    """An Optuna study with the description that decides it."""

    result_attribute: ClassVar[str]
    """Attribute of each successful trial of ours; a trial without it was put there by somebody else."""
    study: optuna.Study
    description: Description
    """As it was when the study was loaded."""

    @abstractmethod
    def new_state(self) -> State:
        """Return an empty state of the study, to be refreshed."""

    @property
    @abstractmethod
    def planned(self) -> int:
        """Number of successful trials that the study needs, unless it stops sooner."""

    @abstractmethod
    def damage(self, trial: FrozenTrial) -> str | None:
        """Return what is wrong with a stored trial, to be read after the study's name; None if nothing is."""

    @abstractmethod
    def subject(self, trial: FrozenTrial) -> str | None:
        """Return in words what a trial trains; None while it has not stored that."""

    @abstractmethod
    def advance(self, state: State, *, lock: Lock = study_lock) -> WorkerAction:
        """Write down what is due in the study, and say what its workers do next.

        Args:
            state: the study, read just now.
            lock: holds off the other workers while a decision is made and written.
        """

    @abstractmethod
    def wants_trials(self, state: State) -> bool:
        """Whether a trial whose worker is gone is worth running again."""

    @abstractmethod
    def next_trial(self, state: State, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        """Begin a trial.

        Args:
            state: the study, as it was read last.
            lock: holds off the other workers.
            may_begin: called just before the trial begins; False if it must not.

        Returns:
            None if there is no trial to run now.
        """

    @abstractmethod
    def objective(self, state: State, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> RunTrial:
        """Return what a worker does in a trial.

        Args:
            state: the study; the caller refreshes it before each trial.
            splits: its data.
            worker: the name of this process, kept with the trial.
            evaluate: counts and trains a circuit; None for `training.evaluation.evaluate`.
        """

    @abstractmethod
    def priority(self, state: State) -> tuple[int, int]:
        """Return how far the study is, comparable with other studies: of several the least advanced is served first."""

    @abstractmethod
    def progress(self, state: State) -> Progress:
        """Return how far the study is, to be shown while it runs."""

    @abstractmethod
    def status(self, state: State) -> dict[str, Any]:
        """Return how far the study is and who works on it, as plain values."""

    @abstractmethod
    def check_resumable(self, *, generations: int | None = None) -> int:
        """Return the limit of generations with which the study would go on.

        Args:
            generations: the new limit; None for the stored one.

        Raises:
            ConfigError: the study cannot go on with this limit.
        """

    @abstractmethod
    def continuation(self) -> str:
        """Return the command that goes on with the study, or else shows it, to be typed after `faqnas-optuna`."""

    def has_result(self, trial: FrozenTrial) -> bool:
        """Whether a trial is successful and has a result of ours."""
        return trial.state is TrialState.COMPLETE and self.result_attribute in trial.user_attrs

    @property
    def name(self) -> str:
        """The study's."""
        return self.study.study_name

    @property
    def config(self) -> StudyConfig:
        """The study's settings."""
        return self.description.config

    @property
    def metadata(self) -> StudyMetadata:
        """What the study keeps beside its trials, as it is now."""
        return StudyMetadata(self.study)

    def as_it_is_now(self) -> Self:
        """With the description as somebody may have changed it since."""
        description = self.metadata.description()
        assert description is not None
        return replace(self, description=description)

    def with_limit(self, generations: int) -> Self:
        """Write a new limit of generations into the study, and return it with that. The caller holds the study lock."""
        return replace(self, description=self.metadata.raise_limit(generations))

    @contextmanager
    def existing(self) -> Iterator[None]:
        """Do something with the study's trials, unless somebody has deleted it, as one can with Optuna's own tools.

        Raises:
            StudyNotFoundError: it was deleted, before or meanwhile. A new one may be in its place, with the same ids on SQLite:
                results of the old one must not become results of the new one.
        """
        self.stop()
        with self.if_it_exists():
            yield

    @contextmanager
    def if_it_exists(self) -> Iterator[None]:
        """The same, without a look beforehand: what Optuna does not find may have been deleted with the study.

        Raises:
            StudyNotFoundError: it was deleted meanwhile.
        """
        try:
            yield
        except KeyError:
            self.stop()
            raise

    def stop(self) -> Stop | None:
        """Why the study has stopped; None while it runs.

        Raises:
            StudyNotFoundError: it was deleted.
        """
        created, stop = self.metadata.created_and_stop()
        if created != self.description.created:
            raise StudyNotFoundError(f"study {self.name!r} was deleted meanwhile; see which are left with", command="status")
        return stop

    def trials(self) -> list[FrozenTrial]:
        """All trials by number, as they are now.

        Raises:
            DamagedStudyError: one of them is not as a worker has stored it.
        """
        trials = self.study.get_trials(deepcopy=False)
        self.check_trials(trials)
        return trials

    def trial(self, number: int) -> FrozenTrial:
        """Return one trial.

        Raises:
            StudyNotFoundError: the study has no such trial.
            DamagedStudyError: a trial is not as a worker has stored it.
        """
        # Not by its place in the list: others may have been deleted.
        trials = {trial.number: trial for trial in self.trials()}
        if number not in trials:
            have = f"0 to {max(trials)}" if trials else "none yet"
            raise StudyNotFoundError(f"study {self.name!r} has no trial {number}; it has {have}")
        return trials[number]

    def check_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Refuse trials that are not as a worker has stored them.

        Raises:
            DamagedStudyError: names the first of them.
        """
        for trial in trials:
            if reason := self.damage(trial):
                raise DamagedStudyError.of(self.name, reason)

    def check_data(self, splits: DataSplits) -> None:
        """Refuse data other than those the study was made with.

        Raises:
            StudyMismatchError: the fingerprints differ.
        """
        stored = self.description.data_fingerprint
        if splits.fingerprint != stored:
            raise StudyMismatchError(
                f"study {self.name!r} was made with other data; {splits.name} fingerprint: stored {stored},"
                f" here {splits.fingerprint}; use the same files, or start another study with --study"
            )

    def check_versions(self) -> None:
        """Refuse versions that may mean other things by the same words; note others that may give other numbers.

        Raises:
            StudyMismatchError: Optuna's or this package's series differs.
        """
        stored, here = self.description.versions, versions()
        if breaking := [package for package in SERIES if _series(package, stored) != _series(package, here)]:
            found = "; ".join(f"{package}: stored {stored[package]}, here {here[package]}" for package in breaking)
            raise StudyMismatchError(
                f"study {self.name!r} was made with other versions: {found}; install those, or start another study with --study"
            )
        if stored != here:
            self.metadata.note_versions(here)


def create_study(storage: BaseStorage, name: str, description: Description) -> optuna.Study:
    """Make a study with its description. The caller holds the lock of the storage.

    Raises:
        ConfigError: the name is none that every database and file system takes, or belongs to a study that is not ours.
    """
    check_name(name)
    study = optuna.create_study(storage=storage, study_name=name, directions=DIRECTIONS, load_if_exists=True)
    metadata = StudyMetadata(study)
    # What is there already must be what an interrupted creation leaves: nothing.
    if study.directions != DIRECTIONS or not metadata.is_blank() or study.get_trials(deepcopy=False):
        raise ConfigError(f"there is a study {name!r} that faqnas-optuna did not make; choose another name with --study")
    metadata.describe(description)
    return study


def stored(storage: BaseStorage, name: str) -> tuple[optuna.Study, Description]:
    """Return an existing study of either kind with its description.

    Raises:
        ConfigError: no study can have this name.
        StudyNotFoundError: there is no study of this name, or it is not one of ours.
        StudyMismatchError: another version of this package has made it, whose description this one does not understand.
        DamagedStudyError: its description is not what was written.
    """
    check_name(name)
    try:
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError as error:
        if known := list(our_studies(storage)):
            raise StudyNotFoundError(f"there is no study {name!r}{did_you_mean(name, known)}") from error
        told = f"there is no study {name!r}, nor any other of faqnas-optuna; begin one with"
        raise StudyNotFoundError(told, command="start --dataset wine") from error
    description = StudyMetadata(study).description()
    if description is None:
        raise StudyNotFoundError(f"study {name!r} was not made by faqnas-optuna; see which were with", command="status")
    if study.directions != DIRECTIONS:
        told = ", ".join(direction.name.lower() for direction in study.directions) or "none"
        raise DamagedStudyError.of(name, f"both objectives are to be minimised, and its directions are: {told}")
    return study, description


def load_data(study: StoredStudy[Any], data_dir: Path | None, *, files: Files | None = None) -> DataSplits:
    """The data of a study.

    Args:
        data_dir: where its files are; None for where they were, and for IDX files the user's cache directory.
        files: where they are said to be; None for where they were when the study was made.

    Raises:
        DataError: it is not on this machine.
        StudyMismatchError: it is, but it or the versions installed here differ from what the study was made with.
    """
    study.check_versions()
    described = study.description
    exceptions = described.schema or None
    splits = load_splits(study.config, files=files or described.files, data_dir=data_dir, exceptions=exceptions)
    study.check_data(splits)
    return splits


def default_name(dataset: str) -> str:
    """What a study is called if nothing else is said: as its data set, or its file, without what no study's name has.

    Raises:
        ConfigError: nothing of the file's name can be in that of a study.
    """
    suffix = file_suffix(dataset) or ""
    name = dataset[: len(dataset) - len(suffix)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:100]
    if not name:
        raise ConfigError(f"no study can be called after the file {dataset!r}; name it with --study")
    return name


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a study.

    Raises:
        ConfigError: it has other characters than letters, digits, and . _ -
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"a study's name has 1 to 100 letters, digits and . _ - and begins with a letter or digit; it is {name[:40]!r}"
        )


def versions() -> dict[str, str]:
    """Versions of what a result depends on, by package; and the processor, for which numba orders sums."""
    packages = ("faqnas-optuna", "optuna", "torch", "pennylane", "numba", "numpy", "scikit-learn")
    own = {"python": sys.version.split()[0], "processor": processor()}
    return own | {package: version(package) for package in packages}


def _series(package: str, found: Mapping[str, str]) -> list[str]:
    return found[package].split(".")[: SERIES[package]]
