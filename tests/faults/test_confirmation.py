"""Confirmations whose workers are killed give the same results as undisturbed ones."""

import os
from collections import Counter
from pathlib import Path
from signal import SIGKILL

import pytest
from optuna.trial import TrialState

from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data import named
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import create
from faqnas_optuna.study.stopping import StopReason
from tests.conftest import TIMEOUT_S, cheap_values, load_confirmation, reason_of, run_trials
from tests.support.crew import Crew, trials_of, wait_until
from tests.support.databases import on_postgres

pytestmark = pytest.mark.slow

ASKED = ("--trials", "0,1", "--repeats", "2", "--epochs", "5")


def confirmed(search: Confirmation) -> dict[tuple[str, int], float]:
    """Return the test accuracy of each completed training, by network and seed."""
    return {
        (trial.user_attrs["network"], trial.user_attrs["seed"]): trial.user_attrs["test_accuracy"]
        for trial in trials_of(search)
        if trial.state is TrialState.COMPLETE
    }


@on_postgres
def test_a_confirmation_survives_kills(any_storage_url: str, crew: Crew, logs: Path) -> None:
    storage = open_storage(any_storage_url, create=True)
    limits = SearchConfig(population=4, generations=2)
    config = StudyConfig(dataset="iris", search=limits, space=SpaceConfig(n_qubits=(2, 3)))
    run_trials(create(storage, "s", config, named.load("iris", seed=0)), 4, cheap_values)
    crew.start("confirm", "s", *ASKED, "--detach")
    assert crew.leave() == [0], crew.printed()

    search = load_confirmation(open_storage(any_storage_url), "s.confirm")
    crew.processes.clear()
    for kills in range(1, 3):
        victim, other = (crew.start("worker", "s.confirm", trial_s=0.5) for _ in range(2))
        count = len(confirmed(search))
        wait_until(lambda count=count: len(confirmed(search)) >= count + 4, TIMEOUT_S, "they are at work")  # type: ignore[misc]
        for worker in (victim, other)[:kills]:
            os.kill(worker.pid or 0, SIGKILL)
    crew.start("worker", "s.confirm")
    wait_until(lambda: reason_of(search) is StopReason.CONFIRMED, TIMEOUT_S, "all is confirmed")
    crew.leave()

    trials = trials_of(search)
    done_once = Counter((t.user_attrs["network"], t.user_attrs["seed"]) for t in trials if t.state is TrialState.COMPLETE)
    assert done_once == {(training.network, training.repeat): 1 for training in search.all_trainings()}
    assert all(trial.state.is_finished() for trial in trials)
    assert any(trial.state is TrialState.FAIL for trial in trials), "no kill has hit a training"

    crew.processes.clear()
    crew.start("confirm", "s", *ASKED, "--name", "undisturbed", "--json")
    assert crew.leave() == [0], crew.printed()
    assert confirmed(load_confirmation(open_storage(any_storage_url), "undisturbed")) == confirmed(search)
