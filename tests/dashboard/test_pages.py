import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pytest

from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.figure import write_confirmation_plot
from faqnas_optuna.confirmation.plan import ConfirmationBudget
from faqnas_optuna.confirmation.report import remarks
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.dashboard.pages import fronts_page, message_page, overview_page, study_page
from faqnas_optuna.dashboard.watching import ConfirmationView, FrontsView, Overview, StudyView, StudyWatcher
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.reporting.report import Line
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import batched
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.workers.loop import StudyWorker
from tests.conftest import confirm

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Elements of a page, in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> Iterator[str]:
        """Yield the URLs that a browser would request."""
        for _, attributes in self.elements:
            yield from (str(attributes[name]) for name in ("href", "src") if name in attributes)


@pytest.fixture
def view(search_of_eight: Search) -> StudyView:
    return search_view(StudyWatcher(batched(search_of_eight.study)), "iris")


def search_view(watcher: StudyWatcher, name: str) -> StudyView:
    view = watcher.study(name)
    assert isinstance(view, StudyView)
    return view


def confirmation_view(watcher: StudyWatcher, name: str) -> ConfirmationView:
    view = watcher.study(name)
    assert isinstance(view, ConfirmationView)
    return view


def evil(view: StudyView) -> StudyView:
    """Return the view with a script in place of every text from the database."""
    figures = {name: figure.replace("iris", EVIL) for name, figure in view.figures.items()}
    return replace(
        view,
        status={**view.status, "study": EVIL, "dataset": EVIL},
        note={name: EVIL for name in view.note},
        figures=figures,
    )


def scripts(page: str) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in Tags(page).elements if tag == "script"]


def test_whatever_a_study_says_is_text(view: StudyView) -> None:
    page = study_page(evil(view), path="/study/iris")
    assert EVIL not in page
    assert scripts(page) == scripts(study_page(view, path="/study/iris"))
    assert Tags(page).text.count(EVIL) >= 1 + 1 + 4


def test_whatever_a_list_or_a_message_says_is_text(view: StudyView) -> None:
    overview = Overview(studies=[evil(view).status], study_ids={EVIL: 1}, left_out={EVIL: EVIL})
    for page in (overview_page(overview, path="/"), message_page(EVIL, EVIL, path=f"/study/{EVIL}")):
        assert EVIL not in page
        assert len(scripts(page)) == 1
        assert EVIL in Tags(page).text


def test_whatever_several_fronts_say_is_text() -> None:
    table = TextTable(names=(EVIL,), numbers=(EVIL,), last=EVIL, rows=[(EVIL, EVIL, EVIL)])
    view = FrontsView(studies=[EVIL], group_by=EVIL, blocks=[table, EVIL, Line(EVIL)], figure=f'["{EVIL}"]', is_running=True)
    page = fronts_page(view, path="/fronts")
    assert EVIL not in page
    # The script of the page, Plotly, and the data.
    assert len(scripts(page)) == 3
    # Three headings, three cells, two sentences, the link, and the chosen setting.
    assert Tags(page).text.count(EVIL) == 10
    inputs = [attributes for tag, attributes in Tags(page).elements if tag == "input"]
    assert inputs == [{"type": "hidden", "name": "study", "value": EVIL}]


def test_whatever_a_confirmation_says_is_text(confirmed: Confirmation) -> None:
    view = confirmation_view(StudyWatcher(batched(confirmed.study)), "iris.confirm")
    assert view.document
    circuits = [{**circuit, "effective": EVIL, "message": EVIL} for circuit in view.document["circuits"]]
    status = {**view.status, "study": EVIL, "dataset": EVIL}
    page = study_page(
        replace(view, status=status, search=EVIL, document={**view.document, "circuits": circuits}), path="/study/iris.confirm"
    )
    assert EVIL not in page and len(scripts(page)) == 1
    assert Tags(page).text.count(EVIL) == 4 + 2 * len(circuits)


def test_the_figures_of_a_page_can_be_read_back(view: StudyView) -> None:
    page = study_page(evil(view), path="/study/iris")
    figures = dict(re.findall(r'<script type="application/json" data-figure="(\w+)">(.*?)</script>', page))
    assert {name: json.loads(text) for name, text in figures.items()} == {
        name: json.loads(text) for name, text in evil(view).figures.items()
    }


def test_all_links_are_relative(view: StudyView) -> None:
    overview = Overview(studies=[view.status], study_ids={"iris": 1, "plain": 2}, left_out={"plain": "why"})
    pages = {
        "../": study_page(view, path="/study/iris"),
        "./": overview_page(overview, path="/"),
        "../../": message_page("No such study", "x", path="/study/a/b"),
    }
    for up, page in pages.items():
        links = list(Tags(page).links())
        assert links and all(link.startswith(up) for link in links), links


def test_the_name_of_a_study_is_quoted_in_its_link(view: StudyView) -> None:
    overview = Overview(studies=[{**view.status, "study": "a/b?c#d é"}], study_ids={}, left_out={})
    assert "./study/a%2Fb%3Fc%23d%20%C3%A9" in list(Tags(overview_page(overview, path="/")).links())


def test_each_circuit_of_the_front_has_its_line_and_its_trial(view: StudyView) -> None:
    page = study_page(view, path="/study/iris")
    assert len(view.front) > 1
    for candidate in view.front:
        assert f"../dashboard/studies/{view.study_id}/trials?numbers={candidate.trial}" in list(Tags(page).links())
        assert str(candidate.effective_gates) in Tags(page).text


def test_a_page_asks_for_news_until_the_study_has_stopped(view: StudyView) -> None:
    stop = {"reason": "generations", "at": "2026-11-25T13:42:17+00:00", "by": "me"}
    because = "all 2 generations are done"
    stopped = replace(view, status={**view.status, "state": "finished", "stop": stop, "because": because})
    assert 'data-every="3"' in study_page(view, path="/study/iris")
    page = study_page(stopped, path="/study/iris")
    assert 'data-every="0"' in page
    assert "finished 2026-11-25 13:42 UTC: all 2 generations are done" in page


def test_the_pace_of_a_running_study_is_told(view: StudyView) -> None:
    running = {**view.status, "state": "running", "trials_per_minute": 119.6, "minutes_left": 0.2}
    assert "running, 120 trials a minute, at most 1 min left" in study_page(replace(view, status=running), path="/study/iris")


def test_without_a_successful_trial_that_is_said(view: StudyView) -> None:
    page = study_page(replace(view, figures={}, front=[]), path="/study/iris")
    assert "No trial has succeeded yet, so there is no front." in page
    assert "plotly.js" not in page


def test_an_empty_storage_tells_how_to_begin() -> None:
    page = overview_page(Overview(studies=[], study_ids={}, left_out={}), path="/")
    assert "faqnas-optuna start --dataset wine" in page


def test_what_was_confirmed_stands_on_the_page_of_the_search(confirmed: Confirmation) -> None:
    view = search_view(StudyWatcher(batched(confirmed.study)), "iris")
    circuits = {entry["circuit"]: entry for entry in confirmation_document(confirmed)["circuits"]}
    assert view.confirmed.keys() == circuits.keys()
    page = Tags(study_page(view, path="/study/iris"))
    for circuit, entry in circuits.items():
        low, high = entry["test_accuracy_interval"]
        assert f"{entry['test_accuracy']:.3f}{low:.3f} to {high:.3f}" in page.text
        assert view.confirmed[circuit].error == pytest.approx(1 - entry["test_accuracy"])
    assert "confirmed on the test part" in view.figures["front"]


def test_the_page_of_a_confirmation_shows_its_results(confirmed: Confirmation) -> None:
    view = confirmation_view(StudyWatcher(batched(confirmed.study)), "iris.confirm")
    page = study_page(view, path="/study/iris.confirm")
    text = Tags(page).text
    document = confirmation_document(confirmed)
    needed = document["trainings"]["needed"]
    assert f"{needed} of {needed} done, 0 running, 0 failed" in text
    for circuit in document["circuits"]:
        assert circuit["message"] in text and circuit["effective"] in text
        for control in circuit["controls"]:
            low, high = control["difference_interval"] or (None, None)
            interval = "–" if low is None else f"{low:.3f} to {high:.3f}"
            cells = (
                f"{circuit['trial']}{control['model']}{control['test_accuracy']:.3f}{control['difference']:+z.3f}{interval}"
                f"{control['p']:.3f}{control['p_holm']:.3f}{control['rank_biserial']:+z.2f}"
            )
            assert cells in text
    for baseline in document["baselines"]:
        assert f"{baseline['baseline']}{baseline['test_accuracy']:.3f}{baseline['parameters']}" in text
    for remark in remarks(document):
        assert remark in text
    assert 'data-every="0"' in page


def test_the_picture_of_a_confirmation_is_that_of_the_command(confirmed: Confirmation, tmp_path: Path) -> None:
    view = confirmation_view(StudyWatcher(batched(confirmed.study)), "iris.confirm")
    write_confirmation_plot(confirmation_document(confirmed), tmp_path / "drawn.svg", Size.COLUMN)
    assert b64decode(view.picture.removeprefix("data:image/svg+xml;base64,")) == (tmp_path / "drawn.svg").read_bytes()


def test_a_search_and_its_confirmations_are_linked_both_ways(confirmed: Confirmation, storage_url: str) -> None:
    storage = batched(confirmed.study)
    search = load(storage, "iris")
    confirm(search, storage_url, read_state(search).front[:1], ConfirmationBudget(epochs=1, repeats=2), name="again")
    watcher = StudyWatcher(storage)
    links = list(Tags(study_page(watcher.study("iris"), path="/study/iris")).links())
    assert {"../study/iris.confirm", "../study/again"} <= {*links}
    for name in ("iris.confirm", "again"):
        assert "../study/iris" in list(Tags(study_page(watcher.study(name), path=f"/study/{name}")).links())
    # A later search of the same name is another one.
    optuna.delete_study(study_name="iris", storage=storage)
    page = study_page(watcher.study("again"), path="/study/again")
    assert "../study/iris" not in list(Tags(page).links()) and "circuits of iris, which was deleted" in page


def test_a_confirmation_is_shown_from_before_its_first_training(
    search_of_eight: Search, storage_url: str, iris: DataSplits
) -> None:
    search = search_of_eight
    confirmation = confirm(search, storage_url, read_state(search).front[:2], ConfirmationBudget(epochs=1, repeats=2))
    watcher = StudyWatcher(batched(search.study))
    page = study_page(watcher.study("iris.confirm"), path="/study/iris.confirm")
    needed = len(confirmation.all_trainings())
    assert "None of 2 circuits has been retrained yet." in page and f"0 of {needed} done" in page
    assert 'data-every="3"' in page and f'<progress max="{needed}" value="0">' in page
    worker = StudyWorker(confirmation, iris, Signals())
    done = 0
    # One training gives no interval, and its controls may have no results.
    while done < needed - 1:
        worker.look()
        done += worker.run_trial()
        page = study_page(watcher.study("iris.confirm"), path="/study/iris.confirm")
        assert f"{done} of {needed} done, 0 running, 0 failed" in page
    assert f"1 of {needed} trainings is not finished yet." in page


def test_a_confirmation_is_in_the_overview(confirmed: Confirmation) -> None:
    page = Tags(overview_page(StudyWatcher(batched(confirmed.study)).overview(), path="/")).text
    assert "iris.confirmirisfinished–" in page


def test_without_a_confirmation_nothing_is_told_of_one(view: StudyView) -> None:
    assert view.confirmed == {}
    assert "confirmed" not in Tags(study_page(view, path="/study/iris")).text
