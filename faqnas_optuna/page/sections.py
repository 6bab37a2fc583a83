"""Sections of the report of one study."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import errors_by_circuit, results_so_far
from faqnas_optuna.confirmation.circuit_table import confirmed_csv
from faqnas_optuna.confirmation.figure import confirmation_figure
from faqnas_optuna.confirmation.opening import confirmation_of
from faqnas_optuna.confirmation.report import confirmation_blocks
from faqnas_optuna.hardware.cost import SHOTS
from faqnas_optuna.page.commands import reproducing_commands, reproduction_note, study_file
from faqnas_optuna.page.figures import curve_svgs, hypervolume_svg, importance_svg
from faqnas_optuna.page.importance import gene_importances
from faqnas_optuna.page.verdict import verdict
from faqnas_optuna.reporting.columns import BY_NAME, CandidateColumn
from faqnas_optuna.reporting.documents import front_csv, hardware_document, pareto_document, start_document, study_document
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.html_page import download
from faqnas_optuna.reporting.inline_svg import inline_svg, responsive_svg
from faqnas_optuna.reporting.matplotlib_front import printed_figure
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.reporting.race_report import race_extent
from faqnas_optuna.reporting.report import Block, Line
from faqnas_optuna.reporting.search_report import ending, front_blocks
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.study_tables import columns_table, hardware_table, study_fields
from faqnas_optuna.reporting.text_tables import TextTable, in_blocks
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState

DRAWING_WIDTH = 110
"""Number of characters per line of a drawn circuit, which fit on a printed page."""


class Kind(StrEnum):
    """Kind of a part of a section, which decides how the template shows it."""

    TEXT = "text"
    TABLE = "table"
    FIGURES = "figures"
    TERMS = "terms"
    CODE = "code"
    FILES = "files"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of a section."""

    kind: Kind
    value: Any
    """A text, a table, SVG elements, a mapping of terms, or addresses of downloads by file name."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Section of a report."""

    id: str
    """Target of links."""
    title: str
    parts: list[Part]


@dataclass(frozen=True, kw_only=True)
class StudySections:
    """Report of one study."""

    name: str
    verdict: list[str]
    """Three sentences."""
    sections: list[Section]


def study_sections(search: Search, state: SearchState, rule: SelectionRule, prefix: str) -> StudySections:
    """Return the report of a study with a front.

    Args:
        search: Study.
        state: State of the study.
        rule: Rule that selects the circuit.
        prefix: Beginning of all ids, which no other study of the page has.
    """
    # Read once, so that all sections show the same results of a running confirmation.
    confirmation = results_so_far(confirmation_of(search))
    sections = {
        "Front": _front(state, confirmation, prefix),
        "Confirmation": _confirmation(search, confirmation, prefix),
        "Circuit": _circuit(state.choose(rule), search),
        "Progress": _progress(search, state, confirmation, prefix),
        "Genes": _genes(search, prefix),
        "Data": _data(search, state),
        "Settings": _settings(search),
        "Reproduction": _reproduction(search, rule, confirmation),
        "Downloads": [Part(kind=Kind.FILES, value=_files(state, confirmation))],
    }
    return StudySections(
        name=search.name,
        verdict=verdict(state, rule, confirmation),
        sections=[Section(id=f"{prefix}-{title.lower()}", title=title, parts=list(parts)) for title, parts in sections.items()],
    )


def block_parts(blocks: Iterable[Block]) -> Iterator[Part]:
    """Yield blocks of a report as parts."""
    for block in blocks:
        match block:
            case TextTable():
                yield Part(kind=Kind.TABLE, value=block)
            case Line(text):
                yield Part(kind=Kind.CODE, value=text)
            # Empty lines separate the blocks in a terminal.
            case str() if block:
                yield _text(block)


def _text(text: str) -> Part:
    return Part(kind=Kind.TEXT, value=text)


def _figures(*figures: str) -> Part:
    return Part(kind=Kind.FIGURES, value=figures)


def _front(state: SearchState, confirmation: Mapping[str, Any] | None, prefix: str) -> Iterator[Part]:
    plot = FrontPlot.of(state, errors_by_circuit(confirmation))
    yield _figures(responsive_svg(partial(printed_figure, plot), plot.spots, name=f"{prefix}f", label=plot.title))
    description = state.study.description
    yield from block_parts(front_blocks(state.front, description, more=_wilson(description)))
    note = study_note(state)
    yield _text(note["Objectives"])
    # A race has a guarantee, a search the reliability of its values.
    yield from (_text(note[name]) for name in ("Guarantee", "Reliability") if name in note)


def _wilson(description: Description) -> list[CandidateColumn]:
    """Return the column of Wilson's intervals where circuits have no other interval."""
    config = description.config
    has_another = description.race is not None or config.training.repeats > 1
    return [] if has_another or config.score is Score.BALANCED else [BY_NAME["val_accuracy_wilson"]]


def _confirmation(search: Search, confirmation: Mapping[str, Any] | None, prefix: str) -> Iterator[Part]:
    """Yield the search estimates beside the confirmed scores, and the baselines."""
    if confirmation is None:
        yield _text(
            "No circuit has been evaluated on the test part yet, or compared with baselines; faqnas-optuna confirm"
            f" {search.name} does so."
        )
        return
    figure = confirmation_figure(confirmation, Size.COLUMN)
    yield _figures(inline_svg(figure, Size.COLUMN, (), name=f"{prefix}t", label="test scores beside those of baselines"))
    yield from block_parts(confirmation_blocks(confirmation))


def _circuit(chosen: Candidate, search: Search) -> Iterator[Part]:
    """Yield the drawing of the selected circuit, and its cost on devices."""
    # Importing PennyLane takes seconds.
    from faqnas_optuna.circuits.pennylane_circuit import draw

    # Drawn with its inert gates, which the text marks by brackets.
    circuit = chosen.genome.circuit
    yield _text(f"Trial {chosen.trial}: {chosen.effective_gates}.")
    yield Part(kind=Kind.CODE, value=in_blocks(draw(circuit), DRAWING_WIDTH))
    yield Part(kind=Kind.TABLE, value=hardware_table(hardware_document(circuit, search.config.device)))
    yield _text(f"ESP is the estimated probability that the circuit runs without an error; a prediction takes {SHOTS:,} shots.")


def _progress(search: Search, state: SearchState, confirmation: Mapping[str, Any] | None, prefix: str) -> Iterator[Part]:
    """Yield how the study ended, its hypervolumes, and the learning curves of confirmed circuits."""
    document = start_document(state, seconds=0)
    has_stopped = document["stop"] is not None
    if search.description.race is None:
        # The document of a command that returned before the end of the search calls it interrupted.
        document |= {} if has_stopped else {"state": "not finished"}
        yield _text(ending(document, done_before=has_stopped))
    else:
        yield _text(race_extent(search.description))
    # A race has no generations.
    generations = search.metadata.closed_generations()
    figures = [hypervolume_svg(generations, f"{prefix}h")] if generations else []
    figures += curve_svgs(confirmation, f"{prefix}c") if confirmation else []
    if figures:
        yield _figures(*figures)
    yield _text(
        "Learning curves are means over the trainings of the confirmation."
        if confirmation
        else "Only confirmations store learning curves."
    )


def _genes(search: Search, prefix: str) -> Iterator[Part]:
    importances = gene_importances(search)
    if importances is None:
        yield _text("All trials have the same cost and the same error, so that no gene matters.")
        return
    yield _figures(importance_svg(importances, search.config, f"{prefix}g"))
    yield _text(
        "Share of the variance of each objective that a gene explains on its own, by Optuna's fANOVA with"
        f" {importances.trees} trees over all {importances.trials:,} successful trials. Rotations beyond the depth of a circuit"
        " do not affect it."
    )


def _data(search: Search, state: SearchState) -> Iterator[Part]:
    yield _text(study_note(state)["Protocol"])
    # Both are needed to check that another copy of the data is the same.
    seed, fingerprint = search.config.split_seed, search.description.data_fingerprint
    yield _text(
        f"Parts that the data do not define were drawn with the random seed {seed}. Fingerprint of the data: {fingerprint}."
    )
    # Named data sets have none: their features are standardised, as the protocol says.
    if columns := search.description.columns:
        yield Part(kind=Kind.TABLE, value=columns_table(columns))


def _settings(search: Search) -> Iterator[Part]:
    document = study_document(search)
    # Directories of the machine do not belong in a report.
    files = {name: path and Path(path).name for name, path in (document["files"] or {}).items()}
    yield Part(kind=Kind.TERMS, value=study_fields(document | {"files": files}))
    # Workers with equal versions share an entry.
    versions = [search.description.versions, *search.metadata.worker_versions()]
    for number, packages in enumerate(versions):
        yield _text("Versions:" if not number else "Further versions of workers:")
        yield Part(kind=Kind.TERMS, value=dict(sorted(packages.items())))


def _reproduction(search: Search, rule: SelectionRule, confirmation: Mapping[str, Any] | None) -> Iterator[Part]:
    yield Part(kind=Kind.CODE, value="\n".join(reproducing_commands(search, str(rule), confirmation)))
    yield _text(reproduction_note(search))


def _files(state: SearchState, confirmation: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the addresses of the downloads by file name."""
    name = state.study.name
    # As printed by `pareto --json` and `--csv`, without a selected circuit.
    document = pareto_document(state)
    files = {
        f"{name}.csv": download(front_csv(document), "text/csv"),
        f"{name}.json": download(json.dumps(document), "application/json"),
        f"{name}.toml": download(study_file(state.study.config), "application/toml"),
    }
    if confirmation:
        # As CSV only: the curves and confusion matrices of the JSON document would be the largest part of the page.
        files[f"{confirmation['study']}.csv"] = download(confirmed_csv(confirmation), "text/csv")
    return files
