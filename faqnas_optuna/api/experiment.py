"""Experiment from Python."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.api.experiment_estimates import estimates, work_frame
from faqnas_optuna.api.experiment_service import (
    ExperimentHooks,
    ExperimentRun,
    Position,
    check_data,
    complete_studies,
    run_experiment,
)
from faqnas_optuna.api.notebook import execution_on, path_of, program_hooks
from faqnas_optuna.api.progress import ShowRace, progress_bar, race_bar
from faqnas_optuna.api.running import Hooks
from faqnas_optuna.api.settings import DEFAULT_STORAGE, WorkerTimeouts
from faqnas_optuna.api.sources import warn_of_findings
from faqnas_optuna.experiments.plan import Experiment

if TYPE_CHECKING:
    # Importing pandas takes a second.
    from pandas import DataFrame


def experiment(
    settings: Path | str | Mapping[str, Any],
    *,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    workers: int = 1,
    dask: str | None = None,
    grace_s: int = WorkerTimeouts.grace_s,
    database_timeout_s: int = WorkerTimeouts.database_timeout_s,
    progress: bool | None = None,
) -> ExperimentRun:
    """Run an experiment: searches, races and confirmations over data sets, methods, splits and seeds; or continue it.

    Complete studies are skipped. After Ctrl-C, the result has the complete studies; the same call continues.

    Args:
        settings: Experiment file (TOML), or the same settings as a dictionary.
        storage: URL of the database, which is created if it does not exist.
        data_dir: Directory of data files that have moved, and of `mnist`.
        workers: Number of processes that run trials, including this one; or number of workers on the Dask cluster.
        dask: Address of a Dask scheduler, or its scheduler file, to run the workers on its cluster.
        grace_s: Time after which trials of silent workers are requeued.
        database_timeout_s: Maximum time to wait for a database that is not available.
        progress: Whether to show a progress bar; None to show it in notebooks and on terminals.

    Raises:
        CallInterrupted: A signal arrived before the first study was complete.
        ConfigError: A setting is unknown or has an invalid value.
        DataError: The data are unknown or unusable.
        FailuresError: Several trials of a study in a row failed.
        StudyMismatchError: A study of the experiment exists with other settings.
    """
    plan = _plan(settings)
    with execution_on(storage, workers, dask, grace_s, database_timeout_s) as execution:
        return run_experiment(plan, execution, _hooks(progress), data_dir=path_of(data_dir))


def experiment_work(
    settings: Path | str | Mapping[str, Any],
    *,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    workers: int = 1,
) -> "DataFrame":
    """Return the remaining work of an experiment, without running it.

    Args:
        settings: Experiment file (TOML), or the same settings as a dictionary.
        storage: URL of the database, which may not exist.
        data_dir: Directory of data files that have moved, and of `mnist`.
        workers: Number of processes that would run trials.

    Returns:
        A row per data set and method, with the number of studies that are not complete, the maximum numbers of trainings of
        their searches and confirmations, and the expected duration in seconds.

    Raises:
        ConfigError: A setting is unknown or has an invalid value.
        DataError: The data are unknown or unusable.
        StudyMismatchError: A study of the experiment exists with other settings.
    """
    plan = _plan(settings)
    directory = path_of(data_dir)
    check_data(plan, directory)
    timeouts = WorkerTimeouts()
    with execution_on(storage, workers, None, timeouts.grace_s, timeouts.database_timeout_s) as execution:
        complete = complete_studies(plan, execution, _hooks(False))
    return work_frame(estimates(plan, complete, data_dir=directory), workers)


def _plan(settings: Path | str | Mapping[str, Any]) -> Experiment:
    return Experiment.read(settings if isinstance(settings, Mapping) else Path(settings))


def _hooks(progress: bool | None) -> ExperimentHooks:
    """Return the hooks of a call from Python.

    Args:
        progress: Whether to show a bar; None to show it in notebooks and on terminals.
    """

    # The bar of each study begins with its place in the experiment.
    def study(position: Position) -> Hooks:
        return replace(program_hooks(progress), show_progress=partial(progress_bar, progress, prefix=f"{position} "))

    def race(position: Position, name: str) -> AbstractContextManager[ShowRace]:
        return race_bar(progress, prefix=f"{position} {name} ")

    return ExperimentHooks(study=study, race=race, on_data=warn_of_findings)
