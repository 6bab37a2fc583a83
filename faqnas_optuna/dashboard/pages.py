"""HTML pages of the dashboard: a list of the studies, and the front of each study.

Links are relative, so that the pages also work behind a proxy that serves them under a path. Everything that comes from a
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
PREFIX_NOTE = "optuna-dashboard does not work behind a proxy that adds a path: it needs an address of its own."


class Html(str):
    """Text that is valid HTML; all other text is escaped before it gets into a page."""


def overview_page(overview: Overview, *, path: str) -> str:
    """Return the page with the list of studies.

    Args:
        overview: Content of the page.
        path: Path of the page in the request.
    """
    up = _up(path)
    parts = [Html("<h1>Studies</h1>")]
    if overview.studies:
        heads = ("study", "data", "state", "generation", "trials", "best", "hypervolume", "all trials")
        rows = [_study_row(status, overview.numbers, up) for status in overview.studies]
        parts.append(_table(heads, rows, numeric=range(3, 7)))
    elif not overview.left_out:
        parts.append(Html("<p>No studies yet; start one with <code>faqnas-optuna start --dataset wine</code></p>"))
    if overview.left_out:
        # Studies without a page here may still have one in optuna-dashboard.
        others = [(name, reason, _all_trials(overview.numbers.get(name), up)) for name, reason in overview.left_out.items()]
        parts += [Html("<h2>Other studies</h2>"), _table(("study", "reason for having no page", "all trials"), others)]
    body = _live("studies", _joined(parts))
    return _page("Studies", body, path=path, every_s=LIST_EVERY_S)


def study_page(view: StudyView, *, path: str) -> str:
    """Return the page with the front of a study, its figures and the note on them.

    Args:
        view: Content of the page.
        path: Path of the page in the request.
    """
    name = str(view.status["study"])
    up = _up(path)
    # A finished study does not change any more, unless a confirmation adds its results.
    every_s = 0 if view.status["stop"] and not view.is_confirming else STUDY_EVERY_S
    if view.figures:
        results = [Html(f'<div id="{figure}" class="figure"></div>') for figure in view.figures]
        results.append(Html(f'<script defer src="{up}assets/plotly.js"></script>'))
        results += [_data(figure, json) for figure, json in view.figures.items()]
        results.append(_live("table", Html(f"<h2>Front</h2>{_front_table(view, up)}")))
    else:
        results = [Html("<p>No trial has succeeded yet, so there is no front.</p>")]
    head = Html(f"{_nav(view.number, up)}<h1>{escape(name)}</h1>")
    facts = _live("facts", _facts(view.status))
    return _page(name, _joined([head, facts, _note(view.note), *results]), path=path, every_s=every_s)


def message_page(title: str, text: str, *, path: str, number: int | None = None, every_s: int = 0) -> str:
    """Return a page with a message.

    Args:
        title: Heading of the page.
        text: The message.
        path: Path of the page in the request.
        number: Id of the study that the message is about; None if it is about no study.
        every_s: Seconds between two updates; 0 for no updates.
    """
    body = Html(f"{_nav(number, _up(path))}<h1>{escape(title)}</h1><p>{escape(text)}</p>")
    return _page(title, body, path=path, every_s=every_s)


def _page(title: str, body: Html, *, path: str, every_s: int) -> str:
    """Return a whole page. Its script reads the attributes of `body`, and displays the last two paragraphs when needed."""
    up = _up(path)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · faqnas-optuna</title>
<link rel="stylesheet" href="{up}assets/page.css">
</head>
<body data-path="{escape(path)}" data-every="{every_s}">
<main>
{body}
<p id="trouble" role="status"></p>
<p id="prefix" hidden>{PREFIX_NOTE}</p>
</main>
<script defer src="{up}assets/page.js"></script>
</body>
</html>
"""


def _facts(status: Mapping[str, Any]) -> Html:
    """Return the progress of a study as a list of terms."""
    trials = status["trials"]
    score = Score(status["score"])
    facts = {
        "data": status["dataset"],
        "state": _state(status),
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


def _state(status: Mapping[str, Any]) -> str:
    """Return the state of a study, with the time and reason of a stop, or the pace of its trials."""
    stop = status["stop"]
    if stop:
        return f"{status['state']} {to_the_minute(stop['at'])}: {status['because']}"
    minutes_left = status["minutes_left"]
    if status["state"] != "running" or minutes_left is None:
        return str(status["state"])
    return f"running, {status['trials_per_minute']:.0f} trials a minute, at most {max(minutes_left, 1):.0f} min left"


def _note(note: Mapping[str, str]) -> Html:
    return _live("note", Html(f"<dl>{_terms(note)}</dl>"))


def _front_table(view: StudyView, up: str) -> Html:
    """Return the table of the front, with the confirmed scores between the scores and the costs of the search."""
    study = view.description
    scores = columns(Output.TABLE, study, (SCORES,))
    costs = columns(Output.TABLE, study, (DEVICE, FLOPS, NETWORK))
    confirmed = ("confirmed", "95 % CI") if view.confirmed else ()
    heads = (
        "trial",
        *(column.heading_in(study) for column in scores),
        *confirmed,
        *(column.heading_in(study) for column in costs),
        "circuit",
    )
    rows = [
        (
            _link(f"{up}dashboard/studies/{view.number}/trials?numbers={candidate.trial}", candidate.trial, beyond=True),
            *(column.text(column.read(candidate, study)) for column in scores),
            *(_confirmed(view.confirmed.get(candidate.record.circuit)) if view.confirmed else ()),
            *(column.text(column.read(candidate, study)) for column in costs),
            candidate.effective_gates,
        )
        for candidate in view.front
    ]
    return _table(heads, rows, numeric=range(len(heads) - 1))


def _confirmed(confirmed: ConfirmedError | None) -> tuple[str, str]:
    """Return the cells with the confirmed score of a circuit and its interval."""
    if confirmed is None:
        return MISSING, MISSING
    # Trainings with equal results have no interval.
    ends = None if confirmed.low == confirmed.high else (1 - confirmed.high, 1 - confirmed.low)
    return number_text(1 - confirmed.error), interval_text(ends)


def _study_row(status: Mapping[str, Any], numbers: Mapping[str, int], up: str) -> tuple[object, ...]:
    """Return the cells of a study in the list. Confirmations have neither generations nor a hypervolume."""
    name = status["study"]
    best = status["best_score"]
    return (
        _link(f"{up}study/{quote(name, safe='')}", name),
        status["dataset"],
        status["state"],
        MISSING if status["generations"] is None else f"{status['generations_closed']}/{status['generations']}",
        f"{status['trials']['successful']:,}",
        MISSING if best is None else f"{best:.3f}{Score(status['score']).remark}",
        number_text(status["hypervolume"], ".4f"),
        _all_trials(numbers.get(name), up),
    )


def _all_trials(number: int | None, up: str, text: str = "optuna-dashboard") -> Html:
    """Return a link to a study in optuna-dashboard; nothing if the study has just been deleted."""
    return Html("") if number is None else _link(f"{up}dashboard/studies/{number}", text, beyond=True)


def _nav(number: int | None, up: str) -> Html:
    return Html(f'<nav><a href="{up}">Studies</a> {_all_trials(number, up, "all trials in optuna-dashboard")}</nav>')


def _table(heads: Sequence[str], rows: Iterable[Iterable[object]], *, numeric: Iterable[int] = ()) -> Html:
    """Return a table.

    Args:
        heads: Headings of the columns.
        rows: Cells of each row.
        numeric: Indices of the columns with numbers, which are aligned to the right.
    """
    number_columns = set(numeric)

    def line(tag: str, cells: Iterable[object]) -> str:
        attributes = (' class="number"' if column in number_columns else "" for column in range(len(heads)))
        return "".join(f"<{tag}{attribute}>{_html(cell)}</{tag}>" for attribute, cell in zip(attributes, cells, strict=True))

    # The element around the table scrolls sideways where a window is too narrow for it.
    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return Html(f'<div class="wide"><table><thead><tr>{line("th", heads)}</tr></thead><tbody>{body}</tbody></table></div>')


def _terms(terms: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{_html(term)}</dt><dd>{_html(text)}</dd></div>" for term, text in terms.items())


def _live(name: str, content: Html) -> Html:
    """Return a section that the script replaces by that of a newer copy of the page."""
    # Only sections are replaced, so that figures keep their zoom and a reader's selection survives.
    return Html(f'<section id="{name}" data-live>{content}</section>')


def _data(figure: str, json: str) -> Html:
    """Return the data of a figure, for the script that draws it."""
    # Browsers do not unescape the content of scripts. A `<` in a name could end the script, so JSON's own escape replaces it.
    text = json.replace("<", r"\u003c")
    return Html(f'<script type="application/json" data-figure="{figure}">{text}</script>')


def _link(address: str, text: object, *, beyond: bool = False) -> Html:
    """Return a link; with `beyond` it leads to optuna-dashboard."""
    return Html(f'<a href="{escape(address)}"{" class=beyond" if beyond else ""}>{_html(text)}</a>')


def _joined(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))


def _html(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def _up(path: str) -> str:
    """Return the relative address of the list of studies, given the path of a page.

    >>> _up("/study/iris")
    '../'
    """
    return "../" * (path.count("/") - 1) or "./"
