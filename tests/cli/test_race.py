"""The command `race` and the commands that read its study."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.functions import function_of
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.dashboard.pages import study_page
from faqnas_optuna.dashboard.watching import StudyView, StudyWatcher
from faqnas_optuna.data.resplits import Resplits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.reporting.families import Family, Standing, Verdict
from faqnas_optuna.reporting.race_report import family_blocks, guarantee
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.training.bulk import train_repeats
from faqnas_optuna.training.evaluation import train_once
from tests.support.candidates import description_of

CliHere = Callable[..., tuple[int, str, str]]

SPACE = """
[space]
n_qubits = [2, 3]
depth = [1, 2]
topology = ["linear"]
rotation = ["RX", "RZ"]

[training]
epochs = 2
"""
RACE = ("race", "iris", "--config", "small.toml", "--workers", "1")


@pytest.fixture
def small(cli_here: CliHere, tmp_path: Path) -> CliHere:
    """Function that runs a command in a directory with a study file for a small space."""
    (tmp_path / "small.toml").write_text(SPACE)
    return cli_here


def trials_of(name: str = "iris.race") -> list[optuna.trial.FrozenTrial]:
    """Read the trials of a race with plain Optuna."""
    return optuna.load_study(study_name=name, storage="sqlite:///faqnas.db").get_trials()


def values_of(name: str = "iris.race") -> list[object]:
    """Return the values and attributes of all trials of a race."""
    return [(trial.params, trial.values, trial.user_attrs) for trial in trials_of(name)]


def race(small: CliHere, *options: str) -> dict[str, Any]:
    code, out, err = small(*RACE, "--json", *options)
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_its_trials_have_the_mean_scores_of_the_trainings(small: CliHere, iris: DataSplits) -> None:
    document = race(small, "--trainings", "400")
    trials = trials_of()
    assert document["race"]["trainings"] == sum(trial.user_attrs["trainings"] for trial in trials) <= 400
    assert document["generations"] is None
    # The config of the study, by which each score can be repeated.
    config = StudyConfig.model_validate_json(json.dumps(document["provenance"]["settings"]))
    effective = [effective_circuit(Genome.from_params(trial.params).circuit) for trial in trials]
    assert len(set(effective)) == len(trials)
    assert {trial.user_attrs["effective"] for trial in trials} == {circuit.digest for circuit in effective}
    for trial, circuit in zip(trials[::5], effective[::5], strict=True):
        scores = train_repeats(circuit, iris, config, range(trial.user_attrs["trainings"]))
        assert trial.values == [trial.user_attrs["quantum_flops_profiler"], pytest.approx(1 - fmean(scores))]
        assert trial.user_attrs["score_low"] < fmean(scores) < trial.user_attrs["score_high"]
    # Sorted by cost, and the front rises.
    costs = [trial.values[0] for trial in trials]
    assert costs == sorted(costs)
    front = [trial for trial in trials if trial.user_attrs["on_front"]]
    assert [entry["trial"] for entry in document["front"]] == [trial.number for trial in front]
    errors = [trial.values[1] for trial in front]
    assert errors == sorted(errors, reverse=True)


def test_each_training_has_a_new_split_on_request(small: CliHere, iris: DataSplits) -> None:
    document = race(small, "--trainings", "400", "--resplit")
    assert document["race"]["resplit"] is True
    assert "over random seeds and random splits of the samples outside the test part" in document["guarantee"]
    config = StudyConfig.model_validate_json(json.dumps(document["provenance"]["settings"]))
    resplits = Resplits(iris, seed=0)
    for trial in trials_of()[::5]:
        circuit = effective_circuit(Genome.from_params(trial.params).circuit)
        repeats = range(trial.user_attrs["trainings"])
        scores = [train_once(circuit, resplits(repeat), config, repeat=repeat).validation.accuracy for repeat in repeats]
        assert trial.values[1] == pytest.approx(1 - fmean(scores))
    before = values_of()
    # An existing race keeps its splits, also with another number of workers; a race on one split is another one.
    assert small("race", "--study", "iris.race", "--workers", "2", "--within", "0.4")[0] == 0
    assert race(small, "--trainings", "400", "--resplit", "--within", "0.4", "--study", "again")["race"]["resplit"]
    assert values_of() == values_of("again") != before
    race(small, "--trainings", "400", "--study", "fixed")
    code, _, err = small(*RACE, "--study", "fixed", "--resplit")
    assert code == 3 and "race 'fixed' exists with other settings: resplit: stored False, requested True; leave them out" in err


def test_the_result_does_not_depend_on_the_number_of_workers(small: CliHere) -> None:
    race(small, "--trainings", "500", "--study", "one")
    race(small, "--trainings", "500", "--study", "two", "--workers", "2")
    assert values_of("one") == values_of("two")


def test_a_race_is_continued_until_its_front_is_certified(small: CliHere) -> None:
    first = race(small, "--trainings", "400")
    assert first["race"]["is_complete"] and first["race"]["within"] is None and first["race"]["epsilon"] > 0.2
    code, _, err = small(*RACE, "--trainings", "500")
    assert code == 3 and "trainings: stored 400, requested 500; leave them out to use the stored ones" in err
    certified = race(small, "--within", "0.2")
    assert certified["race"]["epsilon"] <= 0.2 < certified["race"]["trainings"] > first["race"]["trainings"]
    assert "more than 0.2 above that of the circuit on the front" in certified["guarantee"]
    trials = trials_of()
    lower = np.maximum.accumulate([trial.user_attrs["certain"] for trial in trials])
    possible = np.array([trial.user_attrs["possible"] for trial in trials])
    assert (possible <= lower + 0.2 + 1e-9).all()
    # A result that satisfies the request is shown again; a race from the beginning has the same one.
    assert race(small, "--within", "0.3")["front"] == certified["front"]
    again = race(small, "--trainings", "400", "--within", "0.2", "--study", "again")
    assert again["front"] == certified["front"] and values_of("again") == values_of()


def test_a_race_continues_with_its_stored_settings(small: CliHere) -> None:
    race(small, "--sample", "12", "--trainings", "120")
    code, out, err = small("race", "--study", "iris.race", "--within", "0.3", "--workers", "1", "--json")
    assert code == 0, err
    assert json.loads(out)["race"]["epsilon"] <= 0.3 and "no circuit of 12 drawn at random" in json.loads(out)["guarantee"]
    assert len(trials_of()) == 12
    code, _, err = small("race", "--study", "iris.race", "--epochs", "3")
    assert code == 2 and "a race continues with its stored settings; leave out --epochs" in err
    code, _, err = small("race", "--study", "absent")
    assert code == 2 and "there is no race 'absent' to continue; to start one, name its data set" in err


def test_a_race_of_every_effective_circuit_keeps_its_circuits(small: CliHere, monkeypatch: pytest.MonkeyPatch) -> None:
    race(small, "--trainings", "200", "--study", "functions")
    functions = [function_of(Genome.from_params(trial.params).circuit) for trial in trials_of("functions")]
    assert len(set(functions)) == len(functions)
    # As earlier versions did.
    with monkeypatch.context() as patch:
        patch.setattr("faqnas_optuna.api.race_service.function_of", effective_circuit)
        race(small, "--trainings", "200")
    before = [trial.user_attrs["effective"] for trial in trials_of()]
    assert len(before) > len(functions)
    assert race(small, "--within", "0.4")["race"]["epsilon"] <= 0.4
    assert [trial.user_attrs["effective"] for trial in trials_of()] == before


def test_the_seconds_set_the_budget(small: CliHere) -> None:
    summary = race(small, "--seconds", "1")["race"]
    assert summary["budget"] >= len(trials_of())
    # The stored budget is the default from then on.
    assert race(small)["race"]["budget"] == summary["budget"]


def test_a_sample_is_raced(small: CliHere) -> None:
    document = race(small, "--sample", "12", "--trainings", "60")
    assert len(trials_of()) == 12
    assert "no circuit of 12 drawn at random from the space has" in document["guarantee"]
    # The sample is stored: a race without --sample continues it, and another sample is another race.
    assert len(race(small)["front"]) == len(document["front"])
    code, _, err = small(*RACE, "--sample", "13")
    assert code == 3 and "sample: stored 12, requested 13" in err
    code, _, err = small(*RACE, "--sample", "5000", "--study", "large")
    assert code == 2 and "--sample 5000 is too close to the number of circuits to draw from" in err


def test_the_circuits_of_a_search_are_raced(small: CliHere) -> None:
    assert small("start", "iris", "--config", "small.toml", "--population", "6", "--generations", "2", "--no-check")[0] == 0
    document = race(small, "--among", "iris", "--trainings", "200")
    raced = [function_of(Genome.from_params(trial.params).circuit) for trial in trials_of()]
    searched = {function_of(Genome.from_params(trial.params).circuit) for trial in trials_of("iris")}
    assert set(raced) == searched and len(raced) == len(searched)
    assert "no circuit of study 'iris' has" in document["guarantee"]
    code, _, err = small("race", "iris", "--among", "iris", "--study", "other")
    assert code == 3 and "study 'iris' has another space; give the race the same with --config" in err
    code, _, err = small(*RACE, "--among", "iris", "--sample", "3")
    assert code == 2 and "leave one of them out" in err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--trainings", "3"), 2, "at least once, but the budget is 3 trainings; raise --trainings or --seconds"),
        (("--trainings", "500", "--seconds", "1"), 2, "--trainings and --seconds both set the budget of the first stage"),
        (("--within", "0"), 2, "0.0 is not in the range 0<x<=1"),
        (("--study", "not valid"), 2, "a study's name has 1 to 100 letters"),
    ],
)
def test_wrong_options_are_refused(small: CliHere, tmp_path: Path, options: tuple[str, ...], code: int, message: str) -> None:
    returned, _, err = small(*RACE, *options)
    assert returned == code and message in err, err
    assert not (tmp_path / "faqnas.db").exists()


def test_repeats_are_refused(small: CliHere, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SPACE + "repeats = 3\n")
    code, _, err = small(*RACE)
    assert code == 2 and "leave out training.repeats" in err


def test_spaces_that_are_too_large_are_refused(small: CliHere, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text("[space]\ndepth = [8]\n")
    code, _, err = small(*RACE)
    assert code == 2 and "a race trains every circuit, at most 50,000; this space has" in err and "--sample N" in err


def test_other_commands_work_on_a_race(small: CliHere, tmp_path: Path) -> None:
    race(small, "--trainings", "400")
    code, out, _ = small("status")
    assert code == 0 and "iris.race" in out and "None" not in out and "finished" in out
    code, out, _ = small("pareto", "iris.race")
    assert code == 0 and "simultaneous 95 % CI" in out and "trainings" in out
    best = json.loads(small("pareto", "iris.race", "--pick", "best", "--json")[1])["front"][0]
    assert best["score_interval"][0] < best["val_accuracy"] < best["score_interval"][1]
    code, out, _ = small("show", "iris.race", "best")
    assert code == 0 and "simultaneous 95 % CI" in out and "None" not in out
    for file in ("front.png", "front.html", "front.tex", "front.csv"):
        option = {".tex": "--latex", ".csv": "--csv"}.get(Path(file).suffix, "--plot")
        assert small("pareto", "iris.race", option, file)[0] == 0
        assert (tmp_path / file).stat().st_size > 100
    code, _, err = small("confirm", "iris.race", "--top", "1", "--epochs", "1", "--repeats", "1")
    assert code == 0, err
    code, _, err = small("export", "iris.race", "best", "--out", "model")
    assert code == 0, err


def test_bounds_are_rounded_outwards() -> None:
    verdict = Verdict(standing=Standing.OPEN, lowest_cost=1, highest_cost=2, at_least=-0.0101, at_most=0.0501)
    family = Family(name="2", circuits=3, at_least=0, at_least_cost=1, at_most=0.1, verdicts=(verdict,), stairs=())
    summary = RaceSummary(budget=9, within=0.01044, level=0.95, epsilon=0.0104)
    study = replace(description_of(StudyConfig(dataset="iris")), race=summary)
    assert "-0.011 to +0.051" in str(list(family_blocks([family], study)))
    assert "more than 0.01044 above" in guarantee(study)
    assert replace(summary, within=None).bound == pytest.approx(0.011)


def test_families_are_compared(small: CliHere) -> None:
    document = race(small, "--trainings", "400", "--by", "entangled")
    assert [family["name"] for family in document["families"]] == ["entangled", "not entangled"]
    assert sum(family["circuits"] for family in document["families"]) == len(trials_of())
    code, out, _ = small("pareto", "iris.race", "--by", "n_qubits")
    assert code == 0 and "the family is" in out and "All bounds hold at once" in out
    for file in ("families.svg", "families.html"):
        assert small("pareto", "iris.race", "--by", "entangled", "--plot", file)[0] == 0
        assert "not entangled" in Path(file).read_text()
    assert small("start", "iris", "--detach")[0] == 0
    assert small("worker", "iris", "--quiet")[0] == 0
    code, _, err = small("pareto", "iris", "--by", "depth")
    assert code == 2 and "but the study is a search; leave it out" in err


def test_a_page_shows_the_latest_result(small: CliHere) -> None:
    race(small, "--trainings", "400")
    watcher = StudyWatcher(open_storage("sqlite:///faqnas.db"))
    first = watcher.study("iris.race")
    assert isinstance(first, StudyView)
    page = study_page(first, path="/study/iris.race")
    assert "certified within" in page and "With 95 % confidence, no circuit of the space" in page
    assert "generations" not in page and "hypervolume" not in first.figures
    race(small, "--within", "0.2")
    second = watcher.study("iris.race")
    assert isinstance(second, StudyView)
    assert second.status["race"]["epsilon"] <= 0.2 < first.status["race"]["epsilon"]
    candidates = {candidate.trial: candidate for candidate in second.front}
    for trial in trials_of():
        if trial.user_attrs["on_front"]:
            assert candidates.pop(trial.number).val_error == trial.values[1]
    assert not candidates


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (("start", "iris", "--study", "iris.race"), 3, "study 'iris.race' is a race, not a search"),
        (
            ("resume", "iris.race"),
            2,
            "workers cannot continue; continue it with: faqnas-optuna race --study iris.race",
        ),
    ],
)
def test_commands_for_searches_refuse_a_race(small: CliHere, command: tuple[str, ...], code: int, message: str) -> None:
    race(small, "--trainings", "100")
    returned, _, err = small(*command)
    assert returned == code and message in err, err


def test_a_race_refuses_a_search(small: CliHere) -> None:
    assert small("start", "iris", "--detach", "--study", "iris.race")[0] == 0
    code, _, err = small(*RACE)
    assert code == 3 and "study 'iris.race' is not a race; choose another name with --study" in err


def test_results_of_another_race_are_not_mixed_in(small: CliHere, tmp_path: Path) -> None:
    race(small, "--trainings", "100")
    (tmp_path / "faqnas.db").unlink()
    code, _, err = small(*RACE, "--epochs", "3")
    assert code == 3 and "iris.race.parts belongs to another race: training.epochs: stored 2, requested 3" in err
