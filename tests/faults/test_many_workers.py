"""More workers than cores on one study: they run exactly the requested generations."""

from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from optuna.trial import TrialState

from faqnas_optuna.storage.heartbeats import DEFAULT_GRACE_S
from faqnas_optuna.study.records import GENERATION_KEY
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import StopReason
from tests.conftest import reason_of
from tests.support.crew import Crew, new_study, trials_of
from tests.support.jepsen import violations_of

pytestmark = pytest.mark.slow

GENERATIONS = 4
WORKERS = {"postgres": 10, "sqlite": 6}
BUSY_S = 240
"""Time limit for many workers on two cores, in seconds."""
each_database = pytest.mark.parametrize(
    ("any_storage_url", "count"), [(name, count) for name, count in WORKERS.items()], indirect=["any_storage_url"]
)


@pytest.fixture
def crew(logs: Path, any_storage_url: str) -> Iterator[Crew]:
    """Yield a crew with the default grace period: with few cores, a worker may be silent for seconds."""
    with Crew(logs, any_storage_url, grace_s=DEFAULT_GRACE_S) as crew:
        yield crew


def run_all(url: str, crew: Crew, count: int, *, synchronous: bool) -> tuple[Search, list[ForkServerProcess]]:
    """Run a study to its end and check its generations and trials.

    Generations have one trial more than there are workers: small, because the test is about how generations end.
    """
    population = count + 1
    search = new_study(url, "s", population=population, generations=GENERATIONS, synchronous=synchronous)
    joined = crew.barrier(count)
    workers = [crew.start("worker", "s", trial_s=0, joined=joined) for _ in range(count)]
    assert crew.leave(BUSY_S) == [0] * count, crew.printed()
    # Workers print progress only, so no worker had trouble with locks or connections.
    assert all(line.startswith("s: generation ") for line in crew.printed().splitlines()), crew.printed()
    assert reason_of(search) == StopReason.GENERATIONS
    assert violations_of(search, crew.log()) == []
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}
    # Each generation was closed once, in order, when it was full.
    closed = search.metadata.closed_generations()
    assert [generation.generation for generation in closed] == list(range(GENERATIONS))
    assert all(generation.trials >= population for generation in closed)
    return search, workers


def generation_sizes(search: Search) -> list[int]:
    sizes = Counter(trial.system_attrs[GENERATION_KEY] for trial in trials_of(search))
    assert sorted(sizes) == list(range(len(sizes)))
    return [sizes[generation] for generation in sorted(sizes)]


@each_database
def test_synchronous_workers_do_exactly_the_work_that_was_asked_for(any_storage_url: str, count: int, crew: Crew) -> None:
    search, _ = run_all(any_storage_url, crew, count, synchronous=True)
    assert generation_sizes(search) == [count + 1] * GENERATIONS


@each_database
def test_workers_overfill_a_generation_by_one_trial_each_at_most(any_storage_url: str, count: int, crew: Crew) -> None:
    search, workers = run_all(any_storage_url, crew, count, synchronous=False)
    *full, last = generation_sizes(search)
    assert all(count + 1 <= size <= 2 * count for size in full), full
    # The study stops when the last requested generation is full; trials of the next one that had begun are finished.
    assert len(full) in (GENERATIONS - 1, GENERATIONS)
    assert last <= 2 * count
    # Every worker ran trials.
    assert {entry.worker for entry in crew.log()} == {worker.name for worker in workers}
