"""The command `experiment`: a table over data sets, methods, splits and seeds from one file."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.api.settings import WorkerTimeouts
from faqnas_optuna.cli.conclusion import print_findings
from faqnas_optuna.cli.launch import dask_client, reporting, show_states, terminal_hooks
from faqnas_optuna.cli.options import (
    dask_option,
    data_dir_option,
    json_option,
    option,
    storage_options,
    timeout_options,
    typed,
    workers_option,
)
from faqnas_optuna.cli.output import STDOUT, print_json, report_written
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.files import check_directory
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.api.experiment_service import ExperimentHooks, ExperimentRun, Position
    from faqnas_optuna.api.running import Execution, Hooks
    from faqnas_optuna.experiments.plan import Experiment

# Without variables, or every call would write the files.
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@storage_options
@workers_option
@dask_option
@option("--dry-run", is_flag=True, help="List the remaining trainings and their expected duration instead of running them.")
@click.option("--csv", "csv_file", type=_file, help="Write the table to FILE as CSV.")
@click.option("--latex", "latex_file", type=_file, help="Write a LaTeX table to FILE.")
@click.option("--plot", type=_file, help="Plot the fronts of the methods to FILE.png, .pdf or .svg.")
@click.option("--size", type=click.Choice([size.value for size in Size]), help="Width of the plot.  [default: page]")
@timeout_options
@data_dir_option
@json_option
def experiment(
    file: Path,
    storage: str,
    workers: int,
    dask: str | None,
    dry_run: bool,
    csv_file: Path | None,
    latex_file: Path | None,
    plot: Path | None,
    size: str | None,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Run an experiment file and print its table.

    FILE (TOML) names data sets, methods, splits, random seeds and the circuits to confirm. Its searches, races and
    confirmations are studies of one database, which other workers can join. Complete studies are skipped, so the same command
    continues after any interruption, or prints the table again.
    """
    files = {"--csv": csv_file, "--latex": latex_file, "--plot": plot}
    for name, path in files.items():
        if path in STDOUT:
            raise ConfigError(f"{name} {path}: stdout already has the results; give a file name")
        if path:
            check_directory(path)
    if dry_run and (written := [name for name, path in files.items() if path]):
        raise ConfigError(f"--dry-run has no results but {written[0]} writes them; leave one of them out")
    if size and not plot:
        raise ConfigError(f"--size {size} is the width of a plot; add --plot, for instance --plot fronts.pdf")
    if plot:
        from faqnas_optuna.reporting.plotly_front import check_printed

        check_printed(plot)
    client = dask_client(dask, storage)
    from faqnas_optuna.experiments.plan import Experiment

    plan = Experiment.read(file)
    from faqnas_optuna.api.experiment_service import run_experiment
    from faqnas_optuna.api.running import Execution

    execution = Execution(storage=storage, workers=workers, client=client, timeouts=timeouts)
    with reporting(storage):
        if dry_run:
            return _print_estimates(plan, execution, data_dir, as_json=as_json)
        run = run_experiment(plan, execution, _hooks(storage), data_dir=data_dir)
        if run.exit_code:
            command = typed(f"experiment {shlex.quote(str(file))}")
            click.echo(f"interrupted; finished trainings are kept. Continue with: {command}", err=True)
        # Before the table is printed: the reader of a pipe may leave.
        _write_files(run, csv_file, latex_file, plot, size)
        _print(run, as_json=as_json)
    return run.exit_code


def _hooks(storage: str) -> "ExperimentHooks":
    """Return the hooks that show the position in the experiment before the progress of each study."""
    from dataclasses import replace

    from faqnas_optuna.api.experiment_service import ExperimentHooks
    from faqnas_optuna.cli.console import show_race

    def study(position: "Position") -> "Hooks":
        return replace(terminal_hooks(storage), show_progress=partial(show_states, prefix=f"{position} "))

    return ExperimentHooks(
        study=study,
        race=lambda position, name: show_race(f"{position} {name}"),
        on_data=partial(print_findings, is_checked=True),
    )


def _print(run: "ExperimentRun", *, as_json: bool) -> None:
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.experiments.table import experiment_blocks

    if as_json:
        print_json(run.document | {"seconds": round(run.seconds, 3)})
    else:
        print_blocks(experiment_blocks(run.results))


def _write_files(
    run: "ExperimentRun", csv_file: Path | None, latex_file: Path | None, plot: Path | None, size: str | None
) -> None:
    """Write the files that are requested."""
    from faqnas_optuna.files import write_atomically

    if csv_file:
        write_atomically(csv_file, run.csv.encode())
    if latex_file:
        write_atomically(latex_file, run.latex.encode())
    if plot:
        run.save_plot(plot, size=size)
    report_written(csv_file, latex_file, plot)


def _print_estimates(plan: "Experiment", execution: "Execution", data_dir: Path | None, *, as_json: bool) -> int:
    """Print the remaining work of an experiment; return the exit code."""
    from dataclasses import asdict

    from faqnas_optuna.api.experiment_estimates import estimates
    from faqnas_optuna.api.experiment_service import check_data, complete_studies
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.reporting.documents import SCHEMA_VERSION
    from faqnas_optuna.reporting.text_tables import TextTable
    from faqnas_optuna.wording import duration_text

    check_data(plan, data_dir)
    complete = complete_studies(plan, execution, _hooks(execution.storage))
    work = list(estimates(plan, complete, data_dir=data_dir))
    seconds = sum(one.seconds(execution.workers) for one in work)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "work": [asdict(one) for one in work], "seconds": seconds})
        return 0
    table = TextTable(
        names=("data set", "method"), numbers=("studies", "trainings", "confirmation trainings"), last="expected duration"
    )
    for one in work:
        cells = (f"{one.studies:,}", f"{one.trainings:,}", f"{one.confirmations:,}")
        table.rows.append((one.dataset, one.method, *cells, duration_text(one.seconds(execution.workers))))
    print_blocks(
        [
            table,
            "Trainings are upper limits: searches stop early and reuse trainings. All of it takes about"
            f" {duration_text(seconds)} with --workers {execution.workers}, by durations measured on this machine."
            + (" The trainings that confirm whole fronts come on top." if plan.file.confirm.front else ""),
        ]
    )
    return 0
