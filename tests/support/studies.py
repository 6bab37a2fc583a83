"""Changes to stored studies, and evaluations for their trials."""

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
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.objective import Objective
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.study.work import TrialOutcome
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.training.values import Costs
from tests.conftest import TIMEOUT_S, successful
from tests.support.crew import wait_until


def change_versions(search: Search, **changes: str) -> Search:
    """Return the study with other stored versions."""
    versions = {**search.description.versions, **{name.replace("_", "-"): value for name, value in changes.items()}}
    changed = replace(search.description, versions=versions)
    search.metadata.describe(changed)
    return replace(search, description=changed)


FEW = SpaceConfig(n_qubits=(2, 3), depth=(1, 2))


def nothing(_: StudyState) -> None:
    """Ignore the progress of a study."""


def fail(*_: object) -> NoReturn:
    raise MemoryError


def change_fingerprint(search: Search) -> Search:
    """Return the study with the stored fingerprint of other data."""
    changed = replace(search.description, data_fingerprint="other")
    search.metadata.describe(changed)
    return replace(search, description=changed)


def delete_in_trial(monkeypatch: pytest.MonkeyPatch, storage_url: str, name: str, *, number: int, before: bool) -> None:
    """Delete a study by means of Optuna, as another user might, before or after one of its trials."""
    run_one = Objective.__call__

    def deleting(self: Objective, trial: optuna.Trial) -> TrialOutcome:
        is_chosen = trial.number == number and trial.study.study_name == name
        if is_chosen and before:
            optuna.delete_study(study_name=name, storage=storage_url)
        outcome = run_one(self, trial)
        if is_chosen and not before:
            optuna.delete_study(study_name=name, storage=storage_url)
        return outcome

    monkeypatch.setattr(Objective, "__call__", deleting)


def cheap(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    trained = effective_circuit(circuit)
    score = 1 - 1 / analytic_flops(trained)
    return Evaluation(costs=costs, val_accuracies=(score,), val_balanced_accuracies=(score,), seconds=0.0)


ENDLESS = ("--dataset", "iris", "--population", "10", "--generations", "9999", "--patience", "9999", "--epochs", "1")
"""Options of a search that does not stop by itself, so that workers have the time to join."""


def wait_for_trials(tmp_path: Path, count: int) -> None:
    """Wait until at least `count` trials have begun, read from the file while workers write."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if (tmp_path / "faqnas.db").exists():
            # Without Optuna, which would take seconds and locks.
            connection = sqlite3.connect(tmp_path / "faqnas.db", timeout=10)
            try:
                if connection.execute("SELECT count(*) FROM trials").fetchone()[0] >= count:
                    return
            except sqlite3.OperationalError:
                # The tables do not exist yet, or a worker holds the lock.
                pass
            finally:
                connection.close()
        time.sleep(0.02)
    pytest.fail(f"no {count} trials within {TIMEOUT_S} s")


def workers_of(search: Search) -> set[str]:
    """Return the names of the workers that have stored a trial."""
    return {trial.user_attrs["worker"] for trial in successful(search)}


def until_all_have_shared(search: Search, workers: int) -> None:
    """Wait until `workers` workers have stored a trial, and two more generations are closed."""
    wait_until(lambda: len(workers_of(search)) == workers, TIMEOUT_S, "all workers have stored a trial")
    # Counted now, since workers may have joined late.
    closed = len(search.metadata.closed_generations())
    wait_until(lambda: len(search.metadata.closed_generations()) >= closed + 2, TIMEOUT_S, "two more generations are closed")
