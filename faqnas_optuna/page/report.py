"""Report of one or more studies as an HTML page."""

import json
from collections.abc import Sequence
from pathlib import Path

from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, FaqnasError, OutputError
from faqnas_optuna.files import check_directory, write_atomically
from faqnas_optuna.page.sections import Kind, Part, block_parts, study_sections
from faqnas_optuna.reporting.documents import check_successful, provenance
from faqnas_optuna.reporting.html_page import render
from faqnas_optuna.reporting.inline_svg import responsive_svg
from faqnas_optuna.reporting.study_groups import group_studies, groups_blocks, groups_plot
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import Rule, SelectionRule
from faqnas_optuna.study.state import SearchState, read_state

DEFAULT_RULE = SelectionRule(rule=Rule.KNEE)
"""Rule that selects the circuit of a report."""


def check_report_file(path: Path) -> None:
    """Check the name of a report, so that a bad name is refused before anything is read.

    Raises:
        OutputError: The name does not end in `.html`, or its directory does not exist.
    """
    if path.suffix.lower() != ".html":
        raise OutputError(f"the name of a report must end in .html; {path.name!r} does not")
    check_directory(path)


def no_report_error(confirmation: Confirmation) -> FaqnasError:
    """Return the error for a request for the report of a confirmation."""
    study = confirmation.plan.study
    message = f"study {confirmation.name!r} is a confirmation, which is part of the report of {study!r}; write it with"
    return ConfigError(message, command=f"report {study}")


def write_report(searches: Sequence[Search], path: Path, rule: SelectionRule = DEFAULT_RULE) -> None:
    """Write the report of one or more searches or races; equal studies give equal bytes.

    Args:
        path: File name that ends in `.html`.
        rule: Rule that selects the circuit of each study.

    Raises:
        NoSuccessfulTrialError: A study has no successful trial.
        OutputError: The file cannot be written.
        StudyMismatchError: The studies have different costs or scores, so that no plot can show all their fronts.
    """
    states = [read_state(search) for search in searches]
    # Before the first figure, which takes seconds.
    for state in states:
        check_successful(state)
    names = [search.name for search in searches]
    page = render(
        "page/report.html",
        title=f"Report on {' and '.join(names) if len(names) < 3 else f'{len(names)} studies'}",
        description=json.dumps({search.name: provenance(search) for search in searches}),
        shared=_shared(states) if len(states) > 1 else [],
        studies=[
            study_sections(search, state, rule, f"s{number}")
            for number, (search, state) in enumerate(zip(searches, states, strict=True))
        ],
    )
    write_atomically(path, page)


def _shared(states: Sequence[SearchState]) -> list[Part]:
    """Return the plot of all fronts, with the table of their groups."""
    groups = group_studies(states)
    plot = groups_plot(groups)
    figure = responsive_svg(plot.drawn, plot.spots, name="a", label=plot.axes.title)
    return [Part(kind=Kind.FIGURES, value=(figure,)), *block_parts(groups_blocks(groups))]
