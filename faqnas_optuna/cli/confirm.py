"""The command that confirms: finalists trained anew, beside controls, and judged on the test part."""

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
from faqnas_optuna.cli.output import STDOUT
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.files import check_directory
from faqnas_optuna.literals import whole_number

if TYPE_CHECKING:
    from faqnas_optuna.confirmation.study import Confirmation
    from faqnas_optuna.noise.model import Noise
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@study_argument
@storage_options
@option("--trials", metavar="N,N,…", help="The circuits of these trials.  [default: the front]")
@option("--top", type=IntRange(min=1), help="So many of the front, those of the lowest validation error.")
@pick_option
# Without a variable: FAQNAS_EPOCHS is that of a search.
@click.option("--epochs", type=IntRange(1, 100_000), help="Passes over the training data.  [default: 50]")
@option("--repeats", type=IntRange(1, 1000), help="Trainings of each network.  [default: 10]")
# Without a variable: one that is set would make every call write a file.
@click.option("--latex", "latex_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a table for LaTeX to FILE.")
@option("--noise", metavar="NOISE", help="Then judge them with the noise of a device, by its name, or depolarizing:0.01.")
# Without a variable: it is refused where no noise is asked for.
@click.option("--shots", type=IntRange(1, MOST_SHOTS), help="With noise: measurements of a sample.  [default: no end of them]")
# Without a variable: one that is set would make every call write a file.
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="With noise: draw it to FILE.png, .pdf or .svg.")
@option("--name", "name", metavar="NAME", help="What the confirmation is called.  [default: STUDY.confirm]")
@workers_option
@dask_option
@option("--detach", is_flag=True, help="Only create it; workers attach to it.")
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
    latex_file: Path | None,
    noise: str | None,
    shots: int | None,
    plot: Path | None,
    name: str | None,
    workers: int,
    dask: str | None,
    detach: bool,
    timeouts: WorkerTimeouts,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Retrain circuits from new seeds, and test each of them.

    They are judged on the test part, beside controls. Nothing else ever sees the test part. The confirmation is a study of its
    own, which workers can join; to repeat the command goes on with it, or shows what it has found.
    """
    chosen_by = _choice({"trials": trials, "top": top, "pick": pick})
    if latex_file in STDOUT:
        raise ConfigError(f"--latex {latex_file}: the table has no room beside what is printed; name a file")
    if detach and latex_file:
        raise ConfigError("--detach trains nothing, and --latex is a table of what was trained; leave one of them out")
    if plot:
        _check_plot(plot, noise)
    for file in (latex_file, plot):
        if file:
            check_directory(file)
    if detach and dask:
        raise ConfigError("--detach starts no workers, and --dask says where to start them; leave one of them out")
    model = _noise(noise, shots, elsewhere="--detach" if detach else "--dask" if dask else None)
    numbers = None if trials is None or chosen_by != "trials" else _trial_numbers(trials)
    client = dask_client(dask, storage)
    from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study, confirmation_name
    from faqnas_optuna.api.data import DataSource
    from faqnas_optuna.api.running import Execution
    from faqnas_optuna.confirmation.plan import ConfirmationBudget

    request = ConfirmationRequest(
        study=study,
        name=confirmation_name(study, name),
        trials=numbers,
        top=top if chosen_by == "top" else None,
        pick=pick if chosen_by == "pick" else None,
        budget=ConfirmationBudget(epochs=epochs, repeats=repeats),
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
        return code or _write_table(run.study, latex_file)


def _write_table(confirmation: "Confirmation", file: Path | None) -> int:
    """For LaTeX, if a file is named for it."""
    from faqnas_optuna.confirmation.analysis import confirmation_document
    from faqnas_optuna.confirmation.latex import confirmation_table
    from faqnas_optuna.files import write_atomically

    if file:
        write_atomically(file, confirmation_table(confirmation_document(confirmation)).encode())
        click.echo(f"wrote {file}", err=True)
    return 0


def _noise(text: str | None, shots: int | None, *, elsewhere: str | None) -> "Noise | None":
    """The noise that is asked for, if there is any; what it does not go with is refused.

    Args:
        elsewhere: the option by which other processes train.
    """
    if text is None:
        if shots is not None:
            raise ConfigError("--shots are those of circuits with noise; add --noise, for instance --noise depolarizing:0.01")
        return None
    if elsewhere:
        raise ConfigError(
            f"--noise is computed here after the trainings, and {elsewhere} has them elsewhere; leave one of them out, and give"
            " --noise once they are done"
        )
    from faqnas_optuna.noise.model import noise_of

    return noise_of(text)


def _check_plot(file: Path, noise: str | None) -> None:
    """Refuse a figure of what is not asked for, and a file that we cannot draw into."""
    if noise is None:
        raise ConfigError(f"--plot {file} is a figure of scores under noise; add --noise, for instance --noise heron-r3")
    from faqnas_optuna.reporting.plotly_front import check_printed

    check_printed(file)


def _choice(given: Mapping[str, object]) -> str | None:
    """The one option that chooses circuits; what is typed beats what stands in the environment."""
    named = [name for name in given if given[name] is not None]
    chosen = [name for name in named if is_typed(name)] or named
    if len(chosen) > 1:
        raise ConfigError("--trials, --top and --pick each choose circuits; leave all but one of them out")
    return chosen[0] if chosen else None


def _trial_numbers(text: str) -> list[int]:
    """`19,48` as numbers."""
    try:
        numbers = [whole_number(part.strip()) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise ConfigError(f"--trials is a list of numbers, as in 19,48; it is {text!r}")
    return numbers
