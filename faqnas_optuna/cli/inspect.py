"""The commands `pareto` and `show`: the front of a study, and single trials."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.cli.launch import opened_storage
from faqnas_optuna.cli.options import (
    StudyCommand,
    by_option,
    json_option,
    pick_option,
    storage_options,
    studies_argument,
    study_argument,
    trial_argument,
)
from faqnas_optuna.cli.output import STDOUT, deliver, print_json, report_written
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@studies_argument
@storage_options
@pick_option
@json_option
# Without variables, or every call would write the files.
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the front to FILE, or to stdout (-)."
)
@click.option(
    "--latex",
    "latex_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the front as a LaTeX table to FILE, or to stdout (-).",
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Plot the front to FILE.png, .pdf, .svg or .html."
)
@click.option(
    "--size",
    type=click.Choice([size.value for size in Size]),
    help="Size of the plot in print: a column, a page's width, or a slide.  [default: page]",
)
@by_option
@click.option("--group-by", metavar="SETTING", help="Group several studies by a setting, or by study or searcher.")
def pareto(
    studies: tuple[str, ...],
    storage: str,
    pick: "SelectionRule | None",
    as_json: bool,
    csv_file: Path | None,
    latex_file: Path | None,
    plot: Path | None,
    size: str | None,
    by: str | None,
    group_by: str | None,
) -> None:
    """Show, plot or export the front of one or more studies.

    The front has the non-dominated circuits by cost (quantum FLOPs) and validation error. --pick selects one of them: the knee,
    beyond which more cost gains little; the best, with the lowest validation error; or the cheapest whose validation error is
    at most X above the lowest. A plot always shows the whole front.

    In a race, --by compares families of circuits, such as those with and without effective entanglers, and --plot draws them.

    Of several studies, the table has a row for each group, and the plot the errors that half of its fronts attain. The studies
    of a group differ only in their random seeds, or have a common value of the setting that --group-by names.
    """
    drawn = Size(size) if size else None
    if len(studies) > 1:
        # These show circuits, of which several fronts have many.
        options = {"--pick": pick, "--csv": csv_file, "--latex": latex_file, "--by": by}
        if given := [option for option, value in options.items() if value]:
            raise ConfigError(f"{given[0]} is for the front of one study, and {len(studies)} are named; leave one of them out")
        _compare_fronts(studies, storage, group_by, plot, drawn, as_json=as_json)
        return
    if group_by:
        raise ConfigError(f"--group-by {group_by} groups several studies, and one is named; name more studies")
    study = studies[0]
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.confirmation.analysis import confirmed_errors
    from faqnas_optuna.confirmation.opening import confirmation_of, load_search
    from faqnas_optuna.reporting.documents import front_csv, pareto_document
    from faqnas_optuna.reporting.families import Trait
    from faqnas_optuna.reporting.family_plot import write_family_plot
    from faqnas_optuna.reporting.latex import front_table
    from faqnas_optuna.reporting.plotly_front import check_plot_file, write_pareto_plot
    from faqnas_optuna.reporting.race_report import families_of, family_blocks, family_document
    from faqnas_optuna.reporting.search_report import front_blocks
    from faqnas_optuna.study.state import read_state

    if plot:
        check_plot_file(plot, drawn)
    elif drawn:
        raise ConfigError(f"--size {drawn} is the size of a plot; add --plot, for instance --plot front.pdf")
    files = {"--csv": csv_file, "--latex": latex_file}
    # A program could not separate two results on one stream.
    to_stdout = [f"{option} {file}" for option, file in files.items() if file in STDOUT] + ["--json"] * as_json
    if len(to_stdout) > 1:
        raise ConfigError(f"{' and '.join(to_stdout[:2])} both print to stdout; leave one of them out or give a file name")
    with opened_storage(storage) as opened:
        search = load_search(opened, study)
        state = read_state(search)
        # Only plots show confirmed errors beside the front.
        confirmed = confirmed_errors(confirmation_of(search)) if plot else {}
    # Outside the storage: everything below is computed from memory.
    families = families_of(state, Trait(by)) if by else []
    document = pareto_document(state, pick) | family_document(families)
    candidates = [state.choose(pick)] if pick else state.front
    if plot:
        if by:
            write_family_plot(families, state, Trait(by), plot, size=drawn)
        else:
            write_pareto_plot(state, plot, size=drawn, confirmed=confirmed)
    if csv_file:
        deliver(front_csv(document), csv_file)
    if latex_file:
        deliver(front_table(state, candidates), latex_file)
    if as_json:
        print_json(document)
    elif not to_stdout:
        print_blocks(front_blocks(candidates, search.description, pick=document.get("pick")))
        print_blocks(family_blocks(families, search.description))
    report_written(plot, csv_file, latex_file)


def _compare_fronts(
    names: tuple[str, ...], storage: str, group_by: str | None, plot: Path | None, size: Size | None, *, as_json: bool
) -> None:
    """Show and plot the fronts of several studies."""
    from faqnas_optuna.cli.display import print_blocks
    from faqnas_optuna.confirmation.opening import load_search
    from faqnas_optuna.reporting.plotly_front import check_plot_file
    from faqnas_optuna.reporting.study_groups import group_studies, groups_blocks, groups_document, write_groups_plot
    from faqnas_optuna.study.state import read_state

    if plot:
        check_plot_file(plot, size)
    elif size:
        raise ConfigError(f"--size {size} is the size of a plot; add --plot, for instance --plot fronts.pdf")
    with opened_storage(storage) as opened:
        # A study that is named twice counts once.
        states = [read_state(load_search(opened, name)) for name in dict.fromkeys(names)]
    groups = group_studies(states, group_by)
    if plot:
        write_groups_plot(groups, plot, size=size)
    if as_json:
        print_json(groups_document(groups))
    else:
        print_blocks(groups_blocks(groups))
    report_written(plot)


@click.command(cls=StudyCommand)
@study_argument
@trial_argument
@storage_options
@json_option
def show(study: str, trial: "int | SelectionRule | None", storage: str, as_json: bool) -> None:
    """Show a trial and its circuit, or a study's settings.

    TRIAL is a trial number, or a rule that selects one from the front: knee, best, cheapest-within:X, best-under:COST or
    at-least:SCORE. Without TRIAL, the settings of the study are shown, and how its data are preprocessed.
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
            # The rule is resolved here, so that the document is the same as for a number.
            trial = state.choose(trial).trial
        document = trial_document(search, trial)
    if as_json:
        print_json(document)
        return
    print_trial(document)
