"""Figures of several staircases over a logarithmic cost axis, each with a band, for print and browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.matplotlib_front import legend_below, prepare, styled
from faqnas_optuna.reporting.plotly_front import check_plot_file, layout, write_figure
from faqnas_optuna.reporting.sizes import Form, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

# Okabe and Ito's colours, which remain distinct with colour vision deficiencies.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")
"""Colours of the staircases; more than these begin again."""
BAND_OPACITY = 0.15


@dataclass(frozen=True, kw_only=True)
class Staircase:
    """Lowest errors by cost, each from its cost on."""

    name: str
    costs: list[float]
    errors: list[float]
    band: tuple[list[float], list[float], list[float]]
    """Costs, lower ends and upper ends of the band; empty lists without one."""


def write_staircase_plot(
    staircases: Sequence[Staircase],
    axes: FrontPlot,
    path: Path,
    *,
    size: Size | None,
    band_name: str,
    description: str,
) -> None:
    """Draw staircases.

    Args:
        axes: Title and labels of the axes.
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`.
        size: Size of a printed figure; the width of a page by default.
        band_name: Meaning of the bands, for the legend; empty without bands.
        description: Origin of the values, stored in the metadata of the file.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    check_plot_file(path, size)
    if path.suffix.lower() == ".html":
        write_figure(_interactive(staircases, axes, band_name), path, description)
    else:
        write_figure(_printed(staircases, axes, size or Size.PAGE, band_name), path, description, size)


def _printed(staircases: Sequence[Staircase], plot: FrontPlot, size: Size, band_name: str) -> "PrintedFigure":
    from matplotlib.figure import Figure

    form = size.form
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        prepare(axes, plot, form)
        handles = draw_staircases(axes, staircases, form)
        if band_name:
            # An entry without a mark.
            handles += axes.plot([], [], linestyle="", label=band_name)
        legend_below(figure, handles)
    return figure


def draw_staircases(
    axes: "Axes", staircases: Sequence[Staircase], form: Form, *, order: Sequence[str] | None = None
) -> list[Any]:
    """Draw staircases with their bands, and return the handles for the legend.

    Args:
        order: Names in the order of the colours; None for the order of the staircases.
    """
    handles: list[Any] = []
    names = order or [staircase.name for staircase in staircases]
    for staircase in staircases:
        colour = COLOURS[names.index(staircase.name) % len(COLOURS)]
        axes.fill_between(*staircase.band, step="post", color=colour, alpha=BAND_OPACITY, linewidth=0)
        steps: dict[str, Any] = {"drawstyle": "steps-post", "color": colour, "linewidth": form.line_pt}
        handles += axes.plot(staircase.costs, staircase.errors, **steps, label=staircase.name)
    return handles


def _interactive(staircases: Sequence[Staircase], plot: FrontPlot, band_name: str) -> "Figure":
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, staircase in enumerate(staircases):
        colour = COLOURS[index % len(COLOURS)]
        # Plotly has no opacity for a fill alone.
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        edge: dict[str, Any] = {
            "mode": "lines",
            "line": {"shape": "hv", "width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            # A click on the legend hides a line and its band.
            "legendgroup": staircase.name,
        }
        costs, lowest, highest = staircase.band
        figure.add_scatter(x=costs, y=lowest, **edge)
        fill = f"rgba({red}, {green}, {blue}, {BAND_OPACITY})"
        figure.add_scatter(x=costs, y=highest, fill="tonexty", fillcolor=fill, **edge)
        figure.add_scatter(
            x=staircase.costs,
            y=staircase.errors,
            name=staircase.name,
            legendgroup=staircase.name,
            mode="lines",
            line={"shape": "hv", "width": 2, "color": colour},
            hovertemplate=(
                f"{staircase.name}<br>%{{x:{',' if plot.is_by_flops else '.4f'}}} {plot.cost_name}"
                "<br>error %{y:.3f}<extra></extra>"
            ),
        )
    layout(figure, plot, title="; ".join(filter(None, (plot.title, band_name))))
    return figure
