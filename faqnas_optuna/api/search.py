"""Search from Python."""

from functools import partial
from pathlib import Path
from typing import Any

from faqnas_optuna.api.notebook import check_detached, check_result, execution_on, program_hooks
from faqnas_optuna.api.search_service import SearchRequest, start_search
from faqnas_optuna.api.settings import DEFAULT_STORAGE, WorkerTimeouts
from faqnas_optuna.api.sources import resolve_data, warn_of_findings
from faqnas_optuna.api.study import Study
from faqnas_optuna.study.study import default_name


def search(
    data: Any = None,
    y: Any = None,
    *,
    study: str | None = None,
    start_from: Path | str | None = None,
    config: Path | str | None = None,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    seconds: float | None = None,
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
        start_from: Study of the same database, table (.parquet) or CSV file whose circuits become the first generation.
        config: Study file (TOML); arguments beat its settings.
        storage: URL of the database, which is created if it does not exist.
        data_dir: Directory of data files that have moved, and of `mnist`; by default the user's cache directory.
        seconds: Time limit of the call, from the first trial on; running trials finish, and the same call continues the search.
        workers: Number of processes that run trials, including this one; or number of workers on the Dask cluster.
        dask: Address of a Dask scheduler, or its scheduler file, to run the workers on its cluster.
        detach: Only create the study; workers attach to it.
        grace_s: Time after which trials of silent workers are requeued.
        database_timeout_s: Maximum time to wait for a database that is not available.
        progress: Whether to show a progress bar; None to show it in notebooks and on terminals.
        check: Whether to warn about suspicious data, by `DataWarning`.
        settings: Settings by their names in a study file, without sections: `target`, `population`, `epochs`, `seed`,
            `max_flops`, …; `space`, a dictionary with the choices of each gene, which single genes such as `n_qubits` beat; and
            `max_qubits`, which removes larger numbers of qubits from the space.

    Raises:
        ConfigError: A setting is unknown or has an invalid value.
        DataError: The data are unknown or unusable.
        StudyMismatchError: The study exists with other settings or other data.
        FailuresError: Several trials in a row failed.
        ClusterError: The Dask cluster cannot be used.
    """
    resolved, source = resolve_data(data, y, settings, config=config, data_dir=data_dir, caller="search")
    request = SearchRequest(
        name=default_name(resolved.config.dataset) if study is None else study,
        config=resolved.config,
        data=source,
        auto_repeats=resolved.auto_repeats,
        start_from=None if start_from is None else str(start_from),
    )
    on_data = partial(warn_of_findings, resolved.config) if check else lambda _: None
    check_detached(detach, dask, seconds)
    with execution_on(storage, workers, dask, grace_s, database_timeout_s, seconds) as execution:
        run = start_search(request, execution, program_hooks(progress), on_data=on_data, detach=detach)
        check_result(run)
    return Study(run.study, storage=storage, data=source)
