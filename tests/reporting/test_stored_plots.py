import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from faqnas_optuna.config import ErrorEstimate, SearchConfig
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting import stored_plots
from faqnas_optuna.reporting.plotly_front import pareto_figure
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy
from tests.conftest import RunCli, cheap_values, reason_of, run_trials, small_config


def plots_of(study: StoredStudy[Any]) -> dict[str, Any]:
    attributes = study.study._storage.get_study_system_attrs(study.study._study_id)
    return {name: json.loads(text) for name, text in get_plotly_graph_objects(attributes).items()}


def closed(search: Search) -> Search:
    """Close the generations of a search, and store its plots."""
    state = read_state(search)
    search.advance(state)
    store_plots(search, lambda: state)
    return search


def test_the_stored_plots_are_those_of_the_dashboard(search_of_eight: Search) -> None:
    plots = plots_of(closed(search_of_eight))
    assert plots.keys() == {"faqnas-front", "faqnas-hypervolume"}
    front, hypervolume = plots.values() if "front" in next(iter(plots)) else reversed(plots.values())
    drawn = json.loads(pareto_figure(read_state(search_of_eight)).to_json())
    assert [trace["x"] for trace in front["data"]] == [trace["x"] for trace in drawn["data"]]
    assert [trace["y"] for trace in front["data"]] == [trace["y"] for trace in drawn["data"]]
    assert front["layout"]["xaxis"] == {"type": "log", "title": {"text": "quantum FLOPs (forward pass of one sample)"}}
    assert front["layout"]["title"] == {"text": "Front after 8 trials"}
    generations = search_of_eight.metadata.closed_generations()
    assert hypervolume["data"][0]["x"] == [1, 2]
    assert hypervolume["data"][0]["y"] == [generation.hypervolume for generation in generations]


def test_plots_are_stored_once_for_each_state(search_of_eight: Search) -> None:
    closed(search_of_eight)
    # Nothing was closed since, so the state is not even read.
    store_plots(search_of_eight, lambda: pytest.fail("read the state"))
    assert search_of_eight.metadata.plotted_extent() == 8


def test_the_last_plots_have_the_trials_of_an_incomplete_generation(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, trials=6)))
    for count in (4, 2):
        run_trials(search, count, cheap_values)
        plots = plots_of(closed(search))
    assert reason_of(search) is StopReason.TRIALS
    assert plots["faqnas-front"]["layout"]["title"] == {"text": "Front after 6 trials"}
    assert plots["faqnas-hypervolume"]["data"][0]["x"] == [1]
    drawn = {x for trace in plots["faqnas-front"]["data"] for x in trace["x"]}
    assert drawn == {candidate.cost for candidate in read_state(search).candidates}


def test_a_long_search_keeps_its_plots_small(new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_plots, "MAX_DOMINATED", 3)
    monkeypatch.setattr(stored_plots, "MAX_GENERATIONS", 3)
    search = new_search(small_config(search=SearchConfig(population=4, generations=7, patience=9)))
    run_trials(search, 28, cheap_values)
    plots = plots_of(closed(search))
    dominated, front = plots["faqnas-front"]["data"]
    state = read_state(search)
    others = len(state.by_circuit) - len(state.front)
    assert others > 3 and (len(dominated["x"]), dominated["name"]) == (3, f"dominated circuits (3 of {others})")
    assert len(front["x"]) == len(state.front)
    # Every third generation, counted from the last.
    assert plots["faqnas-hypervolume"]["data"][0]["x"] == [1, 4, 7]


def test_a_pooled_front_is_stored_with_pooled_errors(new_search: Callable[..., Search]) -> None:
    limits = SearchConfig(population=4, generations=3, front=ErrorEstimate.POOLED)
    search = new_search(small_config(search=limits))
    run_trials(search, 12, cheap_values)
    *_, front = plots_of(closed(search))["faqnas-front"]["data"]
    assert front["y"] == [candidate.val_error for candidate in read_state(search).front]


def test_a_confirmation_has_no_plots(confirmed: Confirmation) -> None:
    store_plots(confirmed, lambda: pytest.fail("read the state"))
    assert plots_of(confirmed) == {}


@pytest.mark.slow
def test_a_race_stores_its_front_and_band(run_forked: RunCli, storage_url: str) -> None:
    command = ("race", "iris", "--sample", "30", "--trainings", "200", "--epochs", "1", "--study", "r")
    assert run_forked(*command).returncode == 0
    race = open_study(open_storage(storage_url), "r")
    state = read_state(race)
    plot = plots_of(race)["faqnas-front"]
    assert plots_of(race).keys() == {"faqnas-front"}
    _, lower, upper, front = plot["data"]
    assert upper["name"] == "best possible front (95 % confidence)" and len(lower["x"]) == len(upper["y"])
    assert front["x"] == [candidate.cost for candidate in state.front]
    assert plot["layout"]["title"]["text"] == f"Front after {race.description.race.trainings:,} trainings"  # type: ignore[union-attr]
    # An interruption between the result and its plots: the same command stores them.
    race.study.set_user_attr("plots", None)
    assert run_forked("race", "--study", "r").returncode == 0
    assert race.metadata.plotted_extent() == race.description.race.trainings  # type: ignore[union-attr]


def test_storing_plots_does_not_import_plotly() -> None:
    program = (
        "import sys; from faqnas_optuna.reporting import stored_plots;"
        " print([name for name in ('plotly', 'matplotlib') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"
