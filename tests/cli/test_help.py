"""Texts of `--help`, as shown on a terminal of 80 columns."""

import re

import click
import pytest
from click.testing import CliRunner

from faqnas_optuna.cli.program import cli


def test_no_summary_of_a_command_is_cut() -> None:
    text = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "80"}).output
    summaries = dict(re.findall(r"^  (\w+) +(\S.*)$", text.partition("Commands:")[2], re.MULTILINE))
    assert set(summaries) == set(cli.commands)
    assert [summary for summary in summaries.values() if not summary.endswith(".") or summary.endswith("...")] == []


@pytest.mark.parametrize("name", cli.commands)
def test_a_default_names_no_option_of_another_command(name: str) -> None:
    options = [parameter for parameter in cli.commands[name].params if isinstance(parameter, click.Option)]
    names = {name for option in options for name in option.opts}
    for option in options:
        for default in re.findall(r"\[default: .*?\]", option.help or ""):
            assert set(re.findall(r"--[a-z-]+", default)) <= names, default
