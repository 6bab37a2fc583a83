"""Files with figures of a study's front, and the interactive figures of notebooks and the dashboard."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.front_plot import (
    BAND,
    CONFIRMED,
    CONFIRMED_NAME,
    DOMINATED,
    ESTIMATED,
    ConfirmedError,
    FrontPlot,
    Mark,
    Spot,
)
from faqnas_optuna.reporting.html_page import render
from faqnas_optuna.reporting.inline_svg import responsive_svg
from faqnas_optuna.reporting.matplotlib_front import as_file, printed_figure
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.stopping import ClosedGeneration

if TYPE_CHECKING:
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

PRINTED = (".png", ".pdf", ".svg")
FEW_GENERATIONS = 20
"""Maximum number of generations for which the axis has a tick at each."""


def check_plot_file(path: Path, size: Size | None = None) -> None:
    """Check the name of a plot file, so that a bad name is refused before anything is read or drawn.

    Raises:
        OutputError: The suffix is not `.png`, `.pdf`, `.svg` or `.html`, or there is a size for an HTML page.
    """
    kind = path.suffix.lower()
    if kind not in (*PRINTED, ".html"):
        raise OutputError(f"the name of a plot must end in .png, .pdf, .svg or .html; {path.name!r} does not")
    # A figure in a browser adapts to its window, so a size would have no effect.
    if kind == ".html" and size:
        raise OutputError(
            f"an .html plot fills its window, so {path.name!r} cannot have the size {size};"
            " leave out --size, or choose a .png, .pdf or .svg file"
        )


def check_printed(path: Path) -> None:
    """Check the name of a file for a plot that exists in print only.

    Raises:
        OutputError: The suffix is not `.png`, `.pdf` or `.svg`.
    """
    if path.suffix.lower() not in PRINTED:
        raise OutputError(f"the name of this plot must end in .png, .pdf or .svg; {path.name!r} does not")


def write_pareto_plot(
    state: SearchState,
    path: Path,
    *,
    size: Size | None = None,
    confirmed: Mapping[str, ConfirmedError] | None = None,
) -> None:
    """Draw the front over a logarithmic cost axis, with the dominated circuits pale behind it.

    Args:
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`. The HTML file works without network access.
        size: Size of a printed figure; the width of a page by default.
        confirmed: Confirmed errors by the digest of the circuit, drawn beside the errors from the search.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    check_plot_file(path, size)
    plot = FrontPlot.of(state, confirmed)
    description = json.dumps({"study": state.study.name, **provenance(state.study)})
    write_figure(partial(printed_figure, plot), path, description, size, title=plot.title, spots=plot.spots)


def write_figure(
    draw: "Callable[[Size], PrintedFigure]",
    path: Path,
    description: str,
    size: Size | None,
    *,
    title: str,
    spots: Sequence[Spot],
) -> None:
    """Write a figure with the origin of its values.

    Args:
        draw: Function that draws the figure for a place.
        path: File name; a page (`.html`) has the figure in two sizes, of which the window determines one.
        description: Origin of the values, stored in the metadata of the file.
        size: Size of a printed figure; the width of a page by default.
        title: Heading of a page.
        spots: Points with texts under the mouse, for a page.
    """
    if path.suffix.lower() == ".html":
        figure = responsive_svg(draw, spots, name="figure", label=title)
        content = render("reporting/figure.html", title=title, figure=figure, description=description)
    else:
        size = size or Size.PAGE
        content = as_file(draw(size), path, size.form, description)
    write_atomically(path, content)


def pareto_figure(state: SearchState, confirmed: Mapping[str, ConfirmedError] | None = None) -> "Figure":
    """Return an interactive figure of the front over a logarithmic cost axis, with the dominated circuits behind it.

    Args:
        confirmed: Confirmed errors by the digest of the circuit.
    """
    return interactive_figure(FrontPlot.of(state, confirmed))


def hypervolume_figure(generations: Sequence[ClosedGeneration], closing_times: Mapping[int, str]) -> "Figure":
    """Return an interactive figure of the hypervolume after each closed generation.

    Args:
        closing_times: Time of closing, as text, by the number of the generation from 0.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[record.generation + 1 for record in generations],
        y=[record.hypervolume for record in generations],
        mode="lines+markers",
        marker={"color": ESTIMATED, "size": 9},
        customdata=[[record.trials, record.front, closing_times[record.generation]] for record in generations],
        hovertemplate=(
            "generation %{x}, closed %{customdata[2]}<br>hypervolume %{y:.4f}"
            "<br>%{customdata[0]} trials, %{customdata[1]} circuits on the front<extra></extra>"
        ),
    )
    # Plotly would otherwise put ticks at fractions of a generation on a short axis.
    tick_distance = 1 if len(generations) <= FEW_GENERATIONS else None
    figure.update_xaxes(title="closed generation", tickformat="d", dtick=tick_distance)
    figure.update_yaxes(title="hypervolume")
    figure.update_layout(title="Hypervolume of the front by generation", template="plotly_white")
    return figure


def interactive_figure(plot: FrontPlot) -> "Figure":
    """Return an interactive figure of a front, with details of each circuit under the mouse."""
    import plotly.graph_objects as go

    figure = go.Figure()
    # One trace for all dominated circuits and one for the whole front, so that every circuit is exactly one point.
    figure.add_scatter(
        **_trace(plot, plot.dominated),
        name=plot.dominated_name,
        mode="markers",
        marker={"color": DOMINATED, "opacity": 0.5, "size": 7},
    )
    if plot.band:
        _add_band(figure, plot)
    marks = [Mark.of(candidate) for candidate in plot.front]
    figure.add_scatter(
        **_trace(plot, plot.front),
        name=_front_name(plot),
        mode="lines+markers",
        line={"shape": "hv", "width": 1, "color": ESTIMATED},
        error_y=_error_bars(plot) if plot.bars else None,
        marker={
            "symbol": ["square" if mark.is_square else "circle" for mark in marks],
            "color": [ESTIMATED if mark.is_filled else "white" for mark in marks],
            "line": {"color": ESTIMATED, "width": 2},
            "size": 11,
        },
    )
    if plot.pairs:
        _add_confirmed(figure, plot)
    layout(figure, plot, title=", ".join(filter(None, (plot.title, plot.majority_name))))
    return figure


def layout(figure: "Figure", plot: FrontPlot, *, title: str) -> None:
    """Set the axes, the legend and the title."""
    figure.update_xaxes(type="log", title=plot.x_label)
    figure.update_yaxes(title=plot.y_label)
    # The legend is above the axes: over the points it would hide some, and beside them its long entries would take their room.
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(title=title, template="plotly_white", legend=legend)


def _trace(plot: FrontPlot, candidates: list[Candidate]) -> dict[str, Any]:
    """Return the points of a trace, with the text that is displayed under the mouse."""
    return _with_texts([plot.spot_of(candidate) for candidate in candidates])


def _with_texts(spots: Sequence[Spot]) -> dict[str, Any]:
    return {
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


def _add_band(figure: "Figure", plot: FrontPlot) -> None:
    """Add the band in which the best front of a race lies."""
    costs, lowest, highest = zip(*plot.band, strict=True)
    edge: dict[str, Any] = {"mode": "lines", "line": {"shape": "hv", "width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=costs, y=lowest, showlegend=False, **edge)
    figure.add_scatter(x=costs, y=highest, fill="tonexty", fillcolor=BAND, name=plot.band_name, **edge)


def _add_confirmed(figure: "Figure", plot: FrontPlot) -> None:
    """Add the confirmed errors, each with a dotted line to the error from the search."""
    x = [candidate.cost for candidate, _ in plot.pairs]
    errors = [confirmed for _, confirmed in plot.pairs]
    # A gap after every two points makes separate lines of one trace.
    figure.add_scatter(
        x=[cost for cost in x for _ in range(3)],
        y=[error for candidate, confirmed in plot.pairs for error in (candidate.val_error, confirmed.error, None)],
        mode="lines",
        line={"color": CONFIRMED, "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        **_with_texts([plot.confirmed_spot_of(*pair) for pair in plot.pairs]),
        name=CONFIRMED_NAME,
        mode="markers",
        marker={"color": CONFIRMED, "symbol": "diamond", "size": 9},
        error_y={
            "array": [confirmed.high - confirmed.error for confirmed in errors],
            "arrayminus": [confirmed.error - confirmed.low for confirmed in errors],
            "color": CONFIRMED,
            "thickness": 1,
        },
    )
