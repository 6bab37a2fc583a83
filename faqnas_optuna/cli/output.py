"""Output of results: to stdout, or to files."""

import json
import sys
from pathlib import Path
from typing import Any

import click

STDOUT = (Path("-"), Path("/dev/stdout"))
"""File names that stand for stdout."""


def print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def report_written(*files: Path | None) -> None:
    """Print the names of written files on stderr; stdout has the result itself."""
    for file in files:
        if file and file not in STDOUT:
            click.echo(f"wrote {file}", err=True)


def deliver(table: str, file: Path) -> None:
    """Write a table to a file or to stdout, escaping control characters only for a terminal."""
    from faqnas_optuna.escaping import EscapingStream
    from faqnas_optuna.files import write_atomically

    if file in STDOUT:
        out: Any = sys.stdout
        # A pipe gets the table byte for byte; a terminal would obey control characters.
        is_piped = isinstance(out, EscapingStream) and not out.isatty()
        click.echo(table, nl=False, file=out.unescaped if is_piped else None)
    else:
        write_atomically(file, table.encode())
