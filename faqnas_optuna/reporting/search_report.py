"""Report of a search: its front, how the search ended, and useful next commands."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.reporting.advice import advice
from faqnas_optuna.reporting.columns import CandidateColumn, Output, columns
from faqnas_optuna.reporting.documents import start_document, to_the_minute
from faqnas_optuna.reporting.report import BRACKETS, NO_EFFECT, Block, Line, Report, majority_line
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.wording import counted


def search_report(
    state: SearchState, *, seconds: float, checks: list[dict[str, Any]] | None, done_before: bool, storage_option: str
) -> Report:
    """Return the report of a search.

    Args:
        seconds: Duration of the command.
        checks: Findings about the data; None if the data were not checked.
        done_before: Whether the search had ended before the command started.
        storage_option: Option with which the next commands find the database, after a space; empty for the default.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded.
    """
    document = start_document(state, seconds=seconds, checks=checks)
    blocks = [
        *front_blocks(state.front, state.study.description),
        "\n" + ending(document, done_before=done_before),
        *(f"Note: {sentence}" for sentence in advice(state)),
        *_next_commands(document, storage_option),
    ]
    return Report(document=document, blocks=blocks)


def front_blocks(
    front: Iterable[Candidate],
    study: Description,
    *,
    pick: Mapping[str, str] | None = None,
    more: Sequence[CandidateColumn] = (),
) -> Iterator[Block]:
    """Yield a table of circuits, with brackets around their inert gates, and remarks on them.

    Args:
        pick: Entry `pick` of a `pareto_document`, if a rule selected the circuit.
        more: Further columns of the table.
    """
    table_columns = [*columns(Output.TABLE, study), *more]
    table = TextTable(names=["trial"], numbers=[column.heading_in(study) for column in table_columns], last="circuit")
    circuits = list(front)
    for candidate in circuits:
        cells = [column.text(column.read(candidate, study)) for column in table_columns]
        table.rows.append((str(candidate.trial), *cells, str(candidate.effective_gates)))
    yield table
    remarks = " ".join(front_remarks(circuits, study))
    if remarks:
        yield remarks
    if study.majority_score is not None:
        yield majority_line(study.majority_score, study.config.score, "validation")
    if pick:
        yield f"Picked by {pick['rule']}: {pick['why']}."


def front_remarks(front: Sequence[Candidate], study: Description) -> Iterator[str]:
    """Yield remarks on circuits: gates without effect, and circuits that compute the same function."""
    # Brackets around inert gates are explained only if there are some.
    if any(candidate.effective_gates.inert for candidate in front):
        yield BRACKETS
    for candidate in front:
        yield from _remarks(candidate, study)
    equal = defaultdict(list)
    for candidate in front:
        equal[candidate.function].append(candidate)
    for candidates in equal.values():
        if len(candidates) > 1:
            # Circuits of equal cost on a device may share one training.
            differ = len({candidate.val_error for candidate in candidates}) > 1
            reason = ": only the random seed makes their scores differ" if differ else ""
            yield f"Trials {', '.join(str(candidate.trial) for candidate in candidates)} compute the same{reason}."


def _remarks(candidate: Candidate, study: Description) -> Iterator[str]:
    """Yield which gates a circuit lacks, and a circuit that computes the same."""
    gates = candidate.effective_gates
    if gates.lacks:
        yield f"Trial {candidate.trial} has no {gates.lacks}."
    if gates.is_entangled and not candidate.is_entangled:
        yield f"Trial {candidate.trial} is not entangled: {NO_EFFECT}."
    effective = effective_circuit(candidate.genome.circuit)
    if candidate.function != effective:
        yield f"{candidate.function} computes the same as trial {candidate.trial}."
        return
    flops = candidate.costs.cheapest_flops(study.config)
    # The cost on a device counts effective gates alone, so there the effective circuit is never cheaper.
    if study.config.device is None and flops < candidate.quantum_flops:
        yield f"{effective} computes the same as trial {candidate.trial} for {flops:,} quantum FLOPs."


def ending(document: Mapping[str, Any], *, done_before: bool) -> str:
    """Return how a search ended, with the numbers of its trials.

    Args:
        document: A `start_document`.
    """
    state = document["state"].capitalize()
    duration = f", {document['seconds']:.0f} s" if document["seconds"] else ""
    # The time of this command says nothing about a search that ended earlier.
    if done_before:
        state += f" {to_the_minute(document['stop']['at'])}"
        seconds = document["stop"]["seconds"]
        # The duration is unknown if the clock was set back during the search.
        duration = "" if seconds is None else f", {seconds:.0f} s after the start"
    because = f": {document['because']}." if document["because"] else "."
    given_up = f", {document['given_up']} given up" if document["given_up"] else ""
    return (
        f"{state}{because} {counted(document['trials'], 'trial')} ({document['trained']} trained,"
        f" {document['reused']} reused, {document['failed']} failed{given_up}),"
        f" hypervolume {document['hypervolume']:.4f}{duration}."
    )


def _next_commands(document: Mapping[str, Any], storage_option: str) -> Iterator[Block]:
    """Yield commands for a closer look at a search, with their descriptions aligned.

    Args:
        document: A `start_document`. The most accurate circuit is the last of its front, which is sorted by cost.
    """
    name = document["study"]
    # Ready to be copied: with the name of the study, a trial of its front, and the option for its database.
    commands = {f"resume {name}{storage_option}": "continue the search"} if document["state"] == "stopped" else {}
    commands |= {
        f"show {name} {document['front'][-1]['trial']}{storage_option}": "draw the most accurate circuit",
        f"confirm {name}{storage_option}": "retrain the front and evaluate it on the test part, beside controls",
        f"pareto {name} --plot front.html{storage_option}": "plot the front, interactively",
        f"dashboard{storage_option}": "browse the front and all trials",
    }
    width = max(map(len, commands))
    yield "\nNext:"
    for command, description in commands.items():
        # Commands are to be copied, so a narrow terminal must not wrap them.
        yield Line(f"  faqnas-optuna {command:{width}}  {description}")
