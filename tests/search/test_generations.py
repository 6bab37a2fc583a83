import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest.mock import ANY

import numpy as np
import optuna
import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.search import generations
from faqnas_optuna.search.generations import (
    StopReason,
    author,
    close_generations,
    closed_generations,
    resume,
    resumptions,
    stagnated,
    stop,
    stop_of,
)
from faqnas_optuna.search.pareto import hypervolume
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search, load
from faqnas_optuna.storage.opening import study_lock
from tests.conftest import cheap_values, run_trials, small_config, successful


@pytest.mark.parametrize(
    ("hypervolumes", "expected"),
    [
        ([], False),
        ([0.5], False),
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.5], True),
        ([0.4, 0.5, 0.5], False),
        ([0.4, 0.5, 0.5, 0.5], True),
        ([0.5, 0.5, 0.6], False),
        ([0.5, 0.5 + 1e-12, 0.5 + 2e-12], True),
        ([0.0, 0.0, 0.0], True),
    ],
)
def test_stagnation_is_two_generations_without_growth(hypervolumes: list[float], expected: bool) -> None:
    assert stagnated(hypervolumes, patience=2) is expected


def test_a_full_generation_is_closed_and_frozen(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 3, cheap_values)
    close_generations(Standing.of(search))
    assert closed_generations(search) == []
    run_trials(search, 1, cheap_values)
    close_generations(Standing.of(search))
    (closed,) = closed_generations(search)
    points = np.array([trial.values for trial in successful(search)])
    assert closed.hypervolume == hypervolume(points, search.reference_point)
    assert (closed.generation, closed.trials, closed.front) == (0, 4, len(Standing.of(search).front))
    run_trials(search, 2, lambda _: (1.0, 0.001))
    close_generations(Standing.of(search))
    assert closed_generations(search) == [closed]
    assert Standing.of(search).full_generations == 1


def test_the_study_stops_when_all_generations_are_closed(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 7, cheap_values)
    close_generations(Standing.of(search))
    assert stop_of(search) is None
    run_trials(search, 1, cheap_values)
    close_generations(Standing.of(search))
    stopped = stop_of(search)
    assert stopped is not None
    assert stopped["reason"] == StopReason.GENERATIONS
    assert stopped["at"].endswith("+00:00")


def worse_and_worse() -> Callable[[Genome], tuple[float, float]]:
    numbers = itertools.count(1)
    return lambda _: (float(next(numbers)), 0.9)


def test_the_study_stops_when_the_front_stands_still(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=50)))
    values = worse_and_worse()
    trials = 0
    while stop_of(search) is None:
        run_trials(search, 1, values)
        close_generations(Standing.of(search))
        trials += 1
    assert trials == 3 * 4
    assert (stop_of(search) or {})["reason"] == StopReason.STAGNATION


def test_patience_counts_anew_after_a_resumption(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=50)))
    values = worse_and_worse()
    for expected in (12, 20):
        while stop_of(search) is None:
            run_trials(search, 1, values)
            close_generations(Standing.of(search))
        assert len(successful(search)) == expected
        search = resume(search)


def test_the_first_reason_stands(new_search: Callable[..., Search]) -> None:
    search = new_search()
    stop(search, StopReason.REQUESTED)
    run_trials(search, 8, cheap_values)
    close_generations(Standing.of(search))
    assert (stop_of(search) or {})["reason"] == StopReason.REQUESTED


def fail(_: Genome) -> tuple[float, float]:
    raise ValueError("no luck")


def test_a_study_in_which_nothing_succeeds_stops(new_search: Callable[..., Search]) -> None:
    search = new_search()
    for _ in range(4):
        assert stop_of(search) is None
        with pytest.raises(ValueError, match="no luck"):
            run_trials(search, 1, fail)
        close_generations(Standing.of(search))
    assert (stop_of(search) or {})["reason"] == StopReason.FAILURES
    search = resume(search)
    with pytest.raises(ValueError, match="no luck"):
        run_trials(search, 1, fail)
    close_generations(Standing.of(search))
    assert stop_of(search) is None


def test_a_study_that_was_resumed_meanwhile_is_not_stopped_again(
    new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a worker that has seen the last generation close, and waits for the lock."""
    search = new_search()
    run_trials(search, 8, cheap_values)
    standing = Standing.of(search)
    calls = itertools.count()

    @contextmanager
    def lock_after_others(study: optuna.Study) -> Iterator[Callable[[], bool]]:
        # The first is taken to close the generations.
        if next(calls) == 1:
            close_generations(Standing.of(search))
            resume(search, generations=9)
        with study_lock(study) as is_held:
            yield is_held

    monkeypatch.setattr(generations, "study_lock", lock_after_others)
    assert close_generations(standing) is None
    assert stop_of(search) is None
    assert len(resumptions(search)) == 1


def test_failures_do_not_fill_a_generation(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 3, cheap_values)
    with pytest.raises(ValueError, match="no luck"):
        run_trials(search, 1, fail)
    close_generations(Standing.of(search))
    assert Standing.of(search).full_generations == 0
    run_trials(search, 1, cheap_values)
    close_generations(Standing.of(search))
    assert Standing.of(search).full_generations == 1


def test_a_resumption_needs_generations_to_run(new_search: Callable[..., Search], storage_url: str) -> None:
    search = new_search()
    run_trials(search, 8, cheap_values)
    close_generations(Standing.of(search))
    for limit in (None, 1, 2):
        with pytest.raises(ConfigError, match="has closed 2 generations .* resume iris --generations 6"):
            resume(search, generations=limit)
    assert stop_of(search) is not None
    resumed = resume(search, generations=3)
    assert stop_of(resumed) is None
    assert resumed.config.search.generations == load(search.study._storage, "iris").config.search.generations == 3
    assert resumptions(resumed) == [
        {"generation": 2, "trial": 8, "limit": 3, "at": ANY, "by": author(), "stop": ANY},
    ]
    # A limit that is raised while the study runs is on record too.
    resume(resumed, generations=4)
    first, second = resumptions(resumed)
    assert (first["stop"]["reason"], second["stop"], second["limit"]) == (StopReason.GENERATIONS, None, 4)
    assert datetime.fromisoformat(second["at"]).utcoffset() == timedelta(0)
