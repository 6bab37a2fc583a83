"""Figures that compare the families of the circuits of a race, for print and browser."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.families import Family, Trait
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.matplotlib_front import legend_below, prepare, styled
from faqnas_optuna.reporting.plotly_front import check_plot_file, layout, write_figure
from faqnas_optuna.reporting.race_report import families_of
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.study.state import SearchState

if TYPE_CHECKING:
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

# Okabe and Ito's colours, which remain distinct with colour vision deficiencies.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")
"""Colours of the families; more than these begin again."""
BAND_OPACITY = 0.15


def write_family_plot(state: SearchState, by: Trait, path: Path, *, size: Size | None = None) -> None:
    """Draw the staircase of each family over a logarithmic cost axis, each with its band.

    Args:
        state: State of a race.
        by: Property of the families.
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`.
        size: Size of a printed figure; the width of a page by default.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    check_plot_file(path, size)
    families = families_of(state, by)
    plot = replace(FrontPlot.of(state, None), title=f"{state.study.name}: families by {by}")
    if path.suffix.lower() == ".html":
        write_figure(_interactive(families, plot), state, path)
    else:
        write_figure(_printed(families, plot, size or Size.PAGE), state, path, size)


def _band_name(plot: FrontPlot) -> str:
    return f"bands: best circuit of each family ({100 * (plot.level or 0):.0f} % confidence)"


def _printed(families: Sequence[Family], plot: FrontPlot, size: Size) -> "PrintedFigure":
    from matplotlib.figure import Figure

    form = size.form
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        prepare(axes, plot, form)
        handles: list[Any] = []
        for index, family in enumerate(families):
            costs, errors, lowest, highest = _columns(family)
            colour = COLOURS[index % len(COLOURS)]
            axes.fill_between(costs, lowest, highest, step="post", color=colour, alpha=BAND_OPACITY, linewidth=0)
            steps: dict[str, Any] = {"drawstyle": "steps-post", "color": colour, "linewidth": form.line_pt}
            handles += axes.plot(costs, errors, **steps, label=family.name)
        handles += axes.plot([], [], linestyle="", label=_band_name(plot))
        legend_below(figure, handles)
    return figure


def _interactive(families: Sequence[Family], plot: FrontPlot) -> "Figure":
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, family in enumerate(families):
        costs, errors, lowest, highest = _columns(family)
        colour = COLOURS[index % len(COLOURS)]
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        edge: dict[str, Any] = {
            "mode": "lines",
            "line": {"shape": "hv", "width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            # A click on the legend hides a line and its band.
            "legendgroup": family.name,
        }
        figure.add_scatter(x=costs, y=lowest, **edge)
        fill = f"rgba({red}, {green}, {blue}, {BAND_OPACITY})"
        figure.add_scatter(x=costs, y=highest, fill="tonexty", fillcolor=fill, **edge)
        figure.add_scatter(
            x=costs,
            y=errors,
            name=family.name,
            legendgroup=family.name,
            mode="lines",
            line={"shape": "hv", "width": 2, "color": colour},
            customdata=[(low, high) for low, high in zip(lowest, highest, strict=True)],
            hovertemplate=(
                f"{family.name}<br>%{{x:{',' if plot.is_by_flops else '.4f'}}} {plot.cost_name}"
                "<br>error %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>"
            ),
        )
    layout(figure, plot, title=f"{plot.title}; {_band_name(plot)}")
    return figure


def _columns(family: Family) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return the costs, errors, lowest errors and highest errors of a staircase."""
    return (
        [step.cost for step in family.stairs],
        [1 - step.score for step in family.stairs],
        [1 - step.high for step in family.stairs],
        [1 - step.low for step in family.stairs],
    )
