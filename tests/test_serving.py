"""A worker without a study waits for studies, serves them, and goes on waiting."""

import os
import signal

import pytest

from faqnas_optuna.generations import StopReason, stop_of
from faqnas_optuna.storage import open_storage
from tests.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.databases import sqlite_and_postgres
from tests.jepsen import violations_of

pytestmark = pytest.mark.slow

IDLE_S = 2
"""It looks for studies every second."""


@sqlite_and_postgres
def test_a_worker_without_a_name_waits_for_studies_that_come_later(any_storage_url: str, crew: Crew) -> None:
    open_storage(any_storage_url, create=True)
    worker = crew.start("worker", trial_s=0)

    def stays() -> bool:
        worker.join(IDLE_S)
        return worker.is_alive()

    def serves(name: str) -> None:
        search = new_study(any_storage_url, name, population=4, generations=2)
        wait_until(lambda: stop_of(search) is not None, SOON_S, f"study {name} is run to its end")
        assert (stop_of(search) or {})["reason"] == StopReason.GENERATIONS
        assert len(trials_of(search)) == 8
        # A line when it begins, and one when it is stored.
        assert violations_of(search, crew.log()[-2 * 8 :]) == []

    assert stays(), crew.printed()
    serves("first")
    assert stays(), crew.printed()
    serves("second")
    assert stays(), crew.printed()
    os.kill(worker.pid or 0, signal.SIGTERM)
    assert crew.leave() == [143], crew.printed()
    assert crew.printed().endswith("interrupted; finished trials are kept. Go on with: faqnas-optuna worker\n")
