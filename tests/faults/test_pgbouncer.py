"""Workers behind PgBouncer in transaction mode, with an ordinary URL."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from faqnas_optuna.storage.opening import backend, open_storage, storage_lock
from faqnas_optuna.study.search import load
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, wait_until
from tests.support.databases import PostgresServer
from tests.support.jepsen import end
from tests.support.pgbouncer import pgbouncer_before

pytestmark = pytest.mark.slow


def done(crew: Crew) -> int:
    return sum(entry.event == "done" for entry in crew.log())


@pytest.mark.parametrize("synchronous", [False, True], ids=["asynchronous", "synchronous"])
def test_three_workers_outlive_a_restart_of_pgbouncer(
    postgres_server: PostgresServer, postgres_url: str, logs: Path, synchronous: bool
) -> None:
    # Fewer connections than workers: workers that wait for a lock must not block the lock's holder.
    with pgbouncer_before(postgres_server, pool_size=2) as bouncer:
        url = bouncer.url(postgres_url)
        # Past the pooler: Optuna takes a third connection to create its tables, and would wait a minute for it.
        new_study(postgres_url, "s", population=10, synchronous=synchronous)
        with Crew(logs, url, grace_s=GRACE_S) as crew:
            workers = [crew.start("worker", "s", trial_s=0.02) for _ in range(3)]
            # psycopg prepares a statement at its sixth execution by default, which PgBouncer does not support.
            wait_until(lambda: all(len(crew.log(worker)) >= 16 for worker in workers), SOON_S, "all workers are at work")
            bouncer.stop()
            wait_until(lambda: "the database does not answer" in crew.printed(), SOON_S, "a worker has noticed")
            bouncer.start()
            before = done(crew)
            wait_until(lambda: done(crew) >= before + 12, SOON_S, "the workers go on")
            assert [worker.exitcode for worker in workers] == [None] * 3, crew.printed()
            end(load(open_storage(url), "s"), crew)
            assert "prepared statement" not in crew.printed()


def test_sessions_behind_pgbouncer_leave_nothing_to_others(postgres_server: PostgresServer, postgres_url: str) -> None:
    """Check that settings apply to our transactions only: a session setting would reach the next client of the connection."""
    with pgbouncer_before(postgres_server, pool_size=2) as bouncer:
        url = bouncer.url(postgres_url)
        new_study(postgres_url, "s")
        engine = backend(load(open_storage(url), "s").study).engine
        with engine.connect() as connection:
            names = ("lock_timeout", "idle_in_transaction_session_timeout", "timezone", "datestyle")
            in_force = [connection.scalar(text(f"SHOW {name}")) for name in names]
        assert in_force == ["1min", "1min", "UTC", "ISO, MDY"]
        assert outside_of_transactions(url, "lock_timeout") == "0"
        with storage_lock(url) as is_held:
            assert is_held()
            assert load(open_storage(url), "s").name == "s"


def outside_of_transactions(url: str, name: str) -> str:
    """Return a setting of the connection that PgBouncer gives to a client without settings."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(f"SHOW {name}").fetchone()
        assert row is not None
        return str(row[0])
