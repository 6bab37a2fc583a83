from collections.abc import Callable

import pytest

from faqnas_optuna.confirmation.opening import find_confirmation, load_search, not_a_search_error, open_study
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from faqnas_optuna.study.search import Search, check_existing
from tests.confirmation.conftest import Make
from tests.conftest import cheap_values, run_trials


def test_the_confirmation_of_another_study_is_refused(
    confirmation: Make, new_search: Callable[..., Search], search_of_eight: Search
) -> None:
    confirmation(0)
    storage, other = search_of_eight.study._storage, new_search(name="other")
    run_trials(other, 4, cheap_values)
    with pytest.raises(StudyMismatchError, match="or an earlier one named 'iris'; choose another name with --name"):
        find_confirmation(storage, "iris.confirm", other)
    with pytest.raises(StudyMismatchError, match="is not a confirmation"):
        find_confirmation(storage, "other", search_of_eight)
    assert find_confirmation(storage, "other.confirm", other) is None


def test_a_study_is_opened_as_what_it_is(confirmation: Make, search_of_eight: Search) -> None:
    confirmation(0)
    storage = search_of_eight.study._storage
    assert isinstance(open_study(storage, "iris"), Search)
    assert isinstance(open_study(storage, "iris.confirm"), Confirmation)


def test_a_confirmation_is_refused_where_a_search_is_needed(confirmation: Make, search_of_eight: Search) -> None:
    confirmation(0)
    storage = search_of_eight.study._storage
    assert load_search(storage, "iris").description == search_of_eight.description
    with pytest.raises(ConfigError, match="study 'iris.confirm' has no front: .*: faqnas-optuna confirm iris$"):
        load_search(storage, "iris.confirm")
    with pytest.raises(ConfigError, match=r"confirm more of those with: faqnas-optuna confirm iris --trials N,N$"):
        load_search(storage, "iris.confirm", refusal=not_a_search_error)
    with pytest.raises(StudyMismatchError, match="study 'iris.confirm' is a confirmation, not a search"):
        check_existing(storage, "iris.confirm", search_of_eight.config)
