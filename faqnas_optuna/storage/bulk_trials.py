"""Writing of many trials of a study in one transaction. Optuna's interface would take a dozen statements per trial."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import Table, delete, insert, select
from sqlalchemy.engine import Connection

from faqnas_optuna.storage.heartbeats import FIXED_PARAMS
from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.optuna_internals import (
    HEARTBEATS,
    PARAMS,
    STUDY_USER_ATTRS,
    SYSTEM_ATTRS,
    TRIALS,
    USER_ATTRS,
    VALUES,
    stored_value,
    study_id_of,
)

ROWS_AT_ONCE = 5_000
"""Maximum number of rows that a statement inserts."""


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """Successful or queued trial to be written."""

    params: Mapping[str, Any]
    user_attrs: Mapping[str, Any]
    values: Sequence[float] = ()
    """Objectives; none if the trial is queued."""


def replace_trials(
    study: Study,
    trials: Sequence[NewTrial],
    distributions: Mapping[str, BaseDistribution],
    attributes: Mapping[str, Any],
    *,
    started: datetime,
    completed: datetime,
) -> None:
    """Replace all trials of a study, and set attributes of the study, in one transaction.

    Args:
        trials: New trials, numbered from 0.
        distributions: Distribution of each parameter.
        attributes: User attributes of the study, which replace those of the same names.
        started: Beginning of all trials, in UTC without time zone.
        completed: End of all trials, in UTC without time zone.
    """
    study_id = study_id_of(study)
    of_study = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id)
    times = {"datetime_start": started, "datetime_complete": completed}
    head = {"study_id": study_id, "state": TrialState.COMPLETE, **times}
    with backend(study).engine.begin() as connection:
        for table in (PARAMS, VALUES, USER_ATTRS, SYSTEM_ATTRS, HEARTBEATS):
            connection.execute(delete(table).where(table.c.trial_id.in_(of_study)))
        connection.execute(delete(TRIALS).where(TRIALS.c.study_id == study_id))
        ids = _insert_trials(connection, len(trials), head)
        _insert(connection, PARAMS, _param_rows(trials, ids, distributions))
        _insert(connection, VALUES, _value_rows(trials, ids))
        _insert(connection, USER_ATTRS, _attribute_rows(trials, ids))
        replace_attributes(connection, study_id, attributes)


def queue_trials(study: Study, trials: Sequence[NewTrial], attributes: Mapping[str, Any]) -> None:
    """Queue the first trials of a study, as by `enqueue_trial`, and set attributes of the study, in one transaction."""
    study_id = study_id_of(study)
    with backend(study).engine.begin() as connection:
        ids = _insert_trials(connection, len(trials), {"study_id": study_id, "state": TrialState.WAITING})
        params = (
            {"trial_id": ids[number], "key": FIXED_PARAMS, "value_json": json.dumps(trial.params)}
            for number, trial in enumerate(trials)
        )
        _insert(connection, SYSTEM_ATTRS, params)
        _insert(connection, USER_ATTRS, _attribute_rows(trials, ids))
        replace_attributes(connection, study_id, attributes)


def _insert_trials(connection: Connection, count: int, head: Mapping[str, Any]) -> dict[int, int]:
    """Insert trials with equal cells in a study that has none; return their ids by number."""
    _insert(connection, TRIALS, ({"number": number, **head} for number in range(count)))
    rows = connection.execute(select(TRIALS.c.number, TRIALS.c.trial_id).where(TRIALS.c.study_id == head["study_id"]))
    return {number: trial_id for number, trial_id in rows}


def replace_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Set user attributes of a study within a transaction."""
    columns = STUDY_USER_ATTRS.c
    connection.execute(delete(STUDY_USER_ATTRS).where(columns.study_id == study_id, columns.key.in_(list(attributes))))
    insert_attributes(connection, STUDY_USER_ATTRS, study_id, attributes)


def insert_attributes(connection: Connection, table: Table, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Insert attributes of a study, which it does not have yet, within a transaction.

    Args:
        table: `STUDY_USER_ATTRS` or `STUDY_SYSTEM_ATTRS`.
    """
    rows = ({"study_id": study_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items())
    _insert(connection, table, rows)


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]] | Iterable[dict[str, Any]]) -> None:
    """Insert rows in portions."""
    remaining = iter(rows)
    while portion := [*islice(remaining, ROWS_AT_ONCE)]:
        connection.execute(insert(table).inline(), portion)


def _param_rows(
    trials: Sequence[NewTrial], ids: Mapping[int, int], distributions: Mapping[str, BaseDistribution]
) -> Iterator[dict[str, Any]]:
    texts = {name: distribution_to_json(distribution) for name, distribution in distributions.items()}
    for number, trial in enumerate(trials):
        for name, value in trial.params.items():
            yield {
                "trial_id": ids[number],
                "param_name": name,
                "param_value": distributions[name].to_internal_repr(value),
                "distribution_json": texts[name],
            }


def _value_rows(trials: Sequence[NewTrial], ids: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    for number, trial in enumerate(trials):
        for objective, value in enumerate(trial.values):
            stored, kind = stored_value(value)
            yield {"trial_id": ids[number], "objective": objective, "value": stored, "value_type": kind}


def _attribute_rows(trials: Sequence[NewTrial], ids: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    for number, trial in enumerate(trials):
        for name, value in trial.user_attrs.items():
            yield {"trial_id": ids[number], "key": name, "value_json": json.dumps(value)}
