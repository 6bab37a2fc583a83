"""Optuna's migration scripts, which it loads whenever the tables of a database are made."""

from functools import cache
from os import PathLike
from pathlib import Path
from types import ModuleType

from alembic import util


def load_migrations_once() -> None:
    """Let this process load each script once: to load all takes as long as to make a study."""
    load = util.load_python_file
    load_once = cache(load)

    def load_file(dir_: str | PathLike[str], filename: str | PathLike[str]) -> ModuleType:
        is_version = Path(dir_).name == "versions"
        return load_once(str(dir_), str(filename)) if is_version else load(dir_, filename)

    util.load_python_file = load_file
