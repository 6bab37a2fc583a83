"""The figures of the paper's claims: a panel for each table."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.reporting.matplotlib_front import legend_below, styled
from faqnas_optuna.reporting.plotly_front import UNDATED
from faqnas_optuna.reporting.sizes import Size
from studies.claims.decomposition import SHARES
from studies.claims.report import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN = 1.9, 2.4
"""Of a panel."""
ROW_IN = 0.15
"""Height of a further row of the legend."""
COLOURS = ("C0", "C1")
"""After the paper's epochs, and after the most."""


def claim_figure(number: int, document: Mapping[str, Any]) -> bytes:
    """The figure of a claim as SVG, the same bytes each time.

    Args:
        number: of one of `report.SECTIONS`.
        document: as `report.claims_document` gives it.
    """
    from matplotlib.figure import Figure

    tables, draw = document["tables"], FIGURES[number]
    with styled(Size.COLUMN.form):
        figure = Figure(figsize=(1.2 + WIDTH_IN * len(tables), HEIGHT_IN), layout="constrained")
        panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
        for axes, table in zip(panels, tables, strict=True):
            draw(axes, table)
            axes.set_title(table["dataset"], fontsize=Size.COLUMN.form.text_pt)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel(Y_LABELS[number])
        handles, _ = panels[0].get_legend_handles_labels()
        rows = legend_below(figure, handles)
        figure.set_figheight(HEIGHT_IN + ROW_IN * max(rows - 1, 0))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=UNDATED[".svg"])
    return buffer.getvalue()


def _shares(axes: "Axes", table: Row) -> None:
    places, bottoms = range(len(table["after"])), [0.0] * len(table["after"])
    for number, name in enumerate(SHARES):
        # What is estimated without bias may fall a little below zero.
        heights = [max(one["decomposition"]["shares"][name]["value"], 0) for one in table["after"]]
        colour = "0.85" if name == "seed_variance" else f"C{number}"
        axes.bar(places, heights, 0.7, bottom=bottoms, color=colour, label=name)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set_xticks(places, [f"{one['epochs']} epochs" for one in table["after"]])


def _classical(axes: "Axes", table: Row) -> None:
    for colour, one in zip(COLOURS, table["after"], strict=False):
        axes.plot(table["prices"], one["saturation"]["classical_flops"], color=colour, label=_epochs(one))
    axes.set_yscale("log")
    _flops(axes)


def _savings(axes: "Axes", table: Row) -> None:
    for colour, one in zip(COLOURS, table["after"], strict=False):
        ratio, accuracy = (one["saving"][name] for name in ("flops_ratio", "accuracy"))
        axes.errorbar(
            ratio["value"],
            accuracy["value"],
            xerr=_ends(ratio),
            yerr=_ends(accuracy),
            fmt="o",
            color=colour,
            label=_epochs(one),
        )
    axes.axhline(0, color="0.6", linestyle=":")
    axes.axvline(1, color="0.6", linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("FLOPs, aware to unaware")


def _saturation(axes: "Axes", table: Row) -> None:
    for colour, one in zip(COLOURS, table["after"], strict=False):
        found = one["saturation"]
        axes.plot(table["prices"], found["curve"], color=colour, label=_epochs(one))
        axes.plot(table["prices"], found["line"], color=colour, linestyle=":")
        axes.axvspan(found["flops"]["low"], found["flops"]["high"], color=colour, alpha=0.1, linewidth=0)
    axes.set_xlim(table["prices"][0], table["prices"][-1])
    _flops(axes)


def _regret(axes: "Axes", table: Row) -> None:
    found = [one["regret"] for one in table["agreements"].values()]
    ends = list(zip(*(_flat(one) for one in found), strict=True))
    axes.errorbar(range(len(found)), [one["value"] for one in found], yerr=ends or None, fmt="o", color=COLOURS[0])
    axes.axhline(0, color="0.6", linestyle=":")
    axes.set_xticks(range(len(found)), [f"{epochs} epochs" for epochs in table["agreements"]])
    axes.margins(x=0.4)


def _failures(axes: "Axes", table: Row) -> None:
    for colour, one in zip(COLOURS, table["after"], strict=False):
        for style, (embedding, shares) in zip(("-", "--"), sorted(one["failures"]["by_qubits"].items()), strict=True):
            label = f"{embedding}, {_epochs(one)}"
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
    6: "share at chance",
}


def _flops(axes: "Axes") -> None:
    axes.set_xscale("log")
    axes.set_xlabel("quantum FLOPs")


def _epochs(one: Row) -> str:
    return f"{one['epochs']} epochs"


def _flat(interval: Mapping[str, float]) -> tuple[float, float]:
    """How far the ends of an interval are from its value."""
    return interval["value"] - interval["low"], interval["high"] - interval["value"]


def _ends(interval: Mapping[str, float]) -> list[list[float]]:
    """The same as matplotlib wants it of a single point."""
    return [[one] for one in _flat(interval)]
