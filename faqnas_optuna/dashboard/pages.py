"""Our own pages of the dashboard, as HTML: a list of the studies, and the front of one of them.

Links are relative, so that the pages also work where a proxy serves them under a path. Whatever comes from a database is
escaped: a study may be called `<script>`.
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

STUDY_EVERY_S, LIST_EVERY_S = 3, 5
"""So often a page asks for news."""
PREFIX_NOTE = "optuna-dashboard cannot be shown under the path of a proxy: it needs an address of its own."


class Html(str):
    """Text that is HTML already."""


def overview_page(overview: Overview, *, path: str) -> str:
    """All studies of a storage.

    Args:
        path: of the page, as the server was asked for it.
    """
    up = _up(path)
    parts = [Html("<h1>Studies</h1>")]
    if overview.studies:
        heads = ("study", "data", "state", "generation", "trials", "best", "hypervolume", "all trials")
        rows = [_study_row(status, overview.numbers, up) for status in overview.studies]
        parts.append(_table(heads, rows, numeric=range(3, 7)))
    elif not overview.left_out:
        parts.append(Html("<p>No studies yet; begin one with <code>faqnas-optuna start --dataset wine</code></p>"))
    if overview.left_out:
        others = [(name, reason, _all_trials(overview.numbers.get(name), up)) for name, reason in overview.left_out.items()]
        parts += [Html("<h2>Others</h2>"), _table(("study", "why it has no page here", "all trials"), others)]
    body = _live("studies", _joined(parts))
    return _page("Studies", body, path=path, every_s=LIST_EVERY_S)


def study_page(view: StudyView, *, path: str) -> str:
    """The front of a study, how its hypervolume has grown, and what to know of both."""
    name, up = str(view.status["study"]), _up(path)
    every_s = 0 if view.status["stop"] and not view.is_confirming else STUDY_EVERY_S
    if view.figures:
        shown = [Html(f'<div id="{figure}" class="figure"></div>') for figure in view.figures]
        shown.append(Html(f'<script defer src="{up}assets/plotly.js"></script>'))
        shown += [_data(figure, json) for figure, json in view.figures.items()]
        shown.append(_live("table", Html(f"<h2>The front</h2>{_front_table(view, up)}")))
    else:
        shown = [Html("<p>No trial has succeeded yet: there is no front to show.</p>")]
    head = Html(f"{_nav(view.number, up)}<h1>{escape(name)}</h1>")
    facts = _live("facts", _facts(view.status))
    return _page(name, _joined([head, facts, _note(view.note), *shown]), path=path, every_s=every_s)


def message_page(title: str, text: str, *, path: str, number: int | None = None, every_s: int = 0) -> str:
    """A page that only says something.

    Args:
        number: the id of the study that it is about.
    """
    body = Html(f"{_nav(number, _up(path))}<h1>{escape(title)}</h1><p>{escape(text)}</p>")
    return _page(title, body, path=path, every_s=every_s)


def _page(title: str, body: Html, *, path: str, every_s: int) -> str:
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
    trials, best, score = status["trials"], status["best_score"], Score(status["score"])
    facts = {
        "data": status["dataset"],
        "state": _state(status),
        "generations": f"{status['generations_closed']} of {status['generations']}",
        "trials": f"{trials['successful']:,}, {trials['running']} running, {trials['failed']} failed",
        f"best {score.in_words}": number_text(best),
        "majority class": number_text(status["majority_score"]),
        "hypervolume": f"{status['hypervolume']:.4f}",
    }
    return Html(f"<dl class='facts'>{_terms(facts)}</dl>")


def _state(status: Mapping[str, Any]) -> str:
    if stop := status["stop"]:
        return f"{status['state']} {to_the_minute(stop['at'])}: {status['because']}"
    left = status["minutes_left"]
    if status["state"] != "running" or left is None:
        return str(status["state"])
    return f"running, {status['trials_per_minute']:.0f} trials a minute, at most {max(left, 1):.0f} min left"


def _note(note: Mapping[str, str]) -> Html:
    return _live("note", Html(f"<dl>{_terms(note)}</dl>"))


def _front_table(view: StudyView, up: str) -> Html:
    study = view.description
    scores, costs = columns(Output.TABLE, study, (SCORES,)), columns(Output.TABLE, study, (DEVICE, FLOPS, NETWORK))
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


def _confirmed(known: ConfirmedError | None) -> tuple[str, str]:
    """The score on the test part, and its interval."""
    if known is None:
        return MISSING, MISSING
    # Equal trainings have no interval.
    ends = None if known.low == known.high else (1 - known.high, 1 - known.low)
    return number_text(1 - known.error), interval_text(ends)


def _study_row(status: Mapping[str, Any], numbers: Mapping[str, int], up: str) -> tuple[object, ...]:
    name, best, volume = status["study"], status["best_score"], status["hypervolume"]
    return (
        _link(f"{up}study/{quote(name, safe='')}", name),
        status["dataset"],
        status["state"],
        MISSING if status["confirms"] else f"{status['generations_closed']}/{status['generations']}",
        f"{status['trials']['successful']:,}",
        MISSING if best is None else f"{best:.3f}{Score(status['score']).remark}",
        number_text(volume, ".4f"),
        _all_trials(numbers.get(name), up),
    )


def _all_trials(number: int | None, up: str, text: str = "optuna-dashboard") -> Html:
    return Html("") if number is None else _link(f"{up}dashboard/studies/{number}", text, beyond=True)


def _nav(number: int | None, up: str) -> Html:
    return Html(f'<nav><a href="{up}">Studies</a> {_all_trials(number, up, "all trials in optuna-dashboard")}</nav>')


def _table(heads: Sequence[str], rows: Iterable[Iterable[object]], *, numeric: Iterable[int] = ()) -> Html:
    right = set(numeric)

    def line(tag: str, cells: Iterable[object]) -> str:
        kinds = (' class="number"' if column in right else "" for column in range(len(heads)))
        return "".join(f"<{tag}{kind}>{_html(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return Html(f'<div class="wide"><table><thead><tr>{line("th", heads)}</tr></thead><tbody>{body}</tbody></table></div>')


def _terms(terms: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{_html(term)}</dt><dd>{_html(told)}</dd></div>" for term, told in terms.items())


def _live(name: str, content: Html) -> Html:
    """A part that the script takes from a newer copy of the page."""
    return Html(f'<section id="{name}" data-live>{content}</section>')


def _data(figure: str, json: str) -> Html:
    # In a script nothing is escaped: only its end must not stand there.
    text = json.replace("<", r"\u003c")
    return Html(f'<script type="application/json" data-figure="{figure}">{text}</script>')


def _link(address: str, text: object, *, beyond: bool = False) -> Html:
    """A link; `beyond` our pages, to optuna-dashboard's."""
    return Html(f'<a href="{escape(address)}"{" class=beyond" if beyond else ""}>{_html(text)}</a>')


def _joined(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))


def _html(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def _up(path: str) -> str:
    """The way from a page to the first one."""
    return "../" * (path.count("/") - 1) or "./"
