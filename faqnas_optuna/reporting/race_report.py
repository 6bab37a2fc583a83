"""Report of a race: its front, what is guaranteed about it, and useful next commands."""

from collections.abc import Iterator, Mapping
from typing import Any

from faqnas_optuna.reporting.documents import check_successful, pareto_document
from faqnas_optuna.reporting.report import Block, Line, Report
from faqnas_optuna.reporting.search_report import front_blocks
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.wording import counted

SUGGESTED_EPSILON = 0.05
"""ε of the certificate that the report of an uncertified front suggests."""


def race_report(state: SearchState, *, seconds: float, storage_option: str) -> Report:
    """Return the report of a race.

    Args:
        seconds: Duration of the command.
        storage_option: Option that names the database, to follow a command, or nothing.

    Raises:
        NoSuccessfulTrialError: The race has no result yet.
    """
    check_successful(state)
    description = state.study.description
    document = pareto_document(state) | {"guarantee": guarantee(description), "seconds": round(seconds, 3)}
    blocks = [
        *front_blocks(state.front, description),
        "\n" + _extent(description, seconds=seconds),
        guarantee(description),
        *_next_commands(document, state.study.continuation(), storage_option),
    ]
    return Report(document=document, blocks=blocks)


def guarantee(description: Description) -> str:
    """Return a sentence with what is guaranteed about the front of a race, and one with what is not."""
    race = description.race
    assert race is not None
    score = description.config.score.in_words
    # Rounded up, so that the printed bound holds as well.
    bound = race.within if race.is_certified and race.within is not None else min(race.epsilon + 0.0005, 1)
    return (
        f"With {100 * race.level:.0f} % confidence, no circuit {race.scope} has an expected validation {score} more than"
        f" {bound:.3g} above that of the circuit on the front at the same cost or less. The expectation is over random seeds"
        f" under this protocol on this split; nothing is guaranteed for other splits or for the test part."
    )


def _extent(description: Description, *, seconds: float) -> str:
    race = description.race
    assert race is not None
    state = "Certified" if race.is_certified else "Finished" if race.is_complete else "Interrupted"
    return f"{state}: {race.trainings:,} trainings, {counted(race.costs, 'distinct cost')}, {seconds:.0f} s."


def _next_commands(document: Mapping[str, Any], continuation: str, storage_option: str) -> Iterator[Block]:
    """Yield commands for a closer look at a race, with their descriptions aligned."""
    name = document["study"]
    race = document["race"]
    commands = {
        f"confirm {name}{storage_option}": "retrain the front and evaluate it on the test part, beside baselines",
        f"pareto {name} --plot race.html{storage_option}": "plot the front, interactively",
    }
    if not race["is_complete"]:
        commands = {f"{continuation}{_within(race['within'])}{storage_option}": "continue"} | commands
    elif race["within"] is None:
        commands = {f"{continuation}{_within(SUGGESTED_EPSILON)}{storage_option}": "certify the front"} | commands
    width = max(map(len, commands))
    yield "\nNext:"
    for command, purpose in commands.items():
        # Commands are to be copied, so a narrow terminal must not wrap them.
        yield Line(f"  faqnas-optuna {command:{width}}  {purpose}")


def _within(epsilon: float | None) -> str:
    return "" if epsilon is None else f" --within {epsilon:g}"
