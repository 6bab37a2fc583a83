"""Commands that run searches: start, worker, resume, stop and status."""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.api.settings import WorkerTimeouts, resolve_settings
from faqnas_optuna.cli.conclusion import conclude, ended, print_detached, print_findings, print_interruption
from faqnas_optuna.cli.launch import dask_client, opened_storage, reporting, show_states, terminal_hooks
from faqnas_optuna.cli.options import (
    StudyCommand,
    dask_option,
    data_dir_option,
    data_options,
    data_set_options,
    json_option,
    no_check_option,
    option,
    optional_study_argument,
    repeats_option,
    setting_option,
    split_seed_option,
    storage_options,
    study_argument,
    study_names,
    timeout_options,
    typed,
    workers_option,
)
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.cli.space_options import protocol_options
from faqnas_optuna.config import MOST_TRIALS, SearchConfig, StudyConfig
from faqnas_optuna.errors import ConfigError, FaqnasError
from faqnas_optuna.signals import AskedToLeaveError, Signals

STDIN = 0
# Without a variable: FAQNAS_SECONDS is the budget of compared searches.
time_limit_option = click.option(
    "--seconds", type=FloatRange(0, min_open=True), help="Stop the study after this time; running trials finish."
)

if TYPE_CHECKING:
    from faqnas_optuna.api.running import Execution


@click.command()
@data_set_options
@option("--study", metavar="NAME", shell_complete=study_names, help="Name of the study.  [default: the data set's]")
@option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Study file (TOML).")
@storage_options
@time_limit_option
@workers_option
@dask_option
@option(
    "--from",
    "start_from",
    metavar="STUDY|TABLE|FILE.csv",
    help="Begin with the best circuits of a study or table, or with those of a file.",
)
@option("--detach", is_flag=True, help="Only create the study; workers attach to it.")
@timeout_options
@data_options
@setting_option("--seed", StudyConfig, help="Random seed of search, training and split.")
@split_seed_option
@setting_option("--sampler", SearchConfig, help="Algorithm that suggests the genomes.")
@setting_option("--population", SearchConfig, help="Successful trials per generation.")
@setting_option("--generations", SearchConfig, help="Maximum number of generations.")
# Without a variable: FAQNAS_TRIALS are the trials that `confirm` confirms.
@click.option("--trials", type=IntRange(1, MOST_TRIALS), help="Maximum number of successful trials, with enough generations.")
@setting_option("--patience", SearchConfig, help="Stop after N generations without improvement.")
@setting_option("--objectives", SearchConfig, help="Values by which parents are selected.")
@setting_option(
    "--front", SearchConfig, help="Form the front from each circuit's own trainings, or from a model of all trainings."
)
@option(
    "--synchronous", is_flag=True, default=None, help="Generations of exactly POPULATION trials; workers wait for each other."
)
@repeats_option
@protocol_options
@data_dir_option
@no_check_option
@json_option
def start(
    dataset: str | None,
    study: str | None,
    config: Path | None,
    storage: str,
    seconds: float | None,
    workers: int,
    dask: str | None,
    start_from: str | None,
    detach: bool,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    no_check: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Start a search over DATASET, or continue it.

    DATASET is a name that `faqnas-optuna datasets` lists, possibly with parameters (two-curves:features=20), or a file of your
    own (patients.csv --target outcome). The search is stored as a study, named after the data set or by --study; the other
    commands take this name.
    """
    # Refused before the connection to the cluster.
    if detach and dask:
        raise ConfigError("--detach starts no workers but --dask says where to run them; leave one of them out")
    if detach and seconds:
        raise ConfigError("--detach starts no workers but --seconds limits their time; leave one of them out")
    client = dask_client(dask, storage)
    from faqnas_optuna.api.data import DataSource

    resolved = resolve_settings(dataset, settings, source="options", file=config)
    data = DataSource.located(resolved, data_dir)
    from faqnas_optuna.api.running import Execution
    from faqnas_optuna.api.search_service import SearchRequest, start_search
    from faqnas_optuna.study.study import default_name

    request = SearchRequest(
        name=default_name(resolved.config.dataset) if study is None else study,
        config=resolved.config,
        data=data,
        auto_repeats=resolved.auto_repeats,
        start_from=start_from,
    )
    execution = Execution(storage=storage, workers=workers, client=client, timeouts=timeouts, seconds=seconds)
    # Called when the data are loaded, before the first trial: the user may still interrupt.
    on_data = partial(print_findings, resolved.config, is_checked=not no_check)
    with reporting(storage):
        run = start_search(request, execution, terminal_hooks(storage), on_data=on_data, detach=detach)
        if detach and not run.done_before:
            return print_detached(run.study, as_json=as_json)
        return conclude(run, as_json=as_json, is_checked=not no_check)


@click.command(cls=StudyCommand)
@optional_study_argument
@storage_options
@data_dir_option
@timeout_options
@option("--until-idle", is_flag=True, help="Without STUDY: exit when no study is running instead of waiting for one.")
@option("--quiet", is_flag=True, help="Print only warnings and errors.")
# For the extra workers of `start --workers`: the parent forwards its signals through stdin.
@click.option("--listen", is_flag=True, hidden=True)
def worker(
    study: str | None,
    storage: str,
    data_dir: Path | None,
    timeouts: WorkerTimeouts,
    until_idle: bool,
    quiet: bool,
    listen: bool,
) -> int:
    """Run trials of a study, or of all running studies.

    Without STUDY, the worker serves all running studies of the storage in turn, the least advanced first, and waits for new
    ones.
    """
    if study is not None and until_idle:
        raise ConfigError(
            "--until-idle is for a worker of all studies; a worker of one study exits when that stops; leave one of them out"
        )
    from faqnas_optuna.api.running import Execution, reported_outages

    execution = Execution(storage=storage, timeouts=timeouts)
    command = f"worker {study}" if study else "worker"
    code = 0
    with reporting(storage, quiet=quiet):
        with (
            reported_outages(storage, command, study=study),
            Signals().caught() as signals,
            suppress(AskedToLeaveError),
        ):
            if listen:
                signals.listen(STDIN)
            if study is None:
                _serve_all(execution, signals, data_dir, until_idle=until_idle, quiet=quiet)
            else:
                code = _serve_one(study, execution, signals, data_dir, quiet=quiet)
        if not quiet:
            print_interruption(signals, command)
    # A signal matters more to the caller than a failure at the same time.
    return signals.exit_code or code


def _serve_all(execution: "Execution", signals: Signals, data_dir: Path | None, *, until_idle: bool, quiet: bool) -> None:
    """Serve every running study of the storage in turn."""
    from faqnas_optuna.cli.console import show_progress
    from faqnas_optuna.storage.opening import open_for_work

    timeouts = execution.timeouts
    storage = open_for_work(execution.storage, signals, timeout_s=timeouts.database_timeout_s, grace_s=timeouts.grace_s)
    # Imports numba, which is not needed to refuse a database.
    from faqnas_optuna.workers.serving import serve

    with show_progress(quiet=quiet) as update:
        served = serve(
            storage,
            signals,
            data_dir=data_dir,
            until_idle=until_idle,
            on_trial=lambda state: update(state.study.progress(state)),
            on_idle=lambda: update(None),
            database_timeout_s=timeouts.database_timeout_s,
        )
    if not (served or signals.first or quiet):
        click.echo(f"no study is running; start one with: {typed('start --dataset wine')}", err=True)


def _serve_one(name: str, execution: "Execution", signals: Signals, data_dir: Path | None, *, quiet: bool) -> int:
    """Serve one study until it stops; return the exit code."""
    from faqnas_optuna.api.data import DataSource
    from faqnas_optuna.api.running import join_study
    from faqnas_optuna.reporting.documents import check_failures
    from faqnas_optuna.storage.outages import retry_while_away

    with show_states(quiet=quiet) as on_trial:
        run = join_study(name, execution, signals, data=DataSource(data_dir=data_dir), on_trial=on_trial)
    if run.done_before:
        stopped = run.study.metadata.stop()
        if stopped and not quiet:
            click.echo(f"{ended(run.study, stopped)}. Continue with: {typed(run.study.continuation())}", err=True)
        return 0
    try:
        if not signals.first:
            # It opens a connection, which a server with others at work may not have to spare.
            retry_while_away(partial(check_failures, run.study), signals, timeout_s=execution.timeouts.database_timeout_s)
    except FaqnasError as error:
        # The `start` that launched this worker reports the failure once for all workers.
        if not quiet:
            raise
        return error.exit_code
    return 0


@click.command(cls=StudyCommand)
@study_argument
@storage_options
# Without a variable: FAQNAS_GENERATIONS is set for `start` and must not lower the limit of a resumed study.
@click.option("--generations", type=IntRange(min=1), help="New maximum number of generations of the whole study.")
@click.option("--trials", type=IntRange(1, MOST_TRIALS), help="New maximum number of successful trials of the whole study.")
@time_limit_option
@workers_option
@dask_option
@timeout_options
@data_dir_option
@json_option
def resume(
    study: str,
    storage: str,
    generations: int | None,
    trials: int | None,
    seconds: float | None,
    workers: int,
    dask: str | None,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Continue a stopped or interrupted study."""
    client = dask_client(dask, storage)
    from faqnas_optuna.api.data import DataSource
    from faqnas_optuna.api.running import Execution
    from faqnas_optuna.api.search_service import resume_study

    execution = Execution(storage=storage, workers=workers, client=client, timeouts=timeouts, seconds=seconds)
    data = DataSource(data_dir=data_dir)
    with reporting(storage):
        run = resume_study(study, data, execution, terminal_hooks(storage), generations=generations, trials=trials)
        return conclude(run, as_json=as_json)


@click.command(cls=StudyCommand)
@study_argument
@storage_options
def stop(study: str, storage: str) -> None:
    """Stop a study after its running trials."""
    from faqnas_optuna.confirmation.opening import open_study
    from faqnas_optuna.reporting.documents import to_the_minute
    from faqnas_optuna.study.lifecycle import stop as stop_study
    from faqnas_optuna.study.stopping import StopReason

    with opened_storage(storage) as opened:
        search = open_study(opened, study)
        if stopped := search.metadata.stop():
            click.echo(f"{ended(search, stopped)} ({to_the_minute(stopped.at)}, {stopped.by})")
            return
        stop_study(search, StopReason.REQUESTED)
    click.echo(f"study {study} is stopping; running trials will finish. Continue with: {typed(search.continuation())}")


@click.command(cls=StudyCommand)
@optional_study_argument
@storage_options
@option("--watch", is_flag=True, help="Refresh every two seconds until all studies have stopped.")
@json_option
def status(study: str | None, storage: str, watch: bool, as_json: bool) -> None:
    """Show the progress of the studies."""
    from faqnas_optuna.cli.console import is_moving_terminal
    from faqnas_optuna.cli.display import print_status
    from faqnas_optuna.confirmation.opening import status_document
    from faqnas_optuna.storage.opening import failure
    from faqnas_optuna.storage.outages import DATABASE_ERRORS, is_transient
    from faqnas_optuna.study.metadata import other_studies

    with opened_storage(storage) as opened:
        while True:
            try:
                document = status_document(opened, study)
            except DATABASE_ERRORS as error:
                # A restart of the database does not end a watch.
                if not (watch and is_transient(error)):
                    raise
                click.echo(f"{failure(storage, error)}; trying again in 2 s", err=True)
                time.sleep(2)
                continue
            if watch and not as_json and is_moving_terminal():
                click.clear()
            if as_json:
                print_json(document)
            elif document["studies"] or document["left_out"]:
                print_status(document)
            else:
                others = len(other_studies(opened))
                note = f" (and {others} of other programs)" if others else ""
                click.echo(f"no studies yet{note}; start one with: {typed('start --dataset wine')}")
            # Without any study, --watch waits for the first.
            if not watch or document["studies"] and all(entry["stop"] for entry in document["studies"]):
                return
            time.sleep(2)
