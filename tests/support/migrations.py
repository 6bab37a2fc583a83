"""Optuna's migrations, read once in a process.

Optuna reads them for each database that it creates, which takes half of the time.
"""

from functools import cache
from pathlib import Path
from types import ModuleType

import alembic.util
from optuna.storages._rdb import models

read_file = alembic.util.load_python_file
read_once = cache(read_file)


def load_python_file(directory: Path, name: str) -> ModuleType:
    """Return a file of alembic as a module."""
    # `env.py` migrates when it is loaded, so it must be loaded each time.
    return read_file(directory, name) if name == "env.py" else read_once(directory, name)


# Read here, so that processes that are forked from this one have them, too.
for migration in (Path(models.__file__).parent / "alembic" / "versions").glob("*.py"):
    read_once(migration.parent, migration.name)
alembic.util.load_python_file = load_python_file  # type: ignore[assignment]
