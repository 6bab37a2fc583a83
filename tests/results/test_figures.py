import json
import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest
from PIL import Image

from faqnas_optuna.errors import OutputError
from faqnas_optuna.results.figures import write_pareto_plot
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search
from tests.conftest import cheap_values, run_trials


@pytest.fixture
def search(new_search: Callable[..., Search]) -> Search:
    made = new_search()
    run_trials(made, 12, cheap_values)
    return made


def test_a_png_is_a_picture(search: Search, tmp_path: Path) -> None:
    write_pareto_plot(Standing.of(search), tmp_path / "front.png")
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size == (1050, 675)
        # Axes, text, two kinds of points: more than one colour on white.
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20) or []) > 20


def test_a_page_holds_every_trial_and_needs_no_network(search: Search, tmp_path: Path) -> None:
    write_pareto_plot(Standing.of(search), tmp_path / "front.html")
    page = (tmp_path / "front.html").read_text()
    assert "<script src=" not in page
    for candidate in Standing.of(search).front:
        assert str(candidate.effective) in page
    assert '"type":"log"' in page


@pytest.mark.parametrize(("ending", "begins"), [("pdf", b"%PDF-"), ("svg", b"<?xml")])
def test_vector_graphics_are_the_same_for_the_same_front(search: Search, tmp_path: Path, ending: str, begins: bytes) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for file in files:
        write_pareto_plot(Standing.of(search), file)
        # A date of theirs would be another now.
        time.sleep(1.1)
    one, two = (file.read_bytes() for file in files)
    assert one == two and one.startswith(begins)


def test_settings_and_versions_travel_in_a_figure(search: Search, tmp_path: Path) -> None:
    for ending in ("png", "svg", "pdf", "html"):
        write_pareto_plot(Standing.of(search), tmp_path / f"front.{ending}")
    with Image.open(tmp_path / "front.png") as picture:
        told = [picture.info["Description"]]
    drawing = ElementTree.parse(tmp_path / "front.svg").getroot()
    told += [element.text for element in drawing.iter("{http://purl.org/dc/elements/1.1/}description")]
    (described,) = re.findall(r'<meta name="description" content="([^"]*)"', (tmp_path / "front.html").read_text())
    told.append(unescape(described))
    assert len(told) == 3
    for text in told:
        found = json.loads(text)
        assert (found["study"], found["settings"]["training"]["epochs"]) == ("iris", 1)
        assert found["versions"]["optuna"] == optuna.__version__
    assert b"/Subject" in (tmp_path / "front.pdf").read_bytes()


def test_another_ending_is_refused(search: Search, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a plot is a .png, .pdf, .svg or .html file; 'front.gif' is none"):
        write_pareto_plot(Standing.of(search), tmp_path / "front.gif")


def test_a_directory_that_is_not_there_is_named(search: Search, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*nowhere/front.png: No such file or directory"):
        write_pareto_plot(Standing.of(search), tmp_path / "nowhere" / "front.png")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock" and "faqnas.db" not in path.name] == []
