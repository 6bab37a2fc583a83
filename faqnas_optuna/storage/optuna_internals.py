"""Private names of Optuna that this package relies on. No other module uses one.

Each entry, checked with Optuna 5.0, gives the file of Optuna that defines the name, a test that fails where the name behaves
differently, and why the public interface does not suffice.

- `Study._storage` (study/study.py, storage/test_batched.py): a study has no public name for its storage.
- `Study._study_id` (study/study.py, storage/test_batched.py): a study gives its name only, and storages need its id.
- `Study._pop_waiting_trial_id` (study/study.py, confirmation/test_plan.py): `Study.ask` makes up a trial if none is queued.
- `Trial._trial_id` (trial/_trial.py, workers/test_loop.py): a trial gives its number only, and storages need its id.
- `FrozenTrial._trial_id` (trial/_frozen.py, storage/test_heartbeats.py): as above.
- `FrozenStudy` (study/_frozen.py, storage/test_heartbeats.py): the type that `get_all_studies` returns.
- `JSONSerializable` (_typing.py, storage/test_batched.py): a type in the signature of `set_trial_system_attr`.
- `_CachedStorage` (storages/_cached_storage.py, storage/test_batched.py): wrapped by Optuna around any other `RDBStorage`.
- `_CachedStorage._lock` (storages/_cached_storage.py, storage/test_batched.py): held while a trial enters the cache.
- `_CachedStorage._studies` (storages/_cached_storage.py, storage/test_batched.py): the cache itself, by study id.
- `_StudyInfo` (storages/_cached_storage.py, storage/test_batched.py): the cache of one study.
- `_CachedStorage._trial_id_to_study_id_and_number` (storages/_cached_storage.py, storage/test_batched.py): gives the study of
  a trial without a query.
- `_CachedStorage._read_trials_from_remote_storage` (storages/_cached_storage.py, storage/test_batched.py): reads the trials
  that are new in the database. The public `get_all_trials` also sorts and copies all trials.
- `_CachedStorage._add_trials_to_cache` (storages/_cached_storage.py, storage/test_batched.py): the one place that each trial
  passes on its way into the cache.
- `RDBStorage._get_trials` (storages/_rdb/storage.py, storage/test_journeys.py): reads trials for the cache, in seven statements
  where one suffices.
- `RDBStorage._build_frozen_trial_from_trial_model` (storages/_rdb/storage.py, storage/test_heartbeats.py): the public
  `get_trial` begins a transaction of its own.
- `RDBStorage._get_prepared_new_trial` (storages/_rdb/storage.py, storage/test_heartbeats.py): so does `create_new_trial`.
- `RDBStorage._set_trial_attr_without_commit` (storages/_rdb/storage.py, storage/test_heartbeats.py): so does
  `set_trial_user_attr`.
- `models` (storages/_rdb/models.py, storage/test_journeys.py): the tables, and the folder of their migrations.
"""

import re
from abc import abstractmethod
from collections.abc import Container, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from optuna import Study
from optuna._typing import JSONSerializable
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.storages._rdb import models
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import Table, create_engine, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

__all__ = ["FrozenStudy", "JSONSerializable"]


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


STUDIES = _table(models.StudyModel)
STUDY_USER_ATTRS = _table(models.StudyUserAttributeModel)
STUDY_SYSTEM_ATTRS = _table(models.StudySystemAttributeModel)
TRIALS = _table(models.TrialModel)
PARAMS = _table(models.TrialParamModel)
VALUES = _table(models.TrialValueModel)
USER_ATTRS = _table(models.TrialUserAttributeModel)
SYSTEM_ATTRS = _table(models.TrialSystemAttributeModel)
HEARTBEATS = _table(models.TrialHeartbeatModel)
FINITE, INF_POS, INF_NEG = models.TrialValueModel.TrialValueType
NOT_FOUND: str = models.NOT_FOUND_MSG
"""Message of Optuna's `KeyError` for a deleted study."""
REVISION = re.compile(r'^(revision|down_revision) = "(.*)"$', re.MULTILINE)
"""Assignments in the script of a migration."""


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def study_id_of(study: Study) -> int:
    """Return the id of a study in its storage."""
    return study._study_id


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the id of a trial in its storage."""
    return trial._trial_id


def begin_queued_trial(study: Study) -> Trial | None:
    """Begin a queued trial of a study; return None if no trial is queued."""
    # `Study.ask` would create a new trial instead.
    trial_id = study._pop_waiting_trial_id()
    return None if trial_id is None else Trial(study, trial_id)


def stored_value(value: float) -> tuple[float | None, Any]:
    """Return an objective value as stored in the columns `value` and `value_type`, which represent infinities by type."""
    return models.TrialValueModel.value_to_stored_repr(value)


def create_tables(connection: Connection) -> None:
    """Create all tables of Optuna's schema except the one that states the revision."""
    models.BaseModel.metadata.create_all(connection)


class UnfinishedTablesError(Exception):
    """The tables have no revision, because another process is creating them, or ended while it did."""


def is_current(engine: Engine) -> bool:
    """Return whether the tables have the newest revision of the installed Optuna.

    Raises:
        SQLAlchemyError: The database or its tables do not exist.
        UnfinishedTablesError: The tables have no revision.
    """
    with engine.connect() as connection:
        revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is None:
        raise UnfinishedTablesError
    return revision == newest_revision()


@cache
def newest_revision() -> str:
    """Return the revision at the end of Optuna's chain of migrations."""
    scripts = (Path(models.__file__).parent / "alembic" / "versions").glob("*.py")
    migrations = [dict(REVISION.findall(script.read_text(encoding="utf-8"))) for script in scripts]
    # The newest revision is the only one from which no migration starts.
    newest: str
    (newest,) = {migration["revision"] for migration in migrations} - {
        migration.get("down_revision") for migration in migrations
    }
    return newest


class DatabaseStorage(RDBStorage):
    """Optuna's storage in a database, with public names for the steps of its transactions.

    Args:
        url: URL of the database.
        engine_kwargs: Arguments for SQLAlchemy's `create_engine`.
        create: Whether to create tables that do not exist.
    """

    def __init__(self, url: str, *, engine_kwargs: dict[str, Any], create: bool) -> None:
        if create or not self._attach(url, engine_kwargs):
            super().__init__(url, engine_kwargs=engine_kwargs, skip_table_creation=not create)

    def _attach(self, url: str, engine_kwargs: dict[str, Any]) -> bool:
        """Connect to existing tables like Optuna's constructor; return whether they have the installed Optuna's revision."""
        # The constructor would determine the revision with alembic, whose import takes half as long as that of Optuna and all
        # its dependencies. Only processes that create tables, or find tables of another revision, need alembic.
        self.url = url
        self.engine_kwargs = engine_kwargs
        self.skip_compatibility_check = False
        self.heartbeat_interval = None
        self.grace_period = None
        self.heartbeat_stale_trial_callback = None
        self.failed_trial_callback = None
        self.engine = create_engine(url, **engine_kwargs)
        self.scoped_session = scoped_session(sessionmaker(bind=self.engine))
        return is_current(self.engine)

    @abstractmethod
    def read_trials(self, study_id: int, *, after: int, among: set[int]) -> list[FrozenTrial]:
        """Return the trials of a study whose ids are greater than `after` or in `among`, sorted by id."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        # Optuna's own method executes seven statements.
        trials = self.read_trials(study_id, after=trial_id_greater_than, among=included_trial_ids)
        return [trial for trial in trials if states is None or trial.state in states]

    def locked_trial(self, session: Session, study_id: int, trial_id: int) -> Any:
        """Lock a trial until the transaction ends and return its row, with the columns as attributes.

        Raises:
            KeyError: The trial was deleted.
        """
        # The study first, then the trial, as in Optuna: transactions that lock in different orders could deadlock.
        models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
        return models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)

    def trial_of_row(self, row: Any) -> FrozenTrial:
        """Return the trial of a row that `locked_trial` returned."""
        return self._build_frozen_trial_from_trial_model(row)

    def add_trial(self, session: Session, study_id: int, trial: FrozenTrial) -> None:
        """Add a trial to a study within the transaction of a session."""
        self._get_prepared_new_trial(study_id, trial, session)

    def write_user_attr(self, session: Session, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of an unfinished trial within the transaction of a session."""
        self._set_trial_attr_without_commit(session, models.TrialUserAttributeModel, trial_id, key, value)


class CachedStorage(_CachedStorage):
    """Optuna's cache of trials in front of a database, with public names for the parts that a subclass needs."""

    @property
    def lock(self) -> Lock:
        """Lock of the cache, held while a trial enters it."""
        return self._lock

    @abstractmethod
    def on_read(self, study_id: int, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials to cache for trials that were read or begun. Called while the cache is locked."""

    def _add_trials_to_cache(self, study_id: int, trials: list[FrozenTrial]) -> None:
        super()._add_trials_to_cache(study_id, self.on_read(study_id, trials))

    def read_new_trials(self, study_id: int) -> None:
        """Read into the cache all trials that are new in the database, or were unfinished when they were last read."""
        self._read_trials_from_remote_storage(study_id)

    def add_to_cache(self, study_id: int, trial: FrozenTrial) -> None:
        """Add a trial of this process to the cache without reading it from the database."""
        with self._lock:
            self._studies.setdefault(study_id, _StudyInfo())
            self._add_trials_to_cache(study_id, [trial])

    def study_of(self, trial_id: int) -> int:
        """Return the id of the study of a cached trial."""
        study_id, _ = self._trial_id_to_study_id_and_number[trial_id]
        return study_id

    def distributions(self, study_id: int) -> dict[str, BaseDistribution]:
        """Return the distributions of all parameters in the cache, by name; changing the dictionary changes the cache."""
        return self._studies[study_id].param_distribution
