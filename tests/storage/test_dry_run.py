"""Checks of a database by `doctor`, which tries statements and leaves nothing behind."""

import re
import shutil
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, inspect, select
from sqlalchemy.engine import make_url

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.dry_run import dry_run
from faqnas_optuna.storage.opening import number_of_studies
from faqnas_optuna.storage.optuna_internals import STUDIES, TRIALS
from faqnas_optuna.study.search import Search
from tests.support.crew import new_study
from tests.support.databases import DatabaseServer, PostgresServer, on_servers
from tests.support.other_user import another_user, needs_root

pytestmark = pytest.mark.slow


def tables_and_rows(url: str) -> dict[str, int]:
    """Return the number of rows of each table."""
    made = make_url(url)
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    engine = create_engine(made.set(drivername=drivers.get(made.drivername, made.drivername)), poolclass=NullPool)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return {name: len(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in names}


def test_nothing_stays_of_a_rehearsal(any_storage_url: str, tmp_path: Path) -> None:
    is_file = any_storage_url.startswith("sqlite")
    dry_run(any_storage_url)
    if is_file:
        assert list(tmp_path.iterdir()) == []
    else:
        assert tables_and_rows(any_storage_url) == {}
    new_study(any_storage_url, "s")
    before = tables_and_rows(any_storage_url)
    dry_run(any_storage_url)
    assert tables_and_rows(any_storage_url) == before
    assert number_of_studies(any_storage_url) == 1


@pytest.fixture
def guest_url(any_storage_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of the database for a user with read access only."""
    url = make_url(any_storage_url)
    is_postgres = url.get_backend_name() == "postgresql"
    server: DatabaseServer = request.getfixturevalue("postgres_server" if is_postgres else "mariadb_server")
    if is_postgres:
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'guest' IN ROLE pg_read_all_data")
    else:
        server.execute("CREATE OR REPLACE USER guest@'127.0.0.1' IDENTIFIED BY 'guest'")
        server.execute(f"GRANT SELECT ON {url.database}.* TO guest@'127.0.0.1'")
    yield url.set(username="guest", password="guest").render_as_string(hide_password=False)
    server.execute("DROP ROLE guest" if is_postgres else "DROP USER guest@'127.0.0.1'")


@on_servers
def test_a_user_without_rights_is_told_what_to_ask_for(any_storage_url: str, guest_url: str) -> None:
    pattern = "(permission|command) denied .*; ask the owner of the database for the right to create and change tables"
    with pytest.raises(StorageError, match=pattern):
        dry_run(guest_url)
    new_study(any_storage_url, "s")
    with pytest.raises(StorageError, match=pattern):
        dry_run(guest_url)


@pytest.mark.parametrize("has_studies", [False, True])
def test_doctor_finds_a_standby_lacking(
    postgres_url: str, postgres_server: PostgresServer, cli_here: Callable[..., tuple[int, str, str]], has_studies: bool
) -> None:
    if has_studies:
        new_study(postgres_url, "s")
    with postgres_server.standing_by():
        code, out, _ = cli_here("doctor", "--storage", postgres_url)
    assert code == 1
    last = " ".join(out.split("database")[-1].split())
    assert "read-only transaction; it is read-only" in last


def report_lack(url: str, reports: Connection) -> None:
    """Send the error of the dry run, if there is one."""
    try:
        dry_run(url)
    except StorageError as error:
        reports.send(str(error))


@needs_root
@pytest.mark.parametrize(
    ("directory_mode", "file_mode", "reason"),
    [
        (0o777, 0o644, "you may only read the database .*; ask its owner"),
        (0o755, 0o666, "cannot write beside the database .* make .* writable"),
    ],
)
def test_what_belongs_to_another_user_is_lacking(
    search_of_eight: Search, tmp_path: Path, open_directory: Path, directory_mode: int, file_mode: int, reason: str
) -> None:
    shutil.copy(tmp_path / "faqnas.db", open_directory / "faqnas.db")
    (open_directory / "faqnas.db").chmod(file_mode)
    open_directory.chmod(directory_mode)
    with another_user(report_lack, f"sqlite:///{open_directory}/faqnas.db") as reports:
        lack = reports.recv()
    assert re.search(reason, lack), lack
    assert [path.name for path in open_directory.iterdir()] == ["faqnas.db"]


def test_a_rehearsal_sees_what_it_has_written_and_undone(search_of_eight: Search, storage_url: str) -> None:
    before = tables_and_rows(storage_url)
    assert before[STUDIES.name] == 1 and before[TRIALS.name] == 8
    dry_run(storage_url)
    assert tables_and_rows(storage_url) == before
    engine = create_engine(storage_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert list(connection.scalars(select(STUDIES.c.study_name))) == ["iris"]
