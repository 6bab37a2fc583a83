from collections.abc import Callable

import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import SearchConfig, SpaceConfig, TrainingConfig
from faqnas_optuna.results.advice import advice
from faqnas_optuna.search.course import advance
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search
from tests.conftest import cheap_values, run_trials, small_config, successful


def test_a_tiny_search_is_told_one_thing(new_search: Callable[..., Search]) -> None:
    """That it was tiny: it has a single point, no progress and poor accuracies, all for that reason."""
    search = new_search(small_config(search=SearchConfig(population=4, generations=8)))
    run_trials(search, 12, lambda _: (100.0, 0.7))
    advance(Standing.of(search))
    told = advice(Standing.of(search))
    assert told is not None
    assert "trained for 2 optimiser steps and validated on 30 samples" in told
    assert told.count("Try ") == 1 and "Try --epochs 50 before" in told


@pytest.mark.parametrize(
    ("values", "told", "attempt"),
    [
        (lambda _: (100.0, 0.7), "reaches only 0.30 accuracy: a barren plateau", "Try --epochs 120, another --lr"),
        (lambda _: (100.0, 0.2), "The front is a single point", "Try --population 8"),
        (lambda genome: (genome.depth, 0.2), "The front is a single point", "Try --population 8"),
    ],
)
def test_signs_of_failure_are_told_with_what_to_try(
    new_search: Callable[..., Search], values: Callable[[Genome], tuple[float, float]], told: str, attempt: str
) -> None:
    search = new_search(small_config(training=TrainingConfig(epochs=60), search=SearchConfig(population=4, generations=8)))
    run_trials(search, 12, values)
    advance(Standing.of(search))
    line = advice(Standing.of(search))
    assert line is not None and told in line and attempt in line


def test_stagnation_at_once_is_told_where_the_front_has_several_points(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(training=TrainingConfig(epochs=60)))
    run_trials(search, 8, cheap_values)
    advance(Standing.of(search))
    generation = search.study.user_attrs["generation:0"]
    search.study.set_user_attr("generation:1", generation | {"generation": 1})
    line = advice(Standing.of(search))
    assert line is not None and "the search stagnated at once. Try --population 8, another --seed, or --repeats 3" in line


def test_no_signs_no_advice(new_search: Callable[..., Search]) -> None:
    space = SpaceConfig(n_qubits=(2, 3, 4, 5, 6))
    search = new_search(small_config(training=TrainingConfig(epochs=60), space=space))
    while True:
        run_trials(search, 4, cheap_values)
        advance(Standing.of(search))
        if len({trial.values[0] for trial in successful(search)}) > 3:
            break
    search.study.set_user_attr("generation:1", search.study.user_attrs["generation:0"] | {"hypervolume": 1.0})
    assert advice(Standing.of(search)) is None
