"""Python equivalents of the commands beyond a plain search."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import faqnas_optuna
from faqnas_optuna import Study, search
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError, OutputError, StudyNotFoundError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.workers import loop
from faqnas_optuna.workers.loop import run
from tests.conftest import TIMEOUT_S, reason_of
from tests.support.crew import wait_until

Cli = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {"population": 4, "generations": 2, "epochs": 2}
X, Y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat([0, 1], 30)


@pytest.fixture
def study(search_of_eight: Search, storage_url: str) -> Study:
    """Return a study of eight trials, not stopped."""
    return Study.load("iris", storage=storage_url)


@pytest.fixture
def confirmed_study(confirmed: Search, storage_url: str) -> Study:
    """Return a study of eight trials that has a confirmation."""
    return Study.load("iris", storage=storage_url)


@pytest.mark.slow
def test_several_workers_share_a_search(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(*arguments: Any) -> Any:
        wait_until(lambda: len(workers_of(storage_url)) == 2, TIMEOUT_S, "a trial of the other worker")
        return faqnas_optuna.evaluate(*arguments)

    monkeypatch.setattr(loop, "run", lambda *arguments, **options: run(*arguments, **options, evaluate=evaluate))
    study = search("iris", storage=storage_url, workers=2, grace_s=30, **SMALL)
    assert study.status()["state"] == "finished" and len(workers_of(storage_url)) == 2


def workers_of(url: str) -> set[str]:
    """Return the names of the workers that have started trials of the study `iris`."""
    trials = open_study(open_storage(url), "iris").study.get_trials(deepcopy=False)
    return {trial.user_attrs["worker"] for trial in trials if "worker" in trial.user_attrs}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"workers": 0}, "workers must be from 1 to 1024; it is 0"),
    ({"grace_s": 1}, "grace_s must be at least 2; it is 1"),
    ({"database_timeout_s": 0}, "database_timeout_s must be at least 2; it is 0"),
    ({"detach": True, "seconds": 3}, "detach starts no workers but seconds limits their time; leave one of them out"),
    ({"seconds": 0}, "seconds must be a number greater than 0, and finite; it is 0"),
    ({"detach": True, "dask": "tcp://127.0.0.1:1"}, "detach starts no workers but dask says where to run them"),
    ({"dask": "nowhere"}, "--dask nowhere: this is neither an existing scheduler file nor an address of the form"),
    ({"config": "absent.toml"}, "absent.toml: cannot read the study file"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_cannot_be_run_is_refused_before_anything_is_made(
    settings: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        search("iris", **SMALL, **settings)
    assert list(tmp_path.iterdir()) == []


def test_samples_in_memory_are_for_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="other workers cannot read samples in memory"):
        search(X, Y, workers=2, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_study_file_gives_settings_and_arguments_beat_them(storage_url: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('dataset = "iris"\nseed = 4\n[training]\nepochs = 3\n[search]\npopulation = 5\n')
    study = search(config=file, storage=storage_url, epochs=1, detach=True)
    stored = tomllib.loads(file.read_text())
    assert study.config.dataset == stored["dataset"] and study.config.seed == stored["seed"]
    assert (study.config.search.population, study.config.training.epochs) == (5, 1)
    with pytest.raises(ConfigError, match="no data set is given"):
        search(storage=storage_url)


def test_a_detached_study_waits_until_it_is_resumed(storage_url: str) -> None:
    study = search("iris", storage=storage_url, detach=True, **SMALL)
    assert (study.status()["state"], len(study.optuna.trials)) == ("idle", 0)
    assert study.resume() is study
    assert (study.status()["state"], len(study.optuna.trials)) == ("finished", 8)
    with pytest.raises(ConfigError, match="raise the limit with: faqnas-optuna resume iris --generations 6"):
        study.resume()
    study.resume(generations=3)
    assert study.config.search.generations == 3 and len(study.optuna.trials) == 12


def test_a_search_has_a_limit_of_trials(storage_url: str) -> None:
    study = search("iris", storage=storage_url, population=4, trials=6, epochs=1, patience=9)
    assert (study.status()["because"], len(study.optuna.trials)) == ("all 6 trials are done", 6)
    study.resume(trials=9)
    assert (study.config.search.trials, study.config.search.generations, len(study.optuna.trials)) == (9, 3, 9)
    with pytest.raises(ConfigError, match="trials must be from 1 to 200000; it is 0"):
        study.resume(trials=0)


@pytest.mark.slow
def test_a_call_has_a_time_limit(storage_url: str) -> None:
    endless = {**SMALL, "generations": 9999, "patience": 9999}
    counts = [0]
    for _ in range(2):
        study = search("iris", storage=storage_url, seconds=0.5, **endless)
        assert study.status()["state"] == "stopped"
        counts.append(len(study.trials))
    study.resume(seconds=0.5)
    counts.append(len(study.trials))
    assert reason_of(study._search) is StopReason.SECONDS and counts == sorted(set(counts))


@pytest.mark.parametrize("seconds", [0, -1.5, float("nan")])
def test_a_time_limit_is_above_zero(study: Study, seconds: float) -> None:
    with pytest.raises(ConfigError, match=f"seconds must be a number greater than 0, and finite; it is {seconds}"):
        study.resume(seconds=seconds)


def test_a_study_is_stopped(study: Study) -> None:
    study.stop()
    assert (study.status()["state"], reason_of(study._search)) == ("stopped", StopReason.REQUESTED)
    study.stop()
    assert repr(study) == "<Study 'iris' over iris: 8 trials, finished>"


def test_documents_are_those_of_the_commands(study: Study, cli_here: Cli) -> None:
    (status,) = json.loads(cli_here("status", "iris", "--json")[1])["studies"]
    assert json.loads(json.dumps(study.status())) == status
    assert json.loads(json.dumps(study.describe())) == json.loads(cli_here("show", "iris", "--json")[1])
    assert json.loads(json.dumps(study.describe(5))) == json.loads(cli_here("show", "iris", "5", "--json")[1])
    assert study.to_latex() == cli_here("pareto", "iris", "--latex", "-")[1]
    with pytest.raises(StudyNotFoundError, match="has no trial 8"):
        study.describe(8)


def test_the_front_is_drawn_as_by_the_command(study: Study, cli_here: Cli, tmp_path: Path) -> None:
    study.save_plot(tmp_path / "by_python.svg", size="column")
    assert cli_here("pareto", "iris", "--plot", "by_command.svg", "--size", "column")[0] == 0
    assert (tmp_path / "by_python.svg").read_text() == (tmp_path / "by_command.svg").read_text()
    with pytest.raises(ConfigError, match="size must be one of column, page, slide; it is 'poster'"):
        study.save_plot(tmp_path / "front.svg", size="poster")
    with pytest.raises(OutputError, match="the name of a plot must end in .png, .pdf, .svg or .html"):
        study.save_plot(tmp_path / "front.gif")


@pytest.mark.slow
def test_a_confirmation_is_made_for_other_workers(study: Study, storage_url: str) -> None:
    for _ in range(2):
        assert study.confirm(top=1, epochs=1, repeats=2, detach=True).empty
    with pytest.raises(ConfigError, match="detach trains nothing but latex shows trained circuits"):
        study.confirm(detach=True, latex="table.tex")
    confirmation = open_study(open_storage(storage_url), "iris.confirm")
    assert isinstance(confirmation, Confirmation)
    Study.load("iris.confirm", storage=storage_url).resume()
    assert len(study.confirm(top=1, detach=True)) == 1


@pytest.mark.slow
def test_a_confirmation_is_reported_as_by_the_command(confirmed_study: Study, storage_url: str, cli_here: Cli) -> None:
    report = Study.load("iris.confirm", storage=storage_url).report()
    assert json.loads(json.dumps(report)) == json.loads(cli_here("confirm", "iris", "--json")[1])
    assert confirmed_study.report()["front"][-1]["trial"] == confirmed_study.pick("best").trial


def test_a_confirmation_is_written_for_latex(confirmed_study: Study, cli_here: Cli, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="directory .*absent does not exist; create it first"):
        confirmed_study.confirm(latex=tmp_path / "absent" / "table.tex")
    confirmed_study.confirm(latex=tmp_path / "by_python.tex")
    assert cli_here("confirm", "iris", "--latex", "by_command.tex")[0] == 0
    assert (tmp_path / "by_python.tex").read_text() == (tmp_path / "by_command.tex").read_text()


def test_a_confirmation_is_plotted_and_written_as_csv(confirmed_study: Study, cli_here: Cli, tmp_path: Path) -> None:
    frame = confirmed_study.confirm(plot=tmp_path / "by_python.svg", size="column")
    files = ("--plot", "by_command.svg", "--size", "column", "--csv", "table.csv")
    code, _, err = cli_here("confirm", "iris", *files)
    assert code == 0 and err.splitlines()[-2:] == ["wrote table.csv", "wrote by_command.svg"]
    assert (tmp_path / "by_python.svg").read_bytes() == (tmp_path / "by_command.svg").read_bytes()
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), frame, check_dtype=False)
    with pytest.raises(ConfigError, match="size must be one of column, page, slide; it is 'poster'"):
        confirmed_study.confirm(plot=tmp_path / "poster.svg", size="poster")


def test_circuits_are_judged_under_noise(confirmed_study: Study, cli_here: Cli, tmp_path: Path) -> None:
    frame = confirmed_study.under_noise("depolarizing:0.01", trials=[5], plot=tmp_path / "noise.svg")
    out = cli_here("confirm", "iris", "--trials", "5", "--noise", "depolarizing:0.01", "--json")[1]
    (circuit,) = json.loads(out)["noise"]["circuits"]
    assert frame["test_accuracy"].tolist() == circuit["test_accuracy"]
    assert frame["strength"].tolist() == json.loads(out)["noise"]["strengths"]
    assert (tmp_path / "noise.svg").exists()
    with pytest.raises(ConfigError, match="unknown noise 'heron'"):
        confirmed_study.under_noise("heron")
    with pytest.raises(ConfigError, match="shots must be from 1 to 10000000; it is 0"):
        confirmed_study.under_noise("depolarizing:0.01", shots=0)


def test_baselines_are_chosen_as_by_the_command(confirmed_study: Study, cli_here: Cli) -> None:
    chosen: dict[str, Any] = {"trials": [5], "epochs": 1, "repeats": 2, "name": "few"}
    frame = confirmed_study.confirm(**chosen, baselines=["logistic", "mlp"])
    assert {"mlp_p", "logistic"} <= {*frame} and not {"linear", "svm"} & {*frame}
    command = ("confirm", "iris", "--trials", "5", "--epochs", "1", "--repeats", "2", "--name", "few")
    assert cli_here(*command, "--baselines", "mlp,logistic", "--csv", "few.csv")[0] == 0
    pd.testing.assert_frame_equal(pd.read_csv("few.csv"), frame, check_dtype=False)
    noisy = confirmed_study.under_noise("depolarizing:0.01", **chosen, baselines="mlp,logistic")
    assert set(noisy["trial"]) == {5}
    with pytest.raises(ConfigError, match="unknown baseline 'forest'; choose from linear"):
        confirmed_study.confirm(baselines="forest")


def test_one_circuit_is_a_table(study: Study, cli_here: Cli) -> None:
    assert study.to_latex("best") == cli_here("pareto", "iris", "--pick", "best", "--latex", "-")[1]


def test_a_study_without_trials_has_no_table(new_search: Any, storage_url: str) -> None:
    new_search()
    with pytest.raises(NoSuccessfulTrialError, match="has no successful trial yet"):
        Study.load("iris", storage=storage_url).to_latex()
