"""SQL statements that write a trial in three transactions.

Optuna needs a transaction for every parameter and attribute. Tables and contents are Optuna's, so that Optuna's dashboard and
commands can be used at the same time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Table, TextClause, bindparam, delete, func, insert, select, text, update
from sqlalchemy.engine import Connection, Engine

from faqnas_optuna.storage.optuna_internals import (
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
from faqnas_optuna.storage.trial_reading import empty_trial, reading, to_local

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
    trial = empty_trial(trial_id=trial_id, number=number, state=TrialState.RUNNING, started=started, completed=None)
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
    return to_local(completed)


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
