"""Command that measures the paper's claims on tables."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna import load_table
from faqnas_optuna.cli.options import HELP_SETTINGS, data_dir_option, json_option, option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.errors import ConfigError, OutputError
from faqnas_optuna.machine import cores

if TYPE_CHECKING:
    from faqnas_optuna import Table
    from faqnas_optuna.comparison.judging import Contest
    from faqnas_optuna.signals import Signals

TRAININGS = 160
"""Number of trainings of each search, 8 generations of 20."""


@click.command(context_settings=HELP_SETTINGS)
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@option("--searches", type=IntRange(2, 1000), default=20, show_default=True, help="Number of pairs of searches on each table.")
# No environment variable: one that is set would make every call write files.
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report to FILE.md and figures beside it.",
)
@option("--workers", type=IntRange(1, 1024), help="Number of processes.  [default: one for each core]")
@data_dir_option
@json_option
def claims(
    tables: tuple[str, ...], searches: int, out: Path | None, workers: int | None, data_dir: Path | None, as_json: bool
) -> int:
    """Measure the paper's claims on tables of all circuits.

    TABLE is a data set whose table comes with the program, or a file written by `faqnas-optuna enumerate`; the default is all
    tables that come with the program. Each claim gets numbers with 95 % confidence intervals and a verdict by a stated rule: it
    holds, it does not hold, or it is undecided.
    """
    # Before the searches, which take minutes.
    if out:
        _check_writable(out)
    opened = [load_table(table) for table in tables or bundled_in_order()]
    # These modules load the simulator, which the refusal of a wrong name does not need.
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.tables.live import data_of
    from studies.claims.measuring import check_table, measure
    from studies.claims.report import claims_document

    # All tables are checked before any is searched.
    for table in opened:
        check_table(table)
    data = [data_of(table, data_dir) for table in opened]
    with Signals().caught() as signals:
        contests = _contests(opened, searches, workers or cores(), signals)
    if signals.first:
        click.echo("interrupted; nothing was written", err=True)
        return signals.exit_code
    findings = [measure(*arguments) for arguments in zip(opened, data, contests, strict=True)]
    document = claims_document(list(zip(opened, findings, strict=True)), searches=searches, trainings=TRAININGS)
    if out:
        _write(document, out)
    if as_json:
        print_json(document)
    else:
        _print(document)
    return 0


def _check_writable(out: Path) -> None:
    """Refuse an output file that cannot be written.

    Raises:
        ConfigError: The file is no Markdown file.
        OutputError: Its directory does not exist, or a file has the name of the directory of the figures.
    """
    # The figures go to a directory of the same name without this ending.
    if out.suffix != ".md":
        raise ConfigError(f"--out must end with .md, since the report is Markdown; it is {out}")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"{out}: directory {out.parent} does not exist; create it first")
    if out.with_suffix("").exists() and not out.with_suffix("").is_dir():
        raise OutputError(f"{out}: its figures need a directory {out.with_suffix('')}, but a file has that name; move the file")


def bundled_in_order() -> list[str]:
    """Return the data sets whose tables come with the program, in the order of the paper."""
    from faqnas_optuna.data.named import DATASETS
    from faqnas_optuna.tables.loading import shipped

    # `shipped` sorts by name; the report follows the paper.
    tables = shipped()
    return [name for name in DATASETS if name in tables]


def _contests(tables: "Sequence[Table]", searches: int, processes: int, signals: "Signals") -> "list[dict[int, Contest]]":
    """Run the searches on every table and return the contests by epochs; a signal ends them early."""
    from faqnas_optuna.cli.console import show_work
    from faqnas_optuna.comparison.judging import run_contest
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.comparison.tabular import TabularBenchmark
    from studies.claims.measuring import epochs_of
    from studies.claims.savings import AWARE, UNAWARE

    names = (AWARE, UNAWARE)
    per_contest = len(names) * searches
    planned = per_contest * sum(len(epochs_of(table)) for table in tables)
    contests: list[dict[int, Contest]] = []
    n_done = 0
    # Nothing is written before the end, so the first signal may interrupt at once.
    with signals.giving_up(at_first=True), show_work("claims", "replay", planned) as update:
        # A contest reports its own searches; the progress line counts those of all contests.
        def on_done(searches_of_contest: int) -> None:
            update(n_done + searches_of_contest)

        for table in tables:
            contests.append({})
            for epochs in epochs_of(table):
                contests[-1][epochs] = run_contest(
                    names,
                    TabularBenchmark(table, epochs=epochs),
                    TrainingBudget(trainings=TRAININGS),
                    searches=searches,
                    processes=processes,
                    on_done=on_done,
                )
                n_done += per_contest
    return contests


def _write(document: Mapping[str, Any], out: Path) -> None:
    """Write the report, and its figures to a directory of the same name."""
    from faqnas_optuna.files import write_atomically
    from studies.claims.figures import FIGURES, claim_figure
    from studies.claims.report import claims_text

    folder = out.with_suffix("")
    folder.mkdir(exist_ok=True)
    # The report comes last: where it exists, so do its figures.
    for number in FIGURES:
        write_atomically(folder / f"{number}.svg", claim_figure(number, document))
    # As typed, so that a reader can repeat it.
    command = shlex.join(["python", "-m", "studies.claims", *sys.argv[1:]])
    write_atomically(out, claims_text(document, command=command, figures=folder.name).encode())
    click.echo(f"wrote {out} and {len(FIGURES)} figures in {folder}", err=True)


def _print(document: Mapping[str, Any]) -> None:
    """Print the verdicts as tables."""
    from faqnas_optuna.cli.display import print_line, print_table
    from faqnas_optuna.reporting.text_tables import TextTable
    from studies.claims.report import verdicts

    names = ["", *(table["dataset"] for table in document["tables"])]
    for epochs, claims_by_row in verdicts(document).items():
        print_line(f"After {epochs} epochs:")
        rows: list[Sequence[str]] = [(number, *of_tables, claim) for number, claim, *of_tables in claims_by_row]
        print_table(TextTable(names=names, numbers=[], last="claim", rows=rows))
        print_line("")
