"""Commands on a stored study."""

from collections.abc import Callable

import pytest

from faqnas_optuna.study.search import Search

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("--dataset", "iris", "--population", "4", "--generations", "2", "--epochs", "1")


@pytest.fixture
def stored(search_of_eight: Search, cli_here: Cli) -> Cli:
    """Command line in a directory whose default database has a study of eight trials."""
    return cli_here
