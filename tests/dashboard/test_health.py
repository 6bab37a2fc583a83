import json
import logging
import shutil
import socket
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from faqnas_optuna.dashboard import health
from faqnas_optuna.dashboard.server import THREADS
from faqnas_optuna.study.search import Search
from tests.conftest import TIMEOUT_S, cheap_values, run_trials
from tests.support.crew import SOON_S, Crew, new_study, wait_until
from tests.support.dashboards import send_request, served
from tests.support.databases import PASSWORD, PostgresServer, sqlite_and_postgres


@pytest.fixture
def address(search_of_eight: Search, storage_url: str) -> Iterator[str]:
    with served(storage_url) as address:
        yield address


def check(address: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the document of a health check."""
    status, _, body = send_request(f"{address}/healthz")
    assert PASSWORD.encode() not in body
    return status, json.loads(body)


def is_healthy(address: str) -> bool:
    status, document = check(address)
    return (status, document["status"], document["database"]) == (200, "ok", "reachable")


def test_a_healthy_dashboard_reports_studies_and_silence(search_of_eight: Search, address: str) -> None:
    # The copied trials are as old as the first test that used them.
    run_trials(search_of_eight, 1, cheap_values)
    status, document = check(address)
    silent_s = document.pop("seconds_since_last_trial")
    assert (status, document) == (200, {"status": "ok", "database": "reachable", "studies": 1})
    assert 0 <= silent_s < TIMEOUT_S


def test_without_trials_there_is_no_silence(new_search: Callable[..., Search], storage_url: str) -> None:
    new_search()
    with served(storage_url) as address:
        assert check(address)[1]["seconds_since_last_trial"] is None


def test_a_check_is_read_only_uncached_and_for_known_hosts(address: str) -> None:
    status, headers, body = send_request(f"{address}/healthz", "HEAD")
    assert (status, headers["Cache-Control"], headers["Content-Type"], body) == (200, "no-store", "application/json", b"")
    assert int(headers["Content-Length"]) > 0
    assert send_request(f"{address}/healthz", "POST")[0] == 403
    assert send_request(f"{address}/healthz", Host="evil.example")[0] == 403
    assert send_request(f"{address}/healthz", Host="localhost:1")[0] == 200


@pytest.mark.parametrize("request_line", [b"GARBAGE", b"GET /healthz HTTP/9"])
def test_malformed_requests_are_answered(address: str, request_line: bytes) -> None:
    port = urllib.parse.urlsplit(address).port
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(request_line + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 400 Bad Request\r\n")


def test_a_missing_file_is_unhealthy_and_leaves_nothing_in_the_log(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shutil.move(tmp_path / "faqnas.db", tmp_path / "moved.db")
    status, document = check(address)
    assert (status, document["status"]) == (503, "unavailable")
    assert "was moved, deleted or replaced" in document["database"] and "\n" not in document["database"]
    shutil.move(tmp_path / "moved.db", tmp_path / "faqnas.db")
    assert is_healthy(address)
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_a_file_that_a_writer_has_locked_is_healthy(address: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "faqnas.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        # With a write-ahead log, writers do not block readers.
        assert is_healthy(address)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_is_damaged_is_unhealthy(address: str, tmp_path: Path, method: str) -> None:
    with closing(sqlite3.connect(tmp_path / "faqnas.db")) as connection, connection:
        connection.execute("ALTER TABLE trial_heartbeats RENAME TO others")
    assert send_request(f"{address}/healthz", method)[0] == 503
    assert check(address)[1]["database"] == "no such table: trial_heartbeats"


@pytest.mark.slow
@sqlite_and_postgres
def test_silence_grows_when_all_workers_are_killed(any_storage_url: str, crew: Crew) -> None:
    new_study(any_storage_url, "iris")
    with served(any_storage_url) as address:
        workers = [crew.start("worker", "--until-idle", trial_s=0.05) for _ in range(2)]
        wait_until(lambda: check(address)[1]["seconds_since_last_trial"] is not None, SOON_S, "a trial has begun")
        workers[0].kill()
        wait_until(lambda: len(crew.log(workers[1])) > 4, SOON_S, "the other worker goes on")
        assert is_healthy(address)
        workers[1].kill()
        workers[1].join(SOON_S)
        # Without a worker the dashboard itself stays healthy.
        wait_until(lambda: check(address)[1]["seconds_since_last_trial"] > 2, SOON_S, "the silence grows")
        assert is_healthy(address)


@pytest.mark.slow
def test_a_server_that_stops_is_unhealthy_until_it_is_back(postgres_server: PostgresServer, postgres_url: str) -> None:
    new_study(postgres_url, "iris")
    with served(postgres_url) as address:
        assert is_healthy(address)
        postgres_server.stop()
        status, document = check(address)
        assert (status, document["status"]) == (503, "unavailable")
        assert "\n" not in document["database"]
        postgres_server.start()
        wait_until(lambda: is_healthy(address), SOON_S, "the server is back")


@pytest.mark.slow
def test_a_server_that_hangs_is_unhealthy_although_pages_wait_for_it(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT_S", 0.5)
    new_study(postgres_url, "iris")
    with served(postgres_url) as address, ThreadPoolExecutor(2 * THREADS) as readers:
        with postgres_server.suspended():
            # More than the server has threads.
            pages = [readers.submit(send_request, address) for _ in range(2 * THREADS)]
            for _ in range(3):
                assert check(address) == (
                    503,
                    {"status": "unavailable", "database": "the database has not answered for 0.5 s"},
                )
            assert not any(page.done() for page in pages)
        wait_until(lambda: is_healthy(address), SOON_S, "the server answers again")
        # Some may have given up connecting while the server was suspended.
        assert {page.result(TIMEOUT_S)[0] for page in pages} <= {200, 503}
