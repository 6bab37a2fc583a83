import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.activity import Activity, read_activity
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.metadata import DESCRIPTION
from faqnas_optuna.study.search import Search
from tests.conftest import cheap_values, run_trials
from tests.support.crew import new_study

HOUR_S = 3600


def last_activity(storage: BaseStorage) -> Activity:
    return read_activity(storage, DESCRIPTION)


def test_trials_of_our_studies_count(any_storage_url: str) -> None:
    search = new_study(any_storage_url, "iris")
    storage = open_storage(any_storage_url)
    assert (last_activity(storage).studies, last_activity(storage).silent_s) == (1, None)
    foreign = optuna.create_study(storage=storage, study_name="foreign")
    foreign.optimize(lambda _: 0.0, n_trials=1)
    assert last_activity(storage).silent_s is None
    before = datetime.now(UTC)
    run_trials(search, 1, cheap_values)
    activity = last_activity(storage)
    assert activity.studies == 1 and activity.silent_s is not None
    # Databases round times to seconds.
    assert 0 <= activity.silent_s <= (datetime.now(UTC) - before).total_seconds() + 1


@pytest.mark.parametrize(("end_h", "beat_h", "silent_h"), [(3, 2, 2), (2, 3, 2), (3, 3, 3)])
def test_the_latest_of_ends_and_heartbeats_counts(
    search_of_eight: Search, storage_url: str, tmp_path: Path, end_h: int, beat_h: int, silent_h: int
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    with closing(sqlite3.connect(tmp_path / "faqnas.db")) as connection, connection:
        end = str(now - timedelta(hours=end_h))
        connection.execute("UPDATE trials SET datetime_complete = ?", (end,))
        beat = str(now - timedelta(hours=beat_h))
        connection.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = 5")
        connection.execute("INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (5, ?)", (beat,))
    silent_s = last_activity(open_storage(storage_url)).silent_s
    assert silent_s is not None and abs(silent_s - silent_h * HOUR_S) < HOUR_S / 2


def test_clocks_ahead_give_no_negative_age(search_of_eight: Search, storage_url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "faqnas.db")) as connection, connection:
        connection.execute("UPDATE trials SET datetime_complete = '2999-01-01 00:00:00' WHERE trial_id = 3")
    assert last_activity(open_storage(storage_url)).silent_s == 0


def test_an_error_has_one_line_and_no_password(search_of_eight: Search, storage_url: str) -> None:
    storage: Any = open_storage(storage_url)
    storage.backend.url = "postgresql://me:hunter2@db.example.org/studies"

    def fail(*_: object) -> None:
        reason = Exception("login with hunter2 failed\nfor postgresql://me:hunter2@db")
        raise OperationalError("SELECT 1", {}, reason)

    event.listen(storage.backend.engine, "before_cursor_execute", fail)
    with pytest.raises(StorageError, match=r"^login with \*\*\* failed$"):
        last_activity(storage)
