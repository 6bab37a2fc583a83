"""The pilot that measures the reliability of trainings, and `--repeats auto`."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.search import load
from faqnas_optuna.training import pilot
from faqnas_optuna.training.evaluation import train_from
from faqnas_optuna.training.pilot import measure_reliability
from tests.conftest import TIMEOUT_S
from tests.support.crew import SOON_S, wait_until

Cli = Callable[..., tuple[int, str, str]]
TINY = ("start", "iris", "--population", "2", "--generations", "1", "--epochs", "1")
MEASURING = "measuring the reliability of a training: 24 random circuits, 4 trainings of each"


def test_a_study_measures_what_its_trainings_are_worth(cli_here: Cli, iris: DataSplits) -> None:
    code, out, err = cli_here(*TINY, "--json")
    assert code == 0
    assert err.splitlines()[0] == MEASURING
    config = StudyConfig(dataset="iris", search=SearchConfig(population=2, generations=1), training=TrainingConfig(epochs=1))
    reliability = measure_reliability(iris, config, limit_s=None)
    assert reliability is not None
    provenance = json.loads(out)["provenance"]
    assert provenance["reliability"] == asdict(reliability)
    assert provenance["settings"]["training"]["repeats"] == 1
    # Continuing or showing the study does not measure again.
    code, out, err = cli_here(*TINY, "--json")
    assert (code, json.loads(out)["provenance"], err) == (0, provenance, "")


@pytest.mark.parametrize("by_file", [False, True], ids=["option", "file"])
def test_auto_repeats_are_a_number_from_then_on(cli_here: Cli, storage_url: str, tmp_path: Path, by_file: bool) -> None:
    (tmp_path / "study.toml").write_text('[training]\nrepeats = "auto"\n')
    auto = ("--config", "study.toml") if by_file else ("--repeats", "auto")
    code, out, err = cli_here(*TINY, *auto, "--json")
    assert code == 0
    document = json.loads(out)
    stored, reliability = document["provenance"]["settings"]["training"]["repeats"], document["provenance"]["reliability"]
    one = reliability["value"]
    # Spearman-Brown: the smallest number of repeats, at most 50, with a reliability of 0.8.
    of_mean = {repeats: repeats * one / (1 + (repeats - 1) * one) for repeats in range(1, 51)}
    assert stored == next((repeats for repeats, value in of_mean.items() if value >= 0.8 - 1e-9), 50) > 1
    message = f"--repeats auto: {stored} repeats, which give a reliability of {of_mean[stored]:.2f}; one training has {one:.2f}"
    assert err.splitlines()[:2] == [MEASURING, message]
    assert load(open_storage(storage_url), "iris").config.training.repeats == stored
    assert json.loads(cli_here("pareto", "iris", "--json")[1])["provenance"] == document["provenance"]
    for again in (auto, ("--repeats", str(stored))):
        code, out, err = cli_here(*TINY, *again, "--json")
        assert (code, json.loads(out)["provenance"], err) == (0, document["provenance"], "")
    # The command line overrides the file.
    code, out, err = cli_here(*TINY, *auto, "--repeats", "3")
    assert (code, out) == (3, "")
    assert f"training.repeats: stored {stored}, requested 3" in err
    code, _, err = cli_here(*TINY, *auto, "--epochs", "2")
    assert code == 3
    assert "training.epochs: stored 1, requested 2; use the stored ones" in err


def test_other_words_for_repeats_are_refused(cli_here: Cli, tmp_path: Path) -> None:
    for wrong in ("x", "0", "AUTO"):
        code, out, err = cli_here(*TINY, "--repeats", wrong)
        assert (code, out) == (2, "")
        assert re.search(rf"--repeats.*: it must be a number from 1 to 1000, or auto; it is '{wrong}'\.", err)
    (tmp_path / "study.toml").write_text('[training]\nrepeats = "many"\n')
    code, _, err = cli_here(*TINY, "--config", "study.toml")
    assert code == 2
    assert "study.toml: training.repeats: must be a whole number (it is 'many')" in err


def test_where_nothing_is_told_apart_auto_repeats_are_refused(cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "MIN_CIRCUITS", pilot.CIRCUITS + 1)
    code, out, err = cli_here(*TINY, "--repeats", "auto")
    assert (code, out) == (2, "")
    assert "--repeats auto needs random circuits with different scores" in err.splitlines()[-1]
    assert "no studies yet" in cli_here("status")[1]
    # An explicit number of repeats does not depend on the pilot.
    code, out, _ = cli_here(*TINY, "--json")
    assert (code, json.loads(out)["provenance"]["reliability"]) == (0, None)


@pytest.mark.parametrize("repeats", ["1", "auto"])
def test_ctrl_c_while_it_is_measured_makes_no_study(cli_here: Cli, monkeypatch: pytest.MonkeyPatch, repeats: str) -> None:
    trained = []

    def interrupted(*arguments: object) -> object:
        trained.append(arguments)
        if len(trained) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return train_from(*arguments)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(pilot, "train_from", interrupted)
    code, out, err = cli_here(*TINY, "--repeats", repeats)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted; study iris was not created"
    assert len(trained) == 3
    assert "no studies yet" in cli_here("status")[1]


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_that_measure(start_cli: Callable[..., subprocess.Popen[str]], storage_url: str) -> None:
    """Send SIGINT to every process, as a terminal does."""
    # The pilot has no time limit here and would train for minutes.
    process = start_cli("start", "iris", "--repeats", "auto", "--epochs", "20000", "--batch-size", "1", "--workers", "2")

    def at_work() -> list[psutil.Process]:
        assert process.poll() is None, process.communicate()
        children: list[psutil.Process] = psutil.Process(process.pid).children()
        return [child for child in children if child.cpu_times().user > 0.2]

    # Counting FLOPs, if they are not cached, takes one child; two children are the trainings.
    wait_until(lambda: len(at_work()) == 2, SOON_S, "two processes train")
    children = at_work()
    for target in (*children, process):
        target.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[0] == MEASURING and err.splitlines()[-1] == "interrupted; study iris was not created"
    assert "Traceback" not in err
    assert not any(child.is_running() for child in children)
    assert list(our_studies(open_storage(storage_url))) == []
