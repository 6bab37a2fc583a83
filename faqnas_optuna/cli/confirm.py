"""The command `confirm`: retrain circuits beside baselines and evaluate them on the test part."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.api.settings import MOST_SHOTS, WorkerTimeouts
from faqnas_optuna.cli.conclusion import conclude, print_detached
from faqnas_optuna.cli.launch import dask_client, reporting, terminal_hooks
from faqnas_optuna.cli.options import (
    StudyCommand,
    dask_option,
    data_dir_option,
    is_typed,
    json_option,
    option,
    pick_option,
    storage_options,
    study_argument,
    timeout_options,
    workers_option,
)
from faqnas_optuna.cli.output import STDOUT, report_written
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.files import check_directory
from faqnas_optuna.literals import whole_number
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.confirmation.study import Confirmation
    from faqnas_optuna.noise.model import Noise
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@study_argument
@storage_options
@option("--trials", metavar="N,N,…", help="Confirm the circuits of these trials.  [default: the front]")
@option("--top", type=IntRange(min=1), help="Confirm the N front circuits with the lowest validation error.")
@pick_option
# Without variables: FAQNAS_EPOCHS and FAQNAS_REPEATS are settings of a search.
@click.option("--epochs", type=IntRange(1, 100_000), help="Passes over the training data.  [default: 50]")
@click.option("--repeats", type=IntRange(1, 1000), help="Trainings per network, each from its own seed.  [default: 10]")
@option("--baselines", metavar="NAME,…", help="Compare with these baselines alone, or with none.  [default: all]")
# Without a variable, or every call would write the file.
@click.option("--latex", "latex_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a LaTeX table to FILE.")
@option("--noise", metavar="NOISE", help="Also score them under noise: a device, by name or file, or depolarizing:P.")
# Without a variable: it is refused without --noise.
@click.option(
    "--shots", type=IntRange(1, MOST_SHOTS), help="With --noise: measurements per sample.  [default: exact expectation values]"
)
# Without a variable, or every call would write the file.
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plot the test scores, or with --noise those under noise, to FILE.png, .pdf or .svg.",
)
@click.option(
    "--size", type=click.Choice([size.value for size in Size]), help="Size of the plot of test scores.  [default: page]"
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the table of circuits to FILE.")
# Without a variable: the confirmations of all studies would share one name.
@click.option("--name", metavar="NAME", help="Name of the confirmation.  [default: STUDY.confirm]")
@workers_option
@dask_option
@option("--detach", is_flag=True, help="Only create the confirmation; workers attach to it.")
@timeout_options
@data_dir_option
@json_option
def confirm(
    study: str,
    storage: str,
    trials: str | None,
    top: int | None,
    pick: "SelectionRule | None",
    epochs: int | None,
    repeats: int | None,
    baselines: str | None,
    latex_file: Path | None,
    noise: str | None,
    shots: int | None,
    plot: Path | None,
    size: str | None,
    csv_file: Path | None,
    name: str | None,
    workers: int,
    dask: str | None,
    detach: bool,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Retrain circuits from new random seeds and test them.

    The circuits are evaluated on the test part of the data, which nothing else uses, beside baselines. A confirmation is a
    study that workers can join. The same command continues it, or shows its results.
    """
    # All refusals that need neither the database nor heavy imports come first.
    chosen_by = _choice({"trials": trials, "top": top, "pick": pick})
    files = {"--latex": latex_file, "--csv": csv_file, "--plot": plot}
    for option_name, file in files.items():
        if file in STDOUT and option_name != "--plot":
            raise ConfigError(f"{option_name} {file}: stdout already has the results; give a file name")
        if detach and file:
            raise ConfigError(f"--detach trains nothing but {option_name} shows trained circuits; leave one of them out")
    if plot:
        from faqnas_optuna.reporting.plotly_front import check_printed

        check_printed(plot)
    if size and (noise or not plot):
        raise ConfigError(f"--size {size} is the size of a plot of test scores; add --plot without --noise, or leave it out")
    for file in files.values():
        if file:
            check_directory(file)
    if detach and dask:
        raise ConfigError("--detach starts no workers but --dask says where to run them; leave one of them out")
    # A wrong device is refused before the trainings.
    model = _noise(noise, shots, elsewhere="--detach" if detach else "--dask" if dask else None)
    from faqnas_optuna.confirmation.plan import ConfirmationBudget, parse_baselines

    # Before the database is opened: a wrong name is refused at once.
    chosen_baselines = None if baselines is None else parse_baselines(baselines)
    numbers = None if trials is None or chosen_by != "trials" else _trial_numbers(trials)
    # Connects before the heavy imports: a wrong address is refused at once.
    client = dask_client(dask, storage)
    from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study, confirmation_name
    from faqnas_optuna.api.data import DataSource
    from faqnas_optuna.api.running import Execution

    request = ConfirmationRequest(
        study=study,
        name=confirmation_name(study, name),
        trials=numbers,
        top=top if chosen_by == "top" else None,
        pick=pick if chosen_by == "pick" else None,
        budget=ConfirmationBudget(epochs=epochs, repeats=repeats, baselines=chosen_baselines),
        noise=model,
    )
    execution = Execution(storage=storage, workers=workers, client=client, timeouts=timeouts)
    data = DataSource(data_dir=data_dir)
    with reporting(storage):
        run = confirm_study(request, data, execution, terminal_hooks(storage), detach=detach)
        if detach and not run.done_before:
            return print_detached(run.study, as_json=as_json)
        noisily = None
        if model:
            from faqnas_optuna.cli.noise import NoiseEvaluation

            noisily = NoiseEvaluation(run=run, noise=model, shots=shots, data=data, plot=plot)
        code = conclude(run, as_json=as_json, noise=noisily)
        # Only a complete run has a table: after a signal or a failure it is not written.
        if not code:
            _write_files(run.study, latex_file, csv_file, None if noise else plot, Size(size) if size else None)
        return code


def _write_files(
    confirmation: "Confirmation", latex_file: Path | None, csv_file: Path | None, plot: Path | None, size: Size | None
) -> None:
    """Write the files that are requested: the table of circuits for LaTeX and as CSV, and the plot."""
    if not (latex_file or csv_file or plot):
        return
    from faqnas_optuna.confirmation.analysis import confirmation_document
    from faqnas_optuna.confirmation.circuit_table import confirmed_csv
    from faqnas_optuna.confirmation.figure import write_confirmation_plot
    from faqnas_optuna.confirmation.latex import confirmation_table
    from faqnas_optuna.files import write_atomically

    document = confirmation_document(confirmation)
    if latex_file:
        write_atomically(latex_file, confirmation_table(document).encode())
    if csv_file:
        write_atomically(csv_file, confirmed_csv(document).encode())
    if plot:
        write_confirmation_plot(document, plot, size)
    report_written(latex_file, csv_file, plot)


def _noise(text: str | None, shots: int | None, *, elsewhere: str | None) -> "Noise | None":
    """Return the noise, or None; refuse options that it cannot be combined with.

    Args:
        elsewhere: Option that has other processes train.
    """
    if text is None:
        if shots is not None:
            raise ConfigError("--shots needs --noise; add it, for instance --noise depolarizing:0.01")
        return None
    if elsewhere:
        raise ConfigError(
            f"--noise is computed by this process after the trainings, which {elsewhere} leaves to others; leave one of them"
            " out, and repeat the command with --noise once they are done"
        )
    from faqnas_optuna.noise.model import noise_of

    return noise_of(text)


def _choice(values: Mapping[str, object]) -> str | None:
    """Return the one option that selects circuits; a typed one beats the environment."""
    names = [name for name in values if values[name] is not None]
    # Options that come from the environment count only if none is typed.
    chosen = [name for name in names if is_typed(name)] or names
    if len(chosen) > 1:
        raise ConfigError("--trials, --top and --pick each select circuits; give only one of them")
    return chosen[0] if chosen else None


def _trial_numbers(text: str) -> list[int]:
    """Parse trial numbers such as `19,48`."""
    try:
        numbers = [whole_number(part.strip()) for part in text.split(",")]
    except ValueError:
        # Refused below, like a negative number.
        numbers = [-1]
    if min(numbers) < 0:
        raise ConfigError(f"--trials must be a list of trial numbers such as 19,48; it is {text!r}")
    return numbers
