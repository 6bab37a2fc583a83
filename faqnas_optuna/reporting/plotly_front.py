"""Figures of a study's front, for print (PNG, PDF, SVG) and browser (HTML)."""

import io
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.front_plot import ConfirmedError, FrontPlot
from faqnas_optuna.reporting.matplotlib_front import printed_figure, styled
from faqnas_optuna.reporting.plain_figures import PlainFigure, front_figure
from faqnas_optuna.reporting.sizes import Form, Size
from faqnas_optuna.study.state import SearchState

if TYPE_CHECKING:
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

PRINTED = (".png", ".pdf", ".svg")
DESCRIPTION = {".png": "Description", ".pdf": "Subject", ".svg": "Description"}
"""Key of the description in the metadata of each kind of file."""
# Matplotlib writes the current time into PDF and SVG files; equal figures should be equal files.
UNDATED: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}

# The figure fills its window, and has no button that uploads it to a server of Plotly.
CONFIG = {"responsive": True, "showSendToCloud": False}


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
    if path.suffix.lower() == ".html":
        write_figure(interactive_figure(plot), path, description)
    else:
        write_figure(printed_figure(plot, size or Size.PAGE), path, description, size)


def write_figure(figure: "Figure | PrintedFigure", path: Path, description: str, size: Size | None = None) -> None:
    """Write a figure with the origin of its values.

    Args:
        figure: Interactive figure for a path that ends in `.html`, else a printed one.
        description: Origin of the values, stored in the metadata of the file.
        size: Size of a printed figure; the width of a page by default.
    """
    if path.suffix.lower() == ".html":
        content = _page(figure, description)
    else:
        content = as_file(figure, path, (size or Size.PAGE).form, description)
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


def as_file(figure: "PrintedFigure", path: Path, form: Form, description: str) -> bytes:
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


def _page(figure: "Figure", description: str) -> bytes:
    """Return an HTML page with an interactive figure and a description in its head."""
    # A height of 95 % of the window keeps the labels of the axis within it.
    page: str = figure.to_html(include_plotlyjs=True, full_html=True, default_height="95vh", config=CONFIG)
    return page.replace("<head>", f'<head><meta name="description" content="{escape(description)}" />', 1).encode()
