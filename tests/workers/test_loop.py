import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import FailingWorkerError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import batched, open_storage
from faqnas_optuna.study.lifecycle import resume, stop
from faqnas_optuna.study.metadata import StudyMetadata
from faqnas_optuna.study.objective import Objective, suggest
from faqnas_optuna.study.records import GENERATION_KEY
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import StudyState, read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import load_data
from faqnas_optuna.study.work import Progress, WorkerAction
from faqnas_optuna.training.evaluation import Evaluation, evaluate
from faqnas_optuna.workers import loop
from faqnas_optuna.workers.loop import StudyWorker, run, worker_name
from tests.conftest import TIMEOUT_S, cheap_values, cli_environment, reason_of, run_trials, small_config, successful
from tests.support.studies import FEW, change_fingerprint, cheap, delete_in_trial, fail, nothing


def test_a_worker_runs_the_study_to_its_end(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(space=FEW))
    counts: list[int] = []
    run(search, iris, Signals(), on_trial=lambda state: counts.append(state.successful))
    assert counts == list(range(9))
    assert reason_of(search) == StopReason.GENERATIONS


def test_a_time_limit_ends_with_the_trial_that_exceeds_it(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search(small_config(space=FEW))
    now_s = 1000.0
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now_s))

    def two_seconds(*arguments: Any) -> Evaluation:
        nonlocal now_s
        now_s += 2
        return cheap(*arguments)

    # After the second trial, 4 s have passed.
    run(search, iris, Signals(), on_trial=nothing, evaluate=two_seconds, seconds=3)
    assert (len(search.study.trials), reason_of(search)) == (2, StopReason.SECONDS)
    # A search that ends by itself is finished, although the time of its last trial is over.
    run(resume(search), iris, Signals(), on_trial=nothing, evaluate=two_seconds, seconds=11)
    assert (len(search.study.trials), reason_of(search)) == (8, StopReason.GENERATIONS)


def test_a_time_limit_waits_for_a_database_that_is_away(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OperationalError("UPDATE", None, Exception("server closed the connection unexpectedly"))])

    def stop_when_back(study: Search, reason: StopReason) -> None:
        for failure in failures:
            raise failure
        stop(study, reason)

    monkeypatch.setattr(loop, "stop", stop_when_back)
    search = new_search()
    run(search, iris, Signals(), on_trial=nothing, evaluate=cheap, seconds=1e-9)
    assert (len(search.study.trials), reason_of(search)) == (0, StopReason.SECONDS)


@pytest.mark.parametrize("seconds", [None, 1e300])
def test_a_search_within_its_time_ends_by_itself(
    new_search: Callable[..., Search], iris: DataSplits, seconds: float | None
) -> None:
    search = new_search(small_config(space=FEW))
    run(search, iris, Signals(), on_trial=nothing, evaluate=cheap, seconds=seconds)
    assert reason_of(search) is StopReason.GENERATIONS


def test_what_others_finish_last_is_shown(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(space=FEW))
    reports: list[Progress] = []

    def look(state: StudyState) -> None:
        reports.append(state.study.progress(state))
        if state.successful == 2 and not state.has_stopped:
            stop(search, StopReason.REQUESTED)
        elif state.has_stopped and state.running:
            # The study waits for this trial of another worker.
            search.study.tell(other, state=TrialState.FAIL)
            run_trials(search, 1, cheap_values)

    other = search.study.ask()
    _ = other.relative_params
    batched(search.study).store(other._trial_id)
    run(search, iris, Signals(), on_trial=look)
    assert [one.trials for one in reports] == [0, 1, 2, 3, 4]
    # The progress bar is full at the end, although the search stopped early.
    assert [one.planned for one in reports] == [8, 8, 8, 3, 4]


def test_a_limit_that_is_raised_meanwhile_holds_for_workers_that_came_before(
    new_search: Callable[..., Search], iris: DataSplits, storage_url: str
) -> None:
    search = new_search(small_config(space=FEW, search=SearchConfig(population=4, generations=1, patience=9)))
    resume(load(open_storage(storage_url), "iris"), generations=3)
    run(search, iris, Signals(), on_trial=nothing)
    assert len(successful(search)) == 12


def test_failures_in_a_row_stop_a_study_that_has_succeeded_before(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(search=SearchConfig(population=5, generations=9)))
    worker = StudyWorker(search, iris, Signals())
    worker.look()
    worker.run_trial()

    run(search, iris, Signals(), on_trial=nothing, evaluate=fail)
    assert reason_of(search) == StopReason.FAILURES
    assert len(successful(search)) == 1
    # A reused circuit between the failures does not reset their count.
    assert read_state(search).failed == 5


def test_each_closed_generation_stores_the_plots_once(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=3, patience=9)))
    extents: list[int] = []
    store = StudyMetadata.store_plots

    def note(self: StudyMetadata, plots: dict[str, str], *, extent: int) -> None:
        extents.append(extent)
        store(self, plots, extent=extent)

    monkeypatch.setattr(StudyMetadata, "store_plots", note)
    workers = [StudyWorker(search, iris, Signals(), evaluate=cheap) for _ in range(3)]
    while WorkerAction.STOPPED not in [worker.look() for worker in workers]:
        for worker in workers:
            worker.run_trial()
    for worker in workers:
        worker.look()
    assert extents == [4, 8, 12]


@pytest.mark.parametrize("has_stopped", [True, False])
def test_plots_that_a_killed_worker_did_not_store_are_stored_by_the_next(
    new_search: Callable[..., Search], iris: DataSplits, has_stopped: bool
) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, generations=2 if has_stopped else 9, patience=9)))
    run_trials(search, 8, cheap_values)
    # The worker that decides ends before it draws.
    search.advance(read_state(search))
    assert (bool(search.metadata.stop()), search.metadata.plotted_extent()) == (has_stopped, 0)
    StudyWorker(search, iris, Signals(), evaluate=cheap).look()
    assert search.metadata.plotted_extent() == 8


def test_plots_wait_for_a_database_that_is_away(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search()
    run_trials(search, 4, cheap_values)
    store = StudyMetadata.store_plots
    attempts = []

    def fail_first(self: StudyMetadata, plots: dict[str, str], *, extent: int) -> None:
        attempts.append(extent)
        if len(attempts) == 1:
            raise OperationalError("INSERT", None, Exception("server closed the connection unexpectedly"))
        store(self, plots, extent=extent)

    monkeypatch.setattr(StudyMetadata, "store_plots", fail_first)
    assert StudyWorker(search, iris, Signals(), evaluate=cheap).look() is WorkerAction.RUNNING
    assert attempts == [4, 4] and search.metadata.plotted_extent() == 4


@pytest.mark.parametrize("other_succeeds", [True, False])
def test_a_worker_on_which_every_trial_fails_waits_for_what_others_are_at(
    new_search: Callable[..., Search], iris: DataSplits, other_succeeds: bool
) -> None:
    search = new_search(small_config(search=SearchConfig(population=5, generations=9)))
    other = search.study.ask()
    _ = suggest(other, search.config.space)
    other.set_user_attr("worker", "other:1")
    looks = []

    def look(state: StudyState) -> None:
        looks.append(state.failed)
        if state.failed == 5 and looks.count(5) == 3:
            other.set_user_attr("circuit", "some")
            other.set_user_attr("val_accuracy", 0.5)
            other.set_user_attr("failure", "MemoryError")
            search.study.tell(other, *([(1.0, 0.5)] if other_succeeds else [None, TrialState.FAIL]))

    def work() -> None:
        run(search, iris, Signals(), on_trial=look, evaluate=fail)

    if other_succeeds:
        pattern = r"the last 5 trials of \S+:\d+-\w{6} in .* failed while others succeed; .*faqnas-optuna show iris 5$"
        with pytest.raises(FailingWorkerError, match=pattern):
            work()
        assert search.metadata.stop() is None
    else:
        # All workers fail, so the study is the cause.
        work()
        assert reason_of(search) == StopReason.FAILURES
    # The worker begins no trial while it waits.
    assert len(search.study.get_trials(deepcopy=False)) == 6


def test_a_worker_tries_again_after_a_resumption(new_search: Callable[..., Search], iris: DataSplits, storage_url: str) -> None:
    worker = StudyWorker(new_search(small_config(search=SearchConfig(population=5))), iris, Signals(), evaluate=fail)
    for _ in range(5):
        assert not worker.is_failing
        worker.run_trial()
    assert worker.is_failing
    resume(load(open_storage(storage_url), "iris"), generations=20)
    assert not worker.is_failing


def test_no_trial_begins_after_a_signal(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search, signals = new_search(), Signals()
    worker = StudyWorker(search, iris, signals)
    worker.look()
    signals.first = signal.SIGTERM
    assert not worker.run_trial()
    assert search.study.get_trials(deepcopy=False) == []


def generation_sizes(search: Search) -> dict[int, int]:
    return Counter(trial.system_attrs[GENERATION_KEY] for trial in successful(search))


def test_a_generation_is_not_overfilled_by_a_worker_that_died_before_its_trial_had_one(
    new_search: Callable[..., Search], iris: DataSplits, storage_url: str
) -> None:
    synchronous = SearchConfig(population=4, generations=3, patience=9, synchronous=True)
    search = new_search(small_config(space=FEW, search=synchronous))
    search.study.ask()

    def slowly(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        time.sleep(0.5)
        return evaluate(circuit, splits, config)

    waiting = load(open_storage(storage_url, grace_s=1), "iris")
    run(waiting, iris, Signals(), on_trial=nothing, evaluate=slowly)
    assert generation_sizes(search) == {0: 4, 1: 4, 2: 4}
    first, *others = search.study.get_trials(deepcopy=False)
    assert first.state is TrialState.FAIL
    assert len(others) == 12


def test_a_trial_that_may_have_begun_outside_the_lock_is_not_run(new_search: Callable[..., Search], iris: DataSplits) -> None:
    """Lose the lock before the trial, as after a restart of the server."""
    search = new_search(small_config(search=SearchConfig(population=4, synchronous=True)))
    worker = StudyWorker(search, iris, Signals(), lock=lambda _: nullcontext(lambda: False))
    assert worker.look() is WorkerAction.RUNNING
    assert not worker.run_trial()
    (trial,) = search.study.get_trials(deepcopy=False)
    assert (trial.state, trial.user_attrs) == (TrialState.FAIL, {"failure": "given up: its worker lost the lock of the study"})
    assert read_state(search).errors == []


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("synchronous", [True, False])
def test_a_study_that_is_deleted_ends_its_worker(
    new_search: Callable[..., Search],
    iris: DataSplits,
    storage_url: str,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
    synchronous: bool,
) -> None:
    search = new_search(small_config(space=FEW, search=SearchConfig(population=4, synchronous=synchronous)))
    delete_in_trial(monkeypatch, storage_url, "iris", number=2, before=before)
    with pytest.raises(StudyNotFoundError, match="was deleted; .*: faqnas-optuna status$"):
        run(search, iris, Signals(), on_trial=nothing)


def test_a_study_that_is_deleted_between_trials_ends_its_worker(
    new_search: Callable[..., Search], iris: DataSplits, storage_url: str
) -> None:
    def delete(state: StudyState) -> None:
        if state.successful == 2:
            optuna.delete_study(study_name="iris", storage=storage_url)

    with pytest.raises(StudyNotFoundError, match="was deleted"):
        run(new_search(), iris, Signals(), on_trial=delete)


def test_results_of_a_deleted_study_do_not_get_into_the_next_of_its_name(
    new_search: Callable[..., Search], iris: DataSplits, storage_url: str
) -> None:
    """Replace the study during a trial; SQLite reuses the ids of a study and its trials."""
    search = new_search()
    replacements: list[Search] = []

    def replaced(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        evaluation = evaluate(circuit, splits, config)
        trial = search.study.get_trials(deepcopy=False)[0]
        optuna.delete_study(study_name="iris", storage=storage_url)
        replacements.append(new_search(small_config(seed=1)))
        assert replacements[0].study._study_id == search.study._study_id
        assert replacements[0].study.ask()._trial_id == trial._trial_id
        return evaluation

    with pytest.raises(StudyNotFoundError, match="was deleted"):
        run(search, iris, Signals(), on_trial=nothing, evaluate=replaced)
    (trial,) = replacements[0].study.get_trials(deepcopy=False)
    assert (trial.state, trial.user_attrs) == (TrialState.RUNNING, {})


def test_a_second_signal_outside_of_the_training_ends_the_worker_too(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        time.sleep(1)

    monkeypatch.setattr(Objective, "__call__", interrupted)
    search = new_search()
    with Signals().caught() as signals:
        run(search, iris, signals, on_trial=nothing)
        assert signals.exit_code == 143
    # The trial stays open until another worker gives it up.
    assert [trial.state for trial in search.study.get_trials()] == [TrialState.RUNNING]


def test_a_worker_of_other_data_is_refused(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search()
    assert load_data(search, None).fingerprint == iris.fingerprint
    with pytest.raises(StudyMismatchError, match="stored other, here"):
        load_data(change_fingerprint(search), None)


@pytest.mark.parametrize("command", [("worker", "iris"), ("resume", "iris"), ("start", "--dataset", "iris")])
def test_commands_refuse_other_data_before_any_trial(
    command: tuple[str, ...], new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    search = new_search()
    change_fingerprint(search)
    small = ("--population", "4", "--generations", "2", "--epochs", "1") if command[0] == "start" else ()
    code, out, err = cli_here(*command, *small)
    assert (code, out) == (3, "")
    assert "study 'iris' was made with other data; iris fingerprint: stored other, here" in err
    assert search.study.get_trials(deepcopy=False) == []


FORKED = """
import os
from faqnas_optuna.workers.loop import worker_name
print(worker_name(), worker_name(), flush=True)
if os.fork() == 0:
    print(worker_name(), flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.slow
def test_whoever_works_has_a_name_of_its_own() -> None:
    """Compare the names of a process, its fork, and a task of Dask, which is a thread."""
    printed = subprocess.run(
        [sys.executable, "-c", FORKED], env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    with ThreadPool(1) as pool:
        names = [*printed.stdout.split(), worker_name(), pool.apply(worker_name)]
    assert names[0] == names[1]
    # The random suffixes differ too.
    assert len({name.rpartition("-")[2] for name in names}) == 4
