"""The command that measures the paper's claims on tables."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.cli.launch import print_json
from faqnas_optuna.cli.options import cores, data_dir_option, json_option, option
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from faqnas_optuna.comparison.judging import Contest
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.tables.table import Table

TRAININGS = 160
"""Of each search: those of the paper's."""


@click.command()
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@option("--searches", type=IntRange(2, 1000), default=20, show_default=True, help="Pairs of searches on each table.")
# Without a variable: one that is set would make every call write files.
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a text to FILE.md, and figures beside it.")
@option("--workers", type=IntRange(1, 1024), help="Processes.  [default: one for each core]")
@data_dir_option
@json_option
def claims(
    tables: tuple[str, ...], searches: int, out: Path | None, workers: int | None, data_dir: Path | None, as_json: bool
) -> int:
    """Measure the paper's claims on tables of all circuits.

    TABLE is a data set whose table comes with the program, or a file of `enumerate`; without TABLE it measures on all that come
    with the program. Each claim gets its numbers with 95 % intervals, and a verdict by a rule that is told: it holds, it does
    not hold, or it cannot be told.
    """
    if out and out.suffix != ".md":
        raise ConfigError(f"the text is Markdown, so --out ends with .md; it is {out}")
    if out and not out.absolute().parent.is_dir():
        raise OutputError(f"{out}: there is no directory {out.parent}; make it first")
    if out and out.with_suffix("").exists() and not out.with_suffix("").is_dir():
        raise OutputError(f"{out}: its figures go into a directory {out.with_suffix('')}, and a file has that name; move it")
    from faqnas_optuna.tables.loading import load_table, shipped

    asked = tables or _in_order(shipped())
    found = [load_table(table) for table in asked]
    # They bring the engine: a wrong name is refused without.
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.tables.live import data_of
    from studies.claims.measuring import check_table, measure
    from studies.claims.report import claims_document

    for table in found:
        check_table(table)
    data = [data_of(table, data_dir) for table in found]
    with Signals().caught() as signals:
        contests = _contests(found, searches, workers or cores(), signals)
    if signals.first:
        click.echo("interrupted; nothing was written", err=True)
        return signals.exit_code
    findings = [measure(*each) for each in zip(found, data, contests, strict=True)]
    document = claims_document(list(zip(found, findings, strict=True)), searches=searches, trainings=TRAININGS)
    if out:
        _write(document, out)
    if as_json:
        print_json(document)
    else:
        _print(document)
    return 0


def _in_order(known: "dict[str, Path]") -> list[str]:
    """Names of data sets in the order of the paper's."""
    from faqnas_optuna.data.named import DATASETS

    return [name for name in DATASETS if name in known]


def _contests(tables: "Sequence[Table]", searches: int, processes: int, signals: "Signals") -> "list[dict[int, Contest]]":
    """Searches on every table, with progress; a signal ends them."""
    from faqnas_optuna.cli.console import show_work
    from faqnas_optuna.comparison.judging import Outcome, contest, hold
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.comparison.tabular import TabularBenchmark
    from studies.claims.measuring import epochs_of
    from studies.claims.savings import AWARE, UNAWARE

    names, budget, done = (AWARE, UNAWARE), TrainingBudget(trainings=TRAININGS), 0
    planned = len(names) * searches * sum(len(epochs_of(table)) for table in tables)
    found: list[dict[int, Contest]] = []
    with signals.giving_up(at_first=True), show_work("claims", "replay", planned) as update:
        update(0)
        for table in tables:
            found.append({})
            for epochs in epochs_of(table):
                outcomes: list[Outcome] = []
                for outcome in hold(
                    names, TabularBenchmark(table, epochs=epochs), budget, searches=searches, processes=processes
                ):
                    outcomes.append(outcome)
                    done += 1
                    update(done)
                found[-1][epochs] = contest(names, outcomes)
    return found


def _write(document: Mapping[str, Any], out: Path) -> None:
    """The text, and the figures in a folder of its name."""
    from faqnas_optuna.files import write_atomically
    from studies.claims.figures import FIGURES, claim_figure
    from studies.claims.report import claims_text

    folder = out.with_suffix("")
    folder.mkdir(exist_ok=True)
    for number in FIGURES:
        write_atomically(folder / f"{number}.svg", claim_figure(number, document))
    command = shlex.join(["faqnas-optuna", *sys.argv[1:]])
    write_atomically(out, claims_text(document, command=command, figures=folder.name).encode())
    click.echo(f"wrote {out}, and {len(FIGURES)} figures in {folder}", err=True)


def _print(document: Mapping[str, Any]) -> None:
    """The verdicts as tables."""
    from faqnas_optuna.cli.display import print_line, print_table
    from faqnas_optuna.reporting.text_tables import TextTable as Printed
    from studies.claims.report import verdicts

    for epochs, rows in verdicts(document).items():
        print_line(f"After {epochs} epochs:")
        names = ["", *(table["dataset"] for table in document["tables"])]
        print_table(
            Printed(names=names, numbers=[], last="claim", rows=[(number, *told, claim) for number, claim, *told in rows])
        )
        print_line("")


if __name__ == "__main__":
    claims()
