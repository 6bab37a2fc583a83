"""Figure of the correlations of proxies with accuracy, with a panel for each table."""

import io
from collections.abc import Mapping
from typing import Any

from faqnas_optuna.reporting.matplotlib_front import UNDATED, legend_below, styled
from faqnas_optuna.reporting.sizes import Size
from studies.proxies.judging import PROXIES

WIDTH_IN = 1.5
HEIGHT_IN = 2.8
"""Size of a panel."""
LABELS_IN = 2.3
"""Width of the names of the proxies."""
MARKS = {"all": ("s", "black"), "angle": ("o", "C0"), "amplitude": ("^", "C1")}
"""Mark and colour of each group of circuits; the marks distinguish the groups in grey, too."""


def correlation_figure(document: Mapping[str, Any]) -> bytes:
    """Return the partial correlations after the most epochs as SVG; equal documents give equal bytes."""
    # Importing matplotlib takes a second, and commands without figures need none.
    from matplotlib.figure import Figure

    tables = document["tables"]
    with styled(Size.COLUMN.form):
        figure = Figure(figsize=(LABELS_IN + WIDTH_IN * len(tables), HEIGHT_IN), layout="constrained")
        panels = figure.subplots(1, len(tables), sharey=True, sharex=True, squeeze=False)[0]
        for axes, table in zip(panels, tables, strict=True):
            outcome = f"validation {table['epochs'][-1]}"
            for number, (group, (mark, colour)) in enumerate(MARKS.items()):
                intervals = [table["correlations"][group]["partial"][name][outcome] for name in PROXIES]
                # Beside each other, so that the intervals of the groups do not overlap.
                places = [place + 0.25 * (number - 1) for place in range(len(PROXIES))]
                values = [interval["value"] for interval in intervals]
                lows = [interval["value"] - interval["low"] for interval in intervals]
                highs = [interval["high"] - interval["value"] for interval in intervals]
                axes.errorbar(values, places, xerr=[lows, highs], fmt=mark, color=colour, markersize=3, label=group)
            axes.axvline(0, color="0.6", linestyle=":")
            axes.set_title(table["dataset"], fontsize=Size.COLUMN.form.text_pt)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(PROXIES)), [*PROXIES.values()])
        # The first proxy at the top, as in the tables.
        panels[0].invert_yaxis()
        panels[len(panels) // 2].set_xlabel("partial rank correlation")
        legend_below(figure, panels[0].get_legend_handles_labels()[0])
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=UNDATED[".svg"])
    return buffer.getvalue()
