import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from faqnas_optuna.errors import StudyNotFoundError
from faqnas_optuna.study import lifecycle
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import Stop, StopReason
from faqnas_optuna.workers import time_limit as module
from faqnas_optuna.workers.time_limit import time_limit
from tests.conftest import TIMEOUT_S, reason_of
from tests.support.crew import wait_until


def is_over(search: Search) -> bool:
    return reason_of(search) is StopReason.SECONDS


def test_the_clock_starts_when_it_is_started(new_search: Callable[..., Search]) -> None:
    search = new_search()
    # Long ended if it ran from the beginning of the block.
    with time_limit(search, 0.001, database_timeout_s=60) as start_clock:
        assert not threading.Event().wait(0.3) and reason_of(search) is None
        for _ in range(2):
            start_clock()
        wait_until(lambda: is_over(search), TIMEOUT_S, "the time is over")


@pytest.mark.parametrize("seconds", [None, 1e300])
@pytest.mark.parametrize("starts", [False, True])
def test_a_block_that_ends_earlier_leaves_the_study_alone(
    new_search: Callable[..., Search], seconds: float | None, starts: bool
) -> None:
    search = new_search()
    with time_limit(search, seconds, database_timeout_s=60) as start_clock:
        if starts:
            start_clock()
    assert reason_of(search) is None
    assert not [thread for thread in threading.enumerate() if thread.name == "time limit"]


def test_an_earlier_stop_keeps_its_reason(new_search: Callable[..., Search]) -> None:
    search = new_search()
    lifecycle.stop(search, StopReason.REQUESTED)
    stops = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "stop", lambda *arguments: stops.append(lifecycle.stop(*arguments)))
        with time_limit(search, 0.001, database_timeout_s=60) as start_clock:
            start_clock()
            wait_until(lambda: bool(stops), TIMEOUT_S, "the time is over")
    assert reason_of(search) is StopReason.REQUESTED


def failing(error: Exception, failures: int, attempts: list[Search]) -> Callable[[Search, StopReason], Stop]:
    def stop(search: Search, reason: StopReason) -> Stop:
        attempts.append(search)
        if len(attempts) <= failures:
            raise error
        return lifecycle.stop(search, reason)

    return stop


AWAY = OperationalError("UPDATE", None, Exception("server closed the connection unexpectedly"))


def test_the_stop_waits_for_a_database_that_is_away(new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> None:
    search = new_search()
    monkeypatch.setattr(module, "stop", failing(AWAY, 1, []))
    with time_limit(search, 0.001, database_timeout_s=60) as start_clock:
        start_clock()
        wait_until(lambda: is_over(search), TIMEOUT_S, "the database is back")


@pytest.mark.parametrize(("error", "timeout_s"), [(AWAY, 600), (AWAY, 0), (StudyNotFoundError("it was deleted"), 600)])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lost_database_is_left_to_the_workers_to_report(
    new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch, error: Exception, timeout_s: float
) -> None:
    """The end of the block also ends the wait for a database."""
    attempts: list[Search] = []
    monkeypatch.setattr(module, "stop", failing(error, 99, attempts))
    with time_limit(new_search(), 0.001, database_timeout_s=timeout_s) as start_clock:
        start_clock()
        wait_until(lambda: bool(attempts), TIMEOUT_S, "the stop was tried")
    assert not [thread for thread in threading.enumerate() if thread.name == "time limit"]
