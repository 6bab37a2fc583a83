"""Plots in the format of optuna-dashboard, read back by its own code."""

import json
from multiprocessing.pool import ThreadPool

import optuna
import pytest
from optuna_dashboard import save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from plotly.graph_objects import Figure
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from faqnas_optuna.storage.opening import backend, open_storage
from faqnas_optuna.storage.plots import replace_plots


@pytest.fixture
def study(any_storage_url: str) -> optuna.Study:
    storage = open_storage(any_storage_url, create=True)
    return optuna.create_study(storage=storage, directions=["minimize", "minimize"], study_name="s")


def plots_of(study: optuna.Study) -> dict[str, str]:
    plots: dict[str, str] = get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))
    return plots


def text_of(length: int) -> str:
    """Return JSON with characters that SQL, LIKE and JSON treat specially."""
    return json.dumps("".join("%_\"'\\é−"[place % 7] for place in range(length)))


def test_optuna_dashboard_reads_what_was_stored(study: optuna.Study) -> None:
    plots = {"a": text_of(20_000), "b": text_of(10)}
    replace_plots(study, plots, {"plots": 3})
    assert plots_of(study) == plots
    assert study.user_attrs == {"plots": 3}


def test_a_shorter_plot_leaves_nothing_of_the_former_one(study: optuna.Study) -> None:
    for length in (20_000, 3_000, 0, 9_000):
        replace_plots(study, {"a": text_of(length)}, {"plots": length})
        assert plots_of(study) == {"a": text_of(length)}
    assert study.user_attrs == {"plots": 9_000}


def test_plots_and_attributes_of_others_remain(study: optuna.Study) -> None:
    figure = Figure(layout={"title": "mine"})
    # An underscore would match any character in a pattern of SQL.
    for plot in ("a2", "aXb", "b"):
        save_plotly_graph_object(study, figure, graph_object_id=plot)
    study.set_user_attr("mine", 1)
    study._storage.set_study_system_attr(study._study_id, "mine", 2)
    replace_plots(study, {"a_b": "{}", "a": "{}"}, {"plots": 1})
    assert plots_of(study) == {"a_b": "{}", "a": "{}", **dict.fromkeys(("a2", "aXb", "b"), figure.to_json())}
    assert study.user_attrs == {"mine": 1, "plots": 1}
    assert study._storage.get_study_system_attrs(study._study_id)["mine"] == 2


def test_plots_of_two_writers_are_not_mixed(study: optuna.Study, any_storage_url: str) -> None:
    texts = {number: json.dumps(str(number) * 2_500 * (1 + number % 3)) for number in range(12)}

    def write(number: int) -> None:
        own = optuna.load_study(study_name="s", storage=open_storage(any_storage_url))
        replace_plots(own, {"a": texts[number]}, {"plots": number})

    with ThreadPool(4) as threads:
        threads.map(write, texts)
    assert plots_of(study) == {"a": texts[study.user_attrs["plots"]]}


def test_a_write_that_fails_changes_nothing(study: optuna.Study) -> None:
    replace_plots(study, {"a": text_of(5_000)}, {"plots": 1})

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # The last of the changes.
        if statement.startswith("INSERT INTO study_user_attributes"):
            raise OperationalError(statement, None, Exception("database or disk is full"))

    event.listen(backend(study).engine, "before_cursor_execute", fail)
    with pytest.raises(OperationalError, match="disk is full"):
        replace_plots(study, {"a": text_of(10)}, {"plots": 2})
    assert plots_of(study) == {"a": text_of(5_000)} and study.user_attrs == {"plots": 1}


def test_a_deleted_study_gets_no_plots(study: optuna.Study, any_storage_url: str) -> None:
    optuna.delete_study(study_name="s", storage=open_storage(any_storage_url))
    with pytest.raises(KeyError, match="not found|Record does not exist"):
        replace_plots(study, {"a": "{}"}, {"plots": 1})
