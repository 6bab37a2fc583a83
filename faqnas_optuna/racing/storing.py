"""Results of races as the trials of an Optuna study, and back as text."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage

from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.loading import Files
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.racing.certification import LEVEL
from faqnas_optuna.racing.plan import Entry, RacePlan
from faqnas_optuna.racing.running import RaceResult
from faqnas_optuna.storage.bulk_trials import NewTrial
from faqnas_optuna.storage.opening import study_lock, with_empty_cache
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.lifecycle import author
from faqnas_optuna.study.metadata import utc_now
from faqnas_optuna.study.race_study import RaceStudy
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.records import RaceRecord, TrialRecord
from faqnas_optuna.study.stopping import Stop, StopReason
from faqnas_optuna.study.study import create_study, load_stored, versions
from faqnas_optuna.study_file import differences
from faqnas_optuna.training.values import ValidationScores


def open_race(storage: BaseStorage, name: str, config: StudyConfig | None) -> RaceStudy | None:
    """Return the race of this name if it exists and agrees with a configuration; None if it does not exist.

    Args:
        config: Configuration to compare; None for any.

    Raises:
        StudyMismatchError: The study is not a race, or has other settings.
    """
    try:
        study, description = load_stored(storage, name)
    except StudyNotFoundError:
        return None
    if description.race is None:
        raise StudyMismatchError(f"study {name!r} is not a race; choose another name with --study")
    lines = differences(description.config, config) if config else []
    if lines:
        raise StudyMismatchError(
            f"race {name!r} exists with other settings: {'; '.join(lines)}; use the stored ones, or start another race with"
            " --study"
        )
    return RaceStudy.of(study, description)


def create_race(
    storage: BaseStorage,
    name: str,
    plan: RacePlan,
    splits: DataSplits,
    *,
    budget: int,
    sample: int | None,
    among: str | None,
    files: Files | None,
) -> RaceStudy:
    """Create the study of a race, without trials. The caller holds the lock of the storage.

    Raises:
        ConfigError: The name is invalid, or belongs to a study that this package did not create.
    """
    description = Description(
        config=plan.config,
        data_fingerprint=splits.fingerprint,
        sizes={part: len(getattr(splits, part)) for part in ("train", "validation", "test")},
        flops_range=cost_range(plan.config),
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        files=files and files.absolute,
        columns=splits.columns,
        schema=splits.schema.non_numeric if files else {},
        n_features=splits.n_features,
        n_classes=splits.n_classes,
        majority=splits.majority,
        race=RaceSummary(
            sample=sample,
            among=among,
            budget=budget,
            within=None,
            level=LEVEL,
            resplit=plan.resplit,
        ),
    )
    return RaceStudy.of(create_study(storage, name, description), description)


def store_result(study: RaceStudy, plan: RacePlan, result: RaceResult, within: float | None) -> RaceStudy:
    """Replace the trials of a race by its result, and return the study."""
    genes = plan.config.space.genes
    summary = replace(
        study.race,
        within=within,
        trainings=int(result.trainings.sum()),
        costs=len(np.unique(plan.costs)),
        epsilon=result.epsilon,
        is_complete=result.is_complete,
    )
    distributions = {gene: CategoricalDistribution(choices) for gene, choices in genes.items()}
    trials = _trials(plan, result)
    with study_lock(study.study), study.existing():
        stop = Stop(reason=StopReason.RACED, at=utc_now(), by=author()) if result.is_complete else None
        study.metadata.store_race(summary, stop, trials, distributions)
    # The former trials may be in the cache, and on SQLite the new ones have the same ids.
    return RaceStudy.of(*load_stored(with_empty_cache(storage_of(study.study)), study.name))


def _trials(plan: RacePlan, result: RaceResult) -> list[NewTrial]:
    is_on_front = np.isin(np.arange(len(plan.entries)), result.front).tolist()
    rows = zip(
        plan.entries,
        result.means.tolist(),
        result.trainings.tolist(),
        result.low.tolist(),
        result.high.tolist(),
        result.certain.tolist(),
        result.possible.tolist(),
        is_on_front,
        strict=True,
    )
    return [
        _trial(
            entry,
            plan.config,
            mean,
            RaceRecord(
                trainings=trainings, score_low=low, score_high=high, certain=certain, possible=possible, on_front=on_front
            ),
        )
        for entry, mean, trainings, low, high, certain, possible, on_front in rows
    ]


def _trial(entry: Entry, config: StudyConfig, mean: float, race: RaceRecord) -> NewTrial:
    circuit = entry.genome.circuit
    record = TrialRecord(
        circuit=circuit.digest,
        summary=str(circuit),
        effective=entry.effective.digest,
        costs=entry.costs,
        scores=ValidationScores(
            val_accuracy=config.score.of(accuracy=mean, balanced=None),
            val_accuracy_std=None,
            val_balanced_accuracy=config.score.of(accuracy=None, balanced=mean),
            val_balanced_accuracy_std=None,
        ),
        seconds=None,
        worker=None,
        reused_from=None,
    )
    return NewTrial(
        params=entry.genome.to_params(), values=(entry.cost, 1 - mean), user_attrs=record.to_attributes() | vars(race)
    )


def check_request(study: RaceStudy, *, trainings: int | None, sample: int | None, among: str | None, resplit: bool) -> None:
    """Check that the requested settings of a race agree with the stored ones.

    Args:
        trainings: Requested budget; None for any.
        sample: Requested number of random circuits; None for any.
        among: Requested search whose circuits are raced; None for any.
        resplit: Whether new splits are requested; False for any.

    Raises:
        StudyMismatchError: Other settings are requested.
    """
    # Options that are left out keep the stored settings.
    race = study.race
    settings = {
        "trainings": (race.budget, trainings),
        "sample": (race.sample, sample),
        "among": (race.among, among),
        "resplit": (race.resplit, resplit or None),
    }
    lines = [
        f"{name}: stored {stored}, requested {requested}"
        for name, (stored, requested) in settings.items()
        if requested not in (None, stored)
    ]
    if lines:
        raise StudyMismatchError(
            f"race {study.name!r} exists with other settings: {'; '.join(lines)}; leave them out to use the stored ones, or"
            " start another race with --study"
        )


def check_first_round(plan: RacePlan, trainings: int) -> None:
    """Check that a budget suffices to train every circuit once.

    Raises:
        ConfigError: The budget is too small.
    """
    if trainings < len(plan.entries):
        raise ConfigError(
            f"a race trains each of its {len(plan.entries):,} circuits at least once, but the budget is {trainings:,}"
            " trainings; raise --trainings or --seconds, or race a random sample with --sample N"
        )
