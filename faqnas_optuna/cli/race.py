"""The command `race`: train every circuit of the space, and find a front with a guarantee."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.api.settings import MOST_WORKERS, WorkerTimeouts, resolve_settings
from faqnas_optuna.cli.conclusion import print_findings
from faqnas_optuna.cli.launch import dask_client, reporting, terminal_hooks
from faqnas_optuna.cli.options import (
    by_option,
    dask_option,
    data_dir_option,
    data_options,
    data_set_options,
    json_option,
    no_check_option,
    option,
    option_of,
    setting_option,
    split_seed_option,
    storage_option,
    storage_options,
    study_names,
    timeout_options,
    typed,
)
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.cli.space_options import protocol_options
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.machine import cores

if TYPE_CHECKING:
    from faqnas_optuna.api.race_service import RaceRun


@click.command()
@data_set_options
@option("--study", metavar="NAME", shell_complete=study_names, help="Name of the study.  [default: the data set's, with .race]")
@option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Study file (TOML).")
@storage_options
# Without variables: FAQNAS_TRAININGS and FAQNAS_SECONDS are budgets of compared searches.
@click.option("--trainings", type=IntRange(min=1), help="Budget of the first stage.  [default: 16 per circuit]")
@click.option(
    "--seconds", type=FloatRange(0, min_open=True), help="Approximate duration of the first stage, instead of --trainings."
)
@option(
    "--within",
    metavar="EPS",
    type=FloatRange(0, 1, min_open=True),
    help="Continue until no circuit can be better than the front by more than EPS at its cost, with 95 % confidence.",
)
@option("--sample", type=IntRange(min=2), help="Race only N circuits, drawn at random from the space.")
@option("--among", metavar="STUDY", shell_complete=study_names, help="Race only the circuits that a search has trained.")
@option("--resplit", is_flag=True, help="Draw a new split of training and validation samples for each training.")
@option("--workers", type=IntRange(1, MOST_WORKERS), help="Number of processes, of one thread each.  [default: one per core]")
@dask_option
@timeout_options
@data_options
@setting_option("--seed", StudyConfig, help="Random seed of training and split.")
@split_seed_option
@protocol_options
@data_dir_option
@no_check_option
@by_option
@json_option
def race(
    dataset: str | None,
    study: str | None,
    config: Path | None,
    storage: str,
    trainings: int | None,
    seconds: float | None,
    within: float | None,
    sample: int | None,
    among: str | None,
    resplit: bool,
    workers: int | None,
    dask: str | None,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    no_check: bool,
    by: str | None,
    as_json: bool,
    **settings: Any,
) -> int:
    """Train all circuits of the space and certify the front.

    The first stage spends a budget of trainings on DATASET and drops the less promising half of the circuits again and again.
    With --within, a second stage continues until the front is certified. The result is stored as a study, named after the data
    set with .race, which pareto, show, confirm and export accept. After an interruption the same command continues; without
    DATASET, --study NAME continues a race with its stored settings.
    """
    if trainings and seconds:
        raise ConfigError("--trainings and --seconds both set the budget of the first stage; leave one of them out")
    if sample and among:
        raise ConfigError("--sample and --among both choose the circuits of the race; leave one of them out")
    client = dask_client(dask, None, processes=workers)
    from faqnas_optuna.api.data import DataSource

    protocol = None
    data = DataSource(data_dir=data_dir)
    if dataset or config or not study:
        resolved = resolve_settings(dataset, settings, source="options", file=config)
        protocol = resolved.config
        data = DataSource.located(resolved, data_dir)
        if protocol.training.repeats > 1 or resolved.auto_repeats:
            raise ConfigError("a race decides itself how often it trains each circuit; leave out training.repeats")
    elif given := [name for name, value in settings.items() if value is not None]:
        raise ConfigError(f"without DATASET a race continues with its stored settings; leave out {option_of(given[0])}")
    from faqnas_optuna.api.race_service import RaceRequest, run_race
    from faqnas_optuna.api.running import Execution
    from faqnas_optuna.cli.console import show_race
    from faqnas_optuna.study.study import default_name

    name = study or f"{default_name(protocol.dataset if protocol else '')}.race"
    request = RaceRequest(
        name=name,
        config=protocol,
        data=data,
        trainings=trainings,
        seconds=seconds,
        within=within,
        sample=sample,
        among=among,
        resplit=resplit,
    )
    execution = Execution(storage=storage, workers=workers or cores(), client=client, timeouts=timeouts)
    on_data = partial(print_findings, is_checked=not no_check)
    with reporting(storage):
        with show_race(name) as update:
            run = run_race(request, execution, terminal_hooks(storage), on_progress=update, on_data=on_data)
        return _conclude(run, by=by, as_json=as_json)


def _conclude(run: "RaceRun", *, by: str | None, as_json: bool) -> int:
    """Print the report of a race; return the exit code.

    Args:
        by: Property of the families to compare; None for no comparison.
    """
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.reporting.families import Trait
    from faqnas_optuna.reporting.race_report import race_report
    from faqnas_optuna.study.state import read_state

    if run.signals.first:
        click.echo(f"interrupted; finished trainings are kept. Continue with: {typed(run.command)}", err=True)
    with run.study.existing():
        trait = Trait(by) if by else None
        report = race_report(read_state(run.study), seconds=run.seconds, storage_option=storage_option(), by=trait)
    if as_json:
        print_json(dict(report.document))
    else:
        print_blocks(report.blocks)
    return run.signals.exit_code
