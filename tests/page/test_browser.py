"""Reports and pages of plots in Chromium. Without Chromium the tests are skipped, with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.page.report import write_report
from faqnas_optuna.reporting.plotly_front import write_pareto_plot
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from tests.support.browser import Browse, Element, Tree

pytestmark = pytest.mark.slow

PROBE = """
const results = {loaded: performance.getEntriesByType("resource").length, 
  window: innerWidth, width: document.documentElement.scrollWidth};
const [figure] = Array.from(document.querySelectorAll("svg")).filter((one) => one.getClientRects().length);
const spot = Array.from(figure.querySelectorAll(".spots circle")).at(-1);
spot.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
results.text = document.getElementById("tip").textContent;
results.figure = figure.getAttribute("class");
const box = document.getElementById("tip").getBoundingClientRect();
results.inside = box.left >= 0 && box.right <= innerWidth && box.top >= 0;
document.body.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
results.hidden = document.getElementById("tip").hidden;
results.orders = [];
const table = document.querySelector("table");
for (const heading of table ? [1, 1, 0] : []) {
  table.rows[0].cells[heading].querySelector("button").click();
  results.orders.push(Array.from(table.tBodies[0].rows, (row) => row.cells[heading].textContent));
}
const found = document.createElement("pre");
found.id = "probe";
found.textContent = JSON.stringify(results);
document.body.append(found);
"""
"""Script that moves the mouse and clicks on headings, and adds what it finds to the page."""


def probe(file: Path) -> str:
    """Add the script to a copy of a page, and return the address of the copy."""
    page = file.read_text().replace("</body>", f"<script>{PROBE}</script></body>")
    copy = file.with_name(f"probed-{file.name}")
    copy.write_text(page)
    return copy.as_uri()


def results(page: Element) -> dict[str, Any]:
    (element,) = page.find("pre", id="probe")
    found: dict[str, Any] = json.loads(element.words)
    return found


@pytest.fixture
def report(confirmed: Confirmation, storage_url: str, tmp_path: Path) -> Path:
    write_report([load(open_storage(storage_url), "iris")], tmp_path / "report.html")
    return tmp_path / "report.html"


def test_a_report_shows_texts_and_sorts_tables(browse: Browse, report: Path) -> None:
    page = browse(probe(report))
    found = results(page)
    assert (found["loaded"], found["figure"], found["inside"], found["hidden"]) == (0, "page", True, True)
    # The last point is that of a confirmed error.
    assert found["text"].startswith("trial ") and "confirmed\nerror on the test part" in found["text"]
    ascending, descending, trials = found["orders"]
    numbers = [float(text) for text in ascending]
    assert numbers == sorted(numbers) == [float(text) for text in reversed(descending)] and len(set(numbers)) > 1
    assert trials == sorted(trials, key=int)


def test_a_report_fits_a_telephone(chromium: Callable[..., str], report: Path) -> None:
    found = results(Tree(chromium(probe(report), "--dump-dom", "--window-size=400,800")).root)
    # Some versions of Chromium have no window below 500 pixels.
    assert found["window"] <= 500
    # Wide tables scroll; the page does not.
    assert found["width"] <= found["window"]
    assert (found["figure"], found["inside"]) == ("column", True)


def test_the_page_of_a_plot_shows_texts(browse: Browse, search_of_eight: Search, tmp_path: Path) -> None:
    state = read_state(search_of_eight)
    write_pareto_plot(state, tmp_path / "front.html")
    found = results(browse(probe(tmp_path / "front.html")))
    assert (found["loaded"], found["inside"]) == (0, True)
    best = state.front[-1]
    assert found["text"].startswith(f"trial {best.trial}\n{best.effective_gates}\naccuracy ")


@pytest.mark.parametrize(("scheme", "paper"), [("1", (255, 255, 255)), ("0", (19, 19, 19))])
def test_a_report_follows_the_colour_scheme(
    chromium: Callable[..., str], report: Path, scheme: str, paper: tuple[int, ...]
) -> None:
    file = report.with_suffix(".png")
    chromium(report.as_uri(), f"--screenshot={file}", f"--blink-settings=preferredColorScheme={scheme}")
    with Image.open(file) as picture:
        counts = {colour: count for count, colour in picture.convert("RGB").getcolors(maxcolors=1 << 24) or []}
    assert max(counts, key=lambda colour: counts[colour]) == paper
