"""Figure of a confirmation: the test score of each circuit beside its controls and the classical models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import is_significant
from faqnas_optuna.confirmation.baselines import Model
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.front_plot import CONFIRMED
from faqnas_optuna.reporting.matplotlib_front import INK, as_file, legend_below, styled
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.reporting.sizes import Form, Size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS: dict[Model, tuple[str, str, str]] = {
    Model.CIRCUIT: ("D", CONFIRMED, "circuit"),
    Model.LINEAR: ("s", "#0072B2", "no circuit"),
    Model.EMBEDDING: ("^", "#56B4E9", "embedding alone"),
    Model.SEPARABLE: ("o", "#009E73", "no entanglers"),
    Model.MLP: ("v", "0.35", "classical network"),
}
"""Marker, colour and legend entry of each network."""
LINES = ("--", "-.", (0, (1, 1)))
"""Line styles of the classical models."""
ROW_INCHES = 0.36
"""Minimum height of a row."""
MARGIN_INCHES = 1.6
"""Height of the axis labels and the legend."""

Document = Mapping[str, Any]


def write_confirmation_plot(document: Document, path: Path, size: Size | None = None) -> None:
    """Write the figure of a confirmation to a file, with its provenance as metadata.

    Args:
        document: Result of `confirmation_document`.
        path: Path that ends in `.png`, `.pdf` or `.svg`.
        size: Size of the figure; the width of a page by default. The height grows with the number of circuits.

    Raises:
        OutputError: The path has another ending, or the file cannot be written.
    """
    check_printed(path)
    write_atomically(path, plot_content(document, path, size or Size.PAGE))


def plot_content(document: Document, path: Path, size: Size) -> bytes:
    """Return the content of a file with the figure of a confirmation; see `write_confirmation_plot` for the arguments."""
    description = json.dumps({name: document[name] for name in ("study", "confirms", "epochs", "repeats", "provenance")})
    return as_file(confirmation_figure(document, size), path, size.form, description)


def confirmation_figure(document: Document, size: Size) -> "Figure":
    """Return the figure of a confirmation, whose height grows with the number of circuits."""
    from matplotlib.figure import Figure

    score = Score(document["score"])
    # Rows of more circuits than fit into the form would overlap.
    width, height = size.form.inches
    form = replace(size.form, inches=(width, max(height, MARGIN_INCHES + ROW_INCHES * len(document["circuits"]))))
    circuits = document["circuits"]
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        axes.set_xlabel(f"{heading_of_test_score(score)} after {document['epochs']} epochs")
        axes.set_ylabel("trial")
        # The cheapest circuit is at the top.
        axes.set_yticks(range(len(circuits)), [str(circuit["trial"]) for circuit in circuits])
        axes.set_ylim(len(circuits) - 0.5, -0.5)
        axes.set_axisbelow(True)
        axes.grid(visible=True, axis="x", linewidth=0.3 * form.line_pt, color="0.88")
        axes.spines[["top", "right"]].set_visible(False)
        # Bands behind every other row show which marks belong together.
        for row in range(1, len(circuits), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="0.97", linewidth=0, zorder=0)
        legend_below(figure, [*_draw_networks(axes, circuits, score, form), *_draw_references(axes, document, score, form)])
    return figure


def _draw_networks(axes: "Axes", circuits: Sequence[Document], score: Score, form: Form) -> list["Artist"]:
    """Draw the mean scores of circuits and controls with their intervals, and return the handles for the legend."""
    handles: list[Artist] = []
    key = f"test_{score.key}"
    for place, (model, (marker, colour, label)) in enumerate(MARKS.items()):
        # The networks of a row are drawn below one another, the circuit first.
        offset = 0.15 * (place - (len(MARKS) - 1) / 2)
        for row, circuit in enumerate(circuits):
            for network in [circuit] if model is Model.CIRCUIT else circuit["controls"]:
                if network is not circuit and network["model"] != model:
                    continue
                # A filled mark is the circuit, or differs significantly from it.
                is_filled = network is circuit or is_significant(network)
                style: dict[str, Any] = {
                    "marker": marker,
                    "color": colour,
                    "markerfacecolor": colour if is_filled else "white",
                    "markersize": 0.7 * form.mark_pt,
                    "linestyle": "",
                }
                axes.plot([network[key]], [row + offset], **style, zorder=3)
                if interval := network[f"{key}_interval"]:
                    low, high = interval
                    axes.hlines([row + offset], low, high, colors=[colour], linewidth=0.7 * form.line_pt, zorder=2)
        if model is Model.CIRCUIT or any(control["model"] == model for circuit in circuits for control in circuit["controls"]):
            handles += axes.plot([], [], marker, color=colour, markersize=0.7 * form.mark_pt, label=label)
    handles += axes.plot([], [], linestyle="", label="lines: 95 % CI; filled controls differ significantly")
    return handles


def _draw_references(axes: "Axes", document: Document, score: Score, form: Form) -> list["Artist"]:
    """Draw the scores of the classical models and of the majority class, and return the handles for the legend."""
    handles: list[Artist] = []
    # At most three models, of which a large training part has fewer.
    for baseline, style in zip(document["baselines"], LINES, strict=False):
        settings: dict[str, Any] = {"color": INK, "linestyle": style, "linewidth": 0.7 * form.line_pt, "zorder": 1}
        handles.append(axes.axvline(baseline[f"test_{score.key}"], **settings, label=baseline["baseline"]))
    return handles
