"""Database files that are moved, deleted or replaced under running workers, which must end without losing results."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from tests.support.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import on_sqlite


def acknowledged(crew: Crew) -> set[int]:
    """Return the trials whose storage was acknowledged to their workers."""
    return {entry.trial for entry in crew.log() if entry.event == "done"}


def move(file: Path) -> None:
    file.rename(file.with_name("kept.db"))


def delete(file: Path) -> None:
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()


def replace(file: Path) -> None:
    """Replace a database file by a copy, as when a backup is restored."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", [str(file.with_name("copy.db"))])
    file.with_name("copy.db").rename(file)


@on_sqlite
@pytest.mark.slow
@pytest.mark.parametrize("do", [move, delete, replace])
def test_a_database_that_is_moved_or_deleted_ends_its_workers(
    any_storage_url: str, crew: Crew, do: Callable[[Path], None]
) -> None:
    new_study(any_storage_url, "s")
    file = Path(any_storage_url.removeprefix("sqlite:///"))
    workers = [crew.start("worker", "s", "--quiet", trial_s=0.1) for _ in range(2)]
    wait_until(lambda: len(acknowledged(crew)) >= 5, SOON_S, "some trials are done")
    do(file)
    for worker in workers:
        worker.join(SOON_S)
    assert [worker.exitcode for worker in workers] == [4, 4], crew.printed()
    assert "was moved, deleted or replaced" in crew.printed()
    assert "Traceback" not in crew.printed()
    if do is move:
        moved: Search = load(open_storage(f"sqlite:///{file.with_name('kept.db')}"), "s")
        stored = {trial.number for trial in trials_of(moved) if trial.state.is_finished()}
        assert acknowledged(crew) <= stored
        assert not file.exists()
