"""HTML pages of the dashboard: the list of studies, searches, confirmations, and the fronts of several studies."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.report import confirmation_blocks
from faqnas_optuna.dashboard.markup import (
    Html,
    blocks_html,
    figures_html,
    joined,
    link,
    live_section,
    nav,
    optuna_dashboard_link,
    root_of,
    study_link,
    table,
    terms,
    whole_page,
)
from faqnas_optuna.dashboard.watching import ConfirmationView, FrontsView, Overview, StudyView
from faqnas_optuna.reporting.columns import DEVICE, FLOPS, NETWORK, SCORES, Output, columns
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.reporting.search_report import front_remarks
from faqnas_optuna.wording import MISSING, counted, interval_text, number_text

STUDY_EVERY_S = 3
"""Seconds between two updates of a study's page."""
LIST_EVERY_S = 5
"""Seconds between two updates of the list of studies."""
GROUPINGS = ("study", "searcher", "dataset", "epochs")
"""Settings that the pages offer to group fronts by; their addresses may have any other."""


def overview_page(overview: Overview, *, path: str) -> str:
    """Return the page with the list of studies.

    Args:
        overview: Content of the page.
        path: Path of the page in the request.
    """
    root = root_of(path)
    parts = [Html("<h1>Studies</h1>")]
    if overview.studies:
        headings = ("plot", "study", "data", "state", "generation", "trials", "best", "hypervolume", "all trials")
        rows = [_study_row(status, overview.study_ids, root) for status in overview.studies]
        parts.append(table(headings, rows, numeric=range(4, 8)))
    elif not overview.left_out:
        parts.append(Html("<p>No studies yet; start one with <code>faqnas-optuna start --dataset wine</code></p>"))
    if overview.left_out:
        # Studies without a page here may still have one in optuna-dashboard.
        others = [
            (name, reason, optuna_dashboard_link(overview.study_ids.get(name), root))
            for name, reason in overview.left_out.items()
        ]
        parts += [Html("<h2>Other studies</h2>"), table(("study", "why there is no page", "all trials"), others)]
    # A section of its own, which updates of the list leave alone: a reader may be choosing a setting.
    form = _overlay_form(root, Html("")) if any(status["front"] for status in overview.studies) else Html("")
    body = joined([live_section("studies", joined(parts)), live_section("form", form)])
    return whole_page("Studies", body, path=path, every_s=LIST_EVERY_S)


def fronts_page(view: FrontsView, *, path: str) -> str:
    """Return the page with the fronts of several studies.

    Args:
        view: Content of the page.
        path: Path of the page in the request.
    """
    root = root_of(path)
    hidden = joined(Html(f'<input type="hidden" name="study" value="{escape(name)}">') for name in view.studies)
    names = Html(", ".join(study_link(name, root) for name in view.studies))
    parts = [
        Html(f"{nav(None, root)}<h1>Fronts</h1>"),
        _overlay_form(root, hidden, group_by=view.group_by),
        figures_html({"fronts": view.figure}, root),
        live_section("groups", joined([blocks_html(view.blocks), Html(f"<p>Studies: {names}</p>")])),
    ]
    return whole_page("Fronts", joined(parts), path=path, every_s=LIST_EVERY_S if view.is_running else 0)


def study_page(view: StudyView | ConfirmationView, *, path: str) -> str:
    """Return the page of a study.

    Args:
        view: Content of the page.
        path: Path of the page in the request.
    """
    return _search_page(view, path) if isinstance(view, StudyView) else _confirmation_page(view, path)


def _search_page(view: StudyView, path: str) -> str:
    """Return the page of a search or race: its progress, note, figures and front."""
    name = str(view.status["study"])
    root = root_of(path)
    # The page of a stopped study changes only while a confirmation adds results.
    every_s = 0 if view.status["stop"] and not view.is_confirming else STUDY_EVERY_S
    if view.figures:
        results = [figures_html(view.figures, root)]
        results.append(live_section("table", Html(f"<h2>Front</h2>{_front_table(view, root)}")))
    else:
        results = [Html("<p>No trial has succeeded yet, so there is no front.</p>")]
    header = Html(f"{nav(view.study_id, root)}<h1>{escape(name)}</h1>")
    facts = live_section("facts", _facts(view.status, view.confirmations, root))
    return whole_page(name, joined([header, facts, _note(view.note), *results]), path=path, every_s=every_s)


def _confirmation_page(view: ConfirmationView, path: str) -> str:
    """Return the page of a confirmation: its progress, and its circuits beside their controls and the classical models."""
    status = view.status
    name = str(status["study"])
    root = root_of(path)
    search = study_link(view.search, root) if view.has_search else Html(f"{escape(view.search)}, which was deleted")
    trainings = view.trainings
    facts = {
        "data": status["dataset"],
        "state": _state_text(status),
        "trainings": f"{trainings['done']:,} of {trainings['needed']:,} done, {trainings['running']} running,"
        f" {trainings['failed']} failed",
        "majority class": number_text(status["majority_score"]),
    }
    bar = Html(f'<progress max="{trainings["needed"]}" value="{trainings["done"]}"></progress>')
    if view.document:
        picture = f'<img class="picture" src="{view.picture}" alt="Test scores of circuits, controls and classical models">'
        results = joined([Html(picture), blocks_html(confirmation_blocks(view.document))])
    else:
        results = Html(f"<p>None of {counted(view.circuits, 'circuit')} has been retrained yet.</p>")
    parts = [
        Html(f"{nav(view.study_id, root)}<h1>{escape(name)}</h1><p>Confirmation of circuits of {search}</p>"),
        live_section("facts", joined([Html(f"<dl class='facts'>{terms(facts)}</dl>"), bar])),
        live_section("results", results),
    ]
    return whole_page(name, joined(parts), path=path, every_s=0 if status["stop"] else STUDY_EVERY_S)


def message_page(title: str, text: str, *, path: str, study_id: int | None = None, every_s: int = 0) -> str:
    """Return a page with a message.

    Args:
        title: Heading of the page.
        text: The message.
        path: Path of the page in the request.
        study_id: Id of the study that the message is about; None if it is about no study.
        every_s: Seconds between two updates; 0 for no updates.
    """
    body = Html(f"{nav(study_id, root_of(path))}<h1>{escape(title)}</h1><p>{escape(text)}</p>")
    return whole_page(title, body, path=path, every_s=every_s)


def _facts(status: Mapping[str, Any], confirmations: Sequence[str], root: str) -> Html:
    """Return the progress of a search as a description list (<dl>), with links to its confirmations."""
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
    if confirmations:
        facts["confirmed by"] = Html(", ".join(study_link(name, root) for name in confirmations))
    return Html(f"<dl class='facts'>{terms(facts)}</dl>")


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
    return live_section("note", Html(f"<dl>{terms(note)}</dl>"))


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
            link(
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
    remarks = " ".join(front_remarks(view.front, study))
    paragraph = Html(f"<p>{escape(remarks)}</p>" if remarks else "")
    return joined([table(headings, rows, numeric=range(len(headings) - 1)), paragraph])


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
    box = f'<input type="checkbox" form="overlay" name="study" value="{escape(name)}" aria-label="plot {escape(name)}">'
    return (
        Html(box if status["front"] else ""),
        study_link(name, root),
        status["dataset"],
        status["state"],
        MISSING if status["generations"] is None else f"{status['generations_closed']}/{status['generations']}",
        f"{status['trials']['successful']:,}",
        MISSING if best is None else f"{best:.3f}{Score(status['score']).remark}",
        number_text(status["hypervolume"], ".4f"),
        optuna_dashboard_link(study_ids.get(name), root),
    )


def _overlay_form(root: str, hidden: Html, *, group_by: str | None = None) -> Html:
    """Return the form that opens the page with the fronts of several studies.

    Args:
        hidden: Inputs with the names of studies; empty on the list of studies, where the boxes in the table are the inputs.
        group_by: Setting that the studies are grouped by at present.
    """
    choices = {"": "all settings except the random seed", **{name: name for name in GROUPINGS}}
    # An address may name any setting.
    choices.setdefault(group_by or "", group_by or "")
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == (group_by or "") else ""}>{escape(text)}</option>'
        for value, text in choices.items()
    )
    select = f'<label>Group by <select name="group-by">{options}</select></label>'
    button = "<button>Plot the fronts together</button>"
    return Html(f'<form id="overlay" action="{root}fronts" method="get">{hidden}{select} {button}</form>')
