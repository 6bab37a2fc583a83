"""Figures of several staircases over a logarithmic cost axis, each with a band, for print and browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.front_plot import FrontPlot, Spot
from faqnas_optuna.reporting.matplotlib_front import legend_below, prepare, styled
from faqnas_optuna.reporting.plain_figures import PlainFigure, front_layout
from faqnas_optuna.reporting.plotly_front import check_plot_file, write_figure
from faqnas_optuna.reporting.sizes import Form, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


@dataclass(frozen=True, kw_only=True)
class StaircasePlot:
    """Content of a figure."""

    staircases: Sequence[Staircase]
    axes: FrontPlot
    """Title and labels of the axes."""
    band_name: str
    """Meaning of the bands, for the legend; empty without bands."""

    @property
    def spots(self) -> list[Spot]:
        """Corners of the staircases with their texts."""
        form = ",.0f" if self.axes.is_by_flops else ".4f"
        return [
            Spot(cost, error, f"{staircase.name}\n{cost:{form}} {self.axes.cost_name}\nerror {error:.3f}")
            for staircase in self.staircases
            for cost, error in zip(staircase.costs, staircase.errors, strict=True)
        ]

    def drawn(self, size: Size) -> "Figure":
        """Return the figure for a place."""
        from matplotlib.figure import Figure

        form = size.form
        with styled(form):
            figure = Figure(figsize=form.inches, layout="constrained")
            axes = figure.subplots()
            prepare(axes, self.axes, form)
            handles = draw_staircases(axes, self.staircases, form)
            if self.band_name:
                # An entry without a mark.
                handles += axes.plot([], [], linestyle="", label=self.band_name)
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


def staircase_figure(plot: StaircasePlot) -> PlainFigure:
    """Return a figure of staircases for browsers."""
    traces = [
        trace
        for index, staircase in enumerate(plot.staircases)
        for trace in _traces(staircase, plot.axes, COLOURS[index % len(COLOURS)])
    ]
    title = "; ".join(filter(None, (plot.axes.title, plot.band_name)))
    return {"data": traces, "layout": front_layout(plot.axes, title=title)}


def write_staircase_plot(plot: StaircasePlot, path: Path, *, size: Size | None, description: str) -> None:
    """Draw staircases.

    Args:
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`.
        size: Size of a printed figure; the width of a page by default.
        description: Origin of the values, stored in the metadata of the file.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    check_plot_file(path, size)
    write_figure(plot.drawn, path, description, size, title=plot.axes.title, spots=plot.spots)


def _traces(staircase: Staircase, axes: FrontPlot, colour: str) -> list[dict[str, Any]]:
    """Return the edges of a staircase's band, and its line."""
    # Plotly has no opacity for a fill alone.
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    costs, lowest, highest = staircase.band
    edge = {
        "type": "scatter",
        "x": costs,
        "mode": "lines",
        "line": {"shape": "hv", "width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        # A click on the legend hides a line and its band.
        "legendgroup": staircase.name,
    }
    line = {
        "type": "scatter",
        "x": staircase.costs,
        "y": staircase.errors,
        "name": staircase.name,
        "legendgroup": staircase.name,
        "mode": "lines",
        "line": {"shape": "hv", "width": 2, "color": colour},
        "hovertemplate": (
            f"{staircase.name}<br>%{{x:{',' if axes.is_by_flops else '.4f'}}} {axes.cost_name}"
            "<br>error %{y:.3f}<extra></extra>"
        ),
    }
    fill = f"rgba({red}, {green}, {blue}, {BAND_OPACITY})"
    return [{**edge, "y": lowest}, {**edge, "y": highest, "fill": "tonexty", "fillcolor": fill}, line]
