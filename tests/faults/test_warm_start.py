"""First generations from known circuits while processes are killed."""

import multiprocessing
import os
import signal
from collections import Counter
from typing import Any

import pytest
from optuna.trial import TrialState

from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage import bulk_trials
from faqnas_optuna.storage.opening import open_storage, storage_lock
from faqnas_optuna.study import search as searches
from faqnas_optuna.study.first_generation import source_of_study
from faqnas_optuna.study.records import generation_of, place_of
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.workers.loop import StudyWorker
from tests.support.crew import SOON_S, Crew, instant_evaluation, trials_of, wait_until
from tests.support.databases import sqlite_and_postgres

POPULATION = 6


def make_source(url: str, splits: DataSplits) -> Search:
    limits = SearchConfig(population=2 * POPULATION, generations=1)
    storage = open_storage(url, create=True)
    with storage_lock(url):
        source = searches.create(storage, "source", StudyConfig(dataset="iris", search=limits), splits)
    worker = StudyWorker(source, splits, Signals(), evaluate=lambda circuit, *_: instant_evaluation(circuit))
    for _ in range(2 * POPULATION):
        worker.look()
        worker.run_trial()
    return source


def start(url: str, splits: DataSplits, *, seed: int = 0, split_seed: int | None = None) -> Search:
    """Create the study, or open it, with a first generation from the source."""
    limits = SearchConfig(population=POPULATION, generations=4, patience=9, synchronous=True)
    config = StudyConfig.from_settings(
        {"dataset": "iris", "seed": seed, "data": {"split_seed": split_seed}, "search": limits.model_dump(mode="json")},
        source="test",
    )
    storage = open_storage(url)
    source = source_of_study(load(storage, "source"))
    with storage_lock(url):
        return searches.open_or_create(storage, "warm", config, splits, source=source)


def die_while_creating(url: str, splits: DataSplits, step: int) -> None:
    """Kill this process at a step of the creation; the body of a process."""
    count = 0

    def dying(insert: Any) -> Any:
        def insert_or_die(*arguments: Any) -> None:
            nonlocal count
            insert(*arguments)
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

        return insert_or_die

    bulk_trials._insert = dying(bulk_trials._insert)
    start(url, splits)


@sqlite_and_postgres
@pytest.mark.parametrize("step", range(1, 5))
def test_a_creation_that_is_killed_leaves_no_half_generation(any_storage_url: str, iris: DataSplits, step: int) -> None:
    """Kill the process after each statement that writes rows: trials, their genes, their attributes and the description."""
    make_source(any_storage_url, iris)
    process = multiprocessing.get_context("spawn").Process(target=die_while_creating, args=(any_storage_url, iris, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    search = start(any_storage_url, iris)
    trials = trials_of(search)
    assert [trial.state for trial in trials] == [TrialState.WAITING] * POPULATION
    assert all({*trial.user_attrs} == {"source", "source_scores"} for trial in trials)
    assert [trial.number for trial in trials_of(start(any_storage_url, iris))] == [trial.number for trial in trials]


@pytest.mark.slow
@sqlite_and_postgres
@pytest.mark.parametrize("is_reused", [True, False])
def test_killed_workers_lose_no_circuit_of_the_first_generation(
    any_storage_url: str, iris: DataSplits, crew: Crew, is_reused: bool
) -> None:
    source = make_source(any_storage_url, iris)
    # Another seed of the study alone makes all scores those of another protocol.
    search = start(any_storage_url, iris, seed=0 if is_reused else 1, split_seed=0)
    expected = {trial.number: trial.system_attrs["fixed_params"] for trial in trials_of(search)}
    crew.start("worker", "warm", "--quiet", trial_s=0.3, dies_before_heartbeat=True)
    crew.start("worker", "warm", "--quiet", trial_s=0.3)
    wait_until(lambda: len(crew.log()) >= 2, SOON_S, "the second worker is at work")
    crew.processes[1].kill()
    for _ in range(2):
        crew.start("worker", "warm", "--quiet", trial_s=0.05)
    wait_until(lambda: search.metadata.stop() is not None, SOON_S, "the search stops")
    crew.leave()
    complete = [trial for trial in trials_of(search) if trial.state is TrialState.COMPLETE]
    assert Counter(map(generation_of, complete)) == dict.fromkeys(range(4), POPULATION)
    first = {place_of(trial): trial.params for trial in complete if generation_of(trial) == 0}
    assert first == expected
    state = read_state(search)
    assert (state.waiting, state.n_missing) == (0, 0)
    assert len(read_state(source).candidates) == 2 * POPULATION
