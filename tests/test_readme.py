"""The README is true: its commands run, its tables are what the program says."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faqnas_optuna.cli.program import cli
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.named import DATASETS
from tests.conftest import TIMEOUT_S, cli_environment

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ ").partition("   # ")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
OURS = [shlex.split(command)[1:] for command in COMMANDS if command.startswith("faqnas-optuna ")]
TINY = {"FAQNAS_POPULATION": "4", "FAQNAS_GENERATIONS": "2", "FAQNAS_EPOCHS": "1", "FAQNAS_BATCH_SIZE": "1000"}
"""What makes the searches of the README short; the commands stay as they are."""


def test_every_command_stands_in_the_readme() -> None:
    for name in cli.commands:
        assert f"faqnas-optuna {name}" in README


def test_the_commands_run_as_they_stand(
    cli_here: Callable[..., tuple[int, str, str]],
    start_cli: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    assert len(OURS) >= 12
    for arguments in OURS:
        if arguments[0] == "dashboard":
            process = start_cli(*arguments[:-1], "0")
            assert process.stderr is not None
            assert "optuna-dashboard is at http://127.0.0.1:" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            continue
        code, _, err = cli_here(*arguments)
        assert code == 0, f"{arguments}: {err}"
    assert {"front.csv", "front.html", "front.png", "faqnas.db"} <= {path.name for path in tmp_path.iterdir()}


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    finished = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    accuracy, profiler, analytic = finished.stdout.split()
    assert 0 <= float(accuracy) <= 1
    assert int(profiler) > int(analytic) > 0


@pytest.mark.parametrize("target", ["start", "test"])
def test_the_make_targets_exist(target: str) -> None:
    assert f"make {target}" in COMMANDS
    planned = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert {"start": "faqnas-optuna start --dataset wine", "test": "-m pytest"}[target] in planned.stdout


def test_the_data_sets_are_those_of_the_program() -> None:
    for info in DATASETS.values():
        assert re.search(rf"^{info.name} +{info.samples:,} +{info.features} +{info.classes}  {info.source}$", README, re.M)


def test_the_defaults_are_those_of_the_program() -> None:
    config = StudyConfig(dataset="wine")
    training, search = config.training, config.search
    assert f"| {training.epochs}, {training.learning_rate}, {training.batch_size} | paper |" in README
    assert f"| crossover, mutation | {search.crossover}, {search.mutation} | paper |" in README
    assert f"| generations, patience | {search.generations}, {search.patience} | paper |" in README
    assert f"| FLOPs counter | `{config.flops}` | paper |" in README
    assert f"| population | {search.population} | ours" in README
