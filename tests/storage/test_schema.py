import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from faqnas_optuna.storage.schema import is_current, newest_revision


def test_the_newest_revision_is_what_optuna_makes_and_takes_for_its_own(storage_url: str) -> None:
    storage = RDBStorage(storage_url)
    assert storage.get_current_version() == storage.get_head_version() == newest_revision()
    assert is_current(storage.engine)


def test_tables_of_another_revision_are_not_current(storage_url: str) -> None:
    engine = RDBStorage(storage_url).engine
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v2.6.0.a'"))
    assert not is_current(engine)


def test_without_tables_there_is_no_answer(storage_url: str) -> None:
    with pytest.raises(OperationalError, match="no such table: alembic_version"):
        is_current(create_engine(storage_url))
