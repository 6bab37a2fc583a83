"""Round trips of a trial to a database server, which determine the cost of network latency."""

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.engine import make_url

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import backend, open_storage
from faqnas_optuna.study.search import create
from faqnas_optuna.workers.loop import StudyWorker
from tests.conftest import small_config
from tests.support.studies import cheap


class Journeys:
    """Proxy between a client and a server that counts round trips."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._to = port
        self._open: list[socket.socket] = []

    @contextmanager
    def port(self) -> Iterator[int]:
        """Yield the port of the proxy."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            Thread(target=self._take, args=(listening,), daemon=True).start()
            yield listening.getsockname()[1]
            for one in self._open:
                one.close()

    def _take(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, server = listening.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                said: list[socket.socket] = []
                for source, target in ((client, server), (server, client)):
                    Thread(target=self._pass_on, args=(source, target, server, said), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, server: socket.socket, said: list[socket.socket]) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                # A round trip begins when the client sends after an answer.
                self.count += source is not server and said != [source]
                said[:] = [source]
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.slow
def test_a_trial_waits_for_postgresql_at_most_16_times(postgres_url: str, iris: DataSplits) -> None:
    url = make_url(postgres_url)
    assert url.port is not None
    limits = SearchConfig(population=20, generations=100, patience=100)
    journeys = Journeys(url.port)
    with journeys.port() as port:
        storage = open_storage(url.set(port=port).render_as_string(hide_password=False), create=True)
        worker = StudyWorker(create(storage, "s", small_config(search=limits), iris), iris, Signals(), evaluate=cheap)
        # Looking for stale trials, once a second, is not part of a trial.
        worker._next_giving_up = math.inf

        def run(trials: int) -> None:
            for _ in range(trials):
                worker.look()
                assert worker.run_trial()

        run(25)
        counted = count_of(journeys, lambda: run(40))
    # Two generations are closed during these trials.
    assert 40 * 10 < counted <= 40 * 16


def count_of(journeys: Journeys, act: Callable[[], None]) -> int:
    """Return the number of round trips that a call makes."""
    before = journeys.count
    act()
    return journeys.count - before


@pytest.mark.slow
def test_between_statements_postgresql_knows_that_it_waits(postgres_url: str, iris: DataSplits) -> None:
    """Check that sessions count as idle between statements, so that the limit for idle transactions ends suspended workers."""
    states: set[str] = set()
    worker = StudyWorker(
        create(open_storage(postgres_url, create=True), "s", small_config(), iris), iris, Signals(), evaluate=cheap
    )
    engine = backend(worker.study.study).engine
    watching = create_engine(engine.url, poolclass=NullPool)

    def look(connection: Any, *_: Any) -> None:
        query = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
        with watching.connect() as other:
            states.add(other.scalar(query, {"pid": connection.connection.driver_connection.info.backend_pid}))

    event.listen(engine, "after_cursor_execute", look)
    for _ in range(6):
        worker.look()
        assert worker.run_trial()
    assert states == {"idle", "idle in transaction"}
