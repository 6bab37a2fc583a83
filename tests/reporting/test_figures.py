import json
import math
import random
import re
import time
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import optuna
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as PrintedFigure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.errors import OutputError
from faqnas_optuna.reporting.front_plot import CONFIRMED, ESTIMATED, ConfirmedError, FrontPlot, Mark
from faqnas_optuna.reporting.matplotlib_front import legend_below, printed_figure
from faqnas_optuna.reporting.plotly_front import interactive_figure, pareto_figure, write_pareto_plot
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.support.candidates import candidate, genome_of
from tests.support.sampling import mostly_slow


@pytest.fixture
def search(search_of_eight: Search) -> Search:
    return search_of_eight


def test_a_png_is_a_picture(search: Search, tmp_path: Path) -> None:
    write_pareto_plot(read_state(search), tmp_path / "front.png")
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size == (2100, 1350)
        # Axes, text and two kinds of points: more than one colour on white.
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20) or []) > 20


def test_a_page_holds_every_trial_and_needs_no_network(search: Search, tmp_path: Path) -> None:
    write_pareto_plot(read_state(search), tmp_path / "front.html")
    page = (tmp_path / "front.html").read_text()
    assert "<script src=" not in page and len(page) < 100_000
    for best in read_state(search).front:
        assert str(best.effective_gates) in page


@pytest.mark.parametrize(("ending", "begins"), mostly_slow([("pdf", b"%PDF-"), ("svg", b"<?xml")]))
def test_vector_graphics_are_the_same_for_the_same_front(search: Search, tmp_path: Path, ending: str, begins: bytes) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for file in files:
        write_pareto_plot(read_state(search), file)
        # If a file contained its date, the two would differ.
        time.sleep(1.1)
    one, two = (file.read_bytes() for file in files)
    assert one == two and one.startswith(begins)


@pytest.mark.slow
def test_settings_and_versions_travel_in_a_figure(search: Search, tmp_path: Path) -> None:
    for ending in ("png", "svg", "pdf", "html"):
        write_pareto_plot(read_state(search), tmp_path / f"front.{ending}")
    with Image.open(tmp_path / "front.png") as picture:
        descriptions = [picture.info["Description"]]
    drawing = ElementTree.parse(tmp_path / "front.svg").getroot()
    descriptions += [element.text for element in drawing.iter("{http://purl.org/dc/elements/1.1/}description")]
    (described,) = re.findall(r'<meta name="description" content="([^"]*)"', (tmp_path / "front.html").read_text())
    descriptions.append(unescape(described))
    assert len(descriptions) == 3
    for text in descriptions:
        description = json.loads(text)
        assert (description["study"], description["settings"]["training"]["epochs"]) == ("iris", 1)
        assert description["versions"]["optuna"] == optuna.__version__
    assert b"/Subject" in (tmp_path / "front.pdf").read_bytes()


def test_another_ending_is_refused(search: Search, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the name of a plot must end in .png, .pdf, .svg or .html; 'front.gif' does not"):
        write_pareto_plot(read_state(search), tmp_path / "front.gif")


def test_a_directory_that_is_not_there_is_named(search: Search, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*nowhere/front.png: No such file or directory"):
        write_pareto_plot(read_state(search), tmp_path / "nowhere" / "front.png")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock" and "faqnas.db" not in path.name] == []


FRONT = [(3, 60, 0.53), (141, 180, 0.44), (51, 264, 0.417), (47, 634, 0.38), (48, 709, 0.306), (19, 1165, 0.222)]
FRONT += [(88, 4700, 0.11), (159, 38997, 0.056)]
"""Trial, quantum FLOPs and error of eight circuits, some as close to each other as in a real search."""
LAYERS = {Mark.EFFECTIVE: ("CNOT", "RY"), Mark.INERT: ("CZ", "RX", "RY"), Mark.LACKING: ("CZ", "RY")}
MARKS = [Mark.EFFECTIVE, Mark.INERT, Mark.EFFECTIVE, Mark.LACKING, Mark.INERT, Mark.EFFECTIVE, Mark.INERT, Mark.EFFECTIVE]


def front_plot(
    *, dominated: int = 0, marks: list[Mark] = MARKS, deviation: float | None = None, confirmed: bool = False
) -> FrontPlot:
    """Return the plot of the front above, with dominated circuits spread over the axes."""
    rng = random.Random(1)
    front = [
        candidate(trial, genome_of(n_qubits, *LAYERS[mark]), flops=flops, error=error, deviation=deviation)
        for n_qubits, mark, (trial, flops, error) in zip(range(2, 10), marks, FRONT, strict=True)
    ]
    others: list[Candidate] = []
    while len(others) < dominated:
        flops, error = int(10 ** rng.uniform(1.8, 5.2)), rng.uniform(0.06, 0.9)
        if any(less <= flops and better <= error for _, less, better in FRONT):
            others.append(candidate(1000, genome_of(10, "CNOT", "RY"), flops=flops, error=error))
    errors = [(one, one.val_error + 0.05 * (-1) ** number) for number, one in enumerate(front)]
    errors_by_circuit = {
        one.record.circuit: ConfirmedError(error=error, low=error - 0.03, high=error + 0.04) for one, error in errors
    }
    return FrontPlot(title="iris", front=front, dominated=others, repeats=5, confirmed=errors_by_circuit if confirmed else {})


CROWDED = {
    "dominated": front_plot(dominated=200),
    "confirmed": front_plot(dominated=60, deviation=0.03, confirmed=True),
}


def values(line: Line2D) -> NDArray[np.float64]:
    """Return the (n, 2) quantum FLOPs and errors of a line."""
    return np.asarray(line.get_xydata(), np.float64)


class Drawn:
    """Printed figure, measured in pixels."""

    def __init__(self, figure: PrintedFigure) -> None:
        self.figure = figure
        (self.axes,) = figure.axes
        figure.draw_without_rendering()
        self.legend = figure.legends[0].get_window_extent()
        self.labels = {text.get_text(): Text.get_window_extent(text) for text in self.axes.texts if text.get_text()}

    @property
    def words(self) -> list[str]:
        """Return the texts of the legend."""
        return [text.get_text() for text in self.figure.legends[0].get_texts()]

    def marks(self, *shapes: str) -> list[Bbox]:
        """Return the boxes of the marks with these shapes."""
        boxes = []
        for line in self.axes.lines:
            if line.get_marker() in shapes:
                reach = line.get_markersize() / 2 * self.figure.dpi / 72
                for x, y in self.axes.transData.transform(values(line)):
                    boxes.append(Bbox([[x - reach, y - reach], [x + reach, y + reach]]))
        return boxes

    def lines(self) -> list[Bbox]:
        """Return the steps of the front, the intervals and the links to confirmed errors, as boxes two pixels wide."""
        (line,) = [line for line in self.axes.lines if line.get_drawstyle() == "steps-post" and len(values(line))]
        ends: list[Any] = []
        for begin, end in pairwise(values(line)):
            corner = [end[0], begin[1]]
            ends += [(begin, corner), (corner, end)]
        for lines in self.axes.collections:
            assert isinstance(lines, LineCollection)
            ends += lines.get_segments()
        drawn = [self.axes.transData.transform(pair) for pair in ends]
        return [Bbox([pair.min(axis=0) - 1, pair.max(axis=0) + 1]) for pair in drawn]


@pytest.fixture(scope="module", params=[(what, size) for what in CROWDED for size in Size], ids=lambda param: " ".join(param))
def crowded(request: pytest.FixtureRequest) -> Drawn:
    what, size = request.param
    return Drawn(printed_figure(CROWDED[what], size))


def test_no_label_covers_anything(crowded: Drawn) -> None:
    check_labels(crowded)


@pytest.mark.parametrize("size", [Size.COLUMN, Size.SLIDE])
def test_labels_that_find_no_room_are_left_out(size: Size) -> None:
    circuits = [genome_of(2 + number % 9, "CNOT", *["RY"] * (1 + number // 9)) for number in range(30)]
    front = [
        candidate(100 + number, circuit, flops=int(60 * 1.2**number), error=0.6 * 0.9**number)
        for number, circuit in enumerate(circuits)
    ]
    drawn = Drawn(printed_figure(replace(front_plot(dominated=100), front=front), size))
    assert 10 < len(drawn.labels) < 30
    check_labels(drawn)


def check_labels(drawn: Drawn) -> None:
    """Check that labels cover nothing and stay clear of the axes."""
    others = [*drawn.marks("o", "s", "D"), *drawn.lines(), drawn.legend]
    for number, box in enumerate(boxes := list(drawn.labels.values())):
        assert not any(overlap(box, other) for other in (*others, *boxes[:number]))
        edges = drawn.axes.bbox
        # In pixels; a line of the axes is about three pixels wide.
        assert edges.x0 + 4 <= box.x0 and box.x1 <= edges.x1 and edges.y0 + 4 <= box.y0 and box.y1 <= edges.y1


@pytest.mark.parametrize("names", [1, 4, 9])
def test_a_legend_is_no_wider_than_a_narrow_figure(names: int) -> None:
    figure = PrintedFigure(figsize=(3.1, 2.4), layout="constrained")
    axes = figure.subplots()
    rows = legend_below(figure, [axes.plot([], [], label=f"a name of {number}")[0] for number in range(names)])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert figure.bbox.x0 <= extent.x0 and extent.x1 <= figure.bbox.x1
    assert len(legend.get_texts()) == names and rows == {1: 1, 4: 2, 9: 5}[names]


def test_no_label_of_eight_is_missing(crowded: Drawn) -> None:
    assert set(crowded.labels) == {str(trial) for trial, _, _ in FRONT}


def test_only_a_slide_has_a_title(crowded: Drawn) -> None:
    is_slide = tuple(crowded.figure.get_size_inches()) == Size.SLIDE.form.inches
    assert crowded.figure.get_suptitle() == ("iris" if is_slide else "")


def test_the_legend_is_in_the_figure_and_on_no_point(crowded: Drawn) -> None:
    points = crowded.marks("o", "s", "D")
    assert len(points) >= 68
    assert not any(overlap(crowded.legend, point) for point in points)
    assert not overlap(crowded.legend, crowded.axes.bbox)
    figure, legend = crowded.figure.bbox, crowded.legend
    assert figure.x0 <= legend.x0 and legend.x1 <= figure.x1 and figure.y0 <= legend.y0


def overlap(one: Bbox, other: Bbox) -> bool:
    """Return whether two boxes overlap by more than the rounding of a pixel."""
    width, height = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(width > 0.5 and height > 0.5)


@pytest.mark.parametrize(("size", "pixels"), [("column", (1020, 900)), ("slide", (1920, 1080))])
def test_each_size_has_its_measures(search: Search, tmp_path: Path, size: str, pixels: tuple[int, int]) -> None:
    write_pareto_plot(read_state(search), tmp_path / "front.png", size=Size(size))
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size == pixels
        # The resolution follows from the printed size in inches.
        assert picture.info["dpi"][0] == pytest.approx(pixels[0] / Size(size).form.inches[0], abs=0.1)


def test_a_long_title_fits_its_slide() -> None:
    figure = printed_figure(replace(front_plot(), title="x" * 160), Size.SLIDE)
    (title,) = [text for text in figure.texts if text.get_text()]
    assert title.get_window_extent().width <= figure.bbox.width


def test_a_page_has_no_size(search: Search, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="an .html plot fills its window.*leave out --size, or choose a .png, .pdf or .svg"):
        write_pareto_plot(read_state(search), tmp_path / "front.html", size=Size.COLUMN)


def test_text_stays_text(search: Search, tmp_path: Path) -> None:
    for ending in ("pdf", "svg"):
        write_pareto_plot(read_state(search), tmp_path / f"front.{ending}")
    drawing = ElementTree.parse(tmp_path / "front.svg").getroot()
    texts = {"".join(element.itertext()).strip() for element in drawing.iter("{http://www.w3.org/2000/svg}text")}
    trials = {str(one.trial) for one in read_state(search).front}
    assert {"quantum FLOPs (forward pass of one sample)", "validation error", "front (labels: trial numbers)", *trials} <= texts
    # Publishers accept TrueType but not Type 3, matplotlib's default.
    file = (tmp_path / "front.pdf").read_bytes()
    assert b"/FontFile2" in file and b"/Type3" not in file


def test_marks_tell_what_is_inert() -> None:
    drawn = Drawn(printed_figure(front_plot(), Size.PAGE))
    assert drawn.words == ["front (labels: trial numbers)", "some gates inert", "not entangled"]
    looks = {}
    for line in drawn.axes.lines:
        for flops, error in values(line) if line.get_linestyle() == "None" else []:
            looks[int(flops), round(error, 3)] = (line.get_marker(), line.get_markerfacecolor())
    expected = {Mark.EFFECTIVE: ("o", ESTIMATED), Mark.INERT: ("o", "white"), Mark.LACKING: ("s", "white")}
    assert looks == {(flops, error): expected[mark] for mark, (_, flops, error) in zip(MARKS, FRONT, strict=True)}


def test_marks_that_are_not_there_are_not_explained() -> None:
    assert Drawn(printed_figure(front_plot(marks=[Mark.EFFECTIVE] * 8), Size.COLUMN)).words == ["front (labels: trial numbers)"]


@pytest.mark.parametrize(
    ("genomes", "name"),
    [
        ([genome_of(3, "CZ", "RY")], "not entangled"),
        ([genome_of(3, "CZ", "RY", "RZ", "RX")], "not entangled"),
        ([genome_of(3, "CNOT", "RZ")], "no effective rotation"),
        ([genome_of(3, "CZ", "RZ")], "not entangled or no effective rotation"),
        ([genome_of(3, "CZ", "RY"), genome_of(3, "CNOT", "RZ")], "not entangled or no effective rotation"),
        ([genome_of(3, "CNOT", "RY")], None),
    ],
)
def test_the_name_of_what_is_lacking(genomes: list[Genome], name: str | None) -> None:
    front = [candidate(number, genome, flops=10 + number, error=0.5 - number / 10) for number, genome in enumerate(genomes)]
    assert replace(front_plot(), front=front).meaning_of(Mark.LACKING) == name


def test_repeats_give_the_front_intervals() -> None:
    drawn = Drawn(printed_figure(front_plot(deviation=0.03, dominated=3), Size.PAGE))
    assert "95 % CI of the mean of 5 trainings" in drawn.words
    (bars,) = [bar for container in drawn.axes.containers for bar in container[2]]
    half = stats.t.ppf(0.975, 4) * 0.03 / math.sqrt(5)
    expected = [[[flops, max(error - half, 0)], [flops, error + half]] for _, flops, error in FRONT]
    assert np.array(bars.get_segments()) == pytest.approx(np.array(expected))
    assert not Drawn(printed_figure(front_plot(), Size.PAGE)).axes.containers


def test_pooled_errors_have_no_intervals_of_single_circuits() -> None:
    plot = front_plot(deviation=0.001)
    # A pooled error may lie outside the interval of the circuit's own trainings, and a bar has no negative length.
    front = [replace(candidate, val_error=candidate.val_error / 2) for candidate in plot.front]
    pooled = replace(plot, front=front, is_pooled=True)
    assert not Drawn(printed_figure(pooled, Size.PAGE)).axes.containers
    assert interactive_figure(pooled).data[1].error_y.array is None


def test_what_was_confirmed_stands_beside_what_was_believed() -> None:
    figure = printed_figure(plot := front_plot(confirmed=True), Size.PAGE)
    drawn = Drawn(figure)
    assert drawn.words[-1] == "confirmed on the test part, 95 % CI" and drawn.axes.get_ylabel() == "validation or test error"
    (container,) = drawn.axes.containers
    diamonds, _, (bars,) = container
    confirmed = [(one, plot.confirmed[one.record.circuit]) for one in plot.front]
    assert diamonds.get_marker() == "D" and diamonds.get_color() == CONFIRMED != ESTIMATED
    assert diamonds.get_xydata() == pytest.approx(np.array([[one.quantum_flops, test.error] for one, test in confirmed]))
    reach = [[[one.quantum_flops, test.low], [one.quantum_flops, test.high]] for one, test in confirmed]
    assert np.array(bars.get_segments()) == pytest.approx(np.array(reach))
    links = [lines for lines in drawn.axes.collections if isinstance(lines, LineCollection) and lines is not bars]
    expected = [[[one.quantum_flops, one.val_error], [one.quantum_flops, test.error]] for one, test in confirmed]
    assert np.array(links[0].get_segments()) == pytest.approx(np.array(expected))


def test_a_dominated_circuit_may_be_confirmed_too(search: Search) -> None:
    state = read_state(search)
    (other, *_) = state.by_circuit.keys() - {one.record.circuit for one in state.front}
    figure = pareto_figure(
        state, {other: ConfirmedError(error=0.3, low=0.2, high=0.4), "unknown": ConfirmedError(error=0, low=0, high=0)}
    )
    trial = state.by_circuit[other]
    assert [*figure.data[-1].x] == [trial.values[0]] and [*figure.data[-1].y] == [0.3]


def test_the_figure_of_a_page_tells_the_same(search: Search) -> None:
    plain = pareto_figure(read_state(search))
    assert [len(trace.x) for trace in plain.data] == [len(part) for part in (dominated(search), read_state(search).front)]
    assert plain.layout.yaxis.title.text == "validation error" and plain.data[1].error_y.array is None
    figure = interactive_figure(front_plot(deviation=0.03, confirmed=True, dominated=5))
    _, front, links, confirmed = figure.data
    assert [*front.marker.symbol] == ["square" if mark is Mark.LACKING else "circle" for mark in MARKS]
    assert [*front.marker.color] == [ESTIMATED if mark is Mark.EFFECTIVE else "white" for mark in MARKS]
    half = stats.t.ppf(0.975, 4) * 0.03 / math.sqrt(5)
    assert [*front.error_y.array] == pytest.approx([half] * 8)
    assert [*front.error_y.arrayminus] == pytest.approx([min(half, error) for _, _, error in FRONT])
    legend = "open: some gates inert, square: not entangled, bars: 95 % CI of the mean of 5 trainings"
    assert front.name == f"front ({legend})"
    assert [*confirmed.x] == [flops for _, flops, _ in FRONT]
    assert [*confirmed.y] == pytest.approx([error + 0.05 * (-1) ** number for number, (_, _, error) in enumerate(FRONT)])
    assert [*confirmed.error_y.array] == pytest.approx([0.04] * 8)
    assert [*confirmed.error_y.arrayminus] == pytest.approx([0.03] * 8)
    assert [*links.y[:2]] == pytest.approx([0.53, 0.58]) and links.y[2] is None
    assert figure.layout.yaxis.title.text == "validation or test error"


def dominated(search: Search) -> set[str]:
    state = read_state(search)
    return state.by_circuit.keys() - {one.record.circuit for one in state.front}
