"""The dashboard in Chromium. Without Chromium the tests are skipped, with the reason."""

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.dashboard.application import make_dashboard
from faqnas_optuna.dashboard.filters import Environ, StartResponse, answer
from faqnas_optuna.dashboard.server import DashboardServer
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.conftest import TIMEOUT_S, cheap_values, run_trials, small_config
from tests.support.browser import Browse, Element

pytestmark = pytest.mark.slow

BLUE = (0, 114, 178)
"""RGB colour of the front."""


@contextmanager
def serving(storage_url: str) -> Iterator[DashboardServer]:
    """Yield a running dashboard of a database."""
    with make_dashboard(open_storage(storage_url), host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=TIMEOUT_S)


@pytest.fixture
def server(search_of_eight: Search, storage_url: str) -> Iterator[DashboardServer]:
    with serving(storage_url) as server:
        yield server


def address(server: DashboardServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def probe(server: DashboardServer, script: str) -> None:
    """Add a script of the test to every page."""
    inner = server.application

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/probe.js":
            return answer(start_response, "200 OK", script, kind="text/javascript")
        started: list[Any] = []
        body = b"".join(inner(environ, lambda *parts: started.extend(parts)))
        added = body.replace(b"</body>", b'<script defer src="/probe.js"></script></body>')
        headers = [(name, text) for name, text in started[1] if name != "Content-Length"]
        start_response(started[0], [*headers, ("Content-Length", str(len(added)))])
        return [added]

    server.application = application


def points(page: Element, figure: str) -> list[list[tuple[float, float]]]:
    """Return the positions of the points of a figure, by trace."""
    (drawn,) = page.find("div", id=figure)
    return [
        [position(point.attributes["transform"]) for point in trace.find("path", class_="point")]
        for trace in drawn.find("g", class_="trace")
        if "scatter" in trace.attributes["class"].split()
    ]


def position(transform: str) -> tuple[float, float]:
    x, y = re.findall(r"-?[\d.]+", transform)[:2]
    return float(x), float(y)


HOVER = "for (const f of ['front', 'hypervolume']) Plotly.Fx.hover(f, [{curveNumber: f === 'front' ? 1 : 0, pointNumber: 1}]);"
"""Script that hovers over the second point of each figure."""


def test_the_page_of_a_study_shows_its_front(browse: Browse, server: DashboardServer, search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    state.study.advance(state)
    probe(server, HOVER)
    page = browse(address(server, "/study/iris"))
    dominated, front = points(page, "front")
    assert len(front) == len(state.front) > 1
    assert len(dominated) == len(state.by_circuit) - len(front)
    # On the logarithmic scale equal factors are equal distances.
    flops = [math.log(candidate.quantum_flops) for candidate in state.front]
    share = [(x - front[0][0]) / (front[-1][0] - front[0][0]) for x, _ in front]
    assert share == pytest.approx([(one - flops[0]) / (flops[-1] - flops[0]) for one in flops], abs=0.01)
    titles = {"".join(text.words) for name in ("xtitle", "ytitle") for text in page.find("text", class_=name)}
    assert titles == {"quantum FLOPs (forward pass of one sample)", "validation error", "closed generation", "hypervolume"}
    assert [len(trace) for trace in points(page, "hypervolume")] == [2]
    (note,) = page.find("section", id="note")
    assert len(list(note.find("dd"))) == 4
    (trouble,) = page.find("p", id="trouble")
    assert trouble.words == ""
    # No button may send data to another site.
    buttons = {button.attributes.get("data-title") for button in page.find("button", class_="modebar-btn")}
    assert "Reset axes" in buttons and not any("hare" in str(button) or "loud" in str(button) for button in buttons)
    # Hovering over a point identifies the circuit.
    on_front, grown = ("\n".join(part.words for part in one.find("g", class_="hoverlayer")) for one in drawn(page))
    second = state.front[1]
    assert f"trial {second.trial}" in on_front and str(second.effective_gates) in on_front
    assert "generation 2, closed 20" in grown and "UTC" in grown


def drawn(page: Element) -> list[Element]:
    """Return the two figures."""
    return list(page.find("div", class_="figure"))


def test_a_picture_of_the_page_shows_the_front(
    chromium: Callable[..., str], server: DashboardServer, search_of_eight: Search, tmp_path: Path
) -> None:
    search_of_eight.advance(read_state(search_of_eight))
    file = tmp_path / "page.png"
    chromium(address(server, "/study/iris"), f"--screenshot={file}")
    with Image.open(file) as picture:
        assert picture.size == (1200, 1600)
        colours = {colour: count for count, colour in picture.convert("RGB").getcolors(maxcolors=1 << 24) or []}
    assert len(colours) > 100
    # Each point has a radius of about five pixels.
    assert colours[BLUE] > 60 * len(read_state(search_of_eight).front)


ZOOM = """
const {dataset} = document.body, range = () => document.getElementById("front")._fullLayout.xaxis.range.join();
dataset.before = range();
document.querySelector('#front [data-title="Zoom in"]').click();
setTimeout(() => { dataset.zoomed = range(); }, 1000);
setInterval(() => { dataset.now = range(); }, 500);
"""
"""Script that zooms in, as a reader would, and records the range of the axis."""


def test_the_page_takes_in_what_is_new_and_stays_where_it_is(
    browse: Browse, server: DashboardServer, new_search: Callable[..., Search]
) -> None:
    search = new_search(small_config(), name="growing")
    run_trials(search, 4, cheap_values)
    looks: list[str] = []
    inner = server.application

    def growing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/study/growing":
            looks.append(environ["PATH_INFO"])
            if len(looks) == 2:
                run_trials(search, 4, cheap_values)
                search.advance(read_state(search))
        return inner(environ, start_response)

    server.application = growing
    probe(server, ZOOM)
    page = browse(address(server, "/study/growing"), seconds=30)
    # The study has stopped, so the page stops asking for updates.
    assert len(looks) == 2
    (facts,) = page.find("section", id="facts")
    assert "finished" in facts.words and "generations are done" in facts.words and "8, 0 running" in facts.words
    (table,) = page.find("section", id="table")
    assert len(list(table.find("tr"))) == 1 + len(read_state(search).front)
    assert [len(trace) for trace in points(page, "hypervolume")] == [2]
    (body,) = page.find("body")
    assert body.attributes["data-now"] == body.attributes["data-zoomed"] != body.attributes["data-before"]


def test_under_the_path_of_a_proxy_our_pages_work_and_the_others_are_not_offered(
    browse: Browse, server: DashboardServer, search_of_eight: Search
) -> None:
    search_of_eight.advance(read_state(search_of_eight))
    inner = server.application

    def behind_a_proxy(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith("/hub/studies/"):
            return answer(start_response, "404 Not Found", "no such place")
        return inner({**environ, "PATH_INFO": path.removeprefix("/hub/studies")}, start_response)

    server.application = behind_a_proxy
    page = browse(address(server, "/hub/studies/study/iris"))
    assert len(points(page, "front")[1]) == len(read_state(search_of_eight).front)
    assert [link.words for link in page.find("a")] == ["Studies"]
    (note,) = page.find("p", id="prefix")
    assert "hidden" not in note.attributes and "serve it at the root of a host name or port" in note.words
    overview = browse(address(server, "/hub/studies/"))
    (form,) = overview.find("form")
    assert form.attributes["action"] == "./fronts"
    assert [link.attributes["href"] for link in overview.find("a")] == ["./study/iris"]


def test_without_a_proxy_the_way_to_optuna_dashboard_is_there(browse: Browse, server: DashboardServer) -> None:
    page = browse(address(server, "/"))
    assert [link.attributes["href"] for link in page.find("a")] == ["./study/iris", "./dashboard/studies/1"]
    (note,) = page.find("p", id="prefix")
    assert "hidden" in note.attributes


def test_optuna_dashboard_draws_the_stored_plots(browse: Browse, server: DashboardServer, search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    search_of_eight.advance(state)
    store_plots(search_of_eight, lambda: state)
    page = browse(address(server, "/dashboard/studies/1"), seconds=20)
    dominated, front = points(page, "user-defined-plot:faqnas-front")
    assert (len(front), len(dominated)) == (len(state.front), len(state.by_circuit) - len(state.front))
    costs = [math.log(candidate.cost) for candidate in state.front]
    share = [(x - front[0][0]) / (front[-1][0] - front[0][0]) for x, _ in front]
    assert share == pytest.approx([(one - costs[0]) / (costs[-1] - costs[0]) for one in costs], abs=0.01)
    assert [len(trace) for trace in points(page, "user-defined-plot:faqnas-hypervolume")] == [2]


TICK = """
if (location.pathname === "/") {
  for (const name of ["iris", "other"]) document.querySelector(`input[value=${name}]`).click();
  // The list was updated twice by then, and the growing study has another number of trials.
  setTimeout(() => document.querySelector("#overlay button").click(), 13000);
}
"""
"""Script that ticks two studies, and sends the form later."""


def test_ticked_studies_stay_ticked_while_the_list_changes_and_are_plotted_together(
    browse: Browse, server: DashboardServer, new_search: Callable[..., Search]
) -> None:
    other = new_search(small_config(seed=1), name="other")
    run_trials(other, 4, cheap_values)
    run_trials(new_search(small_config(seed=2), name="third"), 4, cheap_values)
    asked: list[str] = []
    inner = server.application

    def growing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            run_trials(other, 1, cheap_values)
        if environ["PATH_INFO"] == "/fronts":
            asked.append(environ["QUERY_STRING"])
        return inner(environ, start_response)

    server.application = growing
    probe(server, TICK)
    page = browse(address(server, "/"), seconds=30)
    assert asked[0] == "study=iris&study=other&group-by="
    assert [heading.words for heading in page.find("h1")] == ["Fronts"]
    (caption,) = page.find("figcaption")
    assert caption.words == "fronts of 2 studies; lines: attained by half of the fronts; bands: by 25 % to 75 %"
    (drawn,) = page.find("div", id="fronts")
    # The line of the group, and the two edges of its band.
    assert len([trace for trace in drawn.find("g", class_="trace") if trace.has("class_", "scatter")]) == 3
    assert "all studies" in page.words and "third" not in page.words
    (trouble,) = page.find("p", id="trouble")
    assert trouble.words == ""


@pytest.mark.parametrize("width", [400, 1200])
def test_a_confirmation_fits_into_the_window(browse: Browse, confirmed: Confirmation, storage_url: str, width: int) -> None:
    with serving(storage_url) as server:
        probe(server, "setInterval(() => { document.body.dataset.wide = document.documentElement.scrollWidth; }, 200);")
        page = browse(address(server, "/study/iris.confirm"), width=width)
    (body,) = page.find("body")
    # Chromium's window has a minimum width of 500 pixels. Only the tables scroll sideways.
    assert int(body.attributes["data-wide"]) <= max(width, 500)
    (picture,) = page.find("img")
    assert picture.attributes["src"].startswith("data:image/svg+xml;base64,")
    assert [heading.words for heading in page.find("h1")] == ["iris.confirm"]


SHOWN = """
setInterval(() => document.querySelectorAll("button").forEach((button) => {
  button.dataset.shown = button.getClientRects().length > 0;
}), 500);
"""
OFFERS = {
    "/dashboard": {"AddBoxIcon", "rename study", "delete study"},
    "/dashboard/studies/1/note": {"EditIcon"},
    "/dashboard/studies/1/trials?numbers=0": {"EditIcon"},
    "/dashboard/studies/1/trials?numbers=8": {"EditIcon", "StopCircleIcon"},
}
"""Buttons whose requests would be refused, by page of optuna-dashboard."""
SHOWN_OPTIONS = {
    "/dashboard": {"open drawer", "RefreshIcon", "ChevronLeftIcon", "Compare"},
    "/dashboard/studies/1/note": {"open drawer", "ChevronLeftIcon"},
    "/dashboard/studies/1/trials?numbers=0": {"open drawer", "ChevronLeftIcon", "Filter"},
    "/dashboard/studies/1/trials?numbers=8": {"open drawer", "ChevronLeftIcon", "Filter"},
}
"""All other buttons. A button added by a new version must be reviewed: its request may be refused."""


@pytest.mark.parametrize("path", OFFERS)
def test_what_would_be_refused_is_not_offered(
    browse: Browse, server: DashboardServer, search_of_eight: Search, path: str
) -> None:
    # Trial 8 is running, so its page offers to stop it.
    search_of_eight.study.ask()
    probe(server, SHOWN)
    page = browse(address(server, path), seconds=20)
    visibility = {name(button): button.attributes["data-shown"] for button in page.find("button")}
    hidden = {label for label, is_shown in visibility.items() if is_shown == "false"}
    assert hidden >= OFFERS[path]
    assert set(visibility) - hidden <= SHOWN_OPTIONS[path]
    (mark,) = page.find("div", id="read-only")
    assert "Read-only" in mark.words


def name(button: Element) -> str:
    """Return an identifying label of a button: its label, its icon or its text."""
    icons = [icon.attributes["data-testid"] for icon in button.find("svg") if "data-testid" in icon.attributes]
    return button.attributes.get("aria-label") or (icons[0] if icons else button.words)
