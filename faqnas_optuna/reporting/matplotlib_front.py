"""The front drawn for paper: what matplotlib makes of it."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.front_plot import (
    BELIEVED,
    CONFIRMED,
    CONFIRMED_NAME,
    DOMINATED,
    DOMINATED_NAME,
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

    Told = Artist | tuple[Artist, ...]
    """What a legend tells of."""

POINTS_PER_INCH = 72
INK = "0.15"
BELIEVED_RANGE = "#9CC7E1"
"""The blue of search estimates, but light: what is confirmed is drawn over it."""
TIGHT: dict[str, Any] = {"handlelength": 1.5, "handletextpad": 0.5, "columnspacing": 1.2, "labelspacing": 0.3, "borderpad": 0.2}
"""Distances in a legend, in units of its text."""


def styled(form: Form) -> AbstractContextManager[None]:
    """While figures are drawn and written: text stays text in the file, and no name in it is a random one."""
    from matplotlib import rc_context

    small = 0.9 * form.text_pt
    return rc_context(
        {
            "font.size": form.text_pt,
            "legend.fontsize": small,
            "xtick.labelsize": small,
            "ytick.labelsize": small,
            "pdf.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "faqnas-optuna",
        }
    )


def printed_figure(shown: FrontPlot, size: Size) -> "Figure":
    """The front as steps, log-scaled in cost, with the dominated circuits faint behind it and the legend below the axes.

    Each point of the front has the number of its trial beside it, where there is room.
    """
    from matplotlib.figure import Figure

    form = size.form
    with styled(form):
        # A figure without pyplot: no window, no global state.
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        _prepare(axes, shown, form)
        legend_below(figure, [*_circuits(axes, shown, form), *_intervals(axes, shown, form), *_majority(axes, shown)])
        # From here on nothing moves: the labels find their places between what is there.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        _label(axes, shown, form)
    return figure


def _prepare(axes: "Axes", shown: FrontPlot, form: Form) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(shown.x_label)
    axes.set_ylabel(shown.y_label)
    axes.margins(0.07)
    axes.set_axisbelow(True)
    axes.grid(visible=True, linewidth=0.3 * form.line_pt, color="0.88")
    axes.spines[["top", "right"]].set_visible(False)
    if form.has_title:
        title = axes.figure.suptitle(shown.title, fontsize=form.text_pt)
        # The name of a study may be long.
        title.set_fontsize(form.text_pt * min(1, 0.96 * axes.figure.bbox.width / title.get_window_extent().width))


def _circuits(axes: "Axes", shown: FrontPlot, form: Form) -> list["Told"]:
    """Draw the circuits by their validation errors.

    Returns:
        What the legend tells of.
    """
    faint: dict[str, Any] = {
        "linestyle": "",
        "marker": "o",
        "color": DOMINATED,
        "markersize": 0.55 * form.mark_pt,
        "markeredgewidth": 0,
    }
    told: list[Told] = []
    if shown.dominated:
        told += axes.plot(*points(shown.dominated), **faint, label=DOMINATED_NAME)
    steps: dict[str, Any] = {"drawstyle": "steps-post", "color": BELIEVED, "linewidth": 0.7 * form.line_pt}
    axes.plot(*points(shown.front), **steps)
    told += axes.plot([], [], **steps, **_mark(Mark.EFFECTIVE, form), label="front (numbers: trials)")
    for mark in Mark:
        alike = [candidate for candidate in shown.front if Mark.of(candidate) is mark]
        drawn = axes.plot(*points(alike), linestyle="", **_mark(mark, form), zorder=4, label=shown.named(mark))
        # The line with the filled circle stands for it.
        told += drawn if alike and mark is not Mark.EFFECTIVE else []
    return told


def _mark(mark: Mark, form: Form) -> dict[str, Any]:
    return {
        "marker": "s" if mark.is_square else "o",
        "markersize": form.mark_pt,
        "markeredgewidth": form.line_pt,
        "markeredgecolor": BELIEVED,
        "markerfacecolor": BELIEVED if mark.is_filled else "white",
    }


def _intervals(axes: "Axes", shown: FrontPlot, form: Form) -> list["Told"]:
    """Draw how far the errors can be trusted, and what was confirmed of them.

    Returns:
        What the legend tells of.
    """
    told: list[Told] = []
    if bars := shown.bars:
        x, y = points([candidate for candidate, _ in bars])
        thick: dict[str, Any] = {"fmt": "none", "ecolor": BELIEVED_RANGE, "elinewidth": 2 * form.line_pt, "zorder": 1.5}
        reach = _reach(y, [interval for _, interval in bars])
        told.append(axes.errorbar(x, y, yerr=reach, **thick, label=shown.interval_name))
    if pairs := shown.pairs:
        x, estimate = points([candidate for candidate, _ in pairs])
        y = [confirmed.error for _, confirmed in pairs]
        axes.vlines(x, estimate, y, colors=CONFIRMED, linestyles="dotted", linewidth=form.line_pt, zorder=3)
        reach = _reach(y, [(confirmed.low, confirmed.high) for _, confirmed in pairs])
        thin: dict[str, Any] = {"elinewidth": form.line_pt, "capsize": 0.4 * form.mark_pt, "capthick": form.line_pt}
        diamond: dict[str, Any] = {"fmt": "D", "color": CONFIRMED, "markersize": 0.8 * form.mark_pt}
        told.append(axes.errorbar(x, y, yerr=reach, **diamond, **thin, zorder=5, label=CONFIRMED_NAME))
    return told


def _majority(axes: "Axes", shown: FrontPlot) -> list["Told"]:
    """Return an entry of the legend, without a mark: the points are mostly far below this error."""
    return [*axes.plot([], [], linestyle="", label=shown.majority_name)] if shown.majority_name else []


def _reach(values: list[float], intervals: list[tuple[float, float]]) -> list[list[float]]:
    """How far each interval goes down from its value, and how far up."""
    below = [value - low for value, (low, _) in zip(values, intervals, strict=True)]
    return [below, [high - value for value, (_, high) in zip(values, intervals, strict=True)]]


def legend_below(figure: "Figure", told: Sequence["Told"]) -> int:
    """Put the legend below the axes, with as many columns as the figure has room for; return its number of rows."""
    for columns in range(len(told), 0, -1):
        legend = figure.legend(handles=told, ncols=columns, loc="outside lower center", frameon=False, **TIGHT)
        if legend.get_window_extent().width <= 0.99 * figure.bbox.width or columns == 1:
            return math.ceil(len(told) / columns)
        legend.remove()
    return 0


def _label(axes: "Axes", shown: FrontPlot, form: Form) -> None:
    """Write the number of its trial beside each point of the front, where there is room."""
    places, scale = _Places(axes=axes), POINTS_PER_INCH / axes.figure.dpi
    labels = [
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
        for candidate in shown.front
    ]
    extents = [label.get_window_extent() for label in labels]
    gap, air = _whole(form) / 2, 0.3 * form.text_pt
    found = place(
        [places.of(candidate.cost, candidate.val_error) for candidate in shown.front],
        [(scale * extent.width, scale * extent.height) for extent in extents],
        gap=gap,
        air=air,
        obstacles=_obstacles(shown, form, places),
        # Not on the axes either.
        bounds=Box(*(scale * edge for edge in axes.bbox.extents)).grown(-air),
    )
    for label, box in zip(labels, found, strict=True):
        if box is None:
            label.remove()
            continue
        x, y = places.of(*label.xy)
        label.xyann = (box.centre[0] - x, box.centre[1] - y)
        nearest = box.nearest_to(x, y)
        if math.dist(nearest, (x, y)) > 1.5 * gap:
            # Further away than the nearest places, √2 gaps at most, it could be that of another: a line leads to it.
            line = {"arrowstyle": "-", "color": INK, "linewidth": 0.4 * form.line_pt, "shrinkA": 0, "shrinkB": form.mark_pt / 2}
            leader = (nearest[0] - x, nearest[1] - y)
            axes.annotate("", label.xy, xytext=leader, textcoords="offset points", arrowprops=line, zorder=2.5)


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where things are drawn, in points of 1/72 inch."""

    axes: "Axes"

    def of(self, cost: float, error: float) -> tuple[float, float]:
        x, y = self.axes.transData.transform((cost, error)) * POINTS_PER_INCH / self.axes.figure.dpi
        return float(x), float(y)

    def mark(self, cost: float, error: float, *, diameter: float) -> Box:
        return Box.around(*self.of(cost, error), width=diameter, height=diameter)

    def line(self, begin: tuple[float, float], end: tuple[float, float], *, width: float) -> Box:
        """Along an axis."""
        (x, y), (other_x, other_y) = sorted((self.of(*begin), self.of(*end)))
        low, high = sorted((y, other_y))
        return Box(x - width / 2, low - width / 2, other_x + width / 2, high + width / 2)


def _whole(form: Form) -> float:
    """Diameter of a mark with its edge and some air."""
    return form.mark_pt + 2 * form.line_pt


def _obstacles(shown: FrontPlot, form: Form, places: _Places) -> list[Box]:
    """All that is drawn, with a hair's breadth around it."""
    whole = _whole(form)
    marks = [places.mark(one.cost, one.val_error, diameter=whole) for one in shown.front]
    marks += [places.mark(one.cost, one.val_error, diameter=0.7 * whole) for one in shown.dominated]
    marks += [places.mark(one.cost, known.error, diameter=whole) for one, known in shown.pairs]
    corners = [(one.cost, one.val_error) for one in shown.front]
    steps = [(begin, (end[0], begin[1])) for begin, end in pairwise(corners)]
    steps += [((end[0], begin[1]), end) for begin, end in pairwise(corners)]
    steps += [((one.cost, low), (one.cost, high)) for one, (low, high) in shown.bars]
    for one, known in shown.pairs:
        ends = (known.low, known.high, one.val_error)
        steps.append(((one.cost, min(ends)), (one.cost, max(ends))))
    return marks + [places.line(begin, end, width=3 * form.line_pt) for begin, end in steps]
