"""Figures of a study's front and of the growth of its hypervolume, as plain values in Plotly's JSON.

Workers store figures with the study after every generation. Importing Plotly would cost each of them 0.2 s, and a figure of
Plotly's classes takes 50 ms.
"""

from collections.abc import Sequence
from typing import Any

from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.front_plot import (
    BAND,
    CONFIRMED,
    CONFIRMED_NAME,
    DOMINATED,
    ESTIMATED,
    FrontPlot,
    Mark,
    Spot,
)
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.stopping import ClosedGeneration

PlainFigure = dict[str, Any]
"""Figure with its traces under `data` and its `layout`."""

FEW_GENERATIONS = 20
"""Maximum number of generations for which the axis has a tick at each."""


def front_figure(plot: FrontPlot) -> PlainFigure:
    """Return a figure of a front over a logarithmic cost axis, with details of each circuit under the mouse."""
    # One trace for all dominated circuits and one for the whole front, so that every circuit is exactly one point.
    dominated = {
        **_points_trace(plot, plot.dominated),
        "name": plot.dominated_name,
        "mode": "markers",
        "marker": {"color": DOMINATED, "opacity": 0.5, "size": 7},
    }
    marks = [Mark.of(candidate) for candidate in plot.front]
    front = {
        **_points_trace(plot, plot.front),
        "name": _front_name(plot),
        "mode": "lines+markers",
        "line": {"shape": "hv", "width": 1, "color": ESTIMATED},
        **({"error_y": _error_bars(plot)} if plot.bars else {}),
        "marker": {
            "symbol": ["square" if mark.is_square else "circle" for mark in marks],
            "color": [ESTIMATED if mark.is_filled else "white" for mark in marks],
            "line": {"color": ESTIMATED, "width": 2},
            "size": 11,
        },
    }
    return {
        "data": [dominated, *_band_traces(plot), front, *_confirmed_traces(plot)],
        "layout": front_layout(plot, title=", ".join(filter(None, (plot.title, plot.majority_name)))),
    }


def hypervolume_figure(generations: Sequence[tuple[ClosedGeneration, str]]) -> PlainFigure:
    """Return a figure of the hypervolume after each closed generation, given with the time in UTC of closing."""
    trace = {
        "type": "scatter",
        "x": [record.generation + 1 for record, _ in generations],
        "y": [record.hypervolume for record, _ in generations],
        "mode": "lines+markers",
        "marker": {"color": ESTIMATED, "size": 9},
        "customdata": [[record.trials, record.front, to_the_minute(at)] for record, at in generations],
        "hovertemplate": (
            "generation %{x}, closed %{customdata[2]}<br>hypervolume %{y:.4f}"
            "<br>%{customdata[0]} trials, %{customdata[1]} circuits on the front<extra></extra>"
        ),
    }
    x_axis: dict[str, Any] = {"title": {"text": "closed generation"}, "tickformat": "d"}
    # Plotly would otherwise put ticks at fractions of a generation on a short axis.
    if len(generations) <= FEW_GENERATIONS:
        x_axis["dtick"] = 1
    return {
        "data": [trace],
        "layout": {
            "title": {"text": "Hypervolume of the front by generation"},
            "xaxis": x_axis,
            "yaxis": {"title": {"text": "hypervolume"}},
        },
    }


def front_layout(plot: FrontPlot, *, title: str) -> dict[str, Any]:
    """Return the axes, the legend and the title of a figure of fronts."""
    return {
        "title": {"text": title},
        "xaxis": {"type": "log", "title": {"text": plot.x_label}},
        "yaxis": {"title": {"text": plot.y_label}},
        # The legend is above the axes: over the points it would hide some, and beside them its long entries would take their
        # room.
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }


def _points_trace(plot: FrontPlot, candidates: list[Candidate]) -> dict[str, Any]:
    """Return the points of a trace, with the text that is displayed under the mouse."""
    return _with_texts([plot.spot_of(candidate) for candidate in candidates])


def _with_texts(spots: Sequence[Spot]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [spot.x for spot in spots],
        "y": [spot.y for spot in spots],
        "hovertext": [spot.text.replace("\n", "<br>") for spot in spots],
        "hoverinfo": "text",
    }


def _front_name(plot: FrontPlot) -> str:
    """Return the legend entry of the front, with the meaning of its marks."""
    marks = {
        "open": plot.meaning_of(Mark.INERT),
        "square": plot.meaning_of(Mark.LACKING),
        "bars": plot.interval_name if plot.bars else None,
    }
    meanings = [f"{mark}: {meaning}" for mark, meaning in marks.items() if meaning]
    return f"front ({', '.join(meanings)})" if meanings else "front"


def _error_bars(plot: FrontPlot) -> dict[str, Any]:
    """Return the intervals of the front's mean errors as Plotly's `error_y`."""
    intervals = {candidate.trial: interval for candidate, interval in plot.bars}
    bars = []
    for candidate in plot.front:
        # Plotly needs a bar for every point; without an interval its length is zero.
        interval = intervals.get(candidate.trial, (candidate.val_error, candidate.val_error))
        bars.append((candidate.val_error, interval))
    return {
        "array": [high - error for error, (_, high) in bars],
        "arrayminus": [error - low for error, (low, _) in bars],
        "color": ESTIMATED,
        "thickness": 1,
    }


def _band_traces(plot: FrontPlot) -> list[dict[str, Any]]:
    """Return the band in which the best front of a race lies: its lower edge, and its upper edge with the fill between."""
    if not plot.band:
        return []
    costs, lowest, highest = zip(*plot.band, strict=True)
    edge = {"type": "scatter", "x": costs, "mode": "lines", "line": {"shape": "hv", "width": 0}, "hoverinfo": "skip"}
    return [
        {**edge, "y": lowest, "showlegend": False},
        {**edge, "y": highest, "fill": "tonexty", "fillcolor": BAND, "name": plot.band_name},
    ]


def _confirmed_traces(plot: FrontPlot) -> list[dict[str, Any]]:
    """Return the confirmed errors, and before them the dotted lines from each to the error from the search."""
    if not plot.pairs:
        return []
    x = [candidate.cost for candidate, _ in plot.pairs]
    errors = [confirmed for _, confirmed in plot.pairs]
    lines = {
        "type": "scatter",
        # A gap after every two points makes separate lines of one trace.
        "x": [cost for cost in x for _ in range(3)],
        "y": [error for candidate, confirmed in plot.pairs for error in (candidate.val_error, confirmed.error, None)],
        "mode": "lines",
        "line": {"color": CONFIRMED, "dash": "dot", "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    marks = {
        **_with_texts([plot.confirmed_spot_of(*pair) for pair in plot.pairs]),
        "name": CONFIRMED_NAME,
        "mode": "markers",
        "marker": {"color": CONFIRMED, "symbol": "diamond", "size": 9},
        "error_y": {
            "array": [confirmed.high - confirmed.error for confirmed in errors],
            "arrayminus": [confirmed.error - confirmed.low for confirmed in errors],
            "color": CONFIRMED,
            "thickness": 1,
        },
    }
    return [lines, marks]
