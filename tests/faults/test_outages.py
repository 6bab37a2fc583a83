"""Workers during database outages: servers that are down, locks, a cut network and a full disk."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from faqnas_optuna.signals import AT_ONCE_S
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import DatabaseServer, PostgresServer, on_postgres, sqlite_and_postgres
from tests.support.disks import filled, mounted_disk
from tests.support.forked import StderrReader
from tests.support.guardian import run_directory
from tests.support.jepsen import chains, end, given_up_and_retried, settle, violations_of
from tests.support.network import machines, postgres_for

pytestmark = pytest.mark.slow

LONG_S = GRACE_S + 3
"""Seconds; longer than a running trial may be silent."""
PATIENT_GRACE_S = 12
"""Seconds; workers then send a heartbeat every 2 s and a new worker listens for 4 s: enough on a busy machine."""


def done(crew: Crew) -> int:
    return sum(entry.event == "done" for entry in crew.log())


def wait_for_more(crew: Crew) -> None:
    """Wait until the workers have finished at least four more trials."""
    before = done(crew)
    wait_until(lambda: done(crew) >= before + 4, SOON_S, "the workers are at work")


def busy_workers(search: Search, crew: Crew, count: int, *, until: Barrier | None = None, trial_s: float = 0.2) -> list[int]:
    """Start workers, wait until each is in its first trial, and return the numbers of these trials.

    Args:
        until: Barrier at which the first trials end. Until then they do not use the database.
    """
    workers = [crew.start("worker", "s", joined=until, trial_s=trial_s) for _ in range(count)]
    wait_until(lambda: all(crew.log(worker) for worker in workers), SOON_S, "all workers have begun a trial")
    if until is not None:

        def all_wait() -> bool:
            return all("waits" in [entry.event for entry in crew.log(worker)] for worker in workers)

        wait_until(all_wait, SOON_S, "what is left to do of these trials is to store them")
    numbers = [crew.log(worker)[0].trial for worker in workers]

    def are_stored() -> bool:
        trials = trials_of(search)
        return all(trials[number].params for number in numbers)

    wait_until(are_stored, SOON_S, "the genes of these trials are stored, with their first heartbeats")
    return numbers


def states(search: Search, numbers: Sequence[int]) -> set[TrialState]:
    trials = trials_of(search)
    return {trials[number].state for number in numbers}


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold a lock for which every heartbeat must wait."""
    if make_url(url).get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
        return
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE trial_heartbeats IN ACCESS EXCLUSIVE MODE"))
        yield


@sqlite_and_postgres
@pytest.mark.parametrize("locked_s", [2.5, LONG_S], ids=["over_a_heartbeat", "over_the_grace"])
def test_no_trial_is_given_up_because_the_database_was_locked(any_storage_url: str, crew: Crew, locked_s: float) -> None:
    search = new_study(any_storage_url, "s")
    # This worker looks for silent trials all the time.
    crew.start("worker", "s")
    wait_until(lambda: done(crew) >= 3, SOON_S, "a worker is at work")
    until = crew.barrier(2)
    long = busy_workers(search, crew, 1, until=until)
    with locked(any_storage_url):
        assert states(search, long) == {TrialState.RUNNING}
        time.sleep(locked_s)
    until.wait(SOON_S)
    wait_until(lambda: states(search, long) != {TrialState.RUNNING}, SOON_S, "the long trial is finished")
    end(search, crew)
    assert not any(trial.state is TrialState.FAIL for trial in trials_of(search))


@on_postgres
@pytest.mark.parametrize("crash", [True, False], ids=["crash", "shutdown"])
@pytest.mark.parametrize("over_its_end", [False, True], ids=["within_a_trial", "over_its_end"])
def test_workers_outlive_a_restart_of_postgresql(
    any_storage_url: str, postgres_server: PostgresServer, crew: Crew, over_its_end: bool, crash: bool
) -> None:
    search = new_study(any_storage_url, "s")
    until = crew.barrier(3)
    interrupted = busy_workers(search, crew, 2, until=until)
    with stopped(postgres_server, crash=crash):
        if over_its_end:
            until.wait(SOON_S)
            time.sleep(1)
    if not over_its_end:
        until.wait(SOON_S)
    # The restart has also closed the connections of this process.
    search = load(open_storage(any_storage_url), "s")
    again = {worker.pid: len(crew.log(worker)) + 2 for worker in crew.processes}
    wait_until(
        lambda: all(len(crew.log(worker)) >= again[worker.pid] or not worker.is_alive() for worker in crew.processes),
        SOON_S,
        "both workers finish more trials",
    )
    assert [worker.exitcode for worker in crew.processes] == [None, None], crew.printed()
    wait_until(
        lambda: all(any(t.state is TrialState.COMPLETE for t in chains(trials_of(search))[number]) for number in interrupted),
        SOON_S,
        "what was interrupted is stored",
    )
    end(search, crew)
    for number in interrupted:
        assert sum(trial.state is TrialState.COMPLETE for trial in chains(trials_of(search))[number]) == 1


@pytest.mark.parametrize(
    ("any_storage_url", "server"),
    [("postgres", "postgres_server"), ("mariadb", "mariadb_server")],
    indirect=["any_storage_url"],
)
def test_workers_outlive_crashes_of_a_server_at_any_moment(
    any_storage_url: str, server: str, request: pytest.FixtureRequest, crew: Crew
) -> None:
    """Crash the server under workers that train nothing, so that any of their statements may be interrupted."""
    new_study(any_storage_url, "s")
    workers = [crew.start("worker", "s", trial_s=0) for _ in range(2)]
    # A worker that is starting needs a running database.
    wait_until(lambda: all(crew.log(worker) for worker in workers), SOON_S, "both workers have begun a trial")
    for _ in range(6):
        wait_for_more(crew)
        with stopped(request.getfixturevalue(server)):
            time.sleep(0.2)
    wait_for_more(crew)
    assert [worker.exitcode for worker in crew.processes] == [None, None], crew.printed()
    end(load(open_storage(any_storage_url), "s"), crew)


@on_postgres
def test_no_trial_is_given_up_because_postgresql_was_away(
    any_storage_url: str, postgres_server: PostgresServer, logs: Path
) -> None:
    search = new_study(any_storage_url, "s")
    with Crew(logs, any_storage_url, grace_s=PATIENT_GRACE_S) as crew:
        # This worker is between two trials when the server comes back.
        crew.start("worker", "s")
        wait_until(lambda: done(crew) >= 3, SOON_S, "a worker is at work")
        until = crew.barrier(3)
        long = busy_workers(search, crew, 2, until=until)
        assert states(search, long) == {TrialState.RUNNING}
        with stopped(postgres_server):
            time.sleep(PATIENT_GRACE_S + 1)
        # This worker starts after the outage.
        newcomer = crew.start("worker", "s")
        wait_until(lambda: bool(crew.log(newcomer)), SOON_S, "another worker is at work")
        until.wait(SOON_S)
        search = load(open_storage(any_storage_url), "s")
        wait_until(lambda: TrialState.RUNNING not in states(search, long), SOON_S, "the long trials are finished")
        assert states(search, long) == {TrialState.COMPLETE}, crew.printed()
        end(search, crew)


@contextmanager
def stopped(server: DatabaseServer, *, crash: bool = True) -> Iterator[None]:
    """Stop a server for a while: by a crash, or by a shutdown that ends each session."""
    server.stop(immediate=crash)
    try:
        yield
    finally:
        server.start()


@on_postgres
def test_a_status_that_is_watched_outlives_a_restart(any_storage_url: str, postgres_server: PostgresServer, crew: Crew) -> None:
    new_study(any_storage_url, "s")
    watching = crew.start("status", "--watch")

    def is_shown(times: int) -> bool:
        return crew.printed().count("hypervolume") >= times

    wait_until(lambda: is_shown(1), SOON_S, "the study is shown")
    with stopped(postgres_server):
        wait_until(lambda: "; trying again in 2 s" in crew.printed(), SOON_S, "the outage is reported")
    before = crew.printed().count("hypervolume")
    wait_until(lambda: is_shown(before + 1), SOON_S, "the study is shown again")
    os.kill(watching.pid or 0, signal.SIGINT)
    assert crew.leave() == [130], crew.printed()


@on_postgres
def test_a_finished_trial_is_stored_after_a_signal_while_the_database_is_away(
    any_storage_url: str, postgres_server: PostgresServer, crew: Crew
) -> None:
    search = new_study(any_storage_url, "s")
    busy_workers(search, crew, 2, trial_s=3)
    with stopped(postgres_server):
        os.kill(crew.processes[0].pid or 0, signal.SIGTERM)
        waiting = "the database does not answer"
        wait_until(lambda: waiting in crew.printed(crew.processes[1]), SOON_S, "the other waits for the database")
        os.kill(crew.processes[1].pid or 0, signal.SIGTERM)
        time.sleep(1)
        assert [worker.exitcode for worker in crew.processes] == [None, None], crew.printed()
    assert crew.leave() == [143, 143], crew.printed()
    search = load(open_storage(any_storage_url), "s")
    # On a slow machine there may be more than two trials by then.
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}
    assert violations_of(search, crew.log()) == []


@on_postgres
def test_the_second_signal_ends_the_waiting_for_a_database(
    any_storage_url: str, postgres_server: PostgresServer, crew: Crew
) -> None:
    search = new_study(any_storage_url, "s")
    busy_workers(search, crew, 2, trial_s=3)

    def each_tells(text: str) -> bool:
        return all(text in crew.printed(worker) for worker in crew.processes)

    with stopped(postgres_server):
        wait_until(lambda: each_tells("the database does not answer"), SOON_S, "both wait for the database")
        waiting = [crew.log(worker)[-1].trial for worker in crew.processes]
        for worker in crew.processes:
            os.kill(worker.pid or 0, signal.SIGTERM)
        # Two signals at the same time count as one, so send the second one later.
        wait_until(lambda: each_tells("SIGTERM: finishing the running trial"), SOON_S, "both have had the first signal")
        time.sleep(AT_ONCE_S)
        for worker in crew.processes:
            os.kill(worker.pid or 0, signal.SIGTERM)
        assert crew.leave() == [143, 143], crew.printed()
    assert crew.printed().count("is not stored; another worker will run it again") == 2
    assert crew.printed().count("Continue with: faqnas-optuna worker s\n") == 2
    # Another worker runs both trials again.
    crew.start("worker", "s")
    search = load(open_storage(any_storage_url), "s")
    wait_until(lambda: all(given_up_and_retried(search, number) for number in waiting), SOON_S, "both trials are run again")


PACED_TRIALS = """
import time
from faqnas_optuna.training import evaluation
evaluate = evaluation.evaluate
def paced(*arguments):
    time.sleep(0.3)
    return evaluate(*arguments)
evaluation.evaluate = paced
"""
"""Module `sitecustomize` for a worker that pauses before each training, so that the test's own process gets CPU time."""


def test_a_network_that_is_cut(tmp_path: Path) -> None:
    """Check that a worker reports a cut network, continues when it is back, and gives up after the database timeout."""
    (tmp_path / "sitecustomize.py").write_text(PACED_TRIALS)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    quick = "?connect_timeout=2&tcp_user_timeout=3000"
    with machines(1, tmp_path) as (machine,), postgres_for(machine) as server, server.new_database() as url:
        search = new_study(url, "s")
        env = {"FAQNAS_STORAGE": url + quick, "FAQNAS_GRACE": str(GRACE_S), "FAQNAS_DATABASE_TIMEOUT": "8", "PYTHONPATH": path}

        def goes_on() -> None:
            begun = len(trials_of(search))
            wait_until(lambda: len(trials_of(search)) > begun + 3, SOON_S, "the worker is at work")

        with machine.running("faqnas-optuna", "worker", "s", env=env) as worker:
            stderr = StderrReader(worker)
            goes_on()
            machine.pull_out()
            wait_until(lambda: "the database does not answer" in stderr.text, SOON_S, "the worker notices")
            machine.plug_in()
            goes_on()
            machine.pull_out()
            assert worker.wait(timeout=SOON_S) == 4, stderr.text
            last = stderr.all().splitlines()[-1]
        masked = make_url(url + quick).set(drivername="postgresql+psycopg")
        assert last.startswith(f"Error: study 's': cannot use the database {masked}: ")
        assert last.endswith(". Finished trials are kept. Continue with: faqnas-optuna worker s")
        machine.plug_in()
        count = len(trials_of(search))
        with machine.running("faqnas-optuna", "worker", "s", env=env) as worker:
            goes_on()
            wait_until(lambda: all(t.state.is_finished() for t in trials_of(search)[:count]), SOON_S, "no trial is left open")
            assert settle(search, within_s=SOON_S) == []
            worker.terminate()
            assert worker.wait(timeout=SOON_S) == 143
        # Every trial that had a generation was completed once, interrupted ones in a retry.
        begun = [chain for chain in chains(trials_of(search)).values() if chain[0].system_attrs]
        accepted = [[trial.state for trial in chain].count(TrialState.COMPLETE) for chain in begun]
        assert set(accepted) == {1}


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with mounted_disk(run_directory()) as disk:
        yield disk


def runs_out_of_space(url: str, crew: Crew, disk: Path, message: str, check: Callable[[], object]) -> None:
    """Fill the disk under a worker, check its error, free the disk and check that another worker continues."""
    search = new_study(url, "s")
    crew.start("worker", "s", trial_s=0)
    wait_until(lambda: done(crew) >= 5, SOON_S, "the worker is at work")
    with filled(disk):
        assert crew.leave() == [4], crew.printed()
        check()
    assert f"Error: study 's': cannot use the database {message}" in crew.printed()
    assert crew.printed().endswith(". Finished trials are kept. Continue with: faqnas-optuna worker s\n")
    count = len(trials_of(search))
    crew.start("worker", "s", trial_s=0)
    wait_for_more(crew)
    wait_until(lambda: all(t.state.is_finished() for t in trials_of(search)[:count]), SOON_S, "no trial is left open")
    end_of_two(search, crew)


def end_of_two(search: Search, crew: Crew) -> None:
    """End a study like `end`, for a crew whose first worker has failed."""
    failed = crew.processes.pop(0)
    assert failed.exitcode == 4
    end(search, crew)


def test_a_full_disk_under_sqlite(small_disk: Path, logs: Path) -> None:
    file = small_disk / "faqnas.db"

    def intact() -> None:
        with closing(sqlite3.connect(file)) as connection:
            assert [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]

    with Crew(logs, f"sqlite:///{file}", grace_s=GRACE_S) as crew:
        message = f"sqlite:///{file}: database or disk is full; free some space on the disk of the database"
        runs_out_of_space(f"sqlite:///{file}", crew, small_disk, message, intact)


def test_a_full_disk_under_postgresql(small_disk: Path, logs: Path, postgres_server: PostgresServer) -> None:
    place = small_disk / "tables"
    place.mkdir()
    if postgres_server.owner is not None:
        shutil.chown(place, postgres_server.owner)
    postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    try:
        with postgres_server.new_database("TABLESPACE small") as url, Crew(logs, url, grace_s=GRACE_S) as crew:
            runs_out_of_space(url, crew, small_disk, "postgresql+psycopg://", lambda: None)
            assert "No space left on device; free some space on the disk of the database" in crew.printed()
    finally:
        postgres_server.execute("DROP TABLESPACE small")
