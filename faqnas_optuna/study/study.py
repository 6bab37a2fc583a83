"""A search as an Optuna study: creating it, loading it, and refusing whoever comes with something else."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from faqnas_optuna.config import StudyConfig, file_suffix
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.loading import Files, load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.errors import ConfigError, DamagedStudyError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.study.checks import RESULT, damage
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.metadata import Description, Finalist, StudyMetadata, our_studies
from faqnas_optuna.study.sampler import SeededNSGAIISampler
from faqnas_optuna.study.stopping import Stop
from faqnas_optuna.study_file import differences
from faqnas_optuna.training.reliability import Reliability

DIRECTIONS = [StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
SERIES = {"faqnas-optuna": 2, "optuna": 1}
"""How many parts of a version must agree between workers of one study."""
LONGEST_NAME = 100
NAME_PATTERN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True, kw_only=True)
class Search:
    """An Optuna study with what decides it."""

    study: optuna.Study
    description: Description
    """As it was when the study was loaded."""

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

    @property
    def is_confirmation(self) -> bool:
        """Whether it trains finalists of another study anew, rather than search."""
        return self.description.confirms is not None

    def as_it_is_now(self) -> Self:
        """With the description as somebody may have changed it since."""
        description = self.metadata.description()
        assert description is not None
        return replace(self, description=description)

    def with_confirms(self, finalists: Iterable[Finalist], *, seeds: int | None) -> Self:
        """A confirmation with more finalists, or seeds, written down. The caller holds the study lock."""
        return replace(self, description=self.metadata.extend(finalists, seeds=seeds))

    def with_limit(self, generations: int) -> Self:
        """The same with a new limit of generations, written down. The caller holds the study lock."""
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
            if reason := damage(trial, self.config, is_confirmation=self.is_confirmation):
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

    def check_config(self, asked: StudyConfig) -> None:
        """Refuse a configuration other than the stored one; and any, if the study is no search.

        Raises:
            StudyMismatchError: names every setting that differs.
        """
        if self.is_confirmation:
            raise StudyMismatchError(f"study {self.name!r} is a confirmation, no search; choose another name with --study")
        if found := differences(self.config, asked):
            only_limit = [line.partition(":")[0] for line in found] == ["search.generations"]
            raise StudyMismatchError(
                f"study {self.name!r} exists with other settings: {'; '.join(found)};"
                " ask for the stored ones, or start another study with --study" + (", or run" if only_limit else ""),
                command=f"resume {self.name} --generations N" if only_limit else None,
            )


def create(
    storage: BaseStorage,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    *,
    reliability: Reliability | None = None,
    files: Files | None = None,
) -> Search:
    """Make a study. The caller holds the lock of the storage.

    Args:
        reliability: of one training, if it was measured.
        files: where the data are, if they are files.

    Raises:
        ConfigError: the name is none that every database and file system takes, or belongs to a study that is not ours.
    """
    description = Description(
        config=config,
        data_fingerprint=splits.fingerprint,
        sizes={part: len(getattr(splits, part)) for part in ("train", "validation", "test")},
        flops_range=cost_range(config),
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        reliability=reliability,
        files=files and files.absolute,
        columns=splits.columns,
        schema=splits.schema.exceptions if files else {},
        majority=splits.majority,
    )
    return create_described(storage, name, description)


def create_described(storage: BaseStorage, name: str, description: Description) -> Search:
    """Make a study of which all is known. The caller holds the lock of the storage.

    Raises:
        ConfigError: the name is none that every database and file system takes, or belongs to a study that is not ours.
    """
    check_name(name)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=DIRECTIONS, sampler=_sampler(description), load_if_exists=True
    )
    metadata = StudyMetadata(study)
    # What is there already must be what an interrupted creation leaves: nothing.
    if study.directions != DIRECTIONS or not metadata.is_blank() or study.get_trials(deepcopy=False):
        raise ConfigError(f"there is a study {name!r} that faqnas-optuna did not make; choose another name with --study")
    metadata.describe(description)
    return Search(study=study, description=description)


def open_or_create(
    storage: BaseStorage,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    *,
    reliability: Reliability | None = None,
    files: Files | None = None,
) -> Search:
    """Go on with the study of this name, or make it. The caller holds the lock of the storage.

    Args:
        reliability: of one training, if it was measured.
        files: where the data are, if they are files.

    Raises:
        StudyMismatchError: it exists with other settings or other data.
    """
    search = check_existing(storage, name, config)
    if search is None:
        return create(storage, name, config, splits, reliability=reliability, files=files)
    search.check_data(splits)
    return search


def check_existing(storage: BaseStorage, name: str, config: StudyConfig, *, any_repeats: bool = False) -> Search | None:
    """The study of this name, if there is one and it agrees: known before any data are read.

    Args:
        any_repeats: whether it may have any number of repeats.

    Raises:
        StudyMismatchError: it exists with other settings, or was made by other versions.
    """
    try:
        search = load(storage, name)
    except StudyNotFoundError:
        return None
    search.check_config(config.with_repeats(search.config.training.repeats) if any_repeats else config)
    search.check_versions()
    return search


def load(storage: BaseStorage, name: str) -> Search:
    """Open a study that exists.

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
    study.sampler = _sampler(description)
    return Search(study=study, description=description)


def load_data(search: Search, data_dir: Path | None, *, files: Files | None = None) -> DataSplits:
    """The data of a study.

    Args:
        data_dir: where its files are; None for where they were, and for IDX files the user's cache directory.
        files: where they are said to be; None for where they were when the study was made.

    Raises:
        DataError: it is not on this machine.
        StudyMismatchError: it is, but it or the versions installed here differ from what the study was made with.
    """
    search.check_versions()
    described = search.description
    exceptions = described.schema or None
    splits = load_splits(search.config, files=files or described.files, data_dir=data_dir, exceptions=exceptions)
    search.check_data(splits)
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


def _sampler(description: Description) -> BaseSampler:
    config = description.config
    if description.confirms is None:
        return SeededNSGAIISampler(
            config.search, config.space.genes, seed=config.seed, counts=lambda trial: RESULT in trial.user_attrs
        )
    # All that a confirmation trains is queued.
    return RandomSampler(seed=config.seed)
