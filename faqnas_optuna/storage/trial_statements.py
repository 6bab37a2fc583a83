"""SQL statements that write a trial in three transactions, and read all trials in one statement.

Optuna needs a transaction for every parameter and attribute, and seven statements to read new trials. Tables and contents are
Optuna's, so that Optuna's dashboard and commands can be used at the same time.
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
    String,
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
"""Errors that Optuna and the standard library raise for damaged content of the database."""

LOCK_STUDY = select(STUDIES.c.study_id).where(STUDIES.c.study_id == bindparam("study_id")).with_for_update()
_LAST = TRIALS.alias("last")
_LAST_NUMBER = (
    # The number of the newest trial by id, which has an index. A maximum over numbers would read all trials of the study.
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
"""Insertion of the next trial of a study.

It must follow `LOCK_STUDY` as a separate statement: a statement sees the database as of its own beginning, so a combined one
would compute the number before it has the lock.
"""
_FIRST_BEAT = "{} INTO trial_heartbeats (trial_id, heartbeat) VALUES (:trial_id, CURRENT_TIMESTAMP)"
FIRST_BEAT = {
    # A worker that looks for stale trials may have written the first heartbeat already.
    "sqlite": text(_FIRST_BEAT.format("INSERT OR IGNORE")),
    "mysql": text(_FIRST_BEAT.format("INSERT IGNORE")),
    "mariadb": text(_FIRST_BEAT.format("INSERT IGNORE")),
}
"""Insertion of the first heartbeat of a trial, by dialect; on PostgreSQL it is a part of `WRITE_AT_ONCE`."""


@dataclass(kw_only=True)
class Pending:
    """Changes of a running trial that are not in the database yet."""

    started: datetime | None
    """Start of the trial as stored, in UTC.

    It identifies the trial on SQLite, which assigns the ids of deleted trials again.
    """
    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    """Internal value and distribution of each parameter, by name."""
    user: dict[str, str] = field(default_factory=dict)
    """User attributes as JSON texts, by name."""
    system: dict[str, str] = field(default_factory=dict)
    """System attributes as JSON texts, by name."""
    replaced: set[str] = field(default_factory=set)
    """Names of user attributes that are in the database with other values."""


def begin_trial(engine: Engine, study_id: int) -> tuple[FrozenTrial, Pending]:
    """Add a running trial to a study and return it, without pending changes.

    Raises:
        KeyError: The study was deleted.
    """
    started = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        # Optuna locks the study too while it assigns a number, so that numbers are consecutive.
        if connection.scalar(LOCK_STUDY, {"study_id": study_id}) is None:
            raise KeyError(NOT_FOUND)
        row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": started}
        if connection.dialect.name == "postgresql":
            trial_id, number = connection.execute(INSERT_NEXT, row).one()
        else:
            # MySQL cannot insert and return a row in one statement.
            number = connection.scalar(NEXT_NUMBER, row)
            primary_key = connection.execute(insert(TRIALS), {**row, "number": number}).inserted_primary_key
            assert primary_key is not None
            trial_id = primary_key[0]
    trial = _empty_trial(trial_id=trial_id, number=number, state=TrialState.RUNNING, started=started, completed=None)
    return trial, Pending(started=started)


def empty_pending(engine: Engine, trial_id: int) -> Pending:
    """Return empty pending changes for a trial that is in the database."""
    with reading(engine).connect() as connection:
        return Pending(started=connection.scalar(select(TRIALS.c.datetime_start).where(TRIALS.c.trial_id == trial_id)))


def write_pending(engine: Engine, trial: FrozenTrial, pending: Pending) -> None:
    """Write the pending changes and the first heartbeat of a running trial in one transaction.

    Raises:
        UpdateFinishedTrialError: Another worker has given the trial up; nothing is written.
    """
    with engine.begin() as connection:
        _set_state(connection, trial, pending.started, {"state": TrialState.RUNNING})
        _write(connection, trial_id_of(trial), pending, beats=True)


def finish_trial(
    engine: Engine, trial: FrozenTrial, pending: Pending, state: TrialState, values: Sequence[float] | None
) -> datetime:
    """Write the pending changes and values of a running trial and finish it in one transaction.

    Returns:
        Time at which the trial finished, in local time.

    Raises:
        UpdateFinishedTrialError: Another worker has given the trial up; nothing is written.
    """
    completed = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        _set_state(connection, trial, pending.started, {"state": state, "datetime_complete": completed})
        _write(connection, trial_id_of(trial), pending, values=values or ())
    return _to_local(completed)


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
        trial = _empty_trial(
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


def _set_state(connection: Connection, trial: FrozenTrial, started: datetime | None, changes: Mapping[str, Any]) -> None:
    """Update the row of a running trial, which also locks it until the transaction ends.

    Raises:
        UpdateFinishedTrialError: The trial is not running any more.
    """
    statement = update(TRIALS).where(TRIALS.c.trial_id == trial_id_of(trial), TRIALS.c.state == TrialState.RUNNING)
    if connection.dialect.name == "sqlite":
        # SQLite may have assigned the id of a deleted trial to another one. Servers never do, and MySQL rounds the start to
        # seconds, so that it would not match.
        statement = statement.where(TRIALS.c.datetime_start == started)
    if connection.execute(statement.values(**changes)).rowcount == 0:
        raise UpdateFinishedTrialError(f"trial {trial.number} was given up, or deleted with its study")


def _write(
    connection: Connection, trial_id: int, pending: Pending, *, beats: bool = False, values: Sequence[float] = ()
) -> None:
    """Insert the pending changes of a locked trial, its values and, if `beats`, its first heartbeat."""
    # The old values of replaced attributes are deleted, so that all attributes can be inserted alike.
    if pending.replaced:
        connection.execute(delete(USER_ATTRS).where(USER_ATTRS.c.trial_id == trial_id, USER_ATTRS.c.key.in_(pending.replaced)))
    params = [
        {"param_name": name, "param_value": float(value), "distribution_json": distribution_to_json(distribution)}
        for name, (value, distribution) in pending.params.items()
    ]
    stored_values = [stored_value(float(value)) for value in values]
    rows: dict[Table, list[dict[str, Any]]] = {
        PARAMS: params,
        SYSTEM_ATTRS: [{"key": key, "value_json": value} for key, value in pending.system.items()],
        USER_ATTRS: [{"key": key, "value_json": value} for key, value in pending.user.items()],
        VALUES: [
            {"objective": objective, "value": value, "value_type": kind}
            for objective, (value, kind) in enumerate(stored_values)
        ],
    }
    if connection.dialect.name == "postgresql":
        _write_at_once(connection, trial_id, rows, beats=beats)
        return
    if beats:
        connection.execute(FIRST_BEAT[connection.dialect.name], {"trial_id": trial_id})
    for table, new_rows in rows.items():
        if new_rows:
            connection.execute(insert(table).inline(), [{"trial_id": trial_id, **row} for row in new_rows])


def _write_at_once(connection: Connection, trial_id: int, rows: Mapping[Table, list[dict[str, Any]]], *, beats: bool) -> None:
    """Insert rows into several tables in one statement, and so in one round trip to a PostgreSQL server."""
    # The driver's pipeline mode would save round trips too. But between its statements the server waits without the time limit
    # of idle transactions, and a worker that is suspended or disconnected there would lock its trial for hours.
    columns = {
        f"{table.name}_{column}": [getattr(row[column], "name", row[column]) for row in new_rows]
        for table, new_rows in rows.items()
        for column in COLUMN_TYPES[table]
    }
    connection.execute(WRITE_AT_ONCE, {"trial_id": trial_id, "beats": beats, **columns})


COLUMN_TYPES: dict[Table, dict[str, str]] = {
    PARAMS: {"param_name": "text", "param_value": "float8", "distribution_json": "text"},
    SYSTEM_ATTRS: {"key": "text", "value_json": "text"},
    USER_ATTRS: {"key": "text", "value_json": "text"},
    VALUES: {"objective": "int", "value": "float8", "value_type": "trialvaluetype"},
}
"""PostgreSQL's types of the columns of each table, without the trial's id."""


def _write_statement() -> TextClause:
    """Return the statement of `WRITE_AT_ONCE`, whose parameters are an array for each column."""
    # `unnest` turns the arrays of a table into rows; empty arrays insert nothing.
    inserts = [
        f"{table.name}_new AS (INSERT INTO {table.name} (trial_id, {', '.join(columns)}) SELECT :trial_id, given.* FROM unnest("
        + ", ".join(f"CAST(:{table.name}_{column} AS {kind}[])" for column, kind in columns.items())
        + ") AS given)"
        for table, columns in COLUMN_TYPES.items()
    ]
    beat = (
        "beat AS (INSERT INTO trial_heartbeats (trial_id, heartbeat) SELECT :trial_id, CURRENT_TIMESTAMP WHERE :beats"
        " ON CONFLICT DO NOTHING)"
    )
    return text(f"WITH {', '.join([beat, *inserts])} SELECT 1")


WRITE_AT_ONCE = _write_statement()


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


def _empty_trial(
    *, trial_id: int, number: int, state: TrialState, started: datetime | None, completed: datetime | None
) -> FrozenTrial:
    """Return a trial without parameters, attributes and values."""
    return FrozenTrial(
        trial_id=trial_id,
        number=number,
        state=state,
        value=None,
        values=None,
        datetime_start=started and _to_local(started),
        datetime_complete=completed and _to_local(completed),
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


def _to_local(utc: datetime) -> datetime:
    """Convert a time from UTC to local time without time zone, as in Optuna's trials."""
    return utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
