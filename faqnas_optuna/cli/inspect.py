"""Commands that show what was found."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.cli.launch import opened_storage
from faqnas_optuna.cli.options import StudyCommand, json_option, pick_option, storage_options, study_argument, trial_argument
from faqnas_optuna.cli.output import STDOUT, deliver, print_json
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@study_argument
@storage_options
@pick_option
@json_option
# Without variables: one that is set would make every call write files.
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the front to FILE; -: stdout.")
@click.option(
    "--latex",
    "latex_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the front to FILE.tex as a table for LaTeX; -: stdout.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the front to FILE.png, .pdf, .svg or .html."
)
@click.option(
    "--size",
    type=click.Choice([size.value for size in Size]),
    help="How large to draw it for print: for a column, over a page, or on a slide.  [default: page]",
)
def pareto(
    study: str,
    storage: str,
    pick: "SelectionRule | None",
    as_json: bool,
    csv_file: Path | None,
    latex_file: Path | None,
    plot: Path | None,
    size: str | None,
) -> None:
    """Show, plot or write the front of a study.

    The front holds the circuits that no other beats in both cost, as quantum FLOPs, and validation error. --pick takes one of
    them: the knee, from which on cost buys little; the best, of the lowest validation error; or the cheapest whose validation
    error is at most X above the lowest. A plot shows the whole front all the same.
    """
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.confirmation.analysis import confirmed_errors
    from faqnas_optuna.confirmation.opening import confirmation_of, load_search
    from faqnas_optuna.reporting.documents import front_csv, pareto_document
    from faqnas_optuna.reporting.latex import front_table
    from faqnas_optuna.reporting.plotly_front import check_plot_file, write_pareto_plot
    from faqnas_optuna.reporting.search_report import front_blocks
    from faqnas_optuna.study.state import read_state

    drawn = Size(size) if size else None
    if plot:
        check_plot_file(plot, drawn)
    elif drawn:
        raise ConfigError(f"--size {drawn} is that of a figure; name its file too, as --plot front.pdf")
    files = {"--csv": csv_file, "--latex": latex_file}
    to_stdout = [f"{option} {file}" for option, file in files.items() if file in STDOUT] + ["--json"] * as_json
    if len(to_stdout) > 1:
        raise ConfigError(f"{' and '.join(to_stdout[:2])} both print to stdout; leave one of them out, or name a file")
    with opened_storage(storage) as opened:
        search = load_search(opened, study)
        state = read_state(search)
        confirmed = confirmed_errors(confirmation_of(search)) if plot else {}
    document = pareto_document(state, pick)
    shown = [pick.choose(state.front)] if pick else state.front
    if plot:
        write_pareto_plot(state, plot, size=drawn, confirmed=confirmed)
    if csv_file:
        deliver(front_csv(document), csv_file)
    if latex_file:
        deliver(front_table(state, shown), latex_file)
    if as_json:
        print_json(document)
    elif not to_stdout:
        print_blocks(front_blocks(shown, search.description, pick=document.get("pick")))
    for written in (plot, csv_file, latex_file):
        if written and written not in STDOUT:
            click.echo(f"wrote {written}", err=True)


@click.command(cls=StudyCommand)
@study_argument
@trial_argument
@storage_options
@json_option
def show(study: str, trial: "int | SelectionRule | None", storage: str, as_json: bool) -> None:
    """Show one trial with its circuit drawn, or a study's settings.

    Without TRIAL it shows what decides the study, and what was done to its data. TRIAL is its number, or a rule that takes it
    from the front: knee, best, or cheapest-within:X, as --pick of pareto.
    """
    from faqnas_optuna.cli.display import print_study, print_trial
    from faqnas_optuna.confirmation.opening import open_study, search_of
    from faqnas_optuna.confirmation.report import trial_document
    from faqnas_optuna.reporting.documents import check_successful, study_document
    from faqnas_optuna.study.state import read_state

    with opened_storage(storage) as opened:
        search = open_study(opened, study)
        if trial is None:
            document = study_document(search)
            print_json(document) if as_json else print_study(document)
            return
        if not isinstance(trial, int):
            state = read_state(search_of(search))
            check_successful(state)
            trial = trial.choose(state.front).trial
        document = trial_document(search, trial)
    if as_json:
        print_json(document)
        return
    print_trial(document)
