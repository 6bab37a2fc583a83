"""Malicious study names: refused in one line, without any effect."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.crew import new_study
from tests.support.databases import sqlite_and_postgres
from tests.support.sampling import mostly_slow

NAMES = (
    "../x",
    "/tmp/faqnas-x",
    "a\x1b[31mred\x07\r\n\tb\x9b31m",
    "\u202eiris",
    "[bold red]x[/] <script>alert(1)</script>",
    "s'; DROP TABLE studies; --",
)
COMMANDS = {
    "start": ("start", "--dataset", "iris", "--study"),
    "worker": ("worker",),
    "status": ("status",),
    "stop": ("stop",),
    "resume": ("resume",),
    "pareto": ("pareto", "--csv", "front.csv"),
    "show": ("show",),
    "confirm": ("confirm",),
    "confirm --name": ("confirm", "s", "--name"),
    "export": ("export",),
}


@sqlite_and_postgres
@pytest.mark.parametrize("command", mostly_slow(COMMANDS))
def test_harmful_names_are_refused_in_one_line(
    any_storage_url: str, cli_here: Callable[..., tuple[int, str, str]], tmp_path: Path, command: str
) -> None:
    new_study(any_storage_url, "s")
    before = {*tmp_path.rglob("*")}
    trial = ("0",) if command == "show" else ()
    for name in (*NAMES, "\udcff", "x" * 10_000):
        code, out, err = cli_here(*COMMANDS[command], name, *trial, "--storage", any_storage_url)
        assert (code, out) == (2, "")
        assert err.startswith("Error: ") and err.endswith("\n") and len(err) < 300
        # A terminal could interpret unprintable characters as commands.
        assert err[:-1].isprintable()
        assert repr(name)[:40] in err
    assert {*tmp_path.rglob("*")} <= before
    assert not (tmp_path.parent / "x").exists() and not Path("/tmp/faqnas-x").exists()
    # The existing study must be unharmed.
    assert cli_here("status", "s", "--storage", any_storage_url)[0] == 0
