import tomllib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faqnas_optuna.config import DataConfig, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.confirmation.plan import BASELINES
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.page.commands import limits_of_runs, reproducing_commands, reproduction_note, study_file
from faqnas_optuna.study.description import SourceKind, WarmStart
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import Resumption, Stop, StopReason
from tests.conftest import cheap_values, run_trials
from tests.support.sampling import drawn_circuits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(target=TEXTS, drop=st.lists(TEXTS, max_size=3), rate=st.floats(1e-12, 10))
def test_a_study_file_has_all_settings(target: str, drop: list[str], rate: float) -> None:
    """Check that TOML restores any text and number, among them DEL and characters beyond 16 bits."""
    config = StudyConfig(
        dataset="ä \U0001f600.csv",
        device=DEVICES["eagle"],
        data=DataConfig(target=target, drop=tuple(drop)),
        training=TrainingConfig(learning_rate=rate),
    )
    assert StudyConfig.from_settings(tomllib.loads(study_file(config)), source="file") == config


def test_a_study_file_of_the_defaults_names_them() -> None:
    assert tomllib.loads(study_file(StudyConfig(dataset="wine")))["search"]["population"] == 20


def resumption(reason: StopReason | None, *, generation: int, limit: int) -> Resumption:
    stop = None if reason is None else Stop(reason=reason, at="2026-01-01T00:00:00+00:00", by="ada")
    return Resumption(generation=generation, trial=0, limit=limit, at="2026-01-01T00:00:00+00:00", by="ada", stop=stop)


@pytest.mark.parametrize(
    ("resumptions", "limits"),
    [
        ([], [12]),
        # The first limit was reached.
        ([resumption(StopReason.GENERATIONS, generation=8, limit=12)], [8, 12]),
        # The first limit is unknown, and did not matter.
        ([resumption(StopReason.STAGNATION, generation=5, limit=12)], [12, 12]),
        # A repetition is not interrupted.
        ([resumption(StopReason.REQUESTED, generation=3, limit=12), resumption(None, generation=4, limit=12)], [12]),
        (
            [
                resumption(StopReason.GENERATIONS, generation=4, limit=8),
                resumption(StopReason.GENERATIONS, generation=8, limit=12),
            ],
            [4, 8, 12],
        ),
    ],
)
def test_each_resumption_has_its_limit(resumptions: list[Resumption], limits: list[int]) -> None:
    runs = limits_of_runs(SearchConfig(generations=12), resumptions)
    assert [run.generations for run in runs] == limits and {run.trials for run in runs} == {None}


def test_each_resumption_has_its_limit_of_trials() -> None:
    """Repeat a search of 30 trials that was resumed for 50, ran out of time twice on the way, and was resumed for 70."""
    out_of_time = resumption(StopReason.SECONDS, generation=1, limit=3)
    first, second = (replace(resumption(StopReason.TRIALS, generation=1, limit=4), successful=count) for count in (30, 50))
    runs = limits_of_runs(SearchConfig(trials=70), [out_of_time, first, out_of_time, second])
    assert [(run.generations, run.trials) for run in runs] == [(4, 30), (4, 50), (4, 70)]


def test_the_commands_of_a_race_have_its_budget(new_search: Callable[..., Search]) -> None:
    search = new_search(name="iris.race")
    race = RaceSummary(budget=500, within=0.05, level=0.95, sample=40, resplit=True)
    raced = replace(search, description=replace(search.description, race=race))
    assert reproducing_commands(raced, "knee", None) == [
        "faqnas-optuna race --config iris.race.toml --study iris.race --trainings 500 --within 0.05 --sample 40 --resplit",
        "faqnas-optuna report iris.race --pick knee --out report.html",
    ]


def test_samples_in_memory_need_a_program(new_search: Callable[..., Search]) -> None:
    search = new_search(name="moons")
    config = search.config.model_copy(update={"dataset": "samples"})
    held = replace(search, description=replace(search.description, config=config))
    assert reproducing_commands(held, "knee", None) == ["search(x, y, config='moons.toml', study='moons')  # Python"]


def test_a_search_from_known_circuits_names_their_source(new_search: Callable[..., Search]) -> None:
    search = new_search(name="again")
    warm_start = WarmStart(
        kind=SourceKind.FILE, name="my front.csv", identity="0", circuits=6, left_out=0, trained_because="it is a file"
    )
    again = replace(search, description=replace(search.description, warm_start=warm_start))
    command, _ = reproducing_commands(again, "knee", None)
    assert command == "faqnas-optuna start --config again.toml --study again --from 'my front.csv'"
    assert reproduction_note(again).startswith(
        "These commands need the study file again.toml, which is among the downloads, and file my front.csv. "
    )
    config = search.config.model_copy(update={"dataset": "samples"})
    held = replace(again, description=replace(again.description, config=config))
    call, *_ = reproducing_commands(held, "knee", None)
    assert call == "search(x, y, config='again.toml', study='again', start_from='my front.csv')  # Python"


def test_queued_circuits_are_said_to_be_missing(new_search: Callable[..., Search]) -> None:
    search = new_search()
    assert "Study.enqueue" not in reproduction_note(search)
    for circuit in drawn_circuits(2, seed=0):
        search.enqueue(circuit)
    run_trials(search, 4, cheap_values)
    assert "among the downloads. They do not queue the circuits that a program added with Study.enqueue (2). One worker" in (
        reproduction_note(search)
    )


@pytest.mark.parametrize(
    ("chosen", "option"), [(["mlp", "logistic"], " --baselines mlp,logistic"), ([], " --baselines none"), ([*BASELINES], "")]
)
def test_the_confirmation_has_its_baselines(new_search: Callable[..., Search], chosen: list[str], option: str) -> None:
    search = new_search(name="small")
    confirmation = {"circuits": [{"trial": 3}, {"trial": 1}], "epochs": 5, "repeats": 2, "baselines_chosen": chosen}
    commands = reproducing_commands(search, "knee", confirmation)
    assert commands[-2] == f"faqnas-optuna confirm small --trials 3,1 --epochs 5 --repeats 2{option}"
