import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
import optuna
import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.lifecycle import author, resume, stop
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.pareto import hypervolume, log_hypervolume
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.work import WorkerAction
from tests.conftest import cheap_values, reason_of, run_trials, small_config, successful


def test_a_full_generation_is_closed_and_frozen(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 3, cheap_values)
    search.advance(read_state(search))
    assert search.metadata.closed_generations() == []
    run_trials(search, 1, cheap_values)
    search.advance(read_state(search))
    (closed,) = search.metadata.closed_generations()
    points = np.array([trial.values for trial in successful(search)])
    cheapest, dearest = search.description.flops_range
    assert closed.hypervolume == log_hypervolume(points, (cheapest, dearest)) == read_state(search).hypervolume
    assert closed.linear_hypervolume == hypervolume(points, (1.1 * dearest, 1)) == read_state(search).linear_hypervolume
    assert (closed.generation, closed.trials, closed.front) == (0, 4, len(read_state(search).front))
    run_trials(search, 2, lambda _: (1.0, 0.001))
    search.advance(read_state(search))
    assert search.metadata.closed_generations() == [closed]
    assert read_state(search).full_generations == 1


def test_the_study_stops_when_all_generations_are_closed(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 7, cheap_values)
    search.advance(read_state(search))
    assert search.metadata.stop() is None
    run_trials(search, 1, cheap_values)
    search.advance(read_state(search))
    stopped = search.metadata.stop()
    assert stopped is not None
    assert stopped.reason is StopReason.GENERATIONS
    assert stopped.at.endswith("+00:00")


def worse_and_worse() -> Callable[[Genome], tuple[float, float]]:
    numbers = itertools.count(1)
    return lambda _: (float(next(numbers)), 0.9)


def test_the_study_stops_when_the_front_stands_still(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=50)))
    values = worse_and_worse()
    trials = 0
    while search.metadata.stop() is None:
        run_trials(search, 1, values)
        search.advance(read_state(search))
        trials += 1
    assert trials == 3 * 4
    assert reason_of(search) == StopReason.STAGNATION


def test_patience_counts_anew_after_a_resumption(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=50)))
    values = worse_and_worse()
    for expected in (12, 20):
        while search.metadata.stop() is None:
            run_trials(search, 1, values)
            search.advance(read_state(search))
        assert len(successful(search)) == expected
        search = resume(search)


def test_the_first_reason_stands(new_search: Callable[..., Search]) -> None:
    search = new_search()
    stop(search, StopReason.REQUESTED)
    run_trials(search, 8, cheap_values)
    search.advance(read_state(search))
    assert reason_of(search) == StopReason.REQUESTED


def fail(_: Genome) -> tuple[float, float]:
    raise ValueError("no luck")


def test_a_study_in_which_nothing_succeeds_stops(new_search: Callable[..., Search]) -> None:
    search = new_search()
    for _ in range(4):
        assert search.metadata.stop() is None
        with pytest.raises(ValueError, match="no luck"):
            run_trials(search, 1, fail)
        search.advance(read_state(search))
    assert reason_of(search) == StopReason.FAILURES
    search = resume(search)
    with pytest.raises(ValueError, match="no luck"):
        run_trials(search, 1, fail)
    search.advance(read_state(search))
    assert search.metadata.stop() is None


def test_a_study_that_was_resumed_meanwhile_is_not_stopped_again(new_search: Callable[..., Search]) -> None:
    """Resume the study while a worker that saw the last generation close waits for the study's lock."""
    search = new_search()
    run_trials(search, 8, cheap_values)

    @contextmanager
    def lock_after_others(study: optuna.Study) -> Iterator[Callable[[], bool]]:
        search.advance(read_state(search))
        resume(search, generations=9)
        with study_lock(study) as is_held:
            yield is_held

    assert search.advance(read_state(search), lock=lock_after_others) is WorkerAction.RUNNING
    assert search.metadata.stop() is None
    assert len(search.metadata.resumptions()) == 1


def test_whoever_closed_the_last_generation_may_have_died_before_the_stop(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 8, cheap_values)
    search.advance(read_state(search))
    closed = search.metadata.closed_generations()
    search.study.set_user_attr("stop", None)
    assert search.advance(read_state(search)) is WorkerAction.STOPPED
    assert reason_of(search) is StopReason.GENERATIONS
    assert search.metadata.closed_generations() == closed


def test_a_generation_stays_open_while_one_of_its_trials_runs(new_search: Callable[..., Search]) -> None:
    """Check also that no other trial is begun while the last generation is open."""
    search = new_search(small_config(search=SearchConfig(population=4, generations=1)))
    late = search.study.ask()
    suggest(late, search.config.space)
    run_trials(search, 4, cheap_values)
    state = read_state(search)
    assert (state.full_generations, state.open_generations) == (1, {0})
    assert state.study.advance(state) is WorkerAction.FULL
    assert (search.metadata.closed_generations(), search.metadata.stop()) == ([], None)
    for name, value in {"circuit": "late", "val_accuracy": 0.75}.items():
        late.set_user_attr(name, value)
    search.study.tell(late, (1.0, 0.25))
    state.refresh()
    assert state.study.advance(state) is WorkerAction.STOPPED
    (closed,) = search.metadata.closed_generations()
    points = np.array([trial.values for trial in successful(search)])
    assert (closed.trials, closed.hypervolume) == (5, log_hypervolume(points, search.description.flops_range))


def test_failures_do_not_fill_a_generation(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 3, cheap_values)
    with pytest.raises(ValueError, match="no luck"):
        run_trials(search, 1, fail)
    search.advance(read_state(search))
    assert read_state(search).full_generations == 0
    run_trials(search, 1, cheap_values)
    search.advance(read_state(search))
    assert read_state(search).full_generations == 1


def test_a_resumption_needs_generations_to_run(new_search: Callable[..., Search], storage_url: str) -> None:
    search = new_search()
    run_trials(search, 8, cheap_values)
    search.advance(read_state(search))
    for limit in (None, 1, 2):
        with pytest.raises(ConfigError, match="has closed 2 generations .* resume iris --generations 6"):
            resume(search, generations=limit)
    assert search.metadata.stop() is not None
    resumed = resume(search, generations=3)
    assert resumed.metadata.stop() is None
    assert resumed.config.search.generations == load(search.study._storage, "iris").config.search.generations == 3
    (resumption,) = resumed.metadata.resumptions()
    assert (resumption.generation, resumption.trial, resumption.limit, resumption.by) == (2, 8, 3, author())
    # Raising the limit of a running study is recorded too.
    resume(resumed, generations=4)
    first, second = resumed.metadata.resumptions()
    assert first.stop is not None
    assert (first.stop.reason, second.stop, second.limit) == (StopReason.GENERATIONS, None, 4)
    assert datetime.fromisoformat(second.at).utcoffset() == timedelta(0)
