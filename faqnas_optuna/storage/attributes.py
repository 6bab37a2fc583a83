"""Reading of single study attributes in one statement.

Optuna always reads all attributes of a study, of which a long study has hundreds.
"""

from collections.abc import Iterable
from typing import Any

from optuna import Study
from optuna.storages import BaseStorage
from sqlalchemy import bindparam, select

from faqnas_optuna.storage.batched import BatchedStorage
from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.optuna_internals import STUDIES, STUDY_USER_ATTRS, study_id_of
from faqnas_optuna.storage.trial_reading import read_json, reading

_ATTRS = STUDY_USER_ATTRS.c
_NAMED = _ATTRS.key.in_(bindparam("names", expanding=True))
_READ = select(_ATTRS.key, _ATTRS.value_json).where(_ATTRS.study_id == bindparam("study_id"), _NAMED)
_READ_ALL = select(_ATTRS.study_id, _ATTRS.key, _ATTRS.value_json).where(_NAMED)
_READ_NAMES = select(STUDIES.c.study_name, STUDIES.c.study_id)


def get_study_user_attrs(study: Study, names: Iterable[str]) -> dict[str, Any]:
    """Return the attributes of a study with these names; absent attributes are left out.

    Raises:
        DamagedStudyError: The text of an attribute is not JSON.
    """
    with reading(backend(study).engine).connect() as connection:
        rows = connection.execute(_READ, {"study_id": study_id_of(study), "names": [*names]})
        return {name: read_json(value, name, study=study.study_name) for name, value in rows}


def study_ids(storage: BaseStorage) -> dict[str, int]:
    """Return the ids of all studies of a storage, by name."""
    assert isinstance(storage, BatchedStorage)
    with reading(storage.backend.engine).connect() as connection:
        return {name: study_id for name, study_id in connection.execute(_READ_NAMES)}


def texts_of_all_studies(storage: BaseStorage, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the attributes with these names of all studies as JSON texts, by study and attribute."""
    ids = study_ids(storage)
    assert isinstance(storage, BatchedStorage)
    texts: dict[int, dict[str, str]] = {study_id: {} for study_id in ids.values()}
    with reading(storage.backend.engine).connect() as connection:
        for study_id, name, text in connection.execute(_READ_ALL, {"names": [*names]}):
            # A study may have been created since the ids were read.
            texts.setdefault(study_id, {})[name] = text
    return {study: texts[study_id] for study, study_id in ids.items()}
