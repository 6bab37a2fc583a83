"""Files with figures of a study's front, and the interactive figures of notebooks and the dashboard."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.front_plot import ConfirmedError, FrontPlot, Spot
from faqnas_optuna.reporting.html_page import render
from faqnas_optuna.reporting.inline_svg import responsive_svg
from faqnas_optuna.reporting.matplotlib_front import as_file, printed_figure
from faqnas_optuna.reporting.plain_figures import PlainFigure, front_figure
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.study.state import SearchState

if TYPE_CHECKING:
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

PRINTED = (".png", ".pdf", ".svg")


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


def interactive_figure(plot: FrontPlot) -> "Figure":
    """Return an interactive figure of a front, with details of each circuit under the mouse."""
    return as_plotly(front_figure(plot))


def as_plotly(figure: PlainFigure) -> "Figure":
    """Return a figure as an object of Plotly, on a white ground."""
    import plotly.graph_objects as go

    return go.Figure(data=figure["data"], layout={**figure["layout"], "template": "plotly_white"})


def figure_json(figure: PlainFigure) -> str:
    """Return a figure as Plotly's JSON, on a white ground; ten times as fast as by way of `as_plotly`."""
    from plotly.io import templates

    return json.dumps({**figure, "layout": {**figure["layout"], "template": templates["plotly_white"].to_plotly_json()}})
