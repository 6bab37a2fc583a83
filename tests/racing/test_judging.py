"""Judgement of the front of a race, by `python -m studies.judge_race`."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from faqnas_optuna import race
from studies.judge_race import command, rivals_of

SMALL: dict[str, Any] = {"space": {"n_qubits": [2, 3], "depth": [1]}, "epochs": 2, "workers": 1}


def test_the_front_is_judged_by_fresh_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raced = race("iris", trainings=2_000, **SMALL)
    rivals = rivals_of(raced.optuna.get_trials())
    assert len(rivals) == len(raced.trials)
    # The circuits of the front are among the most promising.
    front = {trial.number for trial in rivals if trial.user_attrs["on_front"]}
    assert front <= {trial.number for trial in rivals[: len(rivals) // 2]}
    result = CliRunner().invoke(command, ["iris.race", "--trainings", "50", "--workers", "1"])
    assert result.exit_code == 0, result.output
    line = re.fullmatch(r"iris\.race: (\S+) of the best, (\d+) circuits on the front, (\d+) judged\n", result.output)
    assert line and 0.9 < float(line[1]) <= 1 and int(line[2]) == len(raced.front) and int(line[3]) == len(rivals)
