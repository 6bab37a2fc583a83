import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from faqnas_optuna.circuits.genome import GeneValue, Genome
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study.lifecycle import author, resume, stop
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.pareto import hypervolume, log_hypervolume
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.work import WorkerAction
from faqnas_optuna.workers.loop import StudyWorker
from tests.conftest import cheap_values, reason_of, run_trials, small_config, successful
from tests.support.studies import cheap


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


def finish(search: Search, iris: DataSplits, workers: int = 1) -> list[dict[str, GeneValue]]:
    """Run a search with workers that take turns, and return the genomes of its successful trials."""
    crew = [StudyWorker(search, iris, Signals(), evaluate=cheap) for _ in range(workers)]
    while WorkerAction.STOPPED not in [worker.look() for worker in crew]:
        for worker in crew:
            worker.run_trial()
    return [trial.params for trial in successful(search)]


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_stops_after_exactly_its_trials_and_is_continued(
    new_search: Callable[..., Search], iris: DataSplits, synchronous: bool, workers: int
) -> None:
    """Raise the limit twice: after an incomplete generation, and after a complete one."""
    limits = SearchConfig(population=4, patience=99, synchronous=synchronous, trials=6)
    assert limits.generations == 2
    search = new_search(small_config(search=limits))
    for trials, generations in ((6, 2), (12, 3), (21, 6)):
        if trials > 6:
            search = resume(search, trials=trials)
        assert search.config.search.generations == generations
        genomes = finish(search, iris, workers)
        assert (reason_of(search), len(genomes)) == (StopReason.TRIALS, trials)
        assert len(search.metadata.closed_generations()) == trials // 4
        status = search.status(read_state(search))
        assert (status["state"], status["because"]) == ("finished", f"all {trials} trials are done")
        assert (status["trials"]["running"], status["trials"]["waiting"]) == (0, 0)
        assert search.progress(read_state(search)).planned == trials
    uninterrupted = new_search(small_config(search=limits.with_limits(generations=None, trials=21)), "whole")
    assert finish(uninterrupted, iris) == genomes
    assert uninterrupted.metadata.closed_generations() == search.metadata.closed_generations()


def test_a_resumption_needs_trials_to_run(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, trials=6)))
    finish(search, iris)
    assert search.continuation() == "resume iris --trials 22"
    requests: tuple[dict[str, int], ...] = ({}, {"trials": 6}, {"trials": 3}, {"generations": 99})
    for request in requests:
        limit = request.get("trials", 6)
        with pytest.raises(ConfigError, match=f"has 6 successful trials and its limit is {limit}: .* resume iris --trials 22"):
            resume(search, **request)
    resume(search, trials=9)
    (resumption,) = search.metadata.resumptions()
    assert (resumption.generation, resumption.successful, resumption.limit) == (1, 6, 3)


def test_a_worker_notices_that_the_limit_of_trials_was_raised(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, patience=99, trials=6)))
    worker = StudyWorker(search, iris, Signals(), evaluate=cheap)
    for _ in range(5):
        worker.look()
        worker.run_trial()
    resume(search, trials=9)
    while worker.look() is not WorkerAction.STOPPED:
        worker.run_trial()
    assert len(successful(search)) == 9


def test_no_trial_begins_beyond_the_limit(new_search: Callable[..., Search], iris: DataSplits) -> None:
    """Let two workers begin the last trial at once: both have read the study before either begins."""
    search = new_search(small_config(search=SearchConfig(population=4, patience=99, trials=6)))
    one, other = (StudyWorker(search, iris, Signals(), evaluate=cheap) for _ in range(2))
    for _ in range(5):
        one.look()
        one.run_trial()
    assert [worker.look() for worker in (one, other)] == [WorkerAction.RUNNING] * 2
    running = search.next_trial(one.state, lock=study_lock, may_begin=lambda: True)  # type: ignore[arg-type]
    assert running is not None
    assert not other.run_trial()
    # The trial of the first worker fails, so that the search needs another one.
    search.study.tell(running, state=TrialState.FAIL)
    assert other.look() is WorkerAction.RUNNING
    assert other.run_trial() and other.look() is WorkerAction.STOPPED
    assert (len(successful(search)), reason_of(search)) == (6, StopReason.TRIALS)


def test_a_time_limit_does_not_restart_the_patience(new_search: Callable[..., Search]) -> None:
    """Stop a search by a time limit before every trial: it ends after as many trials as without."""
    search = new_search(small_config(search=SearchConfig(population=4, generations=50)))
    values = worse_and_worse()
    while reason_of(search) is not StopReason.STAGNATION:
        stop(search, StopReason.SECONDS)
        search = resume(search)
        run_trials(search, 1, values)
        search.advance(read_state(search))
    assert len(successful(search)) == 12 and len(search.metadata.resumptions()) == 12
