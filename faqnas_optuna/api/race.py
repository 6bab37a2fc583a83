"""Race from Python."""

from pathlib import Path
from typing import Any

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import execution_on, path_of, program_hooks
from faqnas_optuna.api.progress import race_bar
from faqnas_optuna.api.race_service import RaceRequest, run_race
from faqnas_optuna.api.settings import DEFAULT_STORAGE, WorkerTimeouts
from faqnas_optuna.api.sources import resolve_data, warn_of_findings
from faqnas_optuna.api.study import Study
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.machine import cores
from faqnas_optuna.study.study import default_name


def race(
    data: Any = None,
    y: Any = None,
    *,
    study: str | None = None,
    config: Path | str | None = None,
    trainings: int | None = None,
    seconds: float | None = None,
    within: float | None = None,
    sample: int | None = None,
    among: str | None = None,
    resplit: bool = False,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    workers: int | None = None,
    dask: str | None = None,
    database_timeout_s: int = WorkerTimeouts.database_timeout_s,
    progress: bool | None = None,
    check: bool = True,
    **settings: Any,
) -> Study:
    """Train all circuits of the space and certify the front, or continue a race.

    Ctrl-C, or interrupting a notebook's cell, returns the front so far; the same call continues the race.
    `storage`, `data_dir`, `dask`, `database_timeout_s`, `progress`, `check` and the settings are those of `search`.

    Args:
        data: Name of a data set, path of a file, or samples; see `search`. None for the data set that `config` names, or to
            continue the race `study` with its stored settings.
        y: (samples,) classes of the samples, unless `target` names their column.
        study: Name of the study; by default that of the data set or file, with `.race`.
        config: Study file (TOML); arguments beat its settings.
        trainings: Budget of the first stage; by default 16 per circuit.
        seconds: Approximate duration of the first stage, instead of `trainings`.
        within: ε; the race continues until no circuit can be better than the front by more than ε at its cost, with 95 %
            confidence. None to end after the first stage.
        sample: Number of circuits to draw at random from the space; None for all.
        among: Name of a search whose circuits are raced; None for all circuits.
        resplit: Whether to draw a new split of training and validation samples for each training.
        workers: Number of processes of one thread each; by default one per core.

    Raises:
        ConfigError: A setting is unknown or has an invalid value, or the space is too large.
        DataError: The data are unknown or unusable.
        StudyMismatchError: The race exists with other settings or other data.
        CallInterrupted: The race was interrupted before every circuit was trained.
    """
    # Without any data, the stored settings and data of an existing race are used.
    protocol = None
    source = DataSource(data_dir=path_of(data_dir))
    if not (data is None and y is None and config is None and study):
        resolved, source = resolve_data(data, y, settings, config=config, data_dir=data_dir, caller="race")
        protocol = resolved.config
        if protocol.training.repeats > 1 or resolved.auto_repeats:
            raise ConfigError("a race decides itself how often it trains each circuit; leave out repeats")
    elif settings:
        raise ConfigError(f"without data a race continues with its stored settings; leave out {next(iter(settings))}")
    request = RaceRequest(
        name=study or f"{default_name(protocol.dataset if protocol else '')}.race",
        config=protocol,
        data=source,
        trainings=trainings,
        seconds=seconds,
        within=within,
        sample=sample,
        among=among,
        resplit=resplit,
    ).checked()
    # Findings are warned of at the line of the call.
    on_data = warn_of_findings if check else lambda *_: None
    timeouts = WorkerTimeouts(database_timeout_s=database_timeout_s)
    with (
        execution_on(storage, workers or cores(), dask, timeouts.grace_s, database_timeout_s) as execution,
        race_bar(progress) as on_progress,
    ):
        run = run_race(request, execution, program_hooks(progress), on_progress=on_progress, on_data=on_data)
    return Study(run.study, storage=storage, data=source)
