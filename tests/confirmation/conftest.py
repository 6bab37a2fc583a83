"""Confirmations used by several test files."""

from collections.abc import Callable

import pytest

from faqnas_optuna.confirmation.plan import ConfirmationBudget, candidates_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.study.search import Search
from tests.conftest import confirm

Make = Callable[..., Confirmation]

SHORT = ConfirmationBudget(epochs=1, repeats=2)


@pytest.fixture
def confirmation(search_of_eight: Search, storage_url: str) -> Make:
    """Return a function that confirms trials of a study of eight, or adds to the confirmation."""

    def make(*trials: int, budget: ConfirmationBudget = SHORT, name: str = "iris.confirm") -> Confirmation:
        return confirm(search_of_eight, storage_url, candidates_of(search_of_eight, trials), budget, name)

    return make
