"""Races from Python, compared with the command."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from faqnas_optuna import DataWarning, Study, race, search
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from tests.conftest import TIMEOUT_S, cli_environment

CliHere = Callable[..., tuple[int, str, str]]
SPACE = {"n_qubits": [2, 3], "depth": [1], "topology": ["linear"], "rotation": ["RX", "RZ"]}
SMALL: dict[str, Any] = {"space": SPACE, "epochs": 2, "workers": 1}


def values_of(study: Study) -> list[object]:
    """Return the values and attributes of all trials of a race."""
    return [(trial.params, trial.values, trial.user_attrs) for trial in study.optuna.get_trials()]


def test_a_race_is_that_of_the_command(cli_here: CliHere, tmp_path: Path) -> None:
    by_function = race("iris", trainings=200, within=0.3, **SMALL)
    assert by_function.name == "iris.race" and by_function.report()["race"]["epsilon"] <= 0.3
    lines = ["[space]", *(f"{name} = {json.dumps(choices)}" for name, choices in SPACE.items()), "[training]", "epochs = 2"]
    (tmp_path / "small.toml").write_text("\n".join(lines))
    options = ("--trainings", "200", "--within", "0.3", "--workers", "1", "--study", "command")
    code, out, err = cli_here("race", "iris", "--config", "small.toml", *options, "--json")
    assert code == 0, err
    assert values_of(Study.load("command")) == values_of(by_function)
    # JSON has lists where Python has tuples.
    assert json.loads(out)["front"] == json.loads(json.dumps(by_function.report()["front"]))
    # The command continues the race of the function, and the other way round.
    code, _, err = cli_here("race", "--study", "iris.race", "--within", "0.2", "--workers", "1")
    assert code == 0, err
    assert race(study="command", within=0.2, workers=1).report()["front"] == by_function.report()["front"]


def test_a_search_is_followed_by_a_race_of_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = search("iris", space=SPACE, epochs=2, population=4, generations=1, repeats=2)
    raced = study.race(trainings=200, workers=1)
    assert raced.name == "iris.race" and raced.config.space == study.config.space
    assert values_of(raced) == values_of(race("iris", study="other", trainings=200, **SMALL))
    # A race continues under its name.
    assert raced.race(within=0.3, workers=1).report()["race"]["epsilon"] <= 0.3
    own = study.race(name="own", trainings=100, among=True, workers=1)
    assert set(own.trials["circuit"]) == set(study.trials["circuit"])
    with pytest.raises(ConfigError, match="study 'own' is a race, which continues under its name; leave out name"):
        own.race(name="other")
    with pytest.raises(ConfigError, match="study 'own' is a race, which keeps its circuits; leave out among"):
        own.race(among=True)


def test_a_race_has_the_data_of_its_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = load_iris(as_frame=True).frame
    frame.to_csv("own.csv", index=False)
    settings: dict[str, Any] = {"space": SPACE, "epochs": 1, "population": 2, "generations": 1, "check": False}
    study = search("own.csv", target="target", **settings)
    raced = Study.load("own").race(trainings=100, workers=1)
    assert raced.report()["provenance"]["data_fingerprint"] == study.report()["provenance"]["data_fingerprint"]
    # The path of the file is stored with the race.
    assert Study.load(raced.name).race(within=0.6, workers=1).report()["race"]["epsilon"] <= 0.6
    frame.iloc[::-1].assign(target=2 - frame["target"]).to_csv("own.csv", index=False)
    with pytest.raises(StudyMismatchError):
        study.race(name="other", trainings=100, workers=1)


def test_a_race_without_several_families_has_no_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raced = race("iris", trainings=100, **SMALL)
    with pytest.raises(ConfigError, match="all circuits of race 'iris.race' have the same depth; compare them by another"):
        raced.families("depth")


def test_samples_in_memory_are_raced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    x = random.normal(size=(80, 2)) + y[:, np.newaxis]
    with pytest.warns(DataWarning, match="samples"):
        raced = race(x, y, trainings=200, resplit=True, **SMALL | {"workers": 2})
    assert raced.name == "samples.race"
    assert raced.report()["race"]["resplit"] and raced.front["val_accuracy"].between(0.3, 0.9).all()
    # The same samples continue the race.
    assert race(x, y, within=0.5, check=False, **SMALL).report()["race"]["epsilon"] <= 0.5


def test_verdicts_on_families_are_a_data_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raced = race("iris", trainings=200, within=0.3, **SMALL)
    frame = raced.families("n_qubits")
    assert frame["family"].unique().tolist() == ["2", "3"]
    assert (frame["at_least"] <= frame["at_most"]).all() and (frame["lowest_cost"] <= frame["highest_cost"]).all()
    raced.save_plot("families.svg", by="n_qubits")
    assert "bands: best circuit of each family (95 % confidence)" in Path("families.svg").read_text()
    with pytest.raises(ConfigError, match="by must be one of entangled, embedding, entangler, depth, n_qubits; it is 'colour'"):
        raced.families("colour")
    found = search("iris", space=SPACE, epochs=1, population=2, generations=1)
    with pytest.raises(ConfigError, match="the study is a search"):
        found.families()
    found.confirm(top=1, epochs=1, repeats=1)
    with pytest.raises(ConfigError, match="has no front: it confirms circuits of .iris."):
        Study.load(f"{found.name}.confirm").race()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trainings": 0}, "trainings must be at least 1; it is 0"),
        ({"seconds": 0}, "seconds must be a number greater than 0, and finite; it is 0"),
        ({"seconds": float("nan")}, "seconds must be a number greater than 0, and finite; it is nan"),
        ({"trainings": float("nan")}, "trainings must be a whole number; it is nan"),
        ({"trainings": 100.5}, "trainings must be a whole number; it is 100.5"),
        ({"within": 1.5}, "within must be a number greater than 0, and at most 1; it is 1.5"),
        ({"within": "0.1"}, "within must be a number greater than 0, and at most 1; it is '0.1'"),
        ({"sample": 1}, "sample must be at least 2; it is 1"),
        ({"trainings": 500, "seconds": 1}, "trainings and seconds both set the budget of the first stage"),
        ({"sample": 5, "among": "iris"}, "sample and among both choose the circuits of the race"),
        ({"repeats": 3}, "a race decides itself how often it trains each circuit; leave out repeats"),
        ({"population": 3.5}, "population"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        race("iris", **SMALL | arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_race_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    race("iris", trainings=100, **SMALL)
    with pytest.raises(StudyMismatchError, match="resplit: stored False, requested True"):
        race("iris", resplit=True, **SMALL)
    with pytest.raises(ConfigError, match="without data a race continues with its stored settings; leave out epochs"):
        race(study="iris.race", epochs=3)
    with pytest.raises(StudyMismatchError, match=r"training.epochs: stored 2, requested 3"):
        race("iris", **SMALL | {"epochs": 3})


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"from faqnas_optuna import race\n"
        f"print('begin')\n"
        f"raced = race('iris', trainings=200, space={SPACE}, epochs=2, workers=2)\n"
        f"print(len(raced.trials))\n"
    )
    finished = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "") and finished.stdout.split() == ["begin", "15"]
