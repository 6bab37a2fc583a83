"""Figure of finalists under noise: the score of each by noise factor, darker for higher costs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import StudyConfig, cost_text
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.files import write_atomically
from faqnas_optuna.noise.report import overtakes
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.matplotlib_front import INK, TIGHT, as_file, styled
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORM = Size.PAGE.form
MARKS = "osD^vPX<>p"
"""Markers, used in turn: circuits of similar cost have similar colours and need different markers."""
PALE = 0.9
"""Upper end of the range of matplotlib's viridis that is used. Paler colours are hard to see on white."""
WIDTH = 0.7
"""Width of the group of markers at one noise factor. Noise factors are 1 apart."""
LEGEND_ROWS = 18
"""Maximum number of rows of the legend, at which it is as high as the figure."""

Document = Mapping[str, Any]


def write_noise_plot(document: Document, confirmation: Confirmation, path: Path) -> None:
    """Write the figure of finalists under noise to a file, with its provenance as metadata.

    Args:
        document: Result of `noise_document`.
        path: Path that ends in `.png`, `.pdf` or `.svg`.

    Raises:
        OutputError: The path has another ending, or the file cannot be written.
    """
    check_printed(path)
    # The metadata leave out what the figure shows.
    noise = {name: value for name, value in document.items() if name not in ("circuits", "overtakings")}
    metadata = json.dumps({"study": confirmation.name, "noise": noise, **provenance(confirmation)})
    write_atomically(path, as_file(noise_figure(document, confirmation.config), path, FORM, metadata))


def noise_figure(document: Document, config: StudyConfig) -> "Figure":
    """Draw the mean score of each finalist by noise factor, with 95 % confidence intervals over the seeds.

    At each noise factor the circuits are side by side, the cheapest on the left. A ring marks the first noise factor at which a
    circuit overtakes a more expensive one with statistical significance.
    """
    # The noise factors are evenly spaced: from the second on each is twice the one before, but no logarithmic axis has a zero.
    from matplotlib.figure import Figure

    # Without pyplot, which would keep the figure in global state.
    with styled(FORM):
        figure = Figure(figsize=FORM.inches, layout="constrained")
        axes = figure.subplots()
        _prepare(axes, document, config)
        curves = _draw_circuits(axes, document, config)
        right: dict[str, Any] = {"loc": "outside right center", "ncols": -(-len(curves) // LEGEND_ROWS), "frameon": False}
        figure.legend(handles=curves, title=f"trial: {config.cost_name}", **right, **TIGHT)
        below: dict[str, Any] = {"loc": "outside lower center", "ncols": 3, "frameon": False}
        figure.legend(handles=_draw_references(axes, document, config), **below, **TIGHT)
    return figure


def _prepare(axes: "Axes", document: Document, config: StudyConfig) -> None:
    strengths = document["strengths"]
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    axes.set_xlabel(f"noise factor ({document['noise']})")
    axes.set_ylabel(heading_of_test_score(config.score))
    axes.set_xlim(-0.5, len(strengths) - 0.5)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", linewidth=0.3 * FORM.line_pt, color="0.88")
    axes.spines[["top", "right"]].set_visible(False)
    # Bands behind every other noise factor show which markers belong together.
    for place in range(1, len(strengths), 2):
        axes.axvspan(place - 0.5, place + 0.5, color="0.97", linewidth=0, zorder=0)


def _draw_circuits(axes: "Axes", document: Document, config: StudyConfig) -> list["Artist"]:
    """Draw the means of each circuit, connected by lines, and their intervals; return the entries of the legend."""
    from matplotlib import colormaps

    circuits = document["circuits"]
    curves: list[Artist] = []
    for number, circuit in enumerate(circuits):
        # The circuits are sorted by cost: the most expensive one, the last, gets the darkest colour, 0.
        colour = colormaps["viridis"](PALE * (1 - (number + 1) / len(circuits)))
        places = _places(document, number)
        means = circuit[f"test_{config.score.key}"]
        style: dict[str, Any] = {"marker": MARKS[number % len(MARKS)], "color": colour, "linewidth": 0.6 * FORM.line_pt}
        label = f"{circuit['trial']}: {cost_text(circuit['cost'])}"
        curves += axes.plot(places, means, **style, markersize=0.7 * FORM.mark_pt, label=label)
        intervals = [(place, ends) for place, ends in zip(places, _intervals(circuit, config), strict=True) if ends]
        lows, highs = ([ends[end] for _, ends in intervals] for end in (0, 1))
        axes.vlines([place for place, _ in intervals], lows, highs, colors=[colour], linewidth=0.7 * FORM.line_pt, alpha=0.6)
    return curves


def _draw_references(axes: "Axes", document: Document, config: StudyConfig) -> list["Artist"]:
    """Draw the score of always predicting the most frequent class, and the rings; return the entries of the legend."""
    entries: list[Artist] = []
    # The intervals have no label of their own, as there is one set per circuit. An empty plot explains the bars of the
    # intervals in the legend.
    if any(any(_intervals(circuit, config)) for circuit in document["circuits"]):
        entries += axes.plot([], [], "|", color=INK, markersize=FORM.text_pt, label="95 % CI of the mean over seeds")
    dotted: dict[str, Any] = {"color": "0.4", "linestyle": ":", "linewidth": 0.7 * FORM.line_pt}
    entries.append(axes.axhline(document["constant"], **dotted, label="majority class"))
    rings = _ring_places(document, config)
    if rings:
        ring: dict[str, Any] = {"markersize": 1.5 * FORM.mark_pt, "markeredgecolor": INK, "markeredgewidth": 0.6 * FORM.line_pt}
        # Only the edge is drawn, so that the marker inside stays visible.
        ring |= {"linestyle": "", "marker": "o", "markerfacecolor": "none"}
        entries += axes.plot(*zip(*sorted(rings), strict=True), **ring, label="overtakes a more expensive circuit")
    return entries


def _ring_places(document: Document, config: StudyConfig) -> set[tuple[float, float]]:
    """Return the coordinates at which circuits overtake more expensive ones."""
    numbers = {circuit["trial"]: number for number, circuit in enumerate(document["circuits"])}
    # A set, because a circuit can overtake several others at one noise factor.
    places = set()
    for entry in filter(overtakes, document["overtakings"]):
        number = numbers[entry["cheaper"]]
        strength = document["strengths"].index(entry["strength"])
        mean = document["circuits"][number][f"test_{config.score.key}"][strength]
        places.add((_places(document, number)[strength], mean))
    return places


def _places(document: Document, number: int) -> list[float]:
    """Return the x coordinate of a circuit at each noise factor, next to the other circuits."""
    shift = WIDTH * ((number + 0.5) / len(document["circuits"]) - 0.5)
    return [place + shift for place in range(len(document["strengths"]))]


def _intervals(circuit: Document, config: StudyConfig) -> list[list[float] | None]:
    """Return the 95 % confidence interval of the mean at each noise factor; None if it is unknown, as with one seed."""
    intervals: list[list[float] | None] = circuit[f"test_{config.score.key}_interval"]
    return intervals
