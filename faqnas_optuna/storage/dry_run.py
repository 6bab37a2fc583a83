"""Dry run of a search on a database: create, lock, write and read, then undo all changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from optuna.trial import TrialState
from sqlalchemy import URL, Column, Integer, MetaData, Table, insert, inspect, select
from sqlalchemy.engine import Connection, Engine

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage import servers, sqlite
from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.opening import check_place, open_storage, opening_errors, storage_lock
from faqnas_optuna.storage.optuna_internals import (
    FINITE,
    STUDIES,
    STUDY_USER_ATTRS,
    TRIALS,
    USER_ATTRS,
    VALUES,
    create_tables,
)
from faqnas_optuna.storage.trial_writing import LOCK_STUDY
from faqnas_optuna.storage.urls import is_sqlite, parse, sqlite_file


def dry_run(url: str) -> None:
    """Make the same kinds of changes to a database as a search, and undo them. Only the ids that it uses are lost.

    Raises:
        StorageError: The database refuses a change, or does not undo it.
    """
    with opening_errors(url):
        if is_sqlite(url):
            _try_file(sqlite_file(parse(url)))
        else:
            _try_server(url)


def _try_file(file: Path) -> None:
    """Try a new database in the directory of a file, then the file itself if it exists.

    The directory matters because SQLite creates its log there.
    """
    check_place(f"sqlite:///{file}")
    if file.exists() and not os.access(file, os.W_OK):
        raise StorageError(f"you may only read the database {file}; ask its owner for write access")
    directory = sqlite.beside(file, "").parent
    try:
        with (
            TemporaryDirectory(prefix=".faqnas-", dir=directory) as beside,
            _engine_of(Path(beside) / "faqnas.db", create=True) as engine,
        ):
            _write_and_undo(engine)
    except OSError as error:
        raise StorageError(
            f"cannot write beside the database {file}: {error.strerror}; SQLite keeps its log there: make {directory} writable"
        ) from error
    if file.exists() and file.stat().st_size:
        with _engine_of(file, create=False) as engine:
            _write_and_undo(engine)


@contextmanager
def _engine_of(file: Path, *, create: bool) -> Iterator[Engine]:
    url = URL.create("sqlite", database=str(file)).render_as_string()
    storage = open_storage(url, create=create)
    assert isinstance(storage, BatchedStorage)
    try:
        yield storage.backend.engine
    finally:
        storage.backend.engine.dispose()


def _try_server(url: str) -> None:
    """Try a database on a server, with Optuna's tables if they exist."""
    engine = servers.lock_engine(parse(url))
    has_tables = inspect(engine).has_table(STUDIES.name)
    if has_tables:
        servers.check_engines(engine)
    with storage_lock(url):
        if has_tables:
            _write_and_undo(engine)
        elif engine.dialect.name == "postgresql":
            # PostgreSQL can roll back the creation of tables.
            with _rolled_back(engine) as connection:
                create_tables(connection)
                _write(connection)
        else:
            _create_and_drop(engine)


def _write_and_undo(engine: Engine) -> None:
    """Write a study in a transaction that is rolled back, and check that the study is gone."""
    with _rolled_back(engine) as connection:
        name = _write(connection)
    with engine.connect() as connection:
        if connection.scalar(select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)) is not None:
            raise StorageError("the database does not undo a rolled-back transaction; name a database with transactions")


@contextmanager
def _rolled_back(engine: Engine) -> Iterator[Connection]:
    """Run the block in a transaction that is rolled back at its end."""
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def _write(connection: Connection) -> str:
    """Write a study with one trial, read the trial's value back, and return the name of the study."""
    name = f"faqnas-optuna doctor {uuid4().hex}"
    study_id = _insert(connection, STUDIES, study_name=name)
    _insert(connection, STUDY_USER_ATTRS, study_id=study_id, key="doctor", value_json="1")
    connection.execute(LOCK_STUDY, {"study_id": study_id})
    trial_id = _insert(connection, TRIALS, study_id=study_id, number=0, state=TrialState.RUNNING)
    _insert(connection, USER_ATTRS, trial_id=trial_id, key="doctor", value_json="1")
    _insert(connection, VALUES, trial_id=trial_id, objective=0, value=0.5, value_type=FINITE)
    value = connection.scalar(select(VALUES.c.value).join(TRIALS).where(TRIALS.c.study_id == study_id))
    if value != 0.5:
        raise StorageError(f"the database returned {value} after 0.5 was written; name another database")
    return name


def _insert(connection: Connection, table: Table, **row: object) -> int:
    """Insert a row and return its id."""
    key = connection.execute(insert(table).values(**row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _create_and_drop(engine: Engine) -> None:
    """Create a table on MySQL, try a transaction on it, and drop it.

    Raises:
        StorageError: The storage engine of new tables has no transactions.
    """
    # MySQL commits when it creates a table, so that Optuna's own tables cannot be tried without leaving them behind.
    table = Table(f"faqnas_doctor_{uuid4().hex[:12]}", MetaData(), Column("id", Integer, primary_key=True))
    with engine.begin() as connection:
        table.create(connection)
    try:
        with _rolled_back(engine) as connection:
            connection.execute(insert(table).values(id=1))
        with engine.connect() as connection:
            if connection.scalar(select(table.c.id)) is not None:
                raise StorageError(
                    "the database does not undo a rolled-back transaction; make InnoDB its default storage engine"
                )
    finally:
        with engine.begin() as connection:
            table.drop(connection)
