"""The front of a study as a picture, for paper (PNG, PDF, SVG) or browser (HTML), and how its hypervolume has grown."""

import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.front_plot import (
    BELIEVED,
    CONFIRMED,
    CONFIRMED_NAME,
    DOMINATED,
    DOMINATED_NAME,
    ConfirmedError,
    FrontPlot,
    Mark,
    points,
)
from faqnas_optuna.reporting.matplotlib_front import printed_figure, styled
from faqnas_optuna.reporting.sizes import Form, Size
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.stopping import ClosedGeneration

if TYPE_CHECKING:
    from matplotlib.figure import Figure as PrintedFigure
    from plotly.graph_objects import Figure

PRINTED = (".png", ".pdf", ".svg")
DESCRIPTION = {".png": "Description", ".pdf": "Subject", ".svg": "Description"}
"""Where each kind of file keeps what it is about."""
UNDATED: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}

CONFIG = {"responsive": True, "showSendToCloud": False}
"""The figure fills its window, and no button offers to send it to a server of Plotly's."""
FEW_GENERATIONS = 20
"""Up to so many, the axis names each."""


def check_plot_file(path: Path, size: Size | None = None) -> None:
    """Refuse the name of a file that we cannot draw into, before anything is read or drawn.

    Raises:
        OutputError: it has another ending than these, or is a page that shall have a size.
    """
    kind = path.suffix.lower()
    if kind not in (*PRINTED, ".html"):
        raise OutputError(f"a plot is a .png, .pdf, .svg or .html file; {path.name!r} is none")
    if kind == ".html" and size:
        raise OutputError(
            f"an .html plot is as large as its window, and {path.name!r} shall be of size {size};"
            " leave out --size, or draw a .png, .pdf or .svg file"
        )


def check_printed(path: Path) -> None:
    """Refuse the name of a file that we cannot draw into, where there are no pages.

    Raises:
        OutputError: it has another ending than these.
    """
    if path.suffix.lower() not in PRINTED:
        raise OutputError(f"this plot is a .png, .pdf or .svg file; {path.name!r} is none")


def write_pareto_plot(
    state: SearchState,
    path: Path,
    *,
    size: Size | None = None,
    confirmed: Mapping[str, ConfirmedError] | None = None,
) -> None:
    """Draw the front, log-scaled in cost, with the dominated circuits faint behind it.

    Args:
        path: ends in `.png`, `.pdf`, `.svg` or `.html`; the HTML file needs no network.
        size: of a printed figure; by default over the width of a page.
        confirmed: what training circuits anew has shown, by digest; drawn beside what the search believes.

    Raises:
        OutputError: another ending, a page with a size, or the file cannot be written.
    """
    check_plot_file(path, size)
    shown, drawn = FrontPlot.of(state, confirmed), size or Size.PAGE
    told = json.dumps({"study": state.study.name, **provenance(state.study)})
    is_page = path.suffix.lower() == ".html"
    write_atomically(path, _page(shown, told) if is_page else as_file(printed_figure(shown, drawn), path, drawn.form, told))


def pareto_figure(state: SearchState, confirmed: Mapping[str, ConfirmedError] | None = None) -> "Figure":
    """The front as steps, log-scaled in cost, with the dominated circuits faint behind it; the mouse tells which is which."""
    return interactive_figure(FrontPlot.of(state, confirmed))


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
        marker={"color": BELIEVED, "size": 9},
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


def interactive_figure(shown: FrontPlot) -> "Figure":
    """The same of what is shown."""
    import plotly.graph_objects as go

    figure = go.Figure()
    # The front is one trace, behind which the dominated circuits are one: who counts its points counts circuits.
    figure.add_scatter(
        **_trace(shown, shown.dominated),
        name=DOMINATED_NAME,
        mode="markers",
        marker={"color": DOMINATED, "opacity": 0.5, "size": 7},
    )
    marks = [Mark.of(candidate) for candidate in shown.front]
    figure.add_scatter(
        **_trace(shown, shown.front),
        name=_told_marks(shown),
        mode="lines+markers",
        line={"shape": "hv", "width": 1, "color": BELIEVED},
        error_y=_bars(shown) if shown.bars else None,
        marker={
            "symbol": ["square" if mark.is_square else "circle" for mark in marks],
            "color": [BELIEVED if mark.is_filled else "white" for mark in marks],
            "line": {"color": BELIEVED, "width": 2},
            "size": 11,
        },
    )
    if shown.pairs:
        _add_confirmed(figure, shown)
    figure.update_xaxes(type="log", title=shown.x_label)
    figure.update_yaxes(title=shown.y_label)
    # Above the points, not on them or at their side, where its words would leave little room.
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    title = ", ".join(filter(None, (shown.title, shown.majority_name)))
    figure.update_layout(title=title, template="plotly_white", legend=legend)
    return figure


def _trace(shown: FrontPlot, candidates: list[Candidate]) -> dict[str, Any]:
    """Points, and what the mouse tells of them."""
    x, y = points(candidates)
    told = []
    for candidate in candidates:
        interval = candidate.scores.interval(shown.score, shown.repeats)
        reliability = f" ({interval[0]:.3f} to {interval[1]:.3f}, {shown.interval_name})" if interval else ""
        score, parameters = candidate.scores.mean(shown.score), candidate.costs.parameters
        told.append([candidate.trial, str(candidate.effective_gates), score, parameters, reliability])
    return {
        "x": x,
        "y": y,
        "customdata": told,
        "hovertemplate": (
            "trial %{customdata[0]}<br>%{customdata[1]}<br>"
            f"{shown.score.in_words} %{{customdata[2]:.3f}}%{{customdata[4]}}"
            f"<br>%{{x:{',' if shown.is_by_flops else '.4f'}}} {shown.cost_name}"
            "<br>%{customdata[3]} parameters<extra></extra>"
        ),
    }


def _told_marks(shown: FrontPlot) -> str:
    """The name of the front, with what its marks mean."""
    marks = {
        "open": shown.named(Mark.INERT),
        "square": shown.named(Mark.LACKING),
        "bars": shown.interval_name if shown.bars else None,
    }
    told = [f"{mark}: {meaning}" for mark, meaning in marks.items() if meaning]
    return f"front ({', '.join(told)})" if told else "front"


def _bars(shown: FrontPlot) -> dict[str, Any]:
    """The intervals of the front's mean errors, as plotly wants them."""
    intervals = {candidate.trial: interval for candidate, interval in shown.bars}
    known = [(one.val_error, intervals.get(one.trial, (one.val_error, one.val_error))) for one in shown.front]
    return {
        "array": [high - error for error, (_, high) in known],
        "arrayminus": [error - low for error, (low, _) in known],
        "color": BELIEVED,
        "thickness": 1,
    }


def _add_confirmed(figure: "Figure", shown: FrontPlot) -> None:
    """What was confirmed, each with a dotted line to what was believed."""
    x = [candidate.cost for candidate, _ in shown.pairs]
    known = [confirmed for _, confirmed in shown.pairs]
    figure.add_scatter(
        x=[cost for cost in x for _ in range(3)],
        y=[error for candidate, one in shown.pairs for error in (candidate.val_error, one.error, None)],
        mode="lines",
        line={"color": CONFIRMED, "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=x,
        y=[one.error for one in known],
        name=CONFIRMED_NAME,
        mode="markers",
        marker={"color": CONFIRMED, "symbol": "diamond", "size": 9},
        error_y={
            "array": [one.high - one.error for one in known],
            "arrayminus": [one.error - one.low for one in known],
            "color": CONFIRMED,
            "thickness": 1,
        },
        customdata=[[candidate.trial, one.low, one.high] for candidate, one in shown.pairs],
        hovertemplate=(
            "trial %{customdata[0]}, confirmed"
            f"<br>error on the test part{shown.score.remark} %{{y:.3f}}"
            "<br>95 %: %{customdata[1]:.3f} to %{customdata[2]:.3f}<extra></extra>"
        ),
    )


def as_file(figure: "PrintedFigure", path: Path, form: Form, told: str) -> bytes:
    """What is written to a file for a printed figure; the same figure is the same bytes.

    Args:
        path: tells by its ending what kind of file it is.
        form: of the figure.
        told: what decided its values, which the file carries.
    """
    buffer, kind = io.BytesIO(), path.suffix.lower()
    # Without the date.
    metadata = {DESCRIPTION[kind]: told, **UNDATED.get(kind, {})}
    with styled(form):
        figure.savefig(buffer, format=kind.removeprefix("."), dpi=form.dpi, metadata=metadata)
    return buffer.getvalue()


def _page(shown: FrontPlot, told: str) -> bytes:
    # As large as the window, and its text never cut off.
    page: str = interactive_figure(shown).to_html(include_plotlyjs=True, full_html=True, default_height="95vh", config=CONFIG)
    return page.replace("<head>", f'<head><meta name="description" content="{escape(told)}" />', 1).encode()
