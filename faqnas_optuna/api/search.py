"""A search from Python."""

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
    """Search for circuits that are accurate and cheap, in this process, or go on with a search that was begun.

    Ctrl-C, or the interruption of a notebook's cell, lets the running trial finish and returns what was found so far; a second
    one gives that trial up. The same call goes on.

    Args:
        data: the name of a data set; the path of a file; or samples (samples, features), an array or a data frame, which
            workers elsewhere cannot join: only this process has them. None for the data set that `config` names.
        y: the classes (samples,) of samples, unless `target` names their column.
        study: what the study is to be called; by default as its data set or file, of samples `samples`.
        config: a study file (TOML), whose settings hold where none is given here.
        storage: URL of the database, which is made if it is not there.
        data_dir: where files of data are, if they are not where they are said to be; of `mnist` by default the user's cache.
        workers: number of processes that run trials, this one among them; or of workers on the Dask cluster.
        dask: address of a Dask scheduler, or its scheduler file, to run the workers there.
        detach: only make the study, for workers to attach to.
        grace_s: a trial whose worker is silent for longer is given up.
        database_timeout_s: maximum time to wait for a database that is away or not up yet.
        progress: show a bar; None for where it moves: in notebooks and on terminals.
        check: warn, by `DataWarning`, of what is suspicious in the data.
        settings: by the names that a study file has for them, without their sections: `target`, `population`, `epochs`,
            `seed`, …; and `space`, a dictionary of genes with the values that each may have.

    Raises:
        ConfigError: a setting is unknown or has an impossible value.
        DataError: the data are unknown or cannot be used.
        StudyMismatchError: the study exists with other settings or other data.
        FailuresError: trial after trial failed.
        ClusterError: the Dask cluster cannot be used.
    """
    is_named = isinstance(data, str | PathLike) or (data is None and y is None)
    if is_named and y is not None:
        raise ConfigError("y is for samples, as in search(x, y); of a file, target names the column of the classes")
    file = None if config is None else Path(config)
    dataset: str | None = SAMPLES
    if is_named:
        dataset = None if data is None else fspath(data)
    resolved = resolve_settings(dataset, settings, source="search", file=file)
    if is_named:
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
    """Return samples as a data set, exactly as a file with these columns would become one.

    Args:
        x: (samples, features) an array or a data frame, with the column that `config.data.target` names if `y` is None.
        y: (samples,) the classes.

    Raises:
        ConfigError: the classes are given in no way, or in two.
        DataError: x and y have other shapes, or a column holds what a network cannot learn from.
    """
    target = config.data.target
    if (y is None) == (target is None):
        raise ConfigError("which are the classes? Give them as y, search(x, y), or by their column, search(frame, target=…)")
    frame = as_frame(x)
    if target is None:
        target = NPZ_TARGET
        while target in frame.columns:
            target = f"{target}_"
        classes = as_series(y, name="y")
        if len(classes) != len(frame):
            raise DataError(f"x has {len(frame):,} samples and y {len(classes):,}; give a class for each sample")
        frame = frame.assign(**{target: classes})
    return user_data.splits_of(Source(frame=frame), target, config.data, name=SAMPLES, seed=config.split_seed)


def _warn_of_findings(config: StudyConfig, splits: DataSplits) -> None:
    """Warn of what is suspicious in data, at the line that calls `search`."""
    for finding in relevant(splits.findings, config.score):
        # This function, `start_search` and `search` lie between.
        warnings.warn(f"{finding.message}.", DataWarning, stacklevel=4)
