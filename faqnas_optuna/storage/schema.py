"""Whether tables are those that the installed Optuna works with, asked without alembic.

Optuna asks by way of alembic whenever a storage is opened. To import that takes half as long as Optuna itself with all that it
needs; so it is left to those who make tables, and to tables of another version.
"""

import re
from functools import cache
from pathlib import Path

from optuna.storages._rdb import models
from sqlalchemy import text
from sqlalchemy.engine import Engine

REVISION = re.compile(r'^(revision|down_revision) = "(.*)"$', re.MULTILINE)


def is_current(engine: Engine) -> bool:
    """Whether the tables have the newest revision that the installed Optuna knows.

    Raises:
        SQLAlchemyError: there are no tables, or no database.
    """
    with engine.connect() as connection:
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found == newest_revision()


@cache
def newest_revision() -> str:
    """The one that Optuna's migrations lead to, and none from."""
    scripts = (Path(models.__file__).parent / "alembic" / "versions").glob("*.py")
    found = [dict(REVISION.findall(script.read_text(encoding="utf-8"))) for script in scripts]
    newest: str
    (newest,) = {script["revision"] for script in found} - {script.get("down_revision") for script in found}
    return newest
