"""The front of a study as a picture, for paper (PNG, PDF, SVG) or browser (HTML), and how its hypervolume has grown."""

import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.results.documents import provenance
from faqnas_optuna.search.generations import ClosedGeneration
from faqnas_optuna.search.records import Candidate
from faqnas_optuna.search.standing import Standing

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PRINTED = (".png", ".pdf", ".svg")
DESCRIPTION = {".png": "Description", ".pdf": "Subject", ".svg": "Description"}
"""Where each kind of file keeps what it is about."""
UNDATED: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}

X_LABEL = "quantum FLOPs (one sample, forward)"
Y_LABEL = "validation error"
CONFIG = {"responsive": True, "showSendToCloud": False}
"""The figure fills its window, and no button offers to send it to a server of Plotly's."""
FEW_GENERATIONS = 20
"""Up to so many, the axis names each."""


def check_plot_file(path: Path) -> None:
    """Refuse the name of a file that we cannot draw into, before anything is read or drawn.

    Raises:
        OutputError: it has another ending than these.
    """
    if path.suffix.lower() not in (*PRINTED, ".html"):
        raise OutputError(f"a plot is a .png, .pdf, .svg or .html file; {path.name!r} is none")


def write_pareto_plot(standing: Standing, path: Path) -> None:
    """Draw the front, log-scaled in FLOPs, with the dominated circuits faint behind it.

    Args:
        path: ends in `.png`, `.pdf`, `.svg` or `.html`; the HTML file needs no network.

    Raises:
        OutputError: another ending, or the file cannot be written.
    """
    check_plot_file(path)
    kind = path.suffix.lower()
    write_atomically(path, _page(standing) if kind == ".html" else _printed(kind, standing))


def pareto_figure(standing: Standing) -> "Figure":
    """The front as steps, log-scaled in FLOPs, with the dominated circuits faint behind it; the mouse tells which is which."""
    import plotly.graph_objects as go

    best, dominated = _circuits(standing)
    figure = go.Figure()
    for name, candidates, marker in (
        ("dominated circuits", dominated, {"color": "rgba(150,150,150,0.4)", "size": 7}),
        ("front", best, {"color": "#1f77b4", "size": 11}),
    ):
        x, y = _points(candidates)
        figure.add_scatter(
            x=x,
            y=y,
            name=name,
            mode="lines+markers" if candidates is best else "markers",
            line={"shape": "hv", "width": 1},
            marker=marker,
            customdata=[[c.trial, str(c.effective), c.record.val_accuracy, c.record.parameters] for c in candidates],
            hovertemplate=(
                "trial %{customdata[0]}<br>%{customdata[1]}<br>accuracy %{customdata[2]:.3f}"
                "<br>%{x:,} quantum FLOPs<br>%{customdata[3]} parameters<extra></extra>"
            ),
        )
    figure.update_xaxes(type="log", title=X_LABEL)
    figure.update_yaxes(title=Y_LABEL)
    figure.update_layout(title=_title(standing), template="plotly_white")
    return figure


def hypervolume_figure(closed: Sequence[ClosedGeneration], closed_at: Mapping[int, str]) -> "Figure":
    """The hypervolume after each closed generation; the mouse tells when that was.

    Args:
        closed_at: the time in words, by number from 0.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[one.generation + 1 for one in closed],
        y=[one.hypervolume for one in closed],
        mode="lines+markers",
        marker={"color": "#1f77b4", "size": 9},
        customdata=[[one.trials, one.front, closed_at[one.generation]] for one in closed],
        hovertemplate=(
            "generation %{x}, closed %{customdata[2]}<br>hypervolume %{y:.4f}"
            "<br>%{customdata[0]} trials, %{customdata[1]} circuits on the front<extra></extra>"
        ),
    )
    figure.update_xaxes(title="closed generation", tickformat="d", dtick=1 if len(closed) <= FEW_GENERATIONS else None)
    figure.update_yaxes(title="hypervolume")
    figure.update_layout(title="Hypervolume of the front, generation by generation", template="plotly_white")
    return figure


def _title(standing: Standing) -> str:
    search = standing.search
    on_front, circuits = len(standing.front), len(standing.by_circuit)
    return f"{search.name}: {on_front} of {circuits} circuits are on the front ({search.config.flops} FLOPs)"


def _circuits(standing: Standing) -> tuple[list[Candidate], list[Candidate]]:
    """Those on the front, and those it dominates."""
    best = standing.front
    others = standing.by_circuit.keys() - {candidate.record.circuit for candidate in best}
    return best, [Candidate.of_trial(standing.by_circuit[circuit]) for circuit in sorted(others)]


def _points(candidates: list[Candidate]) -> tuple[list[int], list[float]]:
    return [candidate.quantum_flops for candidate in candidates], [candidate.val_error for candidate in candidates]


def _printed(kind: str, standing: Standing) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    best, dominated = _circuits(standing)
    # A figure without pyplot: no window, no global state.
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*_points(dominated), s=14, color="0.75", label="dominated circuits")
    axes.plot(*_points(best), drawstyle="steps-post", linewidth=1, color="C0", alpha=0.5)
    axes.scatter(*_points(best), s=36, color="C0", zorder=3, label="front")
    axes.set_xscale("log")
    axes.set_xlabel(X_LABEL)
    axes.set_ylabel(Y_LABEL)
    axes.set_title(_title(standing), fontsize=10)
    axes.grid(visible=True, which="both", linewidth=0.3)
    axes.legend()
    buffer = io.BytesIO()
    metadata = {DESCRIPTION[kind]: _provenance(standing), **UNDATED.get(kind, {})}
    # Without the date, nor random names in it: the same front is the same file.
    with rc_context({"svg.hashsalt": "faqnas-optuna"}):
        figure.savefig(buffer, format=kind.removeprefix("."), dpi=150, metadata=metadata)
    return buffer.getvalue()


def _page(standing: Standing) -> bytes:
    # As large as the window, and its text never cut off.
    page: str = pareto_figure(standing).to_html(include_plotlyjs=True, full_html=True, default_height="95vh", config=CONFIG)
    description = f'<meta name="description" content="{escape(_provenance(standing))}" />'
    return page.replace("<head>", f"<head>{description}", 1).encode()


def _provenance(standing: Standing) -> str:
    """What decided the values that are drawn, as JSON: it travels in the file."""
    return json.dumps({"study": standing.search.name, **provenance(standing.search)})
