"""The report of a search: its front, how the search ended, and what to type next."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.reporting.advice import advice
from faqnas_optuna.reporting.columns import Output, columns
from faqnas_optuna.reporting.documents import start_document, to_the_minute
from faqnas_optuna.reporting.report import BRACKETS, Block, Line, Report, majority_line
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.wording import counted


def search_report(
    state: SearchState,
    *,
    seconds: float,
    checks: list[dict[str, Any]] | None,
    done_before: bool,
    storage_option: str,
) -> Report:
    """Return what a search has found.

    Args:
        seconds: time that the command has spent on it.
        checks: the findings about the data; None if they were not checked.
        done_before: whether the search had ended when the command was typed.
        storage_option: what commands need to find the database, with a space before it; empty if they need nothing.

    Raises:
        NoSuccessfulTrialError: nothing succeeded.
    """
    document = start_document(state, seconds=seconds, checks=checks)
    blocks = [
        *front_blocks(state.front, state.study.description),
        _ending(document, done_before=done_before),
        *(f"Note: {sentence}" for sentence in advice(state)),
        *_next_commands(document, storage_option),
    ]
    return Report(document=document, blocks=blocks)


def front_blocks(front: Iterable[Candidate], study: Description, *, pick: Mapping[str, str] | None = None) -> Iterator[Block]:
    """Return a line for each circuit with brackets around its inert gates, and remarks below.

    A remark says which effective gates a circuit lacks, or that its effective circuit costs less.

    Args:
        pick: that of a `pareto_document`, if the circuit is one that a rule took.
    """
    shown = columns(Output.TABLE, study)
    table = TextTable(names=["trial"], numbers=[column.heading_in(study) for column in shown], last="circuit")
    remarks = []
    for candidate in front:
        gates = candidate.effective_gates
        if gates.lacks:
            remarks.append(f"Trial {candidate.trial} has no {gates.lacks}.")
        flops = candidate.costs.cheapest_flops(study.config)
        # On a device what computes the same costs the same.
        if study.config.device is None and flops < candidate.quantum_flops:
            effective = effective_circuit(candidate.genome.circuit)
            remarks.append(f"{effective} computes the same as trial {candidate.trial} for {flops:,} quantum FLOPs.")
        cells = [column.text(column.read(candidate, study)) for column in shown]
        table.rows.append((str(candidate.trial), *cells, str(gates)))
    yield table
    if any("[" in row[-1] for row in table.rows):
        remarks.insert(0, BRACKETS)
    if remarks:
        yield " ".join(remarks)
    if study.majority_score is not None:
        yield majority_line(study.majority_score, study.config.score, "validation")
    if pick:
        yield f"Picked by {pick['rule']}: {pick['why']}."


def _ending(document: Mapping[str, Any], *, done_before: bool) -> str:
    """Return how a search ended, and how many trials it took.

    Args:
        document: a `start_document`.
    """
    ended = document["state"].capitalize()
    took = f", {document['seconds']:.0f} s"
    if done_before:
        ended += f" {to_the_minute(document['stop']['at'])}"
        seconds = document["stop"]["seconds"]
        took = "" if seconds is None else f", {seconds:.0f} s after it was begun"
    because = f": {document['because']}." if document["because"] else "."
    given_up = f", {document['given_up']} given up" if document["given_up"] else ""
    return (
        f"\n{ended}{because} {counted(document['trials'], 'trial')} ({document['trained']} trained,"
        f" {document['reused']} reused, {document['failed']} failed{given_up}),"
        f" hypervolume {document['hypervolume']:.4f}{took}."
    )


def _next_commands(document: Mapping[str, Any], storage_option: str) -> Iterator[Block]:
    """Return the commands that show more of a search."""
    name = document["study"]
    commands = {
        f"show {name} {document['front'][-1]['trial']}{storage_option}": "the most accurate circuit, drawn",
        f"confirm {name}{storage_option}": "what the front is worth: trained anew, on the test part, beside controls",
        f"pareto {name} --plot front.html{storage_option}": "the front as an interactive plot",
        f"dashboard{storage_option}": "the front in a browser, and every trial",
    }
    width = max(map(len, commands))
    yield "\nNext:"
    for command, shown in commands.items():
        yield Line(f"  faqnas-optuna {command:{width}}  {shown}")
