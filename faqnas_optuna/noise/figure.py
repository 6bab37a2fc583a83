"""What noise leaves of finalists, as a picture: the score of each by the strength of the noise, the dearest darkest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import StudyConfig, cost_text
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.files import write_atomically
from faqnas_optuna.noise.report import overtakes
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.matplotlib_front import INK, TIGHT, styled
from faqnas_optuna.reporting.plotly_front import as_file, check_printed
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORM = Size.PAGE.form
MARKS = "osD^vPX<>p"
"""In turn, so that circuits of nearly the same cost, which have nearly the same colour, look different."""
PALE = 0.9
"""Beyond the cheapest circuit on matplotlib's viridis, where the dearest is at 0; what is paler is not seen on white."""
WIDTH = 0.7
"""Of what is drawn at a strength; the next is 1 away."""
LEGEND_ROWS = 18
"""As many as are as high as the figure."""

Document = Mapping[str, Any]


def write_noise_plot(document: Document, confirmation: Confirmation, path: Path) -> None:
    """Draw what finalists are worth under noise.

    Args:
        document: a `noise_document`.
        path: ends in `.png`, `.pdf` or `.svg`.

    Raises:
        OutputError: another ending, or the file cannot be written.
    """
    check_printed(path)
    # The curves are in the picture.
    noise = {name: value for name, value in document.items() if name not in ("circuits", "overtakings")}
    told = json.dumps({"study": confirmation.name, "noise": noise, **provenance(confirmation)})
    write_atomically(path, as_file(noise_figure(document, confirmation.config), path, FORM, told))


def noise_figure(document: Document, config: StudyConfig) -> "Figure":
    """The mean score of each finalist by the strength of the noise, with its 95 % interval where there are several seeds.

    The strengths are at even places: each from the second on is twice the one before, and nothing is twice none. At each the
    circuits stand side by side, the cheapest to the left. A ring is around one that was worse than a dearer one without
    noise, where it first is better as far as the seeds tell.
    """
    from matplotlib.figure import Figure

    with styled(FORM):
        figure = Figure(figsize=FORM.inches, layout="constrained")
        axes = figure.subplots()
        _prepare(axes, document, config)
        circuits = _circuits(axes, document, config)
        beside: dict[str, Any] = {"loc": "outside right center", "ncols": -(-len(circuits) // LEGEND_ROWS), "frameon": False}
        figure.legend(handles=circuits, title=f"trial: {config.cost_name}", **beside, **TIGHT)
        below: dict[str, Any] = {"loc": "outside lower center", "ncols": 3, "frameon": False}
        figure.legend(handles=_around(axes, document, config), **below, **TIGHT)
    return figure


def _prepare(axes: "Axes", document: Document, config: StudyConfig) -> None:
    strengths = document["strengths"]
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    axes.set_xlabel(f"times the noise of {document['noise']}")
    axes.set_ylabel(heading_of_test_score(config.score))
    axes.set_xlim(-0.5, len(strengths) - 0.5)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", linewidth=0.3 * FORM.line_pt, color="0.88")
    axes.spines[["top", "right"]].set_visible(False)
    for place in range(1, len(strengths), 2):
        axes.axvspan(place - 0.5, place + 0.5, color="0.97", linewidth=0, zorder=0)


def _circuits(axes: "Axes", document: Document, config: StudyConfig) -> list["Artist"]:
    """Draw the means of each circuit, joined.

    Returns:
        What the legend tells of.
    """
    from matplotlib import colormaps

    circuits = document["circuits"]
    told: list[Artist] = []
    for number, circuit in enumerate(circuits):
        colour = colormaps["viridis"](PALE * (1 - (number + 1) / len(circuits)))
        places, means = _places(document, number), circuit[f"test_{config.score.key}"]
        drawn: dict[str, Any] = {"marker": MARKS[number % len(MARKS)], "color": colour, "linewidth": 0.6 * FORM.line_pt}
        label = f"{circuit['trial']}: {cost_text(circuit['cost'])}"
        told += axes.plot(places, means, **drawn, markersize=0.7 * FORM.mark_pt, label=label)
        known = [(place, ends) for place, ends in zip(places, _intervals(circuit, config), strict=True) if ends]
        lows, highs = ([ends[end] for _, ends in known] for end in (0, 1))
        axes.vlines([place for place, _ in known], lows, highs, colors=[colour], linewidth=0.7 * FORM.line_pt, alpha=0.6)
    return told


def _around(axes: "Axes", document: Document, config: StudyConfig) -> list["Artist"]:
    """Draw what a network is worth that tells all samples the same, and rings around those that overtake dearer ones.

    Returns:
        What the legend tells of.
    """
    told: list[Artist] = []
    if any(any(_intervals(circuit, config)) for circuit in document["circuits"]):
        told += axes.plot([], [], "|", color=INK, markersize=FORM.text_pt, label="95 % interval of the mean over seeds")
    dotted: dict[str, Any] = {"color": "0.4", "linestyle": ":", "linewidth": 0.7 * FORM.line_pt}
    told.append(axes.axhline(document["constant"], **dotted, label="always the most frequent class"))
    if rings := _overtaking(document, config):
        ring: dict[str, Any] = {"markersize": 1.5 * FORM.mark_pt, "markeredgecolor": INK, "markeredgewidth": 0.6 * FORM.line_pt}
        ring |= {"linestyle": "", "marker": "o", "markerfacecolor": "none"}
        told += axes.plot(*zip(*sorted(rings), strict=True), **ring, label="overtakes a dearer one")
    return told


def _overtaking(document: Document, config: StudyConfig) -> set[tuple[float, float]]:
    """Where circuits overtake dearer ones: place and mean."""
    numbers, found = {circuit["trial"]: number for number, circuit in enumerate(document["circuits"])}, set()
    for entry in filter(overtakes, document["overtakings"]):
        number, strength = numbers[entry["cheaper"]], document["strengths"].index(entry["strength"])
        mean = document["circuits"][number][f"test_{config.score.key}"][strength]
        found.add((_places(document, number)[strength], mean))
    return found


def _places(document: Document, number: int) -> list[float]:
    """Where a circuit stands at each strength: beside the others, around the strength's own place."""
    shift = WIDTH * ((number + 0.5) / len(document["circuits"]) - 0.5)
    return [place + shift for place in range(len(document["strengths"]))]


def _intervals(circuit: Document, config: StudyConfig) -> list[list[float] | None]:
    """At each strength, the 95 % interval of its mean; None of a single seed."""
    found: list[list[float] | None] = circuit[f"test_{config.score.key}_interval"]
    return found
