import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage import servers
from faqnas_optuna.storage.opening import backend, failure, open_storage, storage_lock
from faqnas_optuna.storage.outages import DATABASE_ERRORS, database_reason, is_transient
from tests.conftest import TIMEOUT_S
from tests.support.crew import forking
from tests.support.databases import on_servers

CREATED = 17


def create_unless_there(url: str) -> None:
    """Create the study as `start` does; the process that created it exits with `CREATED`."""
    storage = open_storage(url, create=True)
    with storage_lock(url):
        try:
            optuna.load_study(storage=storage, study_name="s")
        except KeyError:
            optuna.create_study(storage=storage, study_name="s")
            sys.exit(CREATED)


def take_what_is_queued(url: str) -> None:
    study = optuna.load_study(storage=open_storage(url), study_name="s")
    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.optimize(lambda trial: trial.suggest_int("x", 0, 1000), n_trials=1)


def together(work: Callable[[str], None], url: str, barrier: Barrier) -> None:
    """Do the work in one of several processes once all have started."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    barrier.wait(timeout=TIMEOUT_S)
    work(url)


def run_at_once(work: Callable[[str], None], count: int, url: str) -> list[int | None]:
    """Run the same work in several processes at the same time and return their exit codes."""
    barrier = forking().Barrier(count)
    processes = [forking().Process(target=together, args=(work, url, barrier)) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(TIMEOUT_S)
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.slow
def test_six_processes_create_one_study(storage_url: str) -> None:
    codes = run_at_once(create_unless_there, 6, storage_url)
    assert sorted(map(str, codes)) == ["0"] * 5 + [str(CREATED)]
    assert optuna.get_all_study_names(open_storage(storage_url)) == ["s"]


@pytest.mark.slow
def test_no_queued_trial_runs_twice(storage_url: str) -> None:
    study = optuna.create_study(storage=open_storage(storage_url, create=True), study_name="s")
    for x in range(60):
        study.enqueue_trial({"x": x})
    assert run_at_once(take_what_is_queued, 3, storage_url) == [0] * 3
    done = [trial.params["x"] for trial in study.get_trials(states=(TrialState.COMPLETE,))]
    # A worker may find the queue empty after another took the last trial; it then runs a trial that was not queued.
    assert sorted(x for x in range(60) if done.count(x) >= 1) == list(range(60))
    queued = [trial for trial in study.get_trials() if "fixed_params" in trial.system_attrs]
    assert len(queued) == 60
    assert all(trial.state is TrialState.COMPLETE for trial in queued)


def test_a_database_is_only_made_when_asked(tmp_path: Path, storage_url: str) -> None:
    with pytest.raises(StorageError, match=r"there is no database .*faqnas.db: start a study with"):
        open_storage(storage_url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("faqnas.db", "not a database URL; write sqlite:///FILE.db"),
        ("postgresql://u:secret@host:port/db", "not a database URL"),
        ("sqlite://", "must be a file that workers can share"),
        ("sqlite:////nowhere/at/all.db", "directory /nowhere/at does not exist"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/db: .*refused"),
        ("mysql://me:secret@127.0.0.1:1/db", r"mysql\+pymysql://me:\*\*\*@127.0.0.1:1/db"),
        ("oracle://me:secret@127.0.0.1:1/db", "SQLite, PostgreSQL or MySQL database; it is oracle"),
    ],
)
def test_storages_that_cannot_be_used_are_refused(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as refused:
        open_storage(url, create=True)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at as one\n" * 40)
    with pytest.raises(StorageError, match="is not an SQLite database; name another file"):
        open_storage(f"sqlite:///{tmp_path}/notes.txt")


def test_a_driver_that_repeats_a_secret_is_not_quoted() -> None:
    with pytest.raises(StorageError, match=r'\?gssencmode=\*\*\*: .*invalid gssencmode value: "\*\*\*"'):
        open_storage("postgresql://me:secret@127.0.0.1:1/db?gssencmode=s3%2Fcret")
    error = OperationalError("", None, Exception('no database "postgresql://me:s3cr:/et@host/db" and no user "me"'))
    assert database_reason(error) == 'no database "postgresql://me:*** and no user "me"'
    assert ": neither *** nor ***" in str(failure("mysql://me:s3%2Fcret@h/db", ValueError("neither s3/cret nor s3%2Fcret")))
    # Masking a password of one letter would make messages unreadable.
    assert "authentication failed" in str(failure("mysql://me:t@h/db", ValueError("authentication failed")))


def test_a_database_without_studies_says_how_to_begin(any_storage_url: str) -> None:
    if any_storage_url.startswith("sqlite"):
        Path(str(make_url(any_storage_url).database)).touch()
    with pytest.raises(StorageError, match="it contains no studies; start one with: faqnas-optuna start --dataset wine$"):
        open_storage(any_storage_url)


def test_a_reader_waits_for_tables_that_another_process_is_creating(any_storage_url: str) -> None:
    engine = backend(optuna.create_study(storage=open_storage(any_storage_url, create=True))).engine
    with engine.begin() as connection:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("DELETE FROM alembic_version"))
    # The process that creates the tables holds this lock until it has written the revision.
    with ThreadPoolExecutor(1) as pool:
        with storage_lock(any_storage_url):
            reader = pool.submit(open_storage, any_storage_url)
            with pytest.raises(TimeoutError, match="^$"):
                reader.result(timeout=0.5)
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
        assert len(reader.result(timeout=TIMEOUT_S).get_all_studies()) == 1


def test_tables_of_another_optuna_are_refused_with_what_to_do(any_storage_url: str) -> None:
    cached = open_storage(any_storage_url, create=True)
    with backend(optuna.create_study(storage=cached)).engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v2.6.0.a'"))
    with pytest.raises(StorageError, match="no longer compatible .* `. optuna storage upgrade "):
        open_storage(any_storage_url)


@on_servers
@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"database": "nowhere"}, "create it, or name another"),
        ({"password": "guess"}, "check user and password"),
        ({"port": 1}, "check host and port, and that the server is running and accepts connections from this machine"),
    ],
    ids=["database", "password", "port"],
)
def test_a_server_that_is_not_reached_tells_what_to_check(any_storage_url: str, changes: dict[str, Any], advice: str) -> None:
    url = make_url(any_storage_url).set(**changes).render_as_string(hide_password=False)
    with pytest.raises(StorageError, match=f"; {advice}$") as refused:
        open_storage(url)
    assert (make_url(url).password or "") not in str(refused.value)


@pytest.mark.slow
def test_a_transaction_that_the_server_has_ended_is_begun_again(postgres_url: str) -> None:
    """Repeat a transaction that the server ended, as for a worker that was suspended in it."""
    engine = backend(optuna.create_study(storage=open_storage(postgres_url, create=True))).engine
    with pytest.raises(DATABASE_ERRORS, match="idle-in-transaction") as ended, engine.begin() as connection:
        connection.execute(text("SET idle_in_transaction_session_timeout = '100ms'"))
        time.sleep(1)
        connection.execute(text("SELECT 1"))
    assert is_transient(ended.value)


@pytest.mark.parametrize("option", ["sslmode=verify-full", "charset=nope"])
def test_an_option_that_the_driver_does_not_know_is_one_line(option: str) -> None:
    with pytest.raises(StorageError, match=r"^cannot use the database mysql\+pymysql://me:\*\*\*@127.0.0.1:1/db\?.*: .*$"):
        open_storage(f"mysql://me:secret@127.0.0.1:1/db?{option}")


@on_servers
def test_a_lock_that_the_server_has_taken_away_is_known_to_be_lost(any_storage_url: str) -> None:
    open_storage(any_storage_url, create=True)
    engine = backend(optuna.create_study(storage=open_storage(any_storage_url))).engine
    find, end = {
        "postgresql": ("SELECT pid FROM pg_locks WHERE locktype = 'advisory'", "SELECT pg_terminate_backend({})"),
        "mysql": (f"SELECT IS_USED_LOCK('{servers._LOCK_NAME}')", "KILL {}"),
    }[engine.dialect.name]
    with storage_lock(any_storage_url) as is_held:
        assert is_held()
        with engine.begin() as connection:
            connection.execute(text(end.format(connection.scalar(text(find)))))
        assert not is_held()
        # Another check does not take the lock again either.
        assert not is_held()


def test_a_lock_that_another_process_keeps_is_not_waited_for_without_end(any_storage_url: str) -> None:
    open_storage(any_storage_url, create=True)
    with storage_lock(any_storage_url):
        pattern = "another process has held|lock timeout"
        with pytest.raises(DATABASE_ERRORS, match=pattern) as refused, storage_lock(any_storage_url, timeout_s=1):
            pass
        # The lock may be free in a moment, so waiting helps.
        assert is_transient(refused.value)
    with storage_lock(any_storage_url):
        pass
