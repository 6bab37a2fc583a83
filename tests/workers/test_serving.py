"""Workers without a study wait for studies, run them, and wait again."""

import os
import signal
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.training.evaluation import Evaluation, evaluate
from faqnas_optuna.workers.serving import serve
from tests.conftest import reason_of, small_config, successful
from tests.support.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import on_sqlite, sqlite_and_postgres
from tests.support.jepsen import violations_of
from tests.support.studies import FEW, change_fingerprint, delete_in_trial, fail, nothing

IDLE_S = 2
"""Seconds; the worker looks for studies every second."""


@pytest.mark.slow
@sqlite_and_postgres
def test_a_worker_without_a_name_waits_for_studies_that_come_later(any_storage_url: str, crew: Crew) -> None:
    open_storage(any_storage_url, create=True)
    worker = crew.start("worker", trial_s=0)

    def idles(times: int) -> bool:
        """Wait for message number `times` that the worker waits, and return whether it is still alive after `IDLE_S`."""
        wait_until(lambda: crew.printed().count("waiting for a study\n") == times, SOON_S, "the worker waits")
        worker.join(IDLE_S)
        return worker.is_alive()

    def serves(name: str) -> None:
        search = new_study(any_storage_url, name, population=4, generations=2)
        wait_until(lambda: search.metadata.stop() is not None, SOON_S, f"study {name} is run to its end")
        assert reason_of(search) == StopReason.GENERATIONS
        assert len(trials_of(search)) == 8
        # Each trial has two lines in the log: when it begins and when it is stored.
        assert violations_of(search, crew.log()[-2 * 8 :]) == []

    assert idles(1), crew.printed()
    serves("first")
    assert idles(2), crew.printed()
    serves("second")
    assert idles(3), crew.printed()
    os.kill(worker.pid or 0, signal.SIGTERM)
    assert crew.leave() == [143], crew.printed()
    # No trial is running, so the worker leaves at once.
    assert crew.printed().splitlines()[-2:] == [
        "SIGTERM: leaving",
        "interrupted; finished trials are kept. Continue with: faqnas-optuna worker",
    ]
    # One message before the first study and one after each.
    assert crew.printed().count("waiting for a study\n") == 3


@pytest.mark.slow
@on_sqlite
def test_a_worker_that_waits_for_the_trials_of_others_says_how_far_they_are_and_leaves(
    any_storage_url: str, crew: Crew
) -> None:
    new_study(any_storage_url, "s", population=2, generations=1, synchronous=True)
    others = [crew.start("worker", "s", "--quiet", trial_s=60) for _ in range(2)]
    wait_until(lambda: all(crew.log(other) for other in others), SOON_S, "all that the generation needs has begun")
    worker = crew.start("worker")
    # Progress is reported at most every ten seconds.
    wait_until(lambda: "s: generation 1/1 · 0 trials" in crew.printed(worker), SOON_S, "it tells of the study")
    os.kill(worker.pid or 0, signal.SIGTERM)
    worker.join(SOON_S)
    assert worker.exitcode == 143
    assert "SIGTERM: leaving\n" in crew.printed(worker)


def test_a_worker_of_all_studies_leaves_one_in_which_every_trial_fails(
    new_search: Callable[..., Search], storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad = new_search(small_config(training=TrainingConfig(epochs=2)), name="bad")
    bad.study.ask().set_user_attr("worker", "other:1")
    new_search(small_config(space=FEW), name="good")

    def fail_in_one(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        return fail() if config.training.epochs == 2 else evaluate(circuit, splits, config)

    storage = open_storage(storage_url)
    assert serve(storage, Signals(), data_dir=None, until_idle=True, on_trial=nothing, evaluate=fail_in_one) == 2
    assert len(successful(load(storage, "good"))) == 8
    assert bad.metadata.stop() is None
    assert sum(trial.state is TrialState.FAIL for trial in bad.study.get_trials(deepcopy=False)) == 4
    assert "skipping study bad: the last 4 trials of" in caplog.text


def test_a_worker_without_a_name_serves_all_studies_evenly(new_search: Callable[..., Search], storage_url: str) -> None:
    first = new_search(small_config(space=FEW), name="first")
    second = new_search(small_config(space=FEW), name="second")
    order: list[str] = []
    count = serve(
        open_storage(storage_url),
        Signals(),
        data_dir=None,
        until_idle=True,
        on_trial=lambda state: order.append(state.study.name),
    )
    assert count == 2
    assert sorted(order) == ["first"] * 8 + ["second"] * 8
    assert all(abs(order[:n].count("first") - order[:n].count("second")) <= 1 for n in range(17))
    assert first.metadata.stop() is not None
    assert second.metadata.stop() is not None


def test_a_study_of_other_data_is_left_out_and_the_rest_is_served(
    new_search: Callable[..., Search], storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    new_search(small_config(space=FEW), name="good")
    change_fingerprint(new_search(small_config(space=FEW), name="bad"))
    storage = open_storage(storage_url)
    assert serve(storage, Signals(), data_dir=None, until_idle=True, on_trial=nothing) == 1
    assert len(successful(load(storage, "good"))) == 8
    assert len(successful(load(storage, "bad"))) == 0
    assert "skipping study bad: study 'bad' was made with other data" in caplog.text


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_of_all_studies_leaves_one_that_is_deleted(
    new_search: Callable[..., Search], storage_url: str, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    for name in ("first", "second"):
        new_search(small_config(space=FEW), name=name)
    delete_in_trial(monkeypatch, storage_url, "first", number=2, before=before)
    storage = open_storage(storage_url)
    assert serve(storage, Signals(), data_dir=None, until_idle=True, on_trial=nothing) == 2
    assert len(successful(load(storage, "second"))) == 8


def test_a_study_in_the_place_of_a_deleted_one_starts_from_nothing(new_search: Callable[..., Search], storage_url: str) -> None:
    """Replace the study by one with the same name and, on SQLite, the same ids, which Optuna's cache would confuse."""
    old = new_search(small_config(space=FEW))
    replaced: list[Search] = []

    def replace_once(state: StudyState) -> None:
        if state.successful == 2 and not replaced:
            optuna.delete_study(study_name="iris", storage=storage_url)
            replaced.append(new_search(small_config(space=FEW)))

    assert serve(open_storage(storage_url), Signals(), data_dir=None, until_idle=True, on_trial=replace_once) == 2
    (new,) = replaced
    assert new.study._study_id == old.study._study_id
    assert [trial.number for trial in successful(new)] == list(range(8))
    assert reason_of(new) == StopReason.GENERATIONS
