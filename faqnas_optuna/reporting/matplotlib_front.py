"""Printed figure of a front, drawn with matplotlib."""

import io
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.front_plot import (
    BAND,
    CONFIRMED,
    CONFIRMED_NAME,
    DOMINATED,
    ESTIMATED,
    MANY,
    FrontPlot,
    Mark,
    points,
)
from faqnas_optuna.reporting.labels import Box, place
from faqnas_optuna.reporting.sizes import Form, Size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    Handle = Artist | tuple[Artist, ...]
    """An artist, or container of artists, with an entry in a legend."""

POINTS_PER_INCH = 72
INK = "0.15"
ESTIMATED_RANGE = "#9CC7E1"
"""Colour of the intervals from the search: a light blue, since the confirmed values are drawn over them."""
DESCRIPTION = {".png": "Description", ".pdf": "Subject", ".svg": "Description"}
"""Key of the description in the metadata of each kind of file."""
# Matplotlib writes the current time into PDF and SVG files; equal figures should be equal files.
UNDATED: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
TIGHT: dict[str, Any] = {"handlelength": 1.5, "handletextpad": 0.5, "columnspacing": 1.2, "labelspacing": 0.3, "borderpad": 0.2}
"""Distances in a legend, in multiples of its font size."""


def styled(form: Form) -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and written with the font sizes of a form."""
    from matplotlib import rc_context

    small = 0.9 * form.text_pt
    return rc_context(
        {
            "font.size": form.text_pt,
            "legend.fontsize": small,
            "xtick.labelsize": small,
            "ytick.labelsize": small,
            # Journals reject the Type 3 fonts that matplotlib embeds by default; 42 is TrueType.
            "pdf.fonttype": 42,
            # Keep text searchable and editable instead of drawing it as paths.
            "svg.fonttype": "none",
            # The ids in an SVG file are random unless there is a salt.
            "svg.hashsalt": "faqnas-optuna",
        }
    )


def as_file(figure: "Figure", path: Path, form: Form, description: str) -> bytes:
    """Return the content of a file with a printed figure; equal figures give equal bytes.

    Args:
        path: File name, whose suffix decides the kind of the file.
        form: Form that the figure was drawn in.
        description: Origin of the figure's values, stored in the metadata of the file.
    """
    buffer = io.BytesIO()
    kind = path.suffix.lower()
    metadata = {DESCRIPTION[kind]: description, **UNDATED.get(kind, {})}
    # Font types and SVG ids are decided here, when the figure is written.
    with styled(form):
        figure.savefig(buffer, format=kind.removeprefix("."), dpi=form.dpi, metadata=metadata)
    return buffer.getvalue()


def printed_figure(plot: FrontPlot, size: Size) -> "Figure":
    """Return a figure of the front as steps over a logarithmic cost axis, with the legend below the axes.

    Dominated circuits are drawn pale and behind the front. Points of the front are labelled with their trial numbers, as far as
    there is room.
    """
    from matplotlib.figure import Figure

    form = size.form
    with styled(form):
        # A `Figure` that is created without pyplot opens no window and adds no global state.
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        prepare(axes, plot, form)
        legend_below(
            figure, [*_draw_circuits(axes, plot, form), *_draw_intervals(axes, plot, form), *_majority_handles(axes, plot)]
        )
        # The labels need the final position of everything else: lay the figure out now, and never again.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        _draw_labels(axes, plot, form)
    return figure


def prepare(axes: "Axes", plot: FrontPlot, form: Form) -> None:
    """Set the scales, labels, grid and title."""
    axes.set_xscale("log")
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.margins(0.07)
    axes.set_axisbelow(True)
    axes.grid(visible=True, linewidth=0.3 * form.line_pt, color="0.88")
    axes.spines[["top", "right"]].set_visible(False)
    if form.has_title:
        title = axes.figure.suptitle(plot.title, fontsize=form.text_pt)
        # The title contains the name of the study, which may be too long for the font size.
        title.set_fontsize(form.text_pt * min(1, 0.96 * axes.figure.bbox.width / title.get_window_extent().width))


def _draw_circuits(axes: "Axes", plot: FrontPlot, form: Form) -> list["Handle"]:
    """Draw the circuits at their validation errors, and return the handles for the legend."""
    dominated_style: dict[str, Any] = {
        "linestyle": "",
        "marker": "o",
        "color": DOMINATED,
        "markersize": (0.55 if len(plot.dominated) < MANY else 0.2) * form.mark_pt,
        "markeredgewidth": 0,
    }
    handles: list[Handle] = []
    if plot.dominated:
        handles += axes.plot(*points(plot.dominated), **dominated_style, label=plot.dominated_name)
    if plot.band:
        costs, lowest, highest = zip(*plot.band, strict=True)
        handles.append(
            axes.fill_between(costs, lowest, highest, step="post", color=BAND, linewidth=0, zorder=0.5, label=plot.band_name)
        )
    steps: dict[str, Any] = {"drawstyle": "steps-post", "color": ESTIMATED, "linewidth": 0.7 * form.line_pt}
    axes.plot(*points(plot.front), **steps)
    # A line without points gives the steps and the filled circle one common legend entry.
    handles += axes.plot([], [], **steps, **_mark_settings(Mark.EFFECTIVE, form), label="front (labels: trial numbers)")
    for mark in Mark:
        circuits = [candidate for candidate in plot.front if Mark.of(candidate) is mark]
        lines = axes.plot(*points(circuits), linestyle="", **_mark_settings(mark, form), zorder=4, label=plot.meaning_of(mark))
        # Filled circles are part of the entry above.
        if circuits and mark is not Mark.EFFECTIVE:
            handles += lines
    return handles


def _mark_settings(mark: Mark, form: Form) -> dict[str, Any]:
    """Return the keyword arguments of `Axes.plot` for a mark."""
    return {
        "marker": "s" if mark.is_square else "o",
        "markersize": form.mark_pt,
        "markeredgewidth": form.line_pt,
        "markeredgecolor": ESTIMATED,
        "markerfacecolor": ESTIMATED if mark.is_filled else "white",
    }


def _draw_intervals(axes: "Axes", plot: FrontPlot, form: Form) -> list["Handle"]:
    """Draw the intervals of the validation errors, and the confirmed errors with theirs; return the legend handles."""
    handles: list[Handle] = []
    bars = plot.bars
    if bars:
        x, y = points([candidate for candidate, _ in bars])
        interval_style: dict[str, Any] = {
            "fmt": "none",
            "ecolor": ESTIMATED_RANGE,
            "elinewidth": 2 * form.line_pt,
            "zorder": 1.5,
        }
        lengths = _bar_lengths(y, [interval for _, interval in bars])
        handles.append(axes.errorbar(x, y, yerr=lengths, **interval_style, label=plot.interval_name))
    pairs = plot.pairs
    if pairs:
        x, val_errors = points([candidate for candidate, _ in pairs])
        y = [confirmed.error for _, confirmed in pairs]
        axes.vlines(x, val_errors, y, colors=CONFIRMED, linestyles="dotted", linewidth=form.line_pt, zorder=3)
        lengths = _bar_lengths(y, [(confirmed.low, confirmed.high) for _, confirmed in pairs])
        bar_style: dict[str, Any] = {"elinewidth": form.line_pt, "capsize": 0.4 * form.mark_pt, "capthick": form.line_pt}
        diamond: dict[str, Any] = {"fmt": "D", "color": CONFIRMED, "markersize": 0.8 * form.mark_pt}
        handles.append(axes.errorbar(x, y, yerr=lengths, **diamond, **bar_style, zorder=5, label=CONFIRMED_NAME))
    return handles


def _majority_handles(axes: "Axes", plot: FrontPlot) -> list["Handle"]:
    """Return the legend handles for the error of always predicting the majority class: one, or none if it is unknown.

    No line is drawn for this error, because it would be far above the points of most studies.
    """
    return [*axes.plot([], [], linestyle="", label=plot.majority_name)] if plot.majority_name else []


def _bar_lengths(values: list[float], intervals: list[tuple[float, float]]) -> list[list[float]]:
    """Return the distances (2, n) from each value to the lower and the upper end of its interval."""
    down = [value - low for value, (low, _) in zip(values, intervals, strict=True)]
    up = [high - value for value, (_, high) in zip(values, intervals, strict=True)]
    return [down, up]


def legend_below(figure: "Figure", handles: Sequence["Handle"]) -> int:
    """Put a legend below the axes, with as many columns as the figure has room for, and return its number of rows."""
    # matplotlib cannot say in advance how wide a legend will be: try it, and remove it if it is too wide.
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, ncols=columns, loc="outside lower center", frameon=False, **TIGHT)
        if legend.get_window_extent().width <= 0.99 * figure.bbox.width or columns == 1:
            return math.ceil(len(handles) / columns)
        legend.remove()
    return 0


def _draw_labels(axes: "Axes", plot: FrontPlot, form: Form) -> None:
    """Write the trial number beside each point of the front, if there is room."""
    labels = _labels_on_points(axes, plot, form)
    positions = _Positions(axes=axes)
    scale = POINTS_PER_INCH / axes.figure.dpi
    extents = [label.get_window_extent() for label in labels]
    gap = _padded_diameter(form) / 2
    label_spacing = 0.3 * form.text_pt
    boxes = place(
        [positions.of(candidate.cost, candidate.val_error) for candidate in plot.front],
        [(scale * extent.width, scale * extent.height) for extent in extents],
        gap=gap,
        air=label_spacing,
        obstacles=_obstacles(plot, form, positions),
        # Labels must not touch the edges of the plot either.
        bounds=Box(*(scale * edge for edge in axes.bbox.extents)).grown(-label_spacing),
    )
    for label, box in zip(labels, boxes, strict=True):
        if box is None:
            label.remove()
            continue
        x, y = positions.of(*label.xy)
        label.xyann = (box.centre[0] - x, box.centre[1] - y)
        nearest = box.nearest_to(x, y)
        # Labels at the smallest distance are at most √2 gaps from their points. A label farther away could be taken for that
        # of another point, so a line connects it with its point.
        if math.dist(nearest, (x, y)) > 1.5 * gap:
            line = {"arrowstyle": "-", "color": INK, "linewidth": 0.4 * form.line_pt, "shrinkA": 0, "shrinkB": form.mark_pt / 2}
            leader = (nearest[0] - x, nearest[1] - y)
            axes.annotate("", label.xy, xytext=leader, textcoords="offset points", arrowprops=line, zorder=2.5)


def _labels_on_points(axes: "Axes", plot: FrontPlot, form: Form) -> list["Annotation"]:
    """Write each trial number on its point of the front, to measure the size of the text before it is moved."""
    return [
        axes.annotate(
            str(candidate.trial),
            (candidate.cost, candidate.val_error),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=0.9 * form.text_pt,
            color=INK,
            ha="center",
            va="center",
        )
        for candidate in plot.front
    ]


@dataclass(frozen=True, kw_only=True)
class _Positions:
    """Conversion of data coordinates to positions in the figure, in points of 1/72 inch."""

    axes: "Axes"

    def of(self, cost: float, error: float) -> tuple[float, float]:
        """Return the position of a point."""
        x, y = self.axes.transData.transform((cost, error)) * POINTS_PER_INCH / self.axes.figure.dpi
        return float(x), float(y)

    def box_of_mark(self, cost: float, error: float, *, diameter: float) -> Box:
        """Return the box around a mark."""
        return Box.around(*self.of(cost, error), width=diameter, height=diameter)

    def box_of_line(self, begin: tuple[float, float], end: tuple[float, float], *, width: float) -> Box:
        """Return the box around a horizontal or vertical line."""
        (begin_x, y), (end_x, other_y) = sorted((self.of(*begin), self.of(*end)))
        low, high = sorted((y, other_y))
        return Box(begin_x - width / 2, low - width / 2, end_x + width / 2, high + width / 2)


def _padded_diameter(form: Form) -> float:
    """Return the diameter of a mark with its edge and some space, in points."""
    return form.mark_pt + 2 * form.line_pt


def _obstacles(plot: FrontPlot, form: Form, positions: _Positions) -> list[Box]:
    """Return boxes around all marks and lines, with a little space."""
    diameter = _padded_diameter(form)
    marks = [positions.box_of_mark(candidate.cost, candidate.val_error, diameter=diameter) for candidate in plot.front]
    # The marks of dominated circuits are smaller (see `_draw_circuits`).
    marks += [
        positions.box_of_mark(candidate.cost, candidate.val_error, diameter=0.7 * diameter) for candidate in plot.dominated
    ]
    marks += [positions.box_of_mark(candidate.cost, confirmed.error, diameter=diameter) for candidate, confirmed in plot.pairs]
    corners = [(candidate.cost, candidate.val_error) for candidate in plot.front]
    # The steps of the front: first along the cost axis, then down.
    lines = [(begin, (end[0], begin[1])) for begin, end in pairwise(corners)]
    lines += [((end[0], begin[1]), end) for begin, end in pairwise(corners)]
    lines += [((candidate.cost, low), (candidate.cost, high)) for candidate, (low, high) in plot.bars]
    for candidate, confirmed in plot.pairs:
        # The interval bar and the dotted line to the validation error lie on one vertical line.
        ends = (confirmed.low, confirmed.high, candidate.val_error)
        lines.append(((candidate.cost, min(ends)), (candidate.cost, max(ends))))
    return marks + [positions.box_of_line(begin, end, width=3 * form.line_pt) for begin, end in lines]
