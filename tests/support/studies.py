"""Changes of stored studies, and evaluations for their trials."""

import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import optuna
import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import analytic_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import SpaceConfig, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.study.objective import Objective
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.work import TrialOutcome
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.training.values import Costs
from tests.conftest import TIMEOUT_S, successful
from tests.support.crew import wait_until


def change_versions(search: Search, **changes: str) -> Search:
    """The study as if it had been made with other versions."""
    versions = {**search.description.versions, **{name.replace("_", "-"): value for name, value in changes.items()}}
    changed = replace(search.description, versions=versions)
    search.metadata.describe(changed)
    return replace(search, description=changed)


FEW = SpaceConfig(n_qubits=(2, 3), depth=(1, 2))


def nothing(_: StudyState) -> None:
    """What a test shows of progress."""


def fail(*_: object) -> NoReturn:
    raise MemoryError


def change_fingerprint(search: Search) -> Search:
    """The study as if it had been made with other data."""
    changed = replace(search.description, data_fingerprint="other")
    search.metadata.describe(changed)
    return replace(search, description=changed)


def delete_in_trial(monkeypatch: pytest.MonkeyPatch, storage_url: str, name: str, *, number: int, before: bool) -> None:
    """Let somebody delete a study, with Optuna's own means, before a trial of it or after it."""
    run_one = Objective.__call__

    def deleting(self: Objective, trial: optuna.Trial) -> TrialOutcome:
        chosen = trial.number == number and trial.study.study_name == name
        if chosen and before:
            optuna.delete_study(study_name=name, storage=storage_url)
        outcome = run_one(self, trial)
        if chosen and not before:
            optuna.delete_study(study_name=name, storage=storage_url)
        return outcome

    monkeypatch.setattr(Objective, "__call__", deleting)


def cheap(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    trained = effective_circuit(circuit)
    score = 1 - 1 / analytic_flops(trained)
    return Evaluation(costs=costs, val_accuracies=(score,), val_balanced_accuracies=(score,), seconds=0.0)


ENDLESS = ("--dataset", "iris", "--population", "10", "--generations", "9999", "--patience", "9999", "--epochs", "1")
"""Until it is told to stop: workers have all the time they need to join."""


def wait_for_trials(tmp_path: Path, count: int) -> None:
    """Until so many trials have begun, read beside the workers."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if (tmp_path / "faqnas.db").exists():
            connection = sqlite3.connect(tmp_path / "faqnas.db", timeout=10)
            try:
                if connection.execute("SELECT count(*) FROM trials").fetchone()[0] >= count:
                    return
            except sqlite3.OperationalError:
                pass
            finally:
                connection.close()
        time.sleep(0.02)
    pytest.fail(f"no {count} trials within {TIMEOUT_S} s")


def workers_of(search: Search) -> set[str]:
    """Who has stored a trial."""
    return {trial.user_attrs["worker"] for trial in successful(search)}


def until_all_have_shared(search: Search, workers: int) -> None:
    """Wait until so many workers have stored a trial, and some generations are closed."""
    wait_until(lambda: len(workers_of(search)) == workers, TIMEOUT_S, "all workers have stored a trial")
    closed = len(search.metadata.closed_generations())
    wait_until(lambda: len(search.metadata.closed_generations()) >= closed + 2, TIMEOUT_S, "the study goes on")
