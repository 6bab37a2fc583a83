import re
from functools import partial
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from faqnas_optuna.reporting.front_plot import MANY_SPOTS, Spot
from faqnas_optuna.reporting.html_page import download, render
from faqnas_optuna.reporting.inline_svg import inline_svg, responsive_svg
from faqnas_optuna.reporting.sizes import Size


def figure_of(points: int, size: Size = Size.COLUMN) -> Figure:
    figure = Figure(figsize=size.form.inches, layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, points + 1), range(points), "o", label='x="0.12345"')
    axes.set_xscale("log")
    axes.set_title("0.12345 <b> & 'c'")
    return figure


def test_it_is_well_formed_and_equal_each_time() -> None:
    one, two = (inline_svg(figure_of(5), Size.COLUMN, (), name="f", label="<front> \"of\" a & 'b'") for _ in range(2))
    assert one == two
    root = ElementTree.fromstring(one)
    assert root.attrib["aria-label"] == "<front> \"of\" a & 'b'"
    assert "0.12345 <b> & 'c'" in "".join(root.itertext())
    assert "\n" not in one and "<!--" not in one and "font-family" not in one


def test_a_spot_lies_on_its_mark() -> None:
    """Compare the circles with the marks that matplotlib itself has placed."""
    spots = [Spot(place + 1, place, f"<point> {place}\nsecond line") for place in range(5)]
    root = ElementTree.fromstring(inline_svg(figure_of(5), Size.COLUMN, spots, name="f", label="front"))
    circles = root.findall(".//circle")
    assert [circle.findtext("title") for circle in circles] == [spot.text for spot in spots]
    placed = {(float(mark.attrib["x"]), float(mark.attrib["y"])) for mark in root.iter("use")}
    for circle in circles:
        x, y = float(circle.attrib["cx"]), float(circle.attrib["cy"])
        assert any(abs(x - mark_x) < 0.1 and abs(y - mark_y) < 0.1 for mark_x, mark_y in placed)


def test_two_figures_share_no_name() -> None:
    """Check that each reference of a figure leads to its own element, also if the figures are equal."""
    svg = responsive_svg(partial(figure_of, 5), (), name="f", label="front")
    page, column = re.findall(r"<svg.*?</svg>", svg)
    assert 'class="page"' in page and 'class="column"' in column
    names = [{*re.findall(r'(?:id|class)="(f[^"]*)"', one)} for one in (page, column)]
    assert names[0] and not names[0] & names[1]
    for one in (page, column):
        assert {*re.findall(r'(?:url\(|href=")#([^)"]*)', one)} == {*re.findall(r' id="([^"]*)"', one)}


def test_small_screens_have_fewer_texts() -> None:
    spots = [Spot(1, 0, "minor", is_minor=True), Spot(2, 1, "major")]
    page, column = re.findall(r"<svg.*?</svg>", responsive_svg(partial(figure_of, 5), spots, name="f", label="front"))
    assert (page.count("<circle"), column.count("<circle")) == (2, 1) and "minor" not in column


def test_many_marks_are_pixels() -> None:
    few, many = (inline_svg(figure_of(count), Size.COLUMN, (), name="f", label="") for count in (MANY_SPOTS - 1, 20_000))
    assert "<image" not in few and few.count("<use") >= MANY_SPOTS - 1
    assert 'href="data:image/png;base64,' in many and len(many) < 60_000


@pytest.mark.parametrize("text", ["", 'ä\n"quoted" </script> %41 #'])
def test_a_download_holds_any_text(text: str) -> None:
    from urllib.request import urlopen

    with urlopen(download(text, "text/csv")) as opened:
        assert opened.read().decode() == text
        assert opened.headers["Content-Type"] == "text/csv;charset=utf-8"


def test_a_template_escapes_text_but_not_figures() -> None:
    page = render("reporting/figure.html", title="<i>&", figure="<svg></svg>", description='{"a": "<b>"}').decode()
    assert "<h1>&lt;i&gt;&amp;</h1>" in page and '<figure class="alone"><svg></svg></figure>' in page
    assert 'content="{&#34;a&#34;: &#34;&lt;b&gt;&#34;}"' in page and "default-src 'none'" in page
