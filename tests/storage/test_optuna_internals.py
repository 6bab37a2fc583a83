"""Private names of Optuna: they exist in the installed version, and their table is complete."""

import ast
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from faqnas_optuna.storage import optuna_internals
from faqnas_optuna.storage.optuna_internals import is_current, newest_revision

ENTRY = re.compile(r"^- `([\w.]+)` \((\S+), (\S+)\): ", re.MULTILINE)
ENTRIES = ENTRY.findall(optuna_internals.__doc__ or "")
TESTS = Path(__file__).parent.parent


def instances(url: str) -> dict[str, Any]:
    """Return an object of each class whose private names are used, by the name of the class."""
    study = optuna.create_study(storage=url)
    trial = study.ask()
    storage = study._storage
    objects = [study, trial, study.get_trials()[0], storage, storage._backend]  # type: ignore[attr-defined]
    return {type(one).__name__: one for one in objects}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return instances(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'study.db'}")


@pytest.mark.parametrize(("name", "file", "_test"), ENTRIES, ids=[name for name, *_ in ENTRIES])
def test_a_private_name_exists_in_the_installed_optuna(name: str, file: str, _test: str, objects: dict[str, Any]) -> None:
    owner, _, attribute = name.rpartition(".")
    module = import_module(f"optuna.{file.removesuffix('.py').replace('/', '.')}")
    exists = (
        hasattr(objects[owner], attribute) if owner else attribute == file.split("/")[-1][:-3] or hasattr(module, attribute)
    )
    assert exists, (
        f"Optuna {version('optuna')} has no {name} in {file}; find its successor for faqnas_optuna/storage/optuna_internals.py,"
        " or require an older Optuna in pyproject.toml"
    )


@pytest.mark.parametrize("test", sorted({test for *_, test in ENTRIES}))
def test_the_table_of_private_names_refers_to_existing_tests(test: str) -> None:
    assert (TESTS / test).is_file()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_the_table_of_private_names_is_complete() -> None:
    nodes = [*ast.walk(ast.parse(Path(optuna_internals.__file__).read_text()))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_private(node.attr)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optuna."):
            is_hidden = any(map(is_private, str(node.module).split(".")))
            used |= {alias.name for alias in node.names if is_hidden or is_private(alias.name)}
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef) and is_private(node.name)}
    overridden = functions & {*dir(RDBStorage), *dir(_CachedStorage)}
    assert used - functions | overridden == {name.rpartition(".")[2] for name, *_ in ENTRIES}


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
