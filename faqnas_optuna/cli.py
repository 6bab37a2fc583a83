"""The command line: parse, call one function, print. Results on stdout, progress and messages on stderr.

Nothing heavy is imported before a command needs it: torch, PennyLane and Optuna take seconds, `--help` must not.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from faqnas_optuna import __version__
from faqnas_optuna.config import Engine, FlopsCounter, StudyConfig, override, read_toml
from faqnas_optuna.errors import ConfigError, FaqnasError, NoSuccessfulTrialError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from faqnas_optuna.datasets import DataSplits
    from faqnas_optuna.study import Search

Command = Callable[..., Any]

DEFAULT_STORAGE = "sqlite:///faqnas.db"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def option(name: str, *targets: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that also reads FAQNAS_NAME."""
    return click.option(
        name, *targets, envvar=f"FAQNAS_{name.lstrip('-').replace('-', '_').upper()}", show_envvar=True, **settings
    )


storage_option = option("--storage", default=DEFAULT_STORAGE, show_default=True, metavar="URL", help="Database of the studies.")
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
data_dir_option = option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Directory of MNIST's four IDX files."
)
workers_option = option(
    "--workers", type=click.IntRange(min=1, max=1024), default=1, show_default=True, help="Processes, of one thread each."
)
study_argument = click.argument("study")


class _Cli(click.Group):
    """Commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="faqnas-optuna")
def cli() -> None:
    """Find hybrid quantum neural networks that are accurate and cheap.

    A search is an Optuna study in a database. Any number of workers can join it, and it can be stopped and resumed.
    Every option can also be set as FAQNAS_NAME in the environment; an option beats the environment, which beats --config.
    """


@cli.command()
@option("--dataset", metavar="NAME", help="Data set; 'faqnas-optuna datasets' lists them.")
@option("--study", metavar="NAME", help="Name of the study.  [default: the data set's]")
@option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Study file (TOML).")
@storage_option
@workers_option
@option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Of split, search and training.  [default: 0]")
@option("--population", type=click.IntRange(min=2), help="Successful trials in a generation.  [default: 20]")
@option("--generations", type=click.IntRange(min=1), help="At most so many generations.  [default: 8]")
@option("--patience", type=click.IntRange(min=1), help="Stop after so many without improvement.  [default: 2]")
@option("--epochs", type=click.IntRange(min=1), help="Passes over the training data.  [default: 5]")
@option("--lr", type=float, help="Learning rate of Adam.  [default: 0.003]")
@option("--batch-size", type=click.IntRange(min=1), help="Samples in an optimiser step.  [default: 64]")
@option("--repeats", type=click.IntRange(min=1), help="Trainings of a circuit; the mean counts.  [default: 1]")
@option(
    "--flops",
    type=click.Choice([counter.value for counter in FlopsCounter]),
    help="Counter of the objective.  [default: profiler]",
)
@option(
    "--engine",
    type=click.Choice([engine.value for engine in Engine]),
    help="Simulator of the quantum layer.  [default: pennylane]",
)
@data_dir_option
@json_option
def start(
    dataset: str | None,
    study: str | None,
    config: Path | None,
    storage: str,
    workers: int,
    data_dir: Path | None,
    as_json: bool,
    **settings: Any,
) -> int:
    """Start a search, or go on with it."""
    from faqnas_optuna.datasets import load
    from faqnas_optuna.storage import creation_lock
    from faqnas_optuna.study import check_name, open_or_create

    chosen = _study_config(config, {"dataset": dataset, **settings})
    name = study or chosen.dataset
    check_name(name)
    splits = load(chosen.dataset, seed=chosen.seed, data_dir=data_dir)
    with _opened(storage, create=True) as opened:
        with creation_lock(storage):
            search = open_or_create(opened, name, chosen, splits)
        return _search(search, splits, storage, workers=workers, data_dir=data_dir, as_json=as_json)


@cli.command()
@click.argument("study", required=False)
@storage_option
@data_dir_option
@option("--quiet", is_flag=True, help="Only warnings and errors on stderr.")
def worker(study: str | None, storage: str, data_dir: Path | None, quiet: bool) -> int:
    """Attach to a running study, or to all of them.

    Without a name, every running study of the storage is served in turn, the least advanced first.
    """
    from faqnas_optuna.display import make_console, show_progress
    from faqnas_optuna.report import progress
    from faqnas_optuna.study import load
    from faqnas_optuna.worker import Signals, load_data, run, serve, use_one_thread

    logging.getLogger("faqnas_optuna").setLevel(logging.WARNING if quiet else logging.INFO)
    use_one_thread()
    console = make_console(stderr=True)
    console.quiet = quiet
    with _opened(storage) as opened, Signals().caught() as signals:
        if study is None:
            served = serve(
                opened,
                signals,
                data_dir=data_dir,
                on_trial=lambda search: console.print(f"{search.name}: {len(search.successful())} trials", soft_wrap=True),
            )
            console.print(f"{served} studies served; none is running now")
            return signals.exit_code
        search = load(opened, study)
        splits = load_data(search, data_dir)
        with show_progress(console) as update:
            run(search, splits, signals, on_trial=lambda search: update(progress(search)))
    return signals.exit_code


@cli.command()
@click.argument("study", required=False)
@storage_option
@json_option
def status(study: str | None, storage: str, as_json: bool) -> None:
    """Show how far the studies are."""
    from faqnas_optuna.display import make_console, status_table
    from faqnas_optuna.report import status_document

    with _opened(storage) as opened:
        document = status_document(opened, study)
    if as_json:
        _print_json(document)
    elif document["studies"]:
        make_console().print(status_table(document["studies"]))
    else:
        click.echo("no studies yet; start one with: faqnas-optuna start --dataset wine")


@cli.command()
@study_argument
@storage_option
@json_option
@option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the front as a table to FILE.")
@option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the front to FILE.png or FILE.html.")
def pareto(study: str, storage: str, as_json: bool, csv_file: Path | None, plot: Path | None) -> None:
    """Show, plot or write the front of a study.

    The front holds the circuits that no other beats in both quantum FLOPs and validation error.
    """
    from faqnas_optuna.files import write_atomically
    from faqnas_optuna.plots import write_pareto_plot
    from faqnas_optuna.report import front_csv, pareto_document
    from faqnas_optuna.study import load

    with _opened(storage) as opened:
        search = load(opened, study)
        document = pareto_document(search)
        if csv_file:
            write_atomically(csv_file, front_csv(document).encode())
        if plot:
            write_pareto_plot(search, plot)
        if as_json:
            _print_json(document)
        else:
            _print_front(search, document)
    for written in filter(None, (csv_file, plot)):
        click.echo(f"wrote {written}", err=True)


@cli.command()
@study_argument
@click.argument("trial", type=int)
@storage_option
@json_option
def show(study: str, trial: int, storage: str, as_json: bool) -> None:
    """Show one trial, with its circuit drawn."""
    from faqnas_optuna.report import trial_document
    from faqnas_optuna.study import load

    with _opened(storage) as opened:
        document = trial_document(load(opened, study), trial)
    if as_json:
        _print_json(document)
        return
    drawing = document.pop("drawing", None)
    fields = {key: value for key, value in document.items() if key not in ("schema_version", "genome")}
    for name, value in (fields | document.get("genome", {})).items():
        shown = "–" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' '):24}{shown}")
    if drawing:
        click.echo(f"\n{drawing}")


@cli.command()
@study_argument
@storage_option
def stop(study: str, storage: str) -> None:
    """Stop a study; running trials are finished."""
    from faqnas_optuna.generations import StopReason, stop_of
    from faqnas_optuna.generations import stop as stop_study
    from faqnas_optuna.study import load

    with _opened(storage) as opened:
        search = load(opened, study)
        if stopped := stop_of(search):
            click.echo(f"study {study} had stopped already: {stopped['reason']}, {stopped['at']}, {stopped['by']}")
            return
        stop_study(search, StopReason.REQUESTED)
    click.echo(f"study {study} stops; running trials are finished. Go on with: faqnas-optuna resume {study}")


@cli.command()
@study_argument
@storage_option
@option("--generations", type=click.IntRange(min=1), help="New limit of generations, over all of the study.")
@workers_option
@data_dir_option
@json_option
def resume(study: str, storage: str, generations: int | None, workers: int, data_dir: Path | None, as_json: bool) -> int:
    """Go on with a stopped or interrupted study."""
    from faqnas_optuna.generations import resume as resume_study
    from faqnas_optuna.study import load
    from faqnas_optuna.worker import load_data

    with _opened(storage) as opened:
        search = load(opened, study)
        splits = load_data(search, data_dir)
        search = resume_study(search, generations=generations)
        return _search(search, splits, storage, workers=workers, data_dir=data_dir, as_json=as_json)


@cli.command()
@storage_option
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", type=click.IntRange(min=0, max=65535), default=8080, show_default=True, help="0: any free port.")
def dashboard(storage: str, host: str, port: int) -> None:
    """Watch the studies in optuna-dashboard."""
    from faqnas_optuna.dashboard import make_dashboard

    with _opened(storage) as opened, make_dashboard(opened, host=host, port=port) as server:
        click.echo(f"optuna-dashboard is at http://{host}:{server.server_port}/ (Ctrl-C ends it)", err=True)
        server.serve_forever()


@cli.command()
@option("--download", type=click.Choice(["mnist"]), help="Fetch MNIST (70,000 images) from OpenML first.")
@data_dir_option
@json_option
def datasets(download: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the data sets."""
    from faqnas_optuna.datasets import DATASETS, default_mnist_dir, download_mnist
    from faqnas_optuna.display import datasets_table, make_console

    if download:
        directory = data_dir or default_mnist_dir()
        click.echo(f"downloading MNIST to {directory}; this takes a minute or two", err=True)
        download_mnist(directory)
    listed = [asdict(info) for info in DATASETS.values()]
    if as_json:
        _print_json({"schema_version": 1, "datasets": listed})
    else:
        make_console().print(datasets_table(listed))


def main() -> NoReturn:
    """Run the command line; every known error becomes one line and its exit code."""
    for variable in THREAD_VARIABLES:
        # Before torch starts its threads: a worker is a process of one thread.
        os.environ.setdefault(variable, "1")
    try:
        code = cli.main(prog_name="faqnas-optuna", standalone_mode=False)
    except (FaqnasError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"Error: {' '.join(message.split())}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _study_config(file: Path | None, options: dict[str, Any]) -> StudyConfig:
    """Options over the study file over the defaults."""
    sections = {
        "population": "search.population",
        "generations": "search.generations",
        "patience": "search.patience",
        "epochs": "training.epochs",
        "lr": "training.learning_rate",
        "batch_size": "training.batch_size",
        "repeats": "training.repeats",
    }
    changes = {sections.get(name, name): value for name, value in options.items()}
    settings = override(read_toml(file) if file else {}, changes)
    if "dataset" not in settings:
        raise ConfigError("no data set is named; add for instance --dataset wine ('faqnas-optuna datasets' lists them)")
    return StudyConfig.from_settings(settings, source=str(file) if file else "options")


@contextmanager
def _opened(url: str, *, create: bool = False) -> Iterator["BaseStorage"]:
    """A storage, with its errors translated; and messages of the package, rather than Optuna's, on stderr."""
    import optuna

    from faqnas_optuna.display import ConsoleHandler, make_console
    from faqnas_optuna.storage import open_storage, translated_errors

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    handler = ConsoleHandler(make_console(stderr=True))
    logger = logging.getLogger("faqnas_optuna")
    logger.addHandler(handler)
    try:
        with translated_errors(url):
            yield open_storage(url, create=create)
    finally:
        logger.removeHandler(handler)


def _search(search: "Search", splits: "DataSplits", url: str, *, workers: int, data_dir: Path | None, as_json: bool) -> int:
    """Be a worker of the study, with others beside, until it stops; then print what was found."""
    from faqnas_optuna.display import make_console, show_progress
    from faqnas_optuna.report import progress, start_document
    from faqnas_optuna.worker import Signals, extra_workers, run, use_one_thread

    use_one_thread()
    started = time.perf_counter()
    with (
        Signals().caught() as signals,
        show_progress(make_console(stderr=True)) as update,
        extra_workers(workers - 1, search, signals, storage_url=url, data_dir=data_dir),
    ):
        run(search, splits, signals, on_trial=lambda search: update(progress(search)))
    if signals.first:
        click.echo(f"interrupted; finished trials are kept. Go on with: faqnas-optuna resume {search.name}", err=True)
    try:
        document = start_document(search, seconds=time.perf_counter() - started)
    except NoSuccessfulTrialError:
        if signals.first:
            return signals.exit_code
        raise
    if as_json:
        _print_json(document)
    else:
        _print_front(search, document)
        _print_outlook(search, document)
    return signals.exit_code


def _print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def _print_front(search: "Search", document: dict[str, Any]) -> None:
    from faqnas_optuna.display import front_table, make_console

    summaries = {trial.number: trial.user_attrs["summary"] for trial in search.successful()}
    make_console().print(front_table(document["front"], summaries))


def _print_outlook(search: "Search", document: dict[str, Any]) -> None:
    """Why the search ended, what to make of it, and what to type next."""
    from faqnas_optuna.report import advice

    reasons = {
        "generations": f"all {search.config.search.generations} generations are done",
        "stagnation": f"{search.config.search.patience} generations brought no improvement",
        "requested": "it was asked to",
        "no-success": "no trial succeeded",
        None: "it was interrupted",
    }
    click.echo(
        f"\nStopped because {reasons[document['stop_reason']]}: {document['trials']} trials"
        f" ({document['trained']} trained, {document['reused']} reused, {document['failed']} failed),"
        f" hypervolume {document['hypervolume']:.4f}, {document['seconds']:.0f} s."
    )
    for line in advice(search):
        click.echo(f"Note: {line}")
    commands = {
        f"show {search.name} {document['front'][-1]['trial']}": "the most accurate circuit, drawn",
        f"pareto {search.name} --plot front.html": "the front as an interactive plot",
        "dashboard": "every trial in optuna-dashboard",
    }
    click.echo("\nNext:")
    for command, shown in commands.items():
        click.echo(f"  faqnas-optuna {command:40}{shown}")
