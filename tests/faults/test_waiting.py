"""Servers that are not up yet, have no free connections, or are read-only."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from optuna.storages import BaseStorage
from sqlalchemy.engine import make_url

from faqnas_optuna.storage import outages
from faqnas_optuna.storage.opening import disconnect, number_of_studies, open_storage
from faqnas_optuna.study.search import load
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.training import evaluation, pilot
from tests.conftest import reason_of
from tests.support.crew import GRACE_S, SOON_S, Crew, new_study, wait_until
from tests.support.databases import DatabaseServer, MariadbServer, PostgresServer, on_servers, running_postgres
from tests.support.jepsen import end, violations_of
from tests.support.studies import cheap

pytestmark = pytest.mark.slow

CROWD = 20


class SmallPostgresServer(PostgresServer):
    """PostgreSQL server with 10 connections, 3 of them reserved for the administrator."""

    def command(self) -> list[str]:
        return [*super().command(), "-c", "max_connections=10"]


def test_twenty_workers_share_ten_connections(logs: Path) -> None:
    with running_postgres(kind=SmallPostgresServer) as server, server.new_database() as admin_url:
        server.execute("CREATE ROLE worker LOGIN PASSWORD 'worker'")
        server.execute(f"ALTER DATABASE {make_url(admin_url).database} OWNER TO worker")
        url = make_url(admin_url).set(username="worker", password="worker").render_as_string(hide_password=False)
        # Close the connections of this process before the workers start.
        search = new_study(url, "s", population=20, generations=2)
        search.study._storage._backend.engine.dispose()  # type: ignore[attr-defined]
        with Crew(logs, url, grace_s=GRACE_S) as crew:
            for _ in range(CROWD):
                crew.start("worker", "s", trial_s=0.2)
            assert crew.leave(within_s=500) == [0] * CROWD, crew.printed()
            assert "the database has no free connection" in crew.printed()
            assert violations_of(load(open_storage(url), "s"), crew.log()) == []


@pytest.fixture(params=["postgres", "mariadb"])
def server_and_url(request: pytest.FixtureRequest) -> tuple[DatabaseServer, str]:
    server = request.getfixturevalue(f"{request.param}_server")
    return server, request.getfixturevalue(f"{request.param}_url")


def test_a_worker_waits_for_a_server_that_is_not_up_yet(server_and_url: tuple[DatabaseServer, str], logs: Path) -> None:
    server, url = server_and_url
    new_study(url, "s")
    server.stop()
    with Crew(logs, url, grace_s=GRACE_S) as crew:
        worker = crew.start("worker", "s")
        leaving = crew.start("worker", "s")
        starting = crew.start("start", "iris", "--detach")
        for process in crew.processes:
            wait_until(lambda p=process: "the database does not answer" in crew.printed(p), SOON_S, "each waits")  # type: ignore[misc]
        os.kill(leaving.pid or 0, signal.SIGTERM)
        leaving.join(SOON_S)
        assert leaving.exitcode == 143, crew.printed(leaving)
        assert "Traceback" not in crew.printed(leaving)
        server.start()
        starting.join(SOON_S)
        assert starting.exitcode == 0, crew.printed(starting)
        wait_until(lambda: len(crew.log(worker)) >= 4, SOON_S, "the worker is at work")
        crew.processes.remove(leaving)
        crew.processes.remove(starting)
        end(load(open_storage(url), "s"), crew)
    assert number_of_studies(url) == 2


@on_servers
@pytest.mark.parametrize("command", [("worker", "s"), ("start", "iris"), ("resume", "s")], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"password": "guess"}, "check user and password"),
        ({"database": "nowhere"}, "create it, or name another"),
        ({"host": "no-such-host.invalid"}, "check host and port"),
    ],
    ids=["password", "database", "host"],
)
def test_mistakes_in_a_url_are_not_waited_for(
    any_storage_url: str,
    command: tuple[str, ...],
    changes: dict[str, str],
    advice: str,
    cli_here: Callable[..., tuple[int, str, str]],
) -> None:
    url = make_url(any_storage_url).set(**changes).render_as_string(hide_password=False)  # type: ignore[arg-type]
    code, out, err = cli_here(*command, "--storage", url)
    assert (code, out) == (4, "")
    assert "trying again" not in err
    assert advice in err and err.count("\n") == 1


def test_a_study_is_made_although_the_database_was_away_during_the_pilot(
    postgres_server: PostgresServer,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    cli_here: Callable[..., tuple[int, str, str]],
) -> None:
    with away_from(postgres_server, monkeypatch) as stop:
        monkeypatch.setattr(pilot, "measure_reliability", stop)
        code, _, err = cli_here("start", "iris", "--detach", "--storage", postgres_url)
    assert code == 0, err
    assert load(open_storage(postgres_url), "iris").name == "iris"


def test_a_worker_leaves_in_order_although_the_database_was_away_after_its_last_trial(
    postgres_server: PostgresServer,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    cli_here: Callable[..., tuple[int, str, str]],
) -> None:
    new_study(postgres_url, "s", population=2, generations=1)
    monkeypatch.setattr(evaluation, "prepare", lambda _engines: None)
    monkeypatch.setattr(evaluation, "evaluate", cheap)
    with away_from(postgres_server, monkeypatch) as stop:

        def disconnect_and_stop(storage: BaseStorage) -> None:
            disconnect(storage)
            stop()

        monkeypatch.setattr("faqnas_optuna.api.running.disconnect", disconnect_and_stop)
        code, _, err = cli_here("worker", "s", "--storage", postgres_url)
    assert code == 0, err
    # A new connection: if the outage took less than a second, the test's old one is not checked before it is used.
    assert reason_of(load(open_storage(postgres_url), "s")) is StopReason.GENERATIONS


@contextmanager
def away_from(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Yield a function that stops the server; it is started again when the process under test begins to wait."""
    is_waited_for = Event()

    def start() -> None:
        assert is_waited_for.wait(SOON_S)
        server.start()

    starting = Thread(target=start)

    def stop(*_: object, **__: object) -> None:
        server.stop()
        starting.start()

    monkeypatch.setattr(outages.logger, "warning", lambda *_: is_waited_for.set())
    yield stop
    starting.join(SOON_S)
    assert is_waited_for.is_set()


@pytest.mark.parametrize("command", [("worker", "s"), ("start", "iris"), ("resume", "s")], ids=lambda words: words[0])
def test_a_hot_standby_is_refused_as_such(
    postgres_server: PostgresServer,
    postgres_url: str,
    command: tuple[str, ...],
    cli_here: Callable[..., tuple[int, str, str]],
) -> None:
    new_study(postgres_url, "s")
    with postgres_server.standing_by():
        code, out, err = cli_here(*command, "--storage", postgres_url)
    assert (code, out) == (4, "")
    assert "in a read-only transaction; it is read-only: name the primary server" in err
    assert err.count("\n") == 1


def test_a_read_only_mysql_server_is_refused_as_such(
    mariadb_server: MariadbServer, mariadb_url: str, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    new_study(mariadb_url, "s")
    # An administrator may write in spite of read_only.
    mariadb_server.execute("CREATE OR REPLACE USER worker@'127.0.0.1' IDENTIFIED BY 'worker'")
    mariadb_server.execute(f"GRANT ALL ON {make_url(mariadb_url).database}.* TO worker@'127.0.0.1'")
    url = make_url(mariadb_url).set(username="worker", password="worker").render_as_string(hide_password=False)
    mariadb_server.execute("SET GLOBAL read_only = 1")
    try:
        code, out, err = cli_here("worker", "s", "--storage", url)
    finally:
        mariadb_server.execute("SET GLOBAL read_only = 0")
    assert (code, out) == (4, "")
    assert "--read-only option" in err and "it is read-only" in err
    assert err.count("\n") == 1
