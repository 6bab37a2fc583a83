"""Figures of a report: growth of the hypervolume, learning curves, and importances of genes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import StudyConfig
from faqnas_optuna.page.importance import Importances
from faqnas_optuna.reporting.front_plot import ESTIMATED, Spot
from faqnas_optuna.reporting.inline_svg import inline_svg
from faqnas_optuna.reporting.matplotlib_front import legend_below, styled
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.staircase_plot import COLOURS
from faqnas_optuna.study.stopping import ClosedGeneration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
COST_COLOUR = "#999999"
CURVE_POINTS = 50
"""Number of points from which a curve is drawn with fewer."""


def hypervolume_svg(generations: Sequence[ClosedGeneration], name: str) -> str:
    """Return the hypervolume after each closed generation."""
    spots = [
        Spot(
            closed.generation + 1,
            closed.hypervolume,
            f"generation {closed.generation + 1}\nhypervolume {closed.hypervolume:.4f}"
            f"\n{closed.trials} trials, {closed.front} circuits on the front",
        )
        for closed in generations
    ]
    with _small_axes("closed generation", "hypervolume") as (figure, axes):
        axes.plot([spot.x for spot in spots], [spot.y for spot in spots], "o-", color=ESTIMATED, markersize=4)
        # No ticks at fractions of a generation.
        axes.locator_params(axis="x", integer=True)
    return inline_svg(figure, Size.COLUMN, spots, name=name, label="hypervolume by generation")


def curve_svgs(document: Document, name: str) -> list[str]:
    """Return the mean training loss and validation accuracy of each confirmed circuit by epoch.

    Args:
        document: A `confirmation_document`.
    """
    # The keys of the curves in the document, and the labels of their axes.
    labels = {"losses": "training loss", "validation_accuracies": "validation accuracy"}
    return [_curves(document["circuits"], key, label, f"{name}{key[0]}") for key, label in labels.items()]


def _curves(circuits: Sequence[Document], key: str, label: str, name: str) -> str:
    spots = []
    with _small_axes("epoch", f"mean {label}") as (figure, axes):
        handles: list[Any] = []
        for index, circuit in enumerate(circuits):
            # A figure of this size cannot show more points than these, counted from the last one.
            every = slice(None, None, -(len(circuit["curves"]["epochs"]) // CURVE_POINTS + 1))
            epochs, values = circuit["curves"]["epochs"][every], circuit["curves"][key][every]
            # More circuits than colours are distinguished by the texts under the mouse.
            colour = COLOURS[index % len(COLOURS)]
            handles += axes.plot(epochs, values, color=colour, linewidth=1.2, label=f"trial {circuit['trial']}")
            # The end of each curve; the points in between would cover each other.
            spots.append(Spot(epochs[0], values[0], f"trial {circuit['trial']}\n{label} {values[0]:.3f}"))
        legend_below(figure, handles)
    return inline_svg(figure, Size.COLUMN, spots, name=name, label=f"{label} by epoch")


def importance_svg(importances: Importances, config: StudyConfig, name: str) -> str:
    """Return the importances of the genes for both objectives as bars."""
    # The order of the bars of each gene, and of the legend.
    error_name = f"validation error{config.score.remark}"
    series = {error_name: (importances.error, ESTIMATED), config.cost_name: (importances.cost, COST_COLOUR)}
    genes = importances.genes
    with _small_axes("share of the variance", "") as (figure, axes):
        handles: list[Any] = []
        for place, (label, (shares, colour)) in enumerate(series.items()):
            # The two bars of a gene lie below one another.
            rows = [row + 0.38 * (place - 0.5) for row in range(len(genes))]
            bars = axes.barh(rows, [shares.get(gene, 0) for gene in genes], height=0.36, color=colour, label=label)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=6)
            handles.append(bars)
        axes.set_yticks(range(len(genes)), [gene.replace("_", " ") for gene in genes])
        # The most important gene is at the top, with room for the number behind its bar.
        axes.invert_yaxis()
        axes.margins(x=0.1)
        legend_below(figure, handles)
    return inline_svg(figure, Size.COLUMN, (), name=name, label="importance of each gene")


@contextmanager
def _small_axes(x_label: str, y_label: str) -> "Iterator[tuple[Figure, Axes]]":
    """Yield a figure of the width of a column, and its axes."""
    from matplotlib.figure import Figure

    form = Size.COLUMN.form
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(visible=True, linewidth=0.3 * form.line_pt, color="0.88")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        yield figure, axes
