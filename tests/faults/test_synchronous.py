"""Generations of a synchronous study while its workers are killed."""

import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from faqnas_optuna.study.records import GENERATION_KEY
from faqnas_optuna.study.search import Search
from tests.support.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import on_sqlite
from tests.support.jepsen import end

pytestmark = pytest.mark.slow

POPULATION = WORKERS = 4
"""As many workers as a generation has trials: mostly no room is left, so any additional trial is one too many."""
UNNUMBERED = """
SELECT count(*) FROM trials WHERE state = 'RUNNING' AND number >= ?
AND trial_id NOT IN (SELECT trial_id FROM trial_system_attributes)
"""


def start_workers(crew: Crew, count: int) -> None:
    for _ in range(count):
        crew.start("worker", "s", "--quiet", trial_s=0.1)


def all_are_at_work(crew: Crew) -> bool:
    return all(crew.log(worker) for worker in crew.processes if worker.is_alive())


def end_exactly(search: Search, crew: Crew) -> None:
    """Wait for two more generations, end the study, and check that every generation has the exact size."""
    closed = len(search.metadata.closed_generations())
    wait_until(lambda: len(search.metadata.closed_generations()) >= closed + 2, SOON_S, "the study goes on")
    end(search, crew)
    complete = [trial for trial in trials_of(search) if trial.state is TrialState.COMPLETE]
    sizes = Counter(trial.system_attrs[GENERATION_KEY] for trial in complete)
    *full, last = (sizes[generation] for generation in range(len(sizes)))
    assert full == [POPULATION] * len(full)
    assert last <= POPULATION
    assert {closed.trials for closed in search.metadata.closed_generations()} == {POPULATION}


@on_sqlite
def test_generations_are_exact_when_workers_are_killed_at_random(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s", population=POPULATION, synchronous=True)
    chance = random.Random(1)
    start_workers(crew, WORKERS)
    for _ in range(5):
        wait_until(lambda: all_are_at_work(crew), SOON_S, "all are at work")
        time.sleep(chance.uniform(0, 1))
        chance.choice([worker for worker in crew.processes if worker.is_alive()]).kill()
        start_workers(crew, 1)
    end_exactly(search, crew)


@on_sqlite
@pytest.mark.parametrize("linked", ["file", "directory"])
def test_generations_are_exact_through_whatever_links_the_database_is_reached(
    any_storage_url: str, crew: Crew, tmp_path: Path, linked: str
) -> None:
    file = Path(any_storage_url.removeprefix("sqlite:///"))
    link = tmp_path / "elsewhere" / "other.db" if linked == "file" else tmp_path / "linked" / file.name
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.db").symlink_to(file)
    (tmp_path / "linked").symlink_to(file.parent)
    search = new_study(any_storage_url, "s", population=POPULATION, synchronous=True)
    for number in range(WORKERS):
        crew.start("worker", "s", "--quiet", "--storage", f"sqlite:///{link if number % 2 else file}", trial_s=0.1)
    wait_until(lambda: len(search.metadata.closed_generations()) >= 5, SOON_S, "some generations are closed")
    end_exactly(search, crew)
    if linked == "file":
        assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["other.db"]


@on_sqlite
def test_generations_are_exact_when_workers_are_killed_before_a_trial_has_its_generation(
    any_storage_url: str, crew: Crew
) -> None:
    """Kill all workers while one of them stores a trial without its generation, which takes a few milliseconds."""
    search = new_study(any_storage_url, "s", population=POPULATION, synchronous=True)
    with closing(sqlite3.connect(str(make_url(any_storage_url).database), isolation_level=None)) as connection:

        def unnumbered(since: int) -> int:
            return int(connection.execute(UNNUMBERED, [since]).fetchone()[0])

        for _ in range(20):
            start_workers(crew, WORKERS)
            wait_until(lambda: all_are_at_work(crew), SOON_S, "all are at work")
            begun, deadline = len(trials_of(search)), time.monotonic() + SOON_S
            while not unnumbered(begun) and time.monotonic() < deadline:
                pass
            for worker in crew.processes:
                worker.kill()
            crew.leave()
            if is_hit := unnumbered(begun) > 0:
                break
    assert is_hit
    start_workers(crew, WORKERS)
    end_exactly(search, crew)
