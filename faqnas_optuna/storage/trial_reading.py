"""A SQL statement that reads all new trials of a study, and statements that read attributes of a study.

Optuna needs seven statements to read new trials. Tables and contents are Optuna's.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Row, Select, String, Table, bindparam, case, literal_column, null, select, type_coerce, union_all
from sqlalchemy.engine import Engine

from faqnas_optuna.errors import DamagedStudyError
from faqnas_optuna.storage.optuna_internals import (
    INF_NEG,
    INF_POS,
    NOT_FOUND,
    PARAMS,
    STUDIES,
    SYSTEM_ATTRS,
    TRIALS,
    USER_ATTRS,
    VALUES,
)
from faqnas_optuna.storage.servers import WITHOUT_TRANSACTION

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""Errors that Optuna and the standard library raise for damaged content of the database."""


def read_trials(engine: Engine, study_id: int, *, after: int, among: Iterable[int]) -> list[FrozenTrial]:
    """Read the trials of a study whose ids are greater than `after` or in `among`, sorted by id, without intermediate values.

    Raises:
        ValueError, LookupError: the database holds a value that cannot be part of a trial.
    """
    parameters = {"study_id": study_id, "after": after, "among": [*among]}
    # Rows by part and trial id.
    rows: dict[str, dict[int, list[Row[Any]]]] = defaultdict(lambda: defaultdict(list))
    with reading(engine).connect() as connection:
        # All at once: a long study has hundreds of thousands of rows, and each call for a single one takes a microsecond.
        for row in connection.execute(READ_TRIALS, parameters).all():
            # By position, which is faster than by name.
            rows[row[0]][row[1]].append(row)
    trials = []
    for trial_id, (row,) in sorted(rows["trial"].items()):
        trial = empty_trial(
            trial_id=trial_id,
            number=row.number,
            state=_parse_state(row.state),
            started=_parse_time(row.started),
            completed=_parse_time(row.completed),
        )
        try:
            _fill(trial, {part: rows_by_trial.get(trial_id, []) for part, rows_by_trial in rows.items()})
        except UNREADABLE as error:
            raise ValueError(f"trial {row.number} cannot be read: {error!r}") from error
        trials.append(trial)
    return trials


def read_study_attributes(engine: Engine, study_id: int, table: Table) -> dict[str, Any]:
    """Read all user attributes, or all system attributes, of a study.

    Args:
        table: `STUDY_USER_ATTRS` or `STUDY_SYSTEM_ATTRS`.

    Raises:
        KeyError: The study was deleted.
        DamagedStudyError: The text of an attribute is not JSON.
    """
    # The outer join returns a row for a study without attributes, but none for a deleted study.
    joined = STUDIES.outerjoin(table, STUDIES.c.study_id == table.c.study_id)
    columns = (STUDIES.c.study_name, table.c.key, table.c.value_json)
    with reading(engine).connect() as connection:
        rows = connection.execute(select(*columns).select_from(joined).where(STUDIES.c.study_id == study_id)).all()
    if not rows:
        raise KeyError(NOT_FOUND)
    return {row.key: read_json(row.value_json, row.key, study=row.study_name) for row in rows if row.key is not None}


def read_json(text: str, name: str, *, study: str) -> Any:
    """Return the value of a study's attribute from its text.

    Raises:
        DamagedStudyError: The text is not JSON.
    """
    try:
        return json.loads(text)
    except UNREADABLE as error:
        raise DamagedStudyError.of(study, f"its attribute {name!r} is not JSON ({error})") from error


def reading(engine: Engine) -> Engine:
    """Return an engine that executes single reading statements without a transaction."""
    return engine.execution_options(**{WITHOUT_TRANSACTION: True})


def _read_statement() -> Any:
    """Return the statement of `READ_TRIALS`: the rows of five tables in one result, with the table's role in `part`."""
    of_study = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == bindparam("study_id"))
    # For one condition with OR, databases would scan all trials of the study instead of using the index.
    trial_ids = union_all(
        of_study.where(TRIALS.c.trial_id > bindparam("after")),
        of_study.where(TRIALS.c.trial_id.in_(bindparam("among", expanding=True))),
    )

    def part(
        name: str, table: Table, *, key: Any = None, value: Any = None, content: Any = None, number: Any = None
    ) -> Select[Any]:
        return select(
            literal_column(f"'{name}'").label("part"),
            table.c.trial_id.label("trial_id"),
            (null() if key is None else key).label("key"),
            (null() if value is None else value).label("value"),
            (null() if content is None else content).label("content"),
            (null() if number is None else number).label("number"),
            # As strings: SQLAlchemy would convert states and times in all rows, although only those of trials have any.
            type_coerce(TRIALS.c.state if table is TRIALS else null(), String).label("state"),
            type_coerce(TRIALS.c.datetime_start if table is TRIALS else null(), String).label("started"),
            type_coerce(TRIALS.c.datetime_complete if table is TRIALS else null(), String).label("completed"),
        ).where(table.c.trial_id.in_(trial_ids))

    infinite = case((VALUES.c.value_type == INF_POS, "inf"), (VALUES.c.value_type == INF_NEG, "-inf"))
    return union_all(
        # PostgreSQL infers the types of a union from its first members; these two together type every column.
        part(
            "param",
            PARAMS,
            key=PARAMS.c.param_name,
            value=PARAMS.c.param_value,
            content=PARAMS.c.distribution_json,
            number=PARAMS.c.param_id,
        ),
        part("trial", TRIALS, number=TRIALS.c.number),
        part("user", USER_ATTRS, key=USER_ATTRS.c.key, content=USER_ATTRS.c.value_json),
        part("system", SYSTEM_ATTRS, key=SYSTEM_ATTRS.c.key, content=SYSTEM_ATTRS.c.value_json),
        part("value", VALUES, value=VALUES.c.value, content=infinite, number=VALUES.c.objective),
    )


READ_TRIALS = _read_statement()


def _fill(trial: FrozenTrial, rows: Mapping[str, list[Row[Any]]]) -> None:
    """Set the parameters, attributes and values of a trial from its rows, by part."""
    # By the id of the row, which is the order in which the parameters were suggested.
    for row in sorted(rows.get("param", []), key=lambda row: row.number):
        distribution = _parse_distribution(row.content)
        trial.params[row.key] = distribution.to_external_repr(row.value)
        trial.distributions[row.key] = distribution
    for part, attributes in (("user", trial.user_attrs), ("system", trial.system_attrs)):
        attribute_rows = rows.get(part, [])
        # One call for all attributes of a trial takes a third of the time of one for each.
        values = json.loads(f"[{','.join(row.content for row in attribute_rows)}]")
        attributes.update({row.key: value for row, value in zip(attribute_rows, values, strict=True)})
    value_rows = sorted(rows.get("value", []), key=lambda row: row.number)
    if value_rows:
        # An infinite value has no number in the database.
        trial.values = [float(row.content) if row.value is None else row.value for row in value_rows]


def empty_trial(
    *, trial_id: int, number: int, state: TrialState, started: datetime | None, completed: datetime | None
) -> FrozenTrial:
    """Return a trial without parameters, attributes and values."""
    return FrozenTrial(
        trial_id=trial_id,
        number=number,
        state=state,
        value=None,
        values=None,
        datetime_start=started and to_local(started),
        datetime_complete=completed and to_local(completed),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _parse_state(stored: str) -> TrialState:
    """Return the state of a trial from its name.

    Raises:
        ValueError: There is no such state.
    """
    try:
        return TrialState[stored]
    except KeyError as error:
        raise ValueError(f"the state {stored!r} is not among {', '.join(state.name for state in TrialState)}") from error


def _parse_time(stored: Any) -> datetime | None:
    """Return a time as the driver returned it: SQLite's driver returns text."""
    return datetime.fromisoformat(stored) if isinstance(stored, str) else stored


# Cached, because the same few texts occur in all trials.
@lru_cache
def _parse_distribution(content: str) -> BaseDistribution:
    return json_to_distribution(content)


def to_local(utc: datetime) -> datetime:
    """Convert a time from UTC to local time without time zone, as in Optuna's trials."""
    return utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
