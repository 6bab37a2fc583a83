"""The command `report`: one or more studies as a self-contained HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.cli.launch import opened_storage
from faqnas_optuna.cli.options import StudyCommand, pick_option, storage_options, studies_argument
from faqnas_optuna.cli.output import report_written

if TYPE_CHECKING:
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@studies_argument
# Without a variable, or every call would write the same file.
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="File to write, ending in .html.",
)
@pick_option
@storage_options
def report(studies: tuple[str, ...], file: Path, pick: "SelectionRule | None", storage: str) -> None:
    """Write the report of one or more studies as an HTML page.

    The page opens without a network connection, and equal studies give equal files. It has a verdict, the front, the results of
    the confirmation, the circuit that --pick selects (by default the knee) with its cost on devices, the progress of the
    search, the importance of each gene, the data and settings, the commands that reproduce the study, and downloads.
    """
    from faqnas_optuna.confirmation.opening import load_search
    from faqnas_optuna.page.report import DEFAULT_RULE, check_report_file, no_report_error, write_report

    check_report_file(file)
    with opened_storage(storage) as opened:
        # A study that is named twice counts once.
        searches = [load_search(opened, name, refusal=no_report_error) for name in dict.fromkeys(studies)]
        write_report(searches, file, pick or DEFAULT_RULE)
    report_written(file)
