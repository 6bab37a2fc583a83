"""The figure of finalists under noise: its content, and its reproducible bytes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from faqnas_optuna.config import Score, StudyConfig
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import OutputError
from faqnas_optuna.noise.figure import noise_figure, write_noise_plot
from faqnas_optuna.noise.finalists import STRENGTHS
from tests.support.noise import CHEAP, DEAR, document, under_noise

CONFIG = StudyConfig(dataset="wine")
OVERTAKEN = (
    under_noise(5, 100, (0.6, 0.6, 0.7), (0.6, 0.6, 0.7), (0.6, 0.7, 0.7)),
    under_noise(3, 900, (0.9, 0.8, 0.5), (0.9, 0.8, 0.51), (0.9, 0.9, 0.5)),
)


def words(figure: Any) -> list[list[str]]:
    """Return the texts of each legend."""
    return [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]


def test_each_finalist_has_its_means_and_intervals_at_even_places() -> None:
    report = document(CHEAP, DEAR)
    figure = noise_figure(report, CONFIG)
    axes: Any = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{strength:g}" for strength in STRENGTHS]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("noise factor (depolarizing:0.01)", "test accuracy")
    beside, below = words(figure)
    assert beside == ["5: 100", "3: 900"] and figure.legends[0].get_title().get_text() == "trial: quantum FLOPs"
    assert below == ["95 % CI of the mean over seeds", "majority class"]
    bars = [collection for collection in axes.collections if isinstance(collection, LineCollection)]
    for circuit, line, drawn in zip(report["circuits"], axes.lines[:2], bars, strict=True):
        x, y = line.get_xdata(), line.get_ydata()
        assert list(y) == circuit["test_accuracy"]
        assert np.diff(x) == pytest.approx([1] * (len(STRENGTHS) - 1)) and abs(x[0]) < 0.5
        intervals = zip(x, circuit["test_accuracy_interval"], strict=True)
        # There is no interval where all seeds have the same score.
        ends = [
            [[place, ends_of_interval[0]], [place, ends_of_interval[1]]]
            for place, ends_of_interval in intervals
            if ends_of_interval
        ]
        assert np.array(drawn.get_segments()) == pytest.approx(np.array(ends))


def test_rings_are_where_the_table_says_that_one_overtakes() -> None:
    report = document(*OVERTAKEN)
    (entry,) = report["overtakings"]
    assert entry["difference_interval"][0] > 0
    figure = noise_figure(report, CONFIG)
    assert words(figure)[1][-1] == "overtakes a more expensive circuit"
    lines: Any = figure.axes[0].lines
    cheaper, rings = lines[0], lines[-1]
    place = STRENGTHS.index(entry["strength"])
    assert rings.get_xydata() == pytest.approx(cheaper.get_xydata()[[place]])


def test_many_finalists_have_looks_of_their_own() -> None:
    many = [under_noise(trial, 100 + trial, [0.5 + trial / 50] * len(STRENGTHS)) for trial in range(20)]
    figure: Any = noise_figure(document(*many), CONFIG)
    figure.draw_without_rendering()
    lines = figure.axes[0].lines[:20]
    assert len({(line.get_marker(), tuple(line.get_color())) for line in lines}) == 20
    assert all(one.get_marker() != other.get_marker() for one, other in pairwise(lines))
    places = [line.get_xdata()[0] for line in lines]
    assert places == sorted(places) and max(places) < 0.5 < 1 + min(places)
    # A single seed has no interval, so the legend does not explain one.
    assert words(figure)[1] == ["majority class"]
    inside = figure.bbox.padded(1)
    for legend in figure.legends:
        corners = legend.get_window_extent().corners()
        assert all(inside.contains(*corner) for corner in corners)


def test_balanced_scores_are_told_as_such() -> None:
    config = CONFIG.model_copy(update={"score": Score.BALANCED})
    axes = noise_figure(document(CHEAP, DEAR, score=Score.BALANCED), config).axes[0]
    assert axes.get_ylabel() == "balanced test accuracy"


@pytest.mark.slow
def test_the_same_document_is_the_same_file(confirmed: Confirmation, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.svg", "two.svg")]
    for file in files:
        write_noise_plot(document(CHEAP, DEAR), confirmed, file)
    one, two = (file.read_bytes() for file in files)
    assert one == two and b"iris.confirm" in one and b"data_fingerprint" in one
    with pytest.raises(OutputError, match=r"the name of this plot must end in \.png, \.pdf or \.svg; 'x\.html' does not"):
        write_noise_plot(document(CHEAP), confirmed, tmp_path / "x.html")
