"""A trial in few statements: begun in one transaction, told of in a second, finished in a third, and all trials read in one.

Optuna takes a transaction for every parameter and attribute, and seven statements to read what is new. The tables are Optuna's,
and so is what stands in them: its dashboard and commands read and write beside this.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    Row,
    Select,
    Table,
    TextClause,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    text,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.engine import Connection, Engine

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
    stored_value,
    trial_id_of,
)
from faqnas_optuna.storage.servers import WITHOUT_TRANSACTION

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""Raised by libraries that are given something else than what was written."""

LOCK_STUDY = select(STUDIES.c.study_id).where(STUDIES.c.study_id == bindparam("study_id")).with_for_update()
_LAST = TRIALS.alias("last")
_LAST_NUMBER = (
    # Not the largest number, for which all trials would be read.
    select(_LAST.c.number).where(_LAST.c.study_id == bindparam("study_id")).order_by(_LAST.c.trial_id.desc()).limit(1)
)
NEXT_NUMBER = select(func.coalesce(_LAST_NUMBER.scalar_subquery() + 1, 0))
INSERT_NEXT = (
    insert(TRIALS)
    .values(
        number=NEXT_NUMBER.scalar_subquery(),
        study_id=bindparam("study_id"),
        state=bindparam("state"),
        datetime_start=bindparam("datetime_start"),
    )
    .returning(TRIALS.c.trial_id, TRIALS.c.number)
)
"""Numbered in a statement after the lock: what it sees is as of its own beginning."""
_FIRST_BEAT = "{} INTO trial_heartbeats (trial_id, heartbeat) VALUES (:trial_id, CURRENT_TIMESTAMP)"
FIRST_BEAT = {
    # Whoever looks for stale trials may have written it.
    "sqlite": text(_FIRST_BEAT.format("INSERT OR IGNORE")),
    "mysql": text(_FIRST_BEAT.format("INSERT IGNORE")),
    "mariadb": text(_FIRST_BEAT.format("INSERT IGNORE")),
}


@dataclass(kw_only=True)
class Pending:
    """What is to be written to a running trial."""

    started: datetime | None
    """As it is stored, in UTC: on SQLite, which gives the ids of a study that was deleted again, it tells trials apart."""
    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    """Internal value and distribution, by name."""
    user: dict[str, str] = field(default_factory=dict)
    """User attributes as JSON, by name; below, the system attributes."""
    system: dict[str, str] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    """Names of user attributes that stand there with other values."""


def begin_trial(engine: Engine, study_id: int) -> tuple[FrozenTrial, Pending]:
    """Add a running trial to a study; the trial, and that nothing is to be written to it yet.

    Raises:
        KeyError: the study was deleted.
    """
    started = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        # As Optuna numbers trials: one worker at a time.
        if connection.scalar(LOCK_STUDY, {"study_id": study_id}) is None:
            raise KeyError(NOT_FOUND)
        row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": started}
        if connection.dialect.name == "postgresql":
            trial_id, number = connection.execute(INSERT_NEXT, row).one()
        else:
            # MySQL cannot do both in one.
            number = connection.scalar(NEXT_NUMBER, row)
            inserted = connection.execute(insert(TRIALS), {**row, "number": number}).inserted_primary_key
            assert inserted is not None
            trial_id = inserted[0]
    trial = _frozen(trial_id=trial_id, number=number, state=TrialState.RUNNING, started=started, completed=None)
    return trial, Pending(started=started)


def pending_of(engine: Engine, trial_id: int) -> Pending:
    """That nothing is to be written to a trial that is there."""
    with reading(engine).connect() as connection:
        return Pending(started=connection.scalar(select(TRIALS.c.datetime_start).where(TRIALS.c.trial_id == trial_id)))


def write_pending(engine: Engine, trial: FrozenTrial, pending: Pending) -> None:
    """Write what is pending to a running trial, with its first sign of life, or nothing at all.

    Raises:
        UpdateFinishedTrialError: it was given up in the meantime.
    """
    with engine.begin() as connection:
        _set_state(connection, trial, pending.started, {"state": TrialState.RUNNING})
        _write(connection, trial_id_of(trial), pending, beats=True)


def finish_trial(
    engine: Engine, trial: FrozenTrial, pending: Pending, state: TrialState, values: Sequence[float] | None
) -> datetime:
    """Write what is pending and the values, and finish a running trial, or do nothing at all; when, in local time.

    Raises:
        UpdateFinishedTrialError: it was given up in the meantime.
    """
    completed = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        _set_state(connection, trial, pending.started, {"state": state, "datetime_complete": completed})
        _write(connection, trial_id_of(trial), pending, values=values or ())
    return _local(completed)


def read_trials(engine: Engine, study_id: int, *, after: int, among: Iterable[int]) -> list[FrozenTrial]:
    """The trials of a study whose ids are above one or among some, in one statement, by id, without intermediate values.

    Raises:
        ValueError, LookupError: the database holds what cannot be the part of a trial.
    """
    wanted = {"study_id": study_id, "after": after, "among": [*among]}
    rows: dict[str, dict[int, list[Row[Any]]]] = defaultdict(lambda: defaultdict(list))
    with reading(engine).connect() as connection:
        for row in connection.execute(READ_TRIALS, wanted):
            rows[row.part][row.trial_id].append(row)
    trials = []
    for trial_id, (found,) in sorted(rows["trial"].items()):
        trial = _frozen(
            trial_id=trial_id, number=found.number, state=found.state, started=found.started, completed=found.completed
        )
        try:
            _fill(trial, {part: of_part.get(trial_id, []) for part, of_part in rows.items()})
        except UNREADABLE as error:
            raise ValueError(f"trial {found.number} cannot be read: {error!r}") from error
        trials.append(trial)
    return trials


def read_study_attributes(engine: Engine, study_id: int, table: Table) -> dict[str, Any]:
    """All user attributes of a study, or all system attributes.

    Raises:
        KeyError: the study was deleted.
        DamagedStudyError: an attribute is no JSON.
    """
    joined = STUDIES.outerjoin(table, STUDIES.c.study_id == table.c.study_id)
    columns = (STUDIES.c.study_name, table.c.key, table.c.value_json)
    with reading(engine).connect() as connection:
        rows = connection.execute(select(*columns).select_from(joined).where(STUDIES.c.study_id == study_id)).all()
    if not rows:
        raise KeyError(NOT_FOUND)
    return {row.key: read_json(row.value_json, row.key, study=row.study_name) for row in rows if row.key is not None}


def read_json(text: str, name: str, *, study: str) -> Any:
    """Return the value of a study's attribute.

    Raises:
        DamagedStudyError: it is no JSON.
    """
    try:
        return json.loads(text)
    except UNREADABLE as error:
        raise DamagedStudyError.of(study, f"its attribute {name!r} is no JSON ({error})") from error


def reading(engine: Engine) -> Engine:
    """Return the engine for a single statement that reads."""
    return engine.execution_options(**{WITHOUT_TRANSACTION: True})


def _set_state(connection: Connection, trial: FrozenTrial, started: datetime | None, changes: Mapping[str, Any]) -> None:
    """Lock a running trial, and change it."""
    statement = update(TRIALS).where(TRIALS.c.trial_id == trial_id_of(trial), TRIALS.c.state == TrialState.RUNNING)
    if connection.dialect.name == "sqlite":
        # Not elsewhere: MySQL rounds it to seconds, and no server gives ids again.
        statement = statement.where(TRIALS.c.datetime_start == started)
    if connection.execute(statement.values(**changes)).rowcount == 0:
        raise UpdateFinishedTrialError(f"trial {trial.number} was given up, or deleted with its study")


def _write(
    connection: Connection, trial_id: int, pending: Pending, *, beats: bool = False, values: Sequence[float] = ()
) -> None:
    """Add what is pending to a locked trial, a sign of life, and its values."""
    if pending.replaced:
        connection.execute(delete(USER_ATTRS).where(USER_ATTRS.c.trial_id == trial_id, USER_ATTRS.c.key.in_(pending.replaced)))
    params = [
        {"param_name": name, "param_value": float(value), "distribution_json": distribution_to_json(distribution)}
        for name, (value, distribution) in pending.params.items()
    ]
    stored = [stored_value(float(value)) for value in values]
    rows: dict[Table, list[dict[str, Any]]] = {
        PARAMS: params,
        SYSTEM_ATTRS: [{"key": key, "value_json": value} for key, value in pending.system.items()],
        USER_ATTRS: [{"key": key, "value_json": value} for key, value in pending.user.items()],
        VALUES: [
            {"objective": objective, "value": value, "value_type": kind} for objective, (value, kind) in enumerate(stored)
        ],
    }
    if connection.dialect.name == "postgresql":
        _write_at_once(connection, trial_id, rows, beats=beats)
        return
    if beats:
        connection.execute(FIRST_BEAT[connection.dialect.name], {"trial_id": trial_id})
    for table, new in rows.items():
        if new:
            connection.execute(insert(table).inline(), [{"trial_id": trial_id, **row} for row in new])


def _write_at_once(connection: Connection, trial_id: int, rows: Mapping[Table, list[dict[str, Any]]], *, beats: bool) -> None:
    """On PostgreSQL in one statement, where each would be a journey to the server.

    Not by the driver's pipeline: between its statements the server waits for more without the time limit of idle transactions,
    and a worker that is suspended or cut off there would lock its trial for hours.
    """
    columns = {
        f"{table.name}_{column}": [getattr(row[column], "name", row[column]) for row in new]
        for table, new in rows.items()
        for column in WRITTEN[table]
    }
    connection.execute(WRITE_AT_ONCE, {"trial_id": trial_id, "beats": beats, **columns})


WRITTEN: dict[Table, dict[str, str]] = {
    PARAMS: {"param_name": "text", "param_value": "float8", "distribution_json": "text"},
    SYSTEM_ATTRS: {"key": "text", "value_json": "text"},
    USER_ATTRS: {"key": "text", "value_json": "text"},
    VALUES: {"objective": "int", "value": "float8", "value_type": "trialvaluetype"},
}
"""Columns of the tables beside the trial's id, with the types of PostgreSQL."""


def _writing_statement() -> TextClause:
    """A row for each element of the arrays."""
    inserts = [
        f"{table.name}_new AS (INSERT INTO {table.name} (trial_id, {', '.join(columns)}) SELECT :trial_id, given.* FROM unnest("
        + ", ".join(f"CAST(:{table.name}_{column} AS {kind}[])" for column, kind in columns.items())
        + ") AS given)"
        for table, columns in WRITTEN.items()
    ]
    beat = (
        "beat AS (INSERT INTO trial_heartbeats (trial_id, heartbeat) SELECT :trial_id, CURRENT_TIMESTAMP WHERE :beats"
        " ON CONFLICT DO NOTHING)"
    )
    return text(f"WITH {', '.join([beat, *inserts])} SELECT 1")


WRITE_AT_ONCE = _writing_statement()


def _reading_statement() -> Any:
    """Rows of five tables under one another; what a row is of stands in `part`."""
    of_study = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == bindparam("study_id"))
    # Not as one condition with OR: databases would walk through all trials of the study.
    wanted = union_all(
        of_study.where(TRIALS.c.trial_id > bindparam("after")),
        of_study.where(TRIALS.c.trial_id.in_(bindparam("among", expanding=True))),
    )
    state, moment = TRIALS.c.state.type, TRIALS.c.datetime_start.type

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
            type_coerce(TRIALS.c.state if table is TRIALS else null(), state).label("state"),
            type_coerce(TRIALS.c.datetime_start if table is TRIALS else null(), moment).label("started"),
            type_coerce(TRIALS.c.datetime_complete if table is TRIALS else null(), moment).label("completed"),
        ).where(table.c.trial_id.in_(wanted))

    infinite = case((VALUES.c.value_type == INF_POS, "inf"), (VALUES.c.value_type == INF_NEG, "-inf"))
    return union_all(
        # In this order the first two together tell the database the type of every column.
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


READ_TRIALS = _reading_statement()


def _fill(trial: FrozenTrial, rows: Mapping[str, list[Row[Any]]]) -> None:
    """Give a trial what the rows of its other parts say."""
    for row in sorted(rows.get("param", []), key=lambda row: row.number):
        distribution = _distribution(row.content)
        trial.params[row.key] = distribution.to_external_repr(row.value)
        trial.distributions[row.key] = distribution
    for part, attributes in (("user", trial.user_attrs), ("system", trial.system_attrs)):
        attributes.update({row.key: json.loads(row.content) for row in rows.get(part, [])})
    if values := sorted(rows.get("value", []), key=lambda row: row.number):
        trial.values = [float(row.content) if row.value is None else row.value for row in values]


def _frozen(
    *, trial_id: int, number: int, state: TrialState, started: datetime | None, completed: datetime | None
) -> FrozenTrial:
    """A trial of which no more is known."""
    return FrozenTrial(
        trial_id=trial_id,
        number=number,
        state=state,
        value=None,
        values=None,
        datetime_start=started and _local(started),
        datetime_complete=completed and _local(completed),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


@lru_cache
def _distribution(content: str) -> BaseDistribution:
    return json_to_distribution(content)


def _local(stored: datetime) -> datetime:
    """As Optuna tells it: the local time, without saying so."""
    return stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
