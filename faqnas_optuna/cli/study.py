"""Commands that find circuits: start a search, join it, resume it, stop it, and see how far it is."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.cli.launch import (
    at_work,
    dask_client,
    ended,
    look_for_study,
    new_study,
    one_data_set,
    opened_storage,
    print_json,
    print_warnings,
    reporting,
    study_config,
)
from faqnas_optuna.cli.options import (
    StudyCommand,
    WorkerTimeouts,
    dask_option,
    data_dir_option,
    data_options,
    data_set_names,
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
    survival_options,
    typed,
    workers_option,
)
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.cli.searching import conclude, run_search
from faqnas_optuna.config import (
    Engine,
    ErrorEstimate,
    FlopsCounter,
    FlopsOf,
    Objectives,
    Score,
    SearchConfig,
    StudyConfig,
    TrainingConfig,
)
from faqnas_optuna.errors import ConfigError, FaqnasError

STDIN = 0

if TYPE_CHECKING:
    from faqnas_optuna.study.state import StudyState


@click.command()
@click.argument("name", metavar="[DATASET]", required=False, shell_complete=data_set_names)
@option("--dataset", metavar="NAME|FILE", shell_complete=data_set_names, help="The same as DATASET.")
@option(
    "--study", metavar="NAME", shell_complete=study_names, help="What the study is to be called.  [default: as its data set]"
)
@option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Study file (TOML).")
@storage_options
@workers_option
@dask_option
@option("--detach", is_flag=True, help="Only create the study; workers attach to it.")
@survival_options
@data_options
@setting_option("--seed", StudyConfig, "seed", help="Of search and training, and of the split.")
@split_seed_option
@setting_option("--population", SearchConfig, "population", help="Successful trials in a generation.")
@setting_option("--generations", SearchConfig, "generations", help="At most so many generations.")
@setting_option("--patience", SearchConfig, "patience", help="Stop after so many without improvement.")
@option(
    "--objectives",
    type=click.Choice([objectives.value for objectives in Objectives]),
    help="What parents are selected by: both values, or the error alone.  [default: flops-error]",
)
@option(
    "--front",
    type=click.Choice([belief.value for belief in ErrorEstimate]),
    help="Choose it by each circuit's own trainings, or by all together.  [default: trained]",
)
@option("--synchronous", is_flag=True, default=None, help="Generations of exactly the population: workers wait for each other.")
@setting_option("--epochs", TrainingConfig, "epochs", help="Passes over the training data.")
@setting_option("--lr", TrainingConfig, "learning_rate", help="Learning rate of Adam.")
@setting_option("--batch-size", TrainingConfig, "batch_size", help="Samples in an optimiser step.")
@repeats_option
@option(
    "--cost",
    metavar="flops|hardware:DEVICE",
    help="What is minimised beside the error: FLOPs, or −ln of the success on a device, by name or file.  [default: flops]",
)
@option(
    "--flops",
    type=click.Choice([counter.value for counter in FlopsCounter]),
    help="Counter of the objective.  [default: profiler]",
)
@option(
    "--flops-of",
    type=click.Choice([gates.value for gates in FlopsOf]),
    help="Gates that count: all, or those that a measured value depends on.  [default: suggested]",
)
@option(
    "--score",
    type=click.Choice([score.value for score in Score]),
    help="Whose complement is the error: accuracy, or the mean of the classes' recalls.  [default: accuracy]",
)
@option(
    "--engine",
    type=click.Choice([engine.value for engine in Engine]),
    help="Simulator of the quantum layer.  [default: fast]",
)
@data_dir_option
@no_check_option
@json_option
def start(
    name: str | None,
    dataset: str | None,
    study: str | None,
    config: Path | None,
    storage: str,
    workers: int,
    dask: str | None,
    detach: bool,
    survival: WorkerTimeouts,
    data_dir: Path | None,
    no_check: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Start a search over DATASET, or go on with it.

    'faqnas-optuna datasets' lists the data sets; generated ones take keys, as in: start two-curves:features=20. A file of one's
    own is named with its classes, as in: start patients.csv --target outcome. All other commands know the search by the name of
    its study: that of the data set, or what --study says here.
    """
    if detach and dask:
        raise ConfigError("--detach starts no workers, and --dask says where to start them; leave one of them out")
    client = dask_client(dask, storage)
    from faqnas_optuna.data.loading import check_known

    chosen, auto_repeats, files = study_config(config, {"dataset": one_data_set(name, dataset), **settings})
    looked_in = data_dir
    if files and files.data:
        # What is typed comes first. Where a study's file was comes after the directory of data, which is told to workers.
        files, looked_in = files.located(data_dir), None
        data_dir = files.data.absolute().parent if files.data else data_dir
    check_known(chosen, files)
    from faqnas_optuna.confirmation.opening import status_document
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.study.lifecycle import resume as resume_study
    from faqnas_optuna.study.stopping import StopReason
    from faqnas_optuna.study.study import check_name, default_name, load_data

    called = default_name(chosen.dataset) if study is None else study
    check_name(called)
    with reporting(storage):
        opened, existing = look_for_study(storage, called, chosen, any_repeats=auto_repeats, survival=survival)
        stopped = existing and existing.metadata.stop()
        if existing and stopped and stopped.reason is not StopReason.REQUESTED:
            # Neither its data nor torch are needed to show what it has found.
            return conclude(existing, Signals(), done_before=True, as_json=as_json)
        if existing:
            search, splits = existing, load_data(existing, looked_in, files=files)
            if not no_check:
                print_warnings(splits, chosen)
        else:
            search, splits = new_study(
                storage,
                opened,
                called,
                chosen,
                auto_repeats=auto_repeats,
                survival=survival,
                data_dir=looked_in,
                files=files,
                # Those of a cluster train elsewhere.
                workers=1 if client else workers,
                is_checked=not no_check,
            )
        if stopped:
            search = resume_study(search)
        if detach:
            click.echo(f"study {called} waits for workers: {typed(f'worker {called}')}", err=True)
            if as_json:
                print_json(status_document(search.study._storage, called))
            return 0
        return run_search(
            search,
            splits,
            storage,
            survival,
            workers=workers,
            client=client,
            data_dir=data_dir,
            as_json=as_json,
            is_checked=not no_check,
        )


@click.command(cls=StudyCommand)
@optional_study_argument
@storage_options
@data_dir_option
@survival_options
@option("--until-idle", is_flag=True, help="Without a name: leave when no study runs, instead of waiting for one.")
@option("--quiet", is_flag=True, help="Only warnings and errors on stderr.")
# For the workers of `start --workers`: on stdin that process tells of its signals.
@click.option("--listen", is_flag=True, hidden=True)
def worker(
    study: str | None,
    storage: str,
    data_dir: Path | None,
    survival: WorkerTimeouts,
    until_idle: bool,
    quiet: bool,
    listen: bool,
) -> int:
    """Attach to a running study, or to all of them.

    Without a name, every running study of the storage is served in turn, the least advanced first, and new ones are waited for.
    """
    from faqnas_optuna.cli.console import show_progress
    from faqnas_optuna.confirmation.opening import open_study
    from faqnas_optuna.reporting.documents import check_failures
    from faqnas_optuna.signals import AskedToLeaveError
    from faqnas_optuna.storage.opening import open_for_work
    from faqnas_optuna.study.study import load_data

    if study is not None and until_idle:
        raise ConfigError("a worker of one study leaves when that stops; leave out --until-idle, or the name")
    timeout_s = survival.database_timeout_s
    with (
        reporting(storage, quiet=quiet),
        at_work(f"worker {study}" if study else "worker", storage, study=study, quiet=quiet) as signals,
        show_progress(quiet=quiet) as update,
        suppress(AskedToLeaveError),
    ):

        def show(state: "StudyState") -> None:
            update(state.study.progress(state))

        if listen:
            signals.listen(STDIN)
        opened = open_for_work(storage, signals, timeout_s=timeout_s, grace_s=survival.grace_s)
        if study is None:
            from faqnas_optuna.workers.serving import serve

            found = serve(
                opened,
                signals,
                data_dir=data_dir,
                until_idle=until_idle,
                on_trial=show,
                on_idle=lambda: update(None),
                database_timeout_s=timeout_s,
            )
            if not (found or signals.first or quiet):
                click.echo(f"no study runs; start one with: {typed('start --dataset wine')}", err=True)
            return signals.exit_code
        search = open_study(opened, study)
        if stopped := search.metadata.stop():
            if not quiet:
                click.echo(f"{ended(search, stopped)}. Go on with: {typed(search.continuation())}", err=True)
        else:
            splits = load_data(search, data_dir)
            from faqnas_optuna.workers.loop import run

            run(search, splits, signals, on_trial=show, database_timeout_s=timeout_s)
            try:
                if not signals.first:
                    check_failures(search)
            except FaqnasError as error:
                # A `start` that has started this worker tells it for all of them.
                if not quiet:
                    raise
                return error.exit_code
    return signals.exit_code


@click.command(cls=StudyCommand)
@study_argument
@storage_options
# Without a variable: FAQNAS_GENERATIONS, set for `start`, must not lower the limit of a study that is resumed.
@click.option("--generations", type=IntRange(min=1), help="New limit of generations, over all of the study.")
@workers_option
@dask_option
@survival_options
@data_dir_option
@json_option
def resume(
    study: str,
    storage: str,
    generations: int | None,
    workers: int,
    dask: str | None,
    survival: WorkerTimeouts,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Go on with a stopped or interrupted study."""
    client = dask_client(dask, storage)
    from faqnas_optuna.confirmation.opening import open_study
    from faqnas_optuna.study.lifecycle import resume as resume_study
    from faqnas_optuna.study.study import load_data

    with opened_storage(storage, survival=survival) as opened:
        search = open_study(opened, study)
        # Before the data are read; and again when nobody else can change it.
        search.check_resumable(generations=generations)
        splits = load_data(search, data_dir)
        search = resume_study(search, generations=generations)
        return run_search(search, splits, storage, survival, workers=workers, client=client, data_dir=data_dir, as_json=as_json)


@click.command(cls=StudyCommand)
@study_argument
@storage_options
def stop(study: str, storage: str) -> None:
    """Stop a study; running trials are finished."""
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
    click.echo(f"study {study} stops; running trials are finished. Go on with: {typed(search.continuation())}")


@click.command(cls=StudyCommand)
@optional_study_argument
@storage_options
@option("--watch", is_flag=True, help="Show it again every two seconds, until all have stopped.")
@json_option
def status(study: str | None, storage: str, watch: bool, as_json: bool) -> None:
    """Show how far the studies are."""
    from faqnas_optuna.cli.console import is_moving_terminal
    from faqnas_optuna.cli.display import print_status
    from faqnas_optuna.confirmation.opening import status_document
    from faqnas_optuna.storage.opening import failure
    from faqnas_optuna.storage.outages import DATABASE_ERRORS, is_passing
    from faqnas_optuna.study.metadata import other_studies

    with opened_storage(storage) as opened:
        while True:
            try:
                document = status_document(opened, study)
            except DATABASE_ERRORS as error:
                if not (watch and is_passing(error)):
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
                beside = f", beside {others} that faqnas-optuna did not make" if others else ""
                click.echo(f"no studies yet{beside}; start one with: {typed('start --dataset wine')}")
            if not watch or document["studies"] and all(found["stop"] for found in document["studies"]):
                return
            time.sleep(2)
