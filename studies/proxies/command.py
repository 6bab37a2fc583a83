"""Commands that compute the proxies and compare them with tables."""

import shlex
import sys
from pathlib import Path

import click

from faqnas_optuna import load_table
from faqnas_optuna.cli.options import HELP_SETTINGS, json_option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.errors import ConfigError, OutputError
from studies.claims.command import bundled_in_order


@click.group(context_settings=HELP_SETTINGS)
def proxies() -> None:
    """Compare proxies of accuracy that need no training with tables of all circuits."""


# No environment variables in this group: one that is set would make every call write files.
@proxies.command(context_settings=HELP_SETTINGS)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write the values to FILE.parquet.")
def compute(out: Path) -> int:
    """Compute the proxies of all effective circuits, which takes about ten minutes of one core."""
    _check_writable(out, ".parquet")
    from faqnas_optuna.cli.console import show_work
    from faqnas_optuna.signals import Signals
    from studies.proxies.sampling import compute as compute_values
    from studies.proxies.sampling import trained_circuits, write_values

    circuits = trained_circuits()
    columns = None
    # Nothing is written before the end, so the first signal may interrupt at once.
    with (
        Signals().caught() as signals,
        signals.giving_up(at_first=True),
        show_work("proxies", "circuit", len(circuits)) as update,
    ):
        columns = compute_values(circuits, update)
    if columns is None:
        click.echo("interrupted; nothing was written", err=True)
        return signals.exit_code
    write_values(columns, out)
    click.echo(f"wrote {out}", err=True)
    return 0


@proxies.command(context_settings=HELP_SETTINGS)
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@click.option(
    "--values",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File written by `compute`.  [default: the file in this folder]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report to FILE.md and its figure beside it.",
)
@json_option
def judge(tables: tuple[str, ...], values: Path | None, out: Path | None, as_json: bool) -> int:
    """Compare the proxies with the accuracies of tables.

    TABLE is a data set whose table comes with the program, or a file written by `faqnas-optuna enumerate`; the default is all
    tables that come with the program.
    """
    if out:
        _check_writable(out, ".md")
    opened = [load_table(table) for table in tables or bundled_in_order()]
    from faqnas_optuna.files import write_atomically
    from studies.claims.measuring import check_table
    from studies.proxies.figure import correlation_figure
    from studies.proxies.judging import judge as judge_table
    from studies.proxies.report import proxies_document, proxies_text
    from studies.proxies.sampling import VALUES_FILE, read_values, trained_circuits

    # All tables are checked before the first takes a minute.
    for table in opened:
        check_table(table)
    source = values or VALUES_FILE
    digests, columns = read_values(source)
    if set(digests) != {circuit.digest for circuit in trained_circuits()}:
        raise ConfigError(f"--values must have all effective circuits once; {source} has others; write it with `compute`")
    document = proxies_document([judge_table(table, digests, columns) for table in opened])
    # As typed, so that a reader can repeat it.
    command = shlex.join(["python", "-m", "studies.proxies", *sys.argv[1:]])
    figure = (out or Path("proxies.md")).with_suffix(".svg")
    text = proxies_text(document, command=command, figure=figure.name)
    if out:
        # The report comes last: where it exists, so does its figure.
        write_atomically(figure, correlation_figure(document))
        write_atomically(out, text.encode())
        click.echo(f"wrote {out} and {figure}", err=True)
    if as_json:
        print_json(document)
    elif not out:
        click.echo(text)
    return 0


def _check_writable(out: Path, ending: str) -> None:
    """Refuse an output file that cannot be written.

    Raises:
        ConfigError: The file has another ending.
        OutputError: Its directory does not exist.
    """
    if out.suffix != ending:
        raise ConfigError(f"--out must end with {ending}; it is {out}")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"{out}: directory {out.parent} does not exist; create it first")
