"""Some attributes of a study in one statement, where Optuna reads all: a long study has hundreds."""

import json
from collections.abc import Iterable
from typing import Any

from optuna import Study
from optuna.storages._rdb import models
from sqlalchemy import bindparam, select

from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.statements import reading

_TABLE = models.StudyUserAttributeModel
_READ = select(_TABLE.key, _TABLE.value_json).where(
    _TABLE.study_id == bindparam("study_id"), _TABLE.key.in_(bindparam("names", expanding=True))
)


def get_study_user_attrs(study: Study, names: Iterable[str]) -> dict[str, Any]:
    """Those of the named attributes that a study has."""
    with reading(backend(study).engine).connect() as connection:
        rows = connection.execute(_READ, {"study_id": study._study_id, "names": [*names]})
        return {name: json.loads(value) for name, value in rows}
