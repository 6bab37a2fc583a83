"""Figures of the measured claims, with a panel for each table."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.reporting.matplotlib_front import UNDATED, legend_below, styled
from faqnas_optuna.reporting.sizes import Size
from studies.claims.decomposition import SHARES
from studies.claims.report import SHARE_TITLES, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN = 1.9
HEIGHT_IN = 2.4
"""Size of a panel."""
ROW_IN = 0.15
"""Height of each further row of the legend."""
COLOURS = ("C0", "C1")
"""Colours of the results after the paper's number of epochs and after the maximum."""


def claim_figure(number: int, document: Mapping[str, Any]) -> bytes:
    """Return the figure of a claim as SVG; equal documents give equal bytes.

    Args:
        number: Number of a section in `report.SECTIONS`.
        document: Result of `report.claims_document`.
    """
    # Importing matplotlib takes a second, and commands without figures need none.
    from matplotlib.figure import Figure

    tables = document["tables"]
    draw = FIGURES[number]
    with styled(Size.COLUMN.form):
        figure = Figure(figsize=(1.2 + WIDTH_IN * len(tables), HEIGHT_IN), layout="constrained")
        # One y axis for all panels, so that data sets can be compared.
        panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
        for axes, table in zip(panels, tables, strict=True):
            draw(axes, table)
            axes.set_title(table["dataset"], fontsize=Size.COLUMN.form.text_pt)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel(Y_LABELS[number])
        # All panels have the same curves: one legend below serves all, and makes the figure higher by its rows.
        handles, _ = panels[0].get_legend_handles_labels()
        rows = legend_below(figure, handles)
        figure.set_figheight(HEIGHT_IN + ROW_IN * max(rows - 1, 0))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=UNDATED[".svg"])
    return buffer.getvalue()


def _shares(axes: "Axes", table: Row) -> None:
    places = range(len(table["after"]))
    bottoms = [0.0] * len(table["after"])
    for number, name in enumerate(SHARES):
        # Unbiased estimates of small shares may be slightly negative, which a stacked bar cannot show.
        heights = [max(measured["decomposition"]["shares"][name]["value"], 0) for measured in table["after"]]
        # Grey for the seed, which is no property of a circuit.
        colour = "0.85" if name == "seed_variance" else f"C{number}"
        axes.bar(places, heights, 0.7, bottom=bottoms, color=colour, label=SHARE_TITLES[name])
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set_xticks(places, [_epochs(measured) for measured in table["after"]])


def _classical(axes: "Axes", table: Row) -> None:
    for colour, measured in zip(COLOURS, table["after"], strict=False):
        axes.plot(table["prices"], measured["saturation"]["classical_flops"], color=colour, label=_epochs(measured))
    axes.set_yscale("log")
    _flops(axes)


def _savings(axes: "Axes", table: Row) -> None:
    for colour, measured in zip(COLOURS, table["after"], strict=False):
        ratio = measured["saving"]["flops_ratio"]
        accuracy = measured["saving"]["accuracy"]
        axes.errorbar(
            ratio["value"],
            accuracy["value"],
            xerr=_error_bars(ratio),
            yerr=_error_bars(accuracy),
            fmt="o",
            color=colour,
            label=_epochs(measured),
        )
    # The lines of equal accuracy and equal cost.
    axes.axhline(0, color="0.6", linestyle=":")
    axes.axvline(1, color="0.6", linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("FLOPs, aware / unaware")


def _saturation(axes: "Axes", table: Row) -> None:
    for colour, measured in zip(COLOURS, table["after"], strict=False):
        saturation = measured["saturation"]
        axes.plot(table["prices"], saturation["curve"], color=colour, label=_epochs(measured))
        axes.plot(table["prices"], saturation["line"], color=colour, linestyle=":")
        threshold = saturation["flops"]
        axes.axvspan(threshold["low"], threshold["high"], color=colour, alpha=0.1, linewidth=0)
    # The interval of the threshold may be wider than the space.
    axes.set_xlim(table["prices"][0], table["prices"][-1])
    _flops(axes)


def _regret(axes: "Axes", table: Row) -> None:
    regrets = [agreement["regret"] for agreement in table["agreements"].values()]
    # A table whose maximum is the paper's number of epochs has nothing to compare.
    errors = list(zip(*(_errors(regret) for regret in regrets), strict=True)) or None
    axes.errorbar(range(len(regrets)), [regret["value"] for regret in regrets], yerr=errors, fmt="o", color=COLOURS[0])
    axes.axhline(0, color="0.6", linestyle=":")
    axes.set_xticks(range(len(regrets)), [f"{epochs} epochs" for epochs in table["agreements"]])
    axes.margins(x=0.4)


def _failures(axes: "Axes", table: Row) -> None:
    for colour, measured in zip(COLOURS, table["after"], strict=False):
        for style, (embedding, shares) in zip(("-", "--"), sorted(measured["failures"]["by_qubits"].items()), strict=True):
            label = f"{embedding}, {_epochs(measured)}"
            axes.plot(GENES["n_qubits"], shares, color=colour, linestyle=style, marker=".", label=label)
    axes.set_xlabel("qubits")


FIGURES: Mapping[int, Callable[["Axes", Row], None]] = {
    1: _shares,
    2: _classical,
    3: _savings,
    4: _saturation,
    5: _regret,
    6: _failures,
}
Y_LABELS = {
    1: "share of the variance",
    2: "classical FLOPs",
    3: "accuracy, difference",
    4: "test accuracy",
    5: "regret, accuracy",
    6: "fraction at chance",
}


def _flops(axes: "Axes") -> None:
    axes.set_xscale("log")
    axes.set_xlabel("quantum FLOPs")


def _epochs(measured: Row) -> str:
    return f"{measured['epochs']} epochs"


def _errors(interval: Mapping[str, float]) -> tuple[float, float]:
    """Return the distances of an interval's ends from its value."""
    return interval["value"] - interval["low"], interval["high"] - interval["value"]


def _error_bars(interval: Mapping[str, float]) -> list[list[float]]:
    """Return the distances (2, 1), the shape that matplotlib expects for one point."""
    return [[distance] for distance in _errors(interval)]
