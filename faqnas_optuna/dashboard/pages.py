"""HTML pages of the dashboard: a list of the studies, and the front of each study.

Links are relative, so that the pages also work behind a proxy that adds a path prefix. Everything that comes from a
database is escaped, since a study may be called `<script>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from faqnas_optuna.config import Score
from faqnas_optuna.dashboard.watching import Overview, StudyView
from faqnas_optuna.reporting.columns import DEVICE, FLOPS, NETWORK, SCORES, Output, columns
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.wording import MISSING, interval_text, number_text

STUDY_EVERY_S = 3
"""Seconds between two updates of a study's page."""
LIST_EVERY_S = 5
"""Seconds between two updates of the list of studies."""
PREFIX_NOTE = (
    "optuna-dashboard does not work behind a proxy that adds a path prefix; serve it at the root of a host name or port."
)


class Html(str):
    """Text that is valid HTML; all other text is escaped before it gets into a page."""


def overview_page(overview: Overview, *, path: str) -> str:
    """Return the page with the list of studies.

    Args:
        overview: Content of the page.
        path: Path of the page in the request.
    """
    root = _root(path)
    parts = [Html("<h1>Studies</h1>")]
    if overview.studies:
        headings = ("study", "data", "state", "generation", "trials", "best", "hypervolume", "all trials")
        rows = [_study_row(status, overview.study_ids, root) for status in overview.studies]
        parts.append(_table(headings, rows, numeric=range(3, 7)))
    elif not overview.left_out:
        parts.append(Html("<p>No studies yet; start one with <code>faqnas-optuna start --dataset wine</code></p>"))
    if overview.left_out:
        # Studies without a page here may still have one in optuna-dashboard.
        others = [
            (name, reason, _optuna_dashboard_link(overview.study_ids.get(name), root))
            for name, reason in overview.left_out.items()
        ]
        parts += [Html("<h2>Other studies</h2>"), _table(("study", "why there is no page", "all trials"), others)]
    body = _live_section("studies", _joined(parts))
    return _page("Studies", body, path=path, every_s=LIST_EVERY_S)


def study_page(view: StudyView, *, path: str) -> str:
    """Return the page of a study: its progress, note, figures and front.

    Args:
        view: Content of the page.
        path: Path of the page in the request.
    """
    name = str(view.status["study"])
    root = _root(path)
    # The page of a stopped study changes only while a confirmation adds results.
    every_s = 0 if view.status["stop"] and not view.is_confirming else STUDY_EVERY_S
    if view.figures:
        results = [Html(f'<div id="{figure}" class="figure"></div>') for figure in view.figures]
        results.append(Html(f'<script defer src="{root}assets/plotly.js"></script>'))
        results += [_data(figure, json) for figure, json in view.figures.items()]
        results.append(_live_section("table", Html(f"<h2>Front</h2>{_front_table(view, root)}")))
    else:
        results = [Html("<p>No trial has succeeded yet, so there is no front.</p>")]
    header = Html(f"{_nav(view.study_id, root)}<h1>{escape(name)}</h1>")
    facts = _live_section("facts", _facts(view.status))
    return _page(name, _joined([header, facts, _note(view.note), *results]), path=path, every_s=every_s)


def message_page(title: str, text: str, *, path: str, study_id: int | None = None, every_s: int = 0) -> str:
    """Return a page with a message.

    Args:
        title: Heading of the page.
        text: The message.
        path: Path of the page in the request.
        study_id: Id of the study that the message is about; None if it is about no study.
        every_s: Seconds between two updates; 0 for no updates.
    """
    body = Html(f"{_nav(study_id, _root(path))}<h1>{escape(title)}</h1><p>{escape(text)}</p>")
    return _page(title, body, path=path, every_s=every_s)


def _page(title: str, body: Html, *, path: str, every_s: int) -> str:
    """Return a complete page.

    The script reads the attributes of the element <body>, and shows the paragraphs `trouble` and `prefix` when they apply.
    """
    root = _root(path)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · faqnas-optuna</title>
<link rel="stylesheet" href="{root}assets/page.css">
</head>
<body data-path="{escape(path)}" data-every="{every_s}">
<main>
{body}
<p id="trouble" role="status"></p>
<p id="prefix" hidden>{PREFIX_NOTE}</p>
</main>
<script defer src="{root}assets/page.js"></script>
</body>
</html>
"""


def _facts(status: Mapping[str, Any]) -> Html:
    """Return the progress of a study as a description list (<dl>)."""
    trials = status["trials"]
    score = Score(status["score"])
    facts = {
        "data": status["dataset"],
        "state": _state_text(status),
        **_extent(status),
        "trials": f"{trials['successful']:,}, {trials['running']} running, {trials['failed']} failed",
        f"best {score.in_words}": number_text(status["best_score"]),
        "majority class": number_text(status["majority_score"]),
        "hypervolume": f"{status['hypervolume']:.4f}",
    }
    return Html(f"<dl class='facts'>{_terms(facts)}</dl>")


def _extent(status: Mapping[str, Any]) -> dict[str, str]:
    """Return how far a study has come: the trainings of a race, or the generations of a search."""
    race = status["race"]
    if race:
        return {"trainings": f"{race['trainings']:,}", "certified within": f"{race['epsilon']:.3f}"}
    return {"generations": f"{status['generations_closed']} of {status['generations']}"}


def _state_text(status: Mapping[str, Any]) -> str:
    """Return the state of a study with the time and reason of its stop or, while it runs, its pace and maximum time left."""
    stop = status["stop"]
    if stop:
        return f"{status['state']} {to_the_minute(stop['at'])}: {status['because']}"
    minutes_left = status["minutes_left"]
    if status["state"] != "running" or minutes_left is None:
        return str(status["state"])
    return f"running, {status['trials_per_minute']:.0f} trials a minute, at most {max(minutes_left, 1):.0f} min left"


def _note(note: Mapping[str, str]) -> Html:
    return _live_section("note", Html(f"<dl>{_terms(note)}</dl>"))


def _front_table(view: StudyView, root: str) -> Html:
    """Return the table of the front: search scores, confirmed scores if any, then costs."""
    study = view.description
    scores = columns(Output.TABLE, study, (SCORES,))
    costs = columns(Output.TABLE, study, (DEVICE, FLOPS, NETWORK))
    confirmed_headings = ("confirmed", "95 % CI") if view.confirmed else ()
    headings = (
        "trial",
        *(column.heading_in(study) for column in scores),
        *confirmed_headings,
        *(column.heading_in(study) for column in costs),
        "circuit",
    )
    rows = [
        (
            _link(
                f"{root}dashboard/studies/{view.study_id}/trials?numbers={candidate.trial}",
                candidate.trial,
                to_optuna_dashboard=True,
            ),
            *(column.text(column.read(candidate, study)) for column in scores),
            *(_confirmed_cells(view.confirmed.get(candidate.record.circuit)) if view.confirmed else ()),
            *(column.text(column.read(candidate, study)) for column in costs),
            candidate.effective_gates,
        )
        for candidate in view.front
    ]
    return _table(headings, rows, numeric=range(len(headings) - 1))


def _confirmed_cells(confirmed: ConfirmedError | None) -> tuple[str, str]:
    """Return the cells with the confirmed score of a circuit and its interval."""
    if confirmed is None:
        return MISSING, MISSING
    # If all trainings had equal results, there is no interval.
    ends = None if confirmed.low == confirmed.high else (1 - confirmed.high, 1 - confirmed.low)
    return number_text(1 - confirmed.error), interval_text(ends)


def _study_row(status: Mapping[str, Any], study_ids: Mapping[str, int], root: str) -> tuple[object, ...]:
    """Return the cells of a study in the list. Confirmations have neither generations nor a hypervolume."""
    name = status["study"]
    best = status["best_score"]
    return (
        _link(f"{root}study/{quote(name, safe='')}", name),
        status["dataset"],
        status["state"],
        MISSING if status["generations"] is None else f"{status['generations_closed']}/{status['generations']}",
        f"{status['trials']['successful']:,}",
        MISSING if best is None else f"{best:.3f}{Score(status['score']).remark}",
        number_text(status["hypervolume"], ".4f"),
        _optuna_dashboard_link(study_ids.get(name), root),
    )


def _optuna_dashboard_link(study_id: int | None, root: str, text: str = "optuna-dashboard") -> Html:
    """Return a link to a study in optuna-dashboard; empty without an id, as for a deleted study or a page about no study."""
    return Html("") if study_id is None else _link(f"{root}dashboard/studies/{study_id}", text, to_optuna_dashboard=True)


def _nav(study_id: int | None, root: str) -> Html:
    return Html(
        f'<nav><a href="{root}">Studies</a> {_optuna_dashboard_link(study_id, root, "all trials in optuna-dashboard")}</nav>'
    )


def _table(headings: Sequence[str], rows: Iterable[Iterable[object]], *, numeric: Iterable[int] = ()) -> Html:
    """Return a table.

    Args:
        headings: Headings of the columns.
        rows: Cells of each row.
        numeric: Indices of the columns with numbers, which are aligned to the right.
    """
    number_columns = set(numeric)

    def cells_html(tag: str, cells: Iterable[object]) -> str:
        attributes = (' class="number"' if column in number_columns else "" for column in range(len(headings)))
        return "".join(f"<{tag}{attribute}>{_html(cell)}</{tag}>" for attribute, cell in zip(attributes, cells, strict=True))

    # The element around the table scrolls sideways where a window is too narrow for it.
    body = "".join(f"<tr>{cells_html('td', row)}</tr>" for row in rows)
    return Html(
        f'<div class="wide"><table><thead><tr>{cells_html("th", headings)}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _terms(terms: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{_html(term)}</dt><dd>{_html(text)}</dd></div>" for term, text in terms.items())


def _live_section(name: str, content: Html) -> Html:
    """Return a section that the script updates from a newer copy of the page."""
    # The script replaces only changed sections, so that figures keep their zoom and selected text stays selected.
    return Html(f'<section id="{name}" data-live>{content}</section>')


def _data(figure: str, json: str) -> Html:
    """Return the data of a figure, for the script that draws it."""
    # Browsers do not unescape the content of scripts. `</script>` in a name would end the script, so each `<` is written as a
    # JSON escape.
    text = json.replace("<", r"\u003c")
    return Html(f'<script type="application/json" data-figure="{figure}">{text}</script>')


def _link(address: str, text: object, *, to_optuna_dashboard: bool = False) -> Html:
    """Return a link.

    Args:
        to_optuna_dashboard: Whether the link leads to optuna-dashboard; the script removes such links behind a proxy that adds
            a path.
    """
    return Html(f'<a href="{escape(address)}"{" class=beyond" if to_optuna_dashboard else ""}>{_html(text)}</a>')


def _joined(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))


def _html(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def _root(path: str) -> str:
    """Return the relative address of the list of studies, given the path of a page.

    >>> _root("/study/iris")
    '../'
    """
    return "../" * (path.count("/") - 1) or "./"
