"""What may go wrong, in real processes with real signals and real databases, and what must happen then."""

import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from urllib.parse import quote, quote_plus

import pytest
from optuna.trial import TrialState
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.engine import make_url

from faqnas_optuna.generations import StopReason, stop
from faqnas_optuna.genome import enumerate_genomes
from faqnas_optuna.storage import open_storage
from faqnas_optuna.study import Search, load
from tests.conftest import RunCli
from tests.databases import PASSWORD, PostgresServer
from tests.jepsen import Crew, chains, jepsen, new_study, seconds_open, trials_of, violations_of, wait_until

pytestmark = pytest.mark.slow

GRACE_S = 3
OPEN_S = 2 * GRACE_S + 1
"""An interrupted trial is finished by then; databases count whole seconds."""
SOON_S = 20
"""What takes a second or two happens by then, on a machine with other work."""

sqlite_and_postgres = pytest.mark.parametrize("any_storage_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


@pytest.fixture
def crew(logs: Path, any_storage_url: str) -> Iterator[Crew]:
    with Crew(logs, any_storage_url, grace_s=GRACE_S) as crew:
        yield crew


def end(search: Search, crew: Crew) -> None:
    """Let all workers finish; they must leave without an error, and their logs agree with the database."""
    stop(search, StopReason.REQUESTED)
    codes = crew.leave()
    assert set(codes) <= {0, -9}, crew.printed()
    assert "Traceback" not in crew.printed()
    # Until another worker has started, nobody can give a trial up.
    assert violations_of(search, crew.log(), open_s=OPEN_S + SOON_S) == []


def given_up_and_retried(search: Search, number: int) -> bool:
    """Whether a trial has failed and its retry has succeeded."""
    trial, *retries = chains(trials_of(search))[number]
    return trial.state is TrialState.FAIL and any(retry.state is TrialState.COMPLETE for retry in retries)


@sqlite_and_postgres
def test_nothing_acknowledged_is_lost_when_workers_are_killed(any_storage_url: str, logs: Path) -> None:
    figures = jepsen(any_storage_url, logs, kills=8, gap_s=0.8, grace_s=GRACE_S, seed=1)
    assert figures.violations == [], figures
    # Most kills hit a trial; the rest fall between two.
    assert figures.given_up >= 2, figures
    assert figures.complete >= figures.acknowledged > 20, figures


@pytest.mark.parametrize("any_storage_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE trial_values SET value = value + 1 WHERE trial_id = 1 AND objective = 0", "altered: .* trial=0"),
        ("UPDATE trials SET state = 'FAIL' WHERE number = 0", "lost: .* trial=0"),
        ("UPDATE trials SET state = 'RUNNING' WHERE number = 0", "trial 0 is RUNNING"),
        ("DELETE FROM trials WHERE number = 0", "the [0-9]+ trials are not numbered from 0"),
    ],
    ids=["altered", "lost", "open", "deleted"],
)
def test_the_comparison_sees_damage(any_storage_url: str, crew: Crew, damage: str, found: str) -> None:
    search = new_study(any_storage_url, "s")
    crew.start("worker", "s", trial_s=0)
    wait_until(lambda: sum(entry.event == "done" for entry in crew.log()) >= 3, SOON_S, "three trials are done")
    end(search, crew)
    with closing(sqlite3.connect(str(make_url(any_storage_url).database))) as connection, connection:
        connection.execute(damage)
    violations = violations_of(load(open_storage(any_storage_url), "s"), crew.log(), open_s=OPEN_S)
    assert any(re.match(found, violation) for violation in violations), violations


@sqlite_and_postgres
def test_a_trial_whose_worker_died_before_its_first_heartbeat_is_given_up(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    victim = crew.start("worker", "s", dies_before_heartbeat=True)
    victim.join(SOON_S)
    assert victim.exitcode == -9, crew.printed()
    assert [trial.state for trial in trials_of(search)] == [TrialState.RUNNING]
    other = crew.start("worker", "s")
    wait_until(lambda: bool(crew.log(other)), SOON_S, "another worker has begun a trial")
    wait_until(lambda: given_up_and_retried(search, 0), OPEN_S, "trial 0 is given up and tried again")
    # Not sooner than its worker would have had to be heard.
    assert seconds_open(trials_of(search)[0]) >= GRACE_S - 1
    end(search, crew)


def test_six_processes_start_one_study(any_storage_url: str, crew: Crew) -> None:
    at_once = crew.barrier(6)
    limits = ("--dataset", "iris", "--population", "2", "--generations", "1", "--epochs", "1")
    for _ in range(6):
        crew.start("start", *limits, trial_s=0, barrier=at_once)
    assert crew.leave() == [0] * 6, crew.printed()
    search = load(open_storage(any_storage_url), "iris")
    assert violations_of(search, crew.log(), open_s=OPEN_S) == []


def test_no_queued_trial_runs_twice(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s", population=500)
    genomes = enumerate_genomes(search.config.space.genes)
    for _, genome in zip(range(150), genomes, strict=False):
        search.study.enqueue_trial(genome.to_params())
    for _ in range(4):
        crew.start("worker", "s", trial_s=0.01)
    wait_until(lambda: all(trial.state.is_finished() for trial in trials_of(search)[:150]), 120, "the queue is empty")
    end(search, crew)
    begun = [entry for entry in crew.log() if entry.event == "begun"]
    assert sorted(entry.trial for entry in begun) == list(range(len(trials_of(search))))
    assert len({entry.worker for entry in begun}) == 4
    assert not any(trial.state is TrialState.FAIL for trial in trials_of(search))


@sqlite_and_postgres
def test_a_worker_that_was_suspended_drops_its_late_result_and_goes_on(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    sleeper = crew.start("worker", "s", trial_s=1.5)
    wait_until(lambda: bool(crew.log(sleeper)), SOON_S, "the worker has begun a trial")
    # Past the first heartbeat and before the second: a process that is suspended in a transaction would keep its locks.
    time.sleep(0.4)
    assert sleeper.pid is not None
    os.kill(sleeper.pid, SIGSTOP)
    try:
        crew.start("worker", "s")
        wait_until(lambda: given_up_and_retried(search, 0), 2 * GRACE_S + SOON_S, "another worker takes over")
    finally:
        os.kill(sleeper.pid, SIGCONT)
    wait_until(lambda: any(entry.event == "done" for entry in crew.log(sleeper)), SOON_S, "the worker goes on")
    end(search, crew)
    assert crew.leave() == [0, 0]
    assert [(entry.event, entry.trial) for entry in crew.log(sleeper)][:1] == [("begun", 0)]
    assert ("done", 0) not in [(entry.event, entry.trial) for entry in crew.log()]
    late, retry = chains(trials_of(search))[0]
    assert (late.state, late.values, retry.state) == (TrialState.FAIL, None, TrialState.COMPLETE)


@pytest.mark.parametrize("any_storage_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("down_s", [0.0, 3.0], ids=["within_a_trial", "over_its_end"])
def test_workers_outlive_a_restart_of_postgresql(
    any_storage_url: str, postgres_server: PostgresServer, crew: Crew, down_s: float
) -> None:
    search = new_study(any_storage_url, "s")
    workers = [crew.start("worker", "s", trial_s=2.0) for _ in range(2)]
    wait_until(lambda: all(crew.log(worker) for worker in workers), SOON_S, "both workers have begun a trial")
    time.sleep(0.5)
    interrupted = {entry.trial for entry in crew.log()}
    postgres_server.stop(immediate=True)
    try:
        time.sleep(down_s)
    finally:
        postgres_server.start()
    # Our own connections are gone too.
    search = load(open_storage(any_storage_url), "s")
    again = {worker.pid: len(crew.log(worker)) + 2 for worker in workers}
    wait_until(
        lambda: all(len(crew.log(worker)) >= again[worker.pid] or not worker.is_alive() for worker in workers),
        2 * SOON_S,
        "both workers finish more trials",
    )
    assert [worker.exitcode for worker in workers] == [None, None], crew.printed()
    wait_until(
        lambda: all(any(t.state is TrialState.COMPLETE for t in chains(trials_of(search))[number]) for number in interrupted),
        2 * GRACE_S + SOON_S,
        "what was interrupted is stored",
    )
    end(search, crew)
    assert crew.leave() == [0, 0]
    for number in interrupted:
        assert sum(trial.state is TrialState.COMPLETE for trial in chains(trials_of(search))[number]) == 1


def shows_password(text: str) -> bool:
    """As it is, or as a URL has it."""
    forms = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), quote_plus(PASSWORD)}
    return any(form in text for form in forms)


def arguments_of_processes() -> set[str]:
    """As `ps` shows them to every user."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end while it is looked at.
        with suppress(OSError):
            found.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def everything_in(url: str) -> str:
    """All rows of all tables."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [connection.execute(select(table)).all() for table in tables.tables.values()]
    engine.dispose()
    return repr(rows)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the arguments of processes are read from /proc")
def test_the_password_is_in_no_output_no_arguments_and_no_row(
    postgres_url: str, start_cli: Callable[..., subprocess.Popen[str]]
) -> None:
    # On the command line, the worst case: this process shows it then, and no other.
    arguments = ("start", "--storage", postgres_url, "--dataset", "iris", "--population", "3", "--generations", "2")
    process = start_cli(*arguments, "--epochs", "1", "--workers", "2")
    seen = set()
    while process.poll() is None:
        seen |= arguments_of_processes()
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert any("faqnas_optuna worker iris" in line for line in seen)
    # A child has its parent's arguments until it has its own.
    assert [line for line in seen if shows_password(line) and " faqnas_optuna start --storage " not in line] == []
    assert not shows_password(out + err)
    assert "iris" in (rows := everything_in(postgres_url))
    assert not shows_password(rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 0),
        (("resume", "iris"), 2),
        (("show", "../iris", "0"), 2),
        (("start", "--dataset", "iris", "--study", "../iris"), 2),
        (("start", "--dataset", "iris", "--study", "<b>\x1b[31m"), 2),
        (("start", "--dataset", "nothing"), 2),
    ],
    ids=["status", "resume", "show", "path", "markup", "dataset"],
)
def test_no_command_shows_the_password(
    postgres_url: str, cli_here: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], code: int
) -> None:
    open_storage(postgres_url, create=True)
    found, out, err = cli_here(*arguments, "--storage", postgres_url)
    assert found == code, err
    assert not shows_password(out + err)
    assert "\x1b" not in out + err


@pytest.mark.parametrize("fault", ["wrong password", "no such database", "nobody listens", "no port"])
def test_no_failure_to_connect_shows_the_password(
    postgres_server: PostgresServer, postgres_url: str, cli_here: Callable[..., tuple[int, str, str]], fault: str
) -> None:
    url = make_url(postgres_url)
    faulty = {
        "wrong password": url.set(username="postgres"),
        "no such database": url.set(database="nothing"),
        "nobody listens": url.set(port=1),
        "no port": url,
    }[fault].render_as_string(hide_password=False)
    if fault == "no port":
        faulty = faulty.replace(f":{postgres_server.port}/", ":port/")
    code, out, err = cli_here("status", "--storage", faulty)
    assert code == 4, err
    assert err.startswith("Error: ") and err.count("\n") == 1
    assert not shows_password(out + err)


def test_an_error_in_a_process_of_its_own_does_not_show_the_password(postgres_url: str, run_cli: RunCli) -> None:
    url = make_url(postgres_url).set(port=1).render_as_string(hide_password=False)
    finished = run_cli("worker", "iris", env={"FAQNAS_STORAGE": url, "FAQNAS_GRACE": str(GRACE_S)})
    assert finished.returncode == 4, finished.stderr
    assert "Traceback" not in finished.stderr
    assert not shows_password(finished.stdout + finished.stderr)
