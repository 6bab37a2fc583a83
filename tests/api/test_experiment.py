"""Experiments from Python."""

from pathlib import Path

import pytest

from faqnas_optuna import experiment, experiment_work
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError
from tests.support.experiments import SMALL


def test_the_remaining_work_shrinks_with_every_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {**SMALL, "datasets": ["iris"], "methods": {"faqnas": {}}}
    before = experiment_work(settings)
    assert before["studies"].tolist() == [3] and before["trainings"].tolist() == [24]
    assert not list(tmp_path.glob("*.db"))
    run = experiment({**settings, "splits": 2}, progress=False)
    assert run.frame["studies"].tolist() == [2] and run.exit_code == 0
    after = experiment_work(settings)
    assert after["studies"].tolist() == [1]
    # The confirmed circuit and its four controls, twice.
    assert (before["confirmations"].tolist(), after["confirmations"].tolist()) == ([30], [10])


def test_a_run_without_results_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = experiment({**SMALL, "datasets": ["iris"], "methods": {"faqnas": {}}, "splits": 1}, progress=False)
    object.__setattr__(run, "fronts", ())
    with pytest.raises(NoSuccessfulTrialError, match="experiment 'small' has no result to plot"):
        run.save_plot(tmp_path / "none.svg")
    with pytest.raises(ConfigError, match="size must be one of"):
        object.__setattr__(run, "fronts", (1,))
        run.save_plot(tmp_path / "none.svg", size="poster")
