from collections.abc import Callable

from faqnas_optuna.config import SearchConfig, SpaceConfig, TrainingConfig
from faqnas_optuna.results.advice import advice
from faqnas_optuna.search.course import advance
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search
from tests.conftest import cheap_values, run_trials, small_config, successful


def test_signs_of_failure_are_told_with_what_to_try(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=8)))
    run_trials(search, 12, lambda _: (100.0, 0.7))
    advance(Standing.of(search))
    poor, single, stagnation, budget = advice(Standing.of(search))
    assert "reaches only 0.30 accuracy" in poor
    assert "barren plateau" in poor
    assert "single point" in single
    assert "stagnated at once" in stagnation
    assert "trained for 2 optimiser steps and validated on 30 samples" in budget
    assert all("Try " in line for line in advice(Standing.of(search)))


def test_no_signs_no_advice(new_search: Callable[..., Search]) -> None:
    space = SpaceConfig(n_qubits=(2, 3, 4, 5, 6))
    search = new_search(small_config(training=TrainingConfig(epochs=60), space=space))
    while True:
        run_trials(search, 4, cheap_values)
        advance(Standing.of(search))
        if len({trial.values[0] for trial in successful(search)}) > 3:
            break
    search.study.set_user_attr("generation:1", search.study.user_attrs["generation:0"] | {"hypervolume": 1.0})
    assert advice(Standing.of(search)) == []
