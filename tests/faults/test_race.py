"""Races that are interrupted or killed in either stage, and continued by the same command."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from signal import SIGINT, SIGKILL, Signals
from subprocess import Popen

import pytest

from tests.conftest import RunCli
from tests.support.disks import filled, mounted_disk

pytestmark = pytest.mark.slow

SPACE = """
[space]
n_qubits = [2, 3, 4]
depth = [1, 2]
topology = ["linear"]

[training]
epochs = 3
"""
COMMAND = ("race", "iris", "--config", "small.toml", "--trainings", "12000", "--within", "0.04", "--workers", "2")
HALVING = r"halving · [1-9]"
CERTIFICATION = r"certification · .* within 0\.\d"


def result(directory: Path) -> list[tuple[object, ...]]:
    """Return the values of all trials, as they are in the database."""
    query = (
        "SELECT number, objective, value FROM trials JOIN trial_values USING (trial_id) ORDER BY number, objective",
        "SELECT number, key, value_json FROM trials JOIN trial_user_attributes USING (trial_id) ORDER BY number, key",
    )
    with closing(sqlite3.connect(directory / "faqnas.db")) as database:
        return [row for each in query for row in database.execute(each).fetchall()]


def wait_for(process: "Popen[str]", pattern: str) -> None:
    """Read the progress on stderr up to a line that matches."""
    assert process.stderr
    for line in process.stderr:
        if re.search(pattern, line):
            return
    raise AssertionError(f"no line matches {pattern!r}")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """Result of a race that was not interrupted, by one worker."""
    directory = tmp_path_factory.mktemp("race")
    (directory / "small.toml").write_text(SPACE)
    command = [sys.executable, "-m", "faqnas_optuna", *COMMAND[:-1], "1"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=300)
    return result(directory)


@pytest.mark.parametrize("stage", [HALVING, CERTIFICATION], ids=["halving", "certification"])
@pytest.mark.parametrize("number", [SIGINT, SIGKILL])
def test_the_same_command_continues(
    stage: str,
    number: Signals,
    start_cli: Callable[..., "Popen[str]"],
    run_cli: RunCli,
    tmp_path: Path,
    expected: list[tuple[object, ...]],
) -> None:
    (tmp_path / "small.toml").write_text(SPACE)
    process = start_cli(*COMMAND)
    wait_for(process, stage)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if number is SIGINT:
        assert process.returncode == 130 and "interrupted; finished trainings are kept. Continue with" in err
        # The front so far, with the ε that is certified for it.
        assert "Interrupted: " in out and "With 95 % confidence, no circuit of the space" in out
        status = json.loads(run_cli("status", "--json").stdout)["studies"][0]
        assert status["race"]["is_complete"] is False and status["state"] == "idle"
    else:
        assert process.returncode == -9
    again = run_cli(*COMMAND, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["race"]["epsilon"] <= 0.04
    assert result(tmp_path) == expected


def test_workers_that_are_killed_end_the_race_with_a_hint(
    start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    (tmp_path / "small.toml").write_text(SPACE)
    process = start_cli(*COMMAND)
    wait_for(process, CERTIFICATION)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker process was killed by SIGKILL. Finished trainings are kept; repeat the command to continue" in err
    assert run_cli(*COMMAND).returncode == 0
    assert result(tmp_path) == expected


def test_a_full_disk_ends_the_race_and_leaves_its_trainings(
    start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    (tmp_path / "small.toml").write_text(SPACE)
    with mounted_disk(tmp_path) as disk:
        command = (*COMMAND, "--storage", f"sqlite:///{disk}/faqnas.db")
        process = start_cli(*command)
        wait_for(process, HALVING)
        with filled(disk):
            _, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        message = (
            r"Error: cannot write .*: No space left on device. Finished trainings are kept; repeat the command to continue"
        )
        assert re.search(message, err)
        again = run_cli(*command)
        assert again.returncode == 0, again.stderr
        assert result(disk) == expected


def test_an_early_interruption_leaves_no_result(
    start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path
) -> None:
    # Ten qubits, so that the first round takes seconds.
    (tmp_path / "small.toml").write_text(SPACE.replace("[2, 3, 4]", "[10]"))
    process = start_cli(*COMMAND)
    wait_for(process, "halving · 0 of")
    process.send_signal(SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(
        r"interrupted; the race has trained \d+ of \d+ circuits so far, too few for a front; repeat the command", err
    )
    assert run_cli("pareto", "iris.race").returncode == 5


def test_a_second_process_cannot_run_the_same_race(
    start_cli: Callable[..., "Popen[str]"], run_cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(SPACE)
    wait_for(start_cli(*COMMAND), HALVING)
    second = run_cli(*COMMAND)
    assert second.returncode == 2
    assert "another process is writing to" in second.stderr and "choose another --study" in second.stderr
