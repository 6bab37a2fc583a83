"""Experiments whose processes are killed at random while further workers take part."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT
from subprocess import Popen

import pytest
from optuna.trial import TrialState

from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.records import place_of
from tests.conftest import Completed, RunCli
from tests.support.databases import sqlite_and_postgres

pytestmark = pytest.mark.slow

EXPERIMENT = """
name = "paper"
datasets = ["iris"]
splits = 2

[space]
n_qubits = [2, 3, 4]
depth = [1, 2]
topology = ["linear"]

[search]
population = 8
generations = 3
patience = 9

[methods.faqnas]
[methods.nsga3]
searcher = "nsga3"
[methods.race]
searcher = "race"
trainings = 1200

[confirm]
repeats = 3
"""
COMMAND = ("experiment", "paper.toml", "--grace", "2")
KILLS = 8
ENOUGH_S = 240


def table_of(run: Completed) -> list[object]:
    assert run.returncode == 0, run.stderr
    rows: list[object] = json.loads(run.stdout)["rows"]
    return rows


@sqlite_and_postgres
def test_an_experiment_whose_processes_are_killed_at_random_gives_the_same_table(
    any_storage_url: str, start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "paper.toml").write_text(EXPERIMENT)
    expected = table_of(run_cli(*COMMAND, "--json", "--storage", "sqlite:///undisturbed.db"))
    storage = ("--storage", any_storage_url)
    commands = [(*COMMAND, *storage), *[("worker", "--quiet", "--grace", "2", *storage)] * 2]
    chance = random.Random(0)
    processes = [start_cli(*command) for command in commands]
    for _ in range(KILLS):
        time.sleep(chance.uniform(2, 6))
        place = chance.randrange(3)
        # The experiment may have ended already, and a worker may have left before the database existed.
        if processes[0].poll() != 0:
            processes[place].kill()
            processes[place].communicate()
            processes[place] = start_cli(*commands[place])
    _, err = processes[0].communicate(timeout=ENOUGH_S)
    assert processes[0].returncode == 0, err
    for worker in processes[1:]:
        worker.send_signal(SIGINT)
        worker.communicate(timeout=60)
    assert table_of(run_cli(*COMMAND, *storage, "--json")) == expected
    check_no_training_is_repeated(any_storage_url)


def check_no_training_is_repeated(url: str) -> None:
    """Check that each training of the confirmations, and each place of the searches, has one result."""
    opened = open_storage(url)
    names = our_studies(opened)
    assert len(names) == 12
    for name in names:
        complete = [trial for trial in open_study(opened, name).study.trials if trial.state is TrialState.COMPLETE]
        if name.endswith(".confirm"):
            trainings = Counter((trial.user_attrs["network"], trial.user_attrs["seed"]) for trial in complete)
            assert set(trainings.values()) == {1}
        elif ".race." not in name:
            assert sorted(map(place_of, complete)) == list(range(24))


def test_ctrl_c_leaves_a_table_of_what_is_complete(
    start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "paper.toml").write_text(EXPERIMENT)
    process = start_cli(*COMMAND, "--json")
    assert process.stderr
    for line in process.stderr:
        # The third study is running, so two are complete.
        if "[3 of 6" in line:
            break
    process.send_signal(SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; finished trainings are kept. Continue with: faqnas-optuna experiment paper.toml" in err
    # The interrupted race may have just been complete.
    assert {row["method"] for row in json.loads(out)["rows"]} >= {"faqnas", "nsga3"}
    assert len(table_of(run_cli(*COMMAND, "--json"))) == 6
