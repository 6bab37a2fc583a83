"""Commands beside a study that is stored."""

from collections.abc import Callable

import pytest

from faqnas_optuna.study.search import Search

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("--dataset", "iris", "--population", "4", "--generations", "2", "--epochs", "1")


@pytest.fixture
def stored(search_of_eight: Search, cli_here: Cli) -> Cli:
    """The command line beside a study of eight trials, in the database that is the default there."""
    return cli_here
