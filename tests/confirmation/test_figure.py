"""Figure of a confirmation."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import confirmation_document, is_significant
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.confirmation.figure import write_confirmation_plot
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import OutputError
from faqnas_optuna.reporting.sizes import Size


@pytest.fixture
def document(confirmed: Confirmation) -> dict[str, Any]:
    return confirmation_document(confirmed)


def text_of(svg: Path) -> str:
    return " ".join(ElementTree.parse(svg).getroot().itertext())


def test_the_figure_names_all_networks_and_trials(document: dict[str, Any], tmp_path: Path) -> None:
    write_confirmation_plot(document, tmp_path / "figure.svg")
    text = text_of(tmp_path / "figure.svg")
    for label in ("circuit", "no circuit", "embedding alone", "classical network", "logistic", "test accuracy after 2 epochs"):
        assert label in text, label
    for circuit in document["circuits"]:
        assert f"{circuit['trial']}" in text
    assert '"confirms": "iris"' in (tmp_path / "figure.svg").read_text().replace("&quot;", '"')


def test_the_height_grows_with_the_number_of_circuits(document: dict[str, Any], tmp_path: Path) -> None:
    heights = []
    for repeats in (1, 10):
        write_confirmation_plot(document | {"circuits": repeats * document["circuits"]}, tmp_path / "figure.svg", Size.COLUMN)
        heights.append(float(ElementTree.parse(tmp_path / "figure.svg").getroot().attrib["height"].removesuffix("pt")))
    assert heights[0] == pytest.approx(3.0 * 72) and heights[1] > 2 * heights[0]


def test_controls_that_differ_significantly_are_filled(document: dict[str, Any], tmp_path: Path) -> None:
    drawings = []
    for p in (0.5, 0.001):
        for circuit in document["circuits"]:
            for control in circuit["controls"]:
                control["p_holm"] = p
        write_confirmation_plot(document, tmp_path / "figure.svg")
        # Open marks are filled with white, as is the background of the figure.
        drawings.append((tmp_path / "figure.svg").read_text().count("fill: #ffffff"))
    assert drawings[0] > drawings[1]


def test_without_a_p_no_control_is_filled(document: dict[str, Any], tmp_path: Path) -> None:
    """Check a confirmation with one seed, which gives no p."""
    for circuit in document["circuits"]:
        for control in circuit["controls"]:
            control |= {"p_holm": None, "difference": None, "rank_biserial": None}
            assert not is_significant(control)
    write_confirmation_plot(document, tmp_path / "figure.svg")
    assert "embedding alone" in text_of(tmp_path / "figure.svg")


def test_balanced_accuracy_is_drawn_where_it_is_the_score(document: dict[str, Any], tmp_path: Path) -> None:
    write_confirmation_plot(document | {"score": str(Score.BALANCED)}, tmp_path / "figure.svg")
    assert f"{heading_of_test_score(Score.BALANCED)} after" in text_of(tmp_path / "figure.svg")


def test_only_printed_formats_are_written(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="must end in .png, .pdf or .svg; 'figure.html' does not"):
        write_confirmation_plot(document, tmp_path / "figure.html")
