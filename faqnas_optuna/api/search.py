"""Search from Python."""

import warnings
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import check_detached, check_result, execution_on, path_of, program_hooks
from faqnas_optuna.api.search_service import SearchRequest, start_search
from faqnas_optuna.api.settings import DEFAULT_STORAGE, WorkerTimeouts, resolve_settings
from faqnas_optuna.api.study import Study
from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.data import user_data
from faqnas_optuna.data.findings import relevant
from faqnas_optuna.data.frames import as_frame, as_series
from faqnas_optuna.data.reading import NPZ_TARGET, Source
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, DataError, DataWarning
from faqnas_optuna.study.study import default_name


def search(
    data: Any = None,
    y: Any = None,
    *,
    study: str | None = None,
    config: Path | str | None = None,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    workers: int = 1,
    dask: str | None = None,
    detach: bool = False,
    grace_s: int = WorkerTimeouts.grace_s,
    database_timeout_s: int = WorkerTimeouts.database_timeout_s,
    progress: bool | None = None,
    check: bool = True,
    **settings: Any,
) -> Study:
    """Search for circuits that are accurate and cheap, or continue a search.

    Ctrl-C, or interrupting a notebook's cell, finishes the running trial and returns the results so far; a second Ctrl-C
    abandons that trial. The same call continues the search.

    Args:
        data: Name of a data set, path of a file, or samples: an array or data frame (samples, features), which other
            processes cannot read. None for the data set that `config` names.
        y: (samples,) classes of the samples, unless `target` names their column.
        study: Name of the study; by default that of the data set or file, or `samples`.
        config: Study file (TOML); arguments beat its settings.
        storage: URL of the database, which is created if it does not exist.
        data_dir: Directory of data files that have moved, and of `mnist`; by default the user's cache directory.
        workers: Number of processes that run trials, including this one; or number of workers on the Dask cluster.
        dask: Address of a Dask scheduler, or its scheduler file, to run the workers on its cluster.
        detach: Only create the study; workers attach to it.
        grace_s: Time after which trials of silent workers are requeued.
        database_timeout_s: Maximum time to wait for a database that is not available.
        progress: Whether to show a progress bar; None to show it in notebooks and on terminals.
        check: Whether to warn about suspicious data, by `DataWarning`.
        settings: Settings by their names in a study file, without sections: `target`, `population`, `epochs`, `seed`, …;
            and `space`, a dictionary with the choices of each gene.

    Raises:
        ConfigError: A setting is unknown or has an invalid value.
        DataError: The data are unknown or unusable.
        StudyMismatchError: The study exists with other settings or other data.
        FailuresError: Several trials in a row failed.
        ClusterError: The Dask cluster cannot be used.
    """
    is_named = isinstance(data, str | PathLike) or (data is None and y is None)
    if is_named and y is not None:
        raise ConfigError("y belongs to samples, as in search(x, y); for a file, target names the column of the classes")
    file = None if config is None else Path(config)
    dataset: str | None = SAMPLES
    if is_named:
        dataset = None if data is None else fspath(data)
    resolved = resolve_settings(dataset, settings, source="search", file=file)
    if is_named:
        # Absolute paths: the study stores them, and a program may change its working directory.
        source = DataSource.located(resolved, path_of(data_dir)).absolute
    else:
        source = DataSource(samples=_splits_of(data, y, resolved.config))
    request = SearchRequest(
        name=default_name(resolved.config.dataset) if study is None else study,
        config=resolved.config,
        data=source,
        auto_repeats=resolved.auto_repeats,
    )
    on_data = partial(_warn_of_findings, resolved.config) if check else lambda _: None
    check_detached(detach, dask)
    with execution_on(storage, workers, dask, grace_s, database_timeout_s) as execution:
        run = start_search(request, execution, program_hooks(progress), on_data=on_data, detach=detach)
        check_result(run)
    return Study(run.study, storage=storage, data=source)


def _splits_of(x: Any, y: Any, config: StudyConfig) -> DataSplits:
    """Return samples as a data set, by the same rules as a file with these columns.

    Args:
        x: (samples, features) array or data frame, with the column `config.data.target` if `y` is None.
        y: (samples,) classes.

    Raises:
        ConfigError: The classes are not given, or given twice.
        DataError: The lengths of x and y differ, or a column is unusable.
    """
    target = config.data.target
    if (y is None) == (target is None):
        raise ConfigError("give the classes either as y, search(x, y), or by their column, search(frame, target=…)")
    frame = as_frame(x)
    if target is None:
        target = NPZ_TARGET
        # The name of the class column must not be that of a feature.
        while target in frame.columns:
            target = f"{target}_"
        classes = as_series(y, name="y")
        if len(classes) != len(frame):
            raise DataError(f"x has {len(frame):,} samples but y {len(classes):,} classes; give one class per sample")
        frame = frame.assign(**{target: classes})
    # The path of a data file, so that a column is classified as number or category by the same rules.
    return user_data.splits_of(Source(frame=frame), target, config.data, name=SAMPLES, seed=config.split_seed)


def _warn_of_findings(config: StudyConfig, splits: DataSplits) -> None:
    """Warn about suspicious data at the line that calls `search`."""
    for finding in relevant(splits.findings, config.score):
        # Skip this function, `start_search` and `search`.
        warnings.warn(f"{finding.message}.", DataWarning, stacklevel=4)
