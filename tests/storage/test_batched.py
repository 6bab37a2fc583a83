"""Trials of the batched storage compared with Optuna's storage on the same database, and their cost in statements."""

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import backend, batched, open_storage
from faqnas_optuna.study.search import create
from faqnas_optuna.study.state import read_state
from faqnas_optuna.workers.loop import StudyWorker
from tests.conftest import cheap_values, run_trials, small_config
from tests.support.studies import cheap

DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "n": IntDistribution(0, 9),
    "gate": CategoricalDistribution(("RX", "RY", "RZ")),
}


@pytest.fixture
def study(any_storage_url: str) -> optuna.Study:
    storage = open_storage(any_storage_url, create=True)
    return optuna.create_study(storage=storage, directions=["minimize", "minimize"], study_name="s")


def seen_by(study: optuna.Study) -> list[FrozenTrial]:
    """Return all trials as a study reads them."""
    return without_times(study, study.get_trials())


def without_times(study: optuna.Study, trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Clear the times on MySQL, which rounds them to seconds while a worker's own trial has exact ones."""
    if backend(study).engine.dialect.name == "mysql":
        for trial in trials:
            trial.datetime_start = trial.datetime_complete = None
    return trials


def by_optuna(study: optuna.Study) -> list[FrozenTrial]:
    """The trials as Optuna's own statements read them from the database."""
    return without_times(study, RDBStorage._get_trials(backend(study), study._study_id, None, set(), -1))


def begin(study: optuna.Study) -> optuna.Trial:
    """Begin a trial as a worker does before training."""
    trial = study.ask(DISTRIBUTIONS)
    trial.set_user_attr("worker", "test:1")
    study._storage.set_trial_system_attr(trial._trial_id, "generation", 3)
    return trial


def elsewhere(study: optuna.Study) -> optuna.Study:
    """Load the same study as another worker would."""
    return optuna.load_study(storage=open_storage(backend(study).url), study_name=study.study_name)


def test_a_draft_is_stored_at_once_and_finished_at_once(study: optuna.Study) -> None:
    trial = begin(study)
    (before,) = by_optuna(study)
    assert (before.state, before.params, before.user_attrs) == (TrialState.RUNNING, {}, {})
    batched(study).store(trial._trial_id)
    (running,) = by_optuna(study)
    assert [running] == seen_by(study) == seen_by(elsewhere(study))
    assert (running.params, running.system_attrs) == (trial.params, {"generation": 3})
    assert [*running.params] == [*DISTRIBUTIONS]
    assert trial._trial_id in backend(study).seconds_silent(study._study_id)
    trial.set_user_attr("worker", "test:2")
    trial.set_user_attr("note", [1, {"two": None}])
    study.tell(trial, (1.5, float("inf")))
    (finished,) = by_optuna(study)
    assert [finished] == seen_by(study) == seen_by(elsewhere(study))
    assert finished.user_attrs == {"worker": "test:2", "note": [1, {"two": None}]}
    assert finished.values == [1.5, float("inf")]


def test_trials_of_others_are_read_as_optuna_reads_them(study: optuna.Study) -> None:
    other, plain = elsewhere(study), optuna.load_study(storage=RDBStorage(backend(study).url), study_name="s")
    study.enqueue_trial({"n": 7}, user_attrs={"asked": "by hand"})
    for n, by in enumerate([study, other, plain, other, study, plain]):
        trial = begin(by)
        if n == 1:
            by.tell(trial, state=TrialState.FAIL)
        elif n != 3:
            by.tell(trial, (n, float("-inf") if n == 2 else 1 / 3))
    expected = by_optuna(study)
    assert [trial.number for trial in expected] == [*range(6)]
    assert expected[0].params["n"] == 7
    # The other study's own running trial has values that are not in the database yet.
    trials_of_other = seen_by(other)
    assert trials_of_other[3].params.keys() == DISTRIBUTIONS.keys()
    for trials in (seen_by(study), seen_by(elsewhere(study)), [*trials_of_other[:3], expected[3], *trials_of_other[4:]]):
        assert trials == expected
    for states in ((TrialState.RUNNING,), (TrialState.FAIL, TrialState.COMPLETE), (TrialState.WAITING,)):
        numbers = [trial.number for trial in study.get_trials(states=states)]
        assert numbers == [trial.number for trial in expected if trial.state in states]


def test_a_trial_that_was_given_up_takes_nothing_more(study: optuna.Study) -> None:
    trial, late = begin(study), begin(study)
    for one in (trial, late):
        backend(elsewhere(study)).abandon(study._study_id, one._trial_id, "it was silent")
    with pytest.raises(UpdateFinishedTrialError, match="trial 0 was given up"):
        batched(study).store(trial._trial_id)
    with pytest.raises(UpdateFinishedTrialError, match="trial 1 was given up"):
        study.tell(late, (1, 1))
    # Reading the trials of other workers also drops the draft.
    for stored_trial in study.get_trials():
        assert (stored_trial.state, stored_trial.params, stored_trial.values) == (TrialState.FAIL, {}, None)
    with pytest.raises(UpdateFinishedTrialError, match="can not be updated"):
        trial.set_user_attr("late", True)
    with pytest.raises(UpdateFinishedTrialError, match="was given up"):
        batched(study).store(trial._trial_id)


def test_a_trial_of_a_deleted_study_is_not_finished_in_a_new_one(study: optuna.Study) -> None:
    trial = begin(study)
    url = backend(study).url
    optuna.delete_study(study_name="s", storage=open_storage(url))
    new = optuna.create_study(storage=open_storage(url), directions=["minimize", "minimize"], study_name="s")
    # SQLite reuses the ids of the deleted study and its trial.
    begin(new)
    with pytest.raises(UpdateFinishedTrialError, match="given up, or deleted with its study"):
        study.tell(trial, (1, 1))
    (untouched,) = by_optuna(new)
    assert (untouched.state, untouched.values) == (TrialState.RUNNING, None)


def test_a_study_that_is_gone_gets_no_trial(study: optuna.Study) -> None:
    optuna.delete_study(study_name="s", storage=open_storage(backend(study).url))
    with pytest.raises(KeyError, match="Record does not exist"):
        batched(study).create_new_trial(study._study_id)


def test_what_is_new_is_told_once_and_in_the_order_in_which_it_was_seen(study: optuna.Study) -> None:
    other = elsewhere(study)
    trials = [begin(by) for by in (study, other, study)]
    other.tell(trials[1], (1, 1))
    assert [trial.number for trial in batched(study).read(study._study_id).finished] == [1]
    study.tell(trials[2], (1, 1))
    study.tell(trials[0], state=TrialState.FAIL)
    history = batched(study).read(study._study_id)
    assert [trial.number for trial in history.finished] == [1, 2, 0]
    assert not history.unfinished


def test_as_last_read_spares_the_database(study: optuna.Study) -> None:
    begin(elsewhere(study))
    assert len(study.get_trials()) == 1
    begin(elsewhere(study))
    with batched(study).cached_reads():
        assert len(study.get_trials()) == 1
        with batched(study).fresh_reads():
            assert len(study.get_trials()) == 2


def test_a_trial_costs_at_most_14_statements_and_3_transactions_that_write(any_storage_url: str, iris: DataSplits) -> None:
    limits = SearchConfig(population=10, generations=100, patience=100)
    search = create(open_storage(any_storage_url, create=True), "s", small_config(search=limits), iris)
    worker = StudyWorker(search, iris, Signals(), evaluate=cheap)
    statements: list[str] = []
    writing: list[str] = []
    worker.look()
    worker.run_trial()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def commit(_connection: Any) -> None:
        writing.extend(
            statement for statement in statements[-1:] if statement.startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
        )

    event.listen(backend(search.study).engine, "before_cursor_execute", note)
    event.listen(backend(search.study).engine, "commit", commit)
    # Eight trials close no generation, so nothing is decided. Looking for stale trials, once a second, is excluded.
    worker._next_giving_up = math.inf
    trials = 8
    for _ in range(trials):
        worker.look()
        assert worker.run_trial()
    assert len(statements) <= 14 * trials
    assert len(writing) == 3 * trials


def test_the_plots_of_a_generation_cost_at_most_10_statements(any_storage_url: str, iris: DataSplits) -> None:
    search = create(open_storage(any_storage_url, create=True), "s", small_config(), iris)
    run_trials(search, 4, cheap_values)
    state = read_state(search)
    search.advance(state)
    statements: list[str] = []
    engine = backend(search.study).engine
    event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: statements.append(statement))
    store_plots(search, lambda: state)
    assert [one for one in (statement.split()[0] for statement in statements) if one in ("DELETE", "INSERT")] == [
        "DELETE",
        "INSERT",
    ] * 2, statements
    assert len(statements) <= 10
    del statements[:]
    store_plots(search, lambda: state)
    # A worker that finds the plots stored reads the generations and the extent.
    assert len(statements) == 2
