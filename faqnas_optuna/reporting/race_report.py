"""Report of a race: its front, what is guaranteed about it, and useful next commands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from faqnas_optuna.config import cost_text
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_successful, pareto_document
from faqnas_optuna.reporting.families import Family, Standing, Trait, Verdict, compare_families
from faqnas_optuna.reporting.report import Block, Line, Report
from faqnas_optuna.reporting.search_report import front_blocks
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.wording import counted

SUGGESTED_EPSILON = 0.05
"""ε of the certificate that the report of an uncertified front suggests."""


def race_report(state: SearchState, *, seconds: float, storage_option: str, by: Trait | None = None) -> Report:
    """Return the report of a race.

    Args:
        by: Property of the families to compare; None for no comparison.
        seconds: Duration of the command.
        storage_option: Option that names the database, to follow a command, or nothing.

    Raises:
        NoSuccessfulTrialError: The race has no result yet.
    """
    check_successful(state)
    description = state.study.description
    race = description.race
    # A single family is no reason to withhold the result of a race.
    families = compare_families(state.candidates, by, epsilon=race.bound) if by and race else []
    document = pareto_document(state) | {"guarantee": guarantee(description), "seconds": round(seconds, 3)}
    blocks = [
        *front_blocks(state.front, description),
        "\n" + race_extent(description, seconds=seconds),
        guarantee(description),
        *family_blocks(families, description),
        *_next_commands(document, state.study.continuation(), storage_option),
    ]
    return Report(document=document | family_document(families), blocks=blocks)


def families_of(state: SearchState, by: Trait) -> list[Family]:
    """Return the families of the circuits of a race, by their bounds.

    Raises:
        ConfigError: The study is not a race, or all its circuits are of one family.
        NoSuccessfulTrialError: The race has no result yet.
    """
    race = state.study.description.race
    if race is None:
        raise ConfigError("--by compares families of circuits by the bounds of a race, but the study is a search; leave it out")
    # Without trials there are no arrays to compare.
    check_successful(state)
    families = compare_families(state.candidates, by, epsilon=race.bound)
    if not families:
        raise ConfigError(f"all circuits of race {state.study.name!r} have the same {by}; compare them by another property")
    return families


def family_document(families: Sequence[Family]) -> dict[str, Any]:
    """Return the comparison of families as an entry of a document; nothing without families."""
    return {"families": [asdict(family) for family in families]} if families else {}


def family_blocks(families: Sequence[Family], description: Description) -> Iterator[Block]:
    """Yield a table that compares families of circuits, and what it means; nothing without families."""
    if not families:
        return
    race = description.race
    assert race is not None
    numbers = ("circuits", description.config.cost_name, "advantage")
    table = TextTable(names=("family",), numbers=numbers, last="the family is")
    for family in families:
        for index, verdict in enumerate(family.verdicts):
            # The costs of a race are exact, so a range may be a single cost.
            ends = dict.fromkeys((cost_text(verdict.lowest_cost), cost_text(verdict.highest_cost)))
            # Only the first row of a family names it.
            name_cells = ("", "") if index else (family.name, f"{family.circuits:,}")
            # Rounded outwards, so that the printed bounds hold as well.
            ends_of_advantage = math.floor(1000 * verdict.at_least) / 1000, math.ceil(1000 * verdict.at_most) / 1000
            advantage = "{:+z.3f} to {:+z.3f}".format(*ends_of_advantage)
            table.rows.append((*name_cells, " to ".join(ends), advantage, _standing(verdict, race)))
    yield ""
    yield table
    yield (
        f"The advantage is that of the best circuit of a family over the best of all other circuits at the same cost or less,"
        f" in expected validation {description.config.score.in_words}. All bounds hold at once and at every cost of their"
        f" range, with {100 * race.level:.0f} % confidence."
    )


def _standing(verdict: Verdict, race: RaceSummary) -> str:
    """Return the standing of a family in a range of costs, in words."""
    if verdict.standing is Standing.NEGLIGIBLE:
        return f"better by at most {race.bound:g}"
    return str(verdict.standing)


def bound_sentence(description: Description) -> str:
    """Return a sentence with what is guaranteed about the front of a race."""
    race = description.race
    assert race is not None
    limits = " within the limits" if description.config.limits.by_name else ""
    return (
        f"With {100 * race.level:.0f} % confidence, no circuit {race.scope}{limits} has an expected validation"
        f" {description.config.score.in_words} more than {race.bound:g} above that of the circuit on the front at the same cost"
        " or less."
    )


def guarantee(description: Description) -> str:
    """Return a sentence with what is guaranteed about the front of a race, and one with what is not."""
    race = description.race
    assert race is not None
    if race.resplit:
        scope = "random seeds and random splits of the samples outside the test part under this protocol"
        limits = "one particular split or for the test part"
    else:
        scope = "random seeds under this protocol on this split"
        limits = "other splits or for the test part"
    return f"{bound_sentence(description)} The expectation is over {scope}; nothing is guaranteed for {limits}."


def race_extent(description: Description, *, seconds: float = 0) -> str:
    """Return how a race ended, with its trainings and, unless it is 0, the duration of the command."""
    race = description.race
    assert race is not None
    state = "Certified" if race.is_certified else "Finished" if race.is_complete else "Interrupted"
    # A race that was complete before takes no time.
    duration = f", {seconds:.0f} s" if seconds else ""
    return f"{state}: {race.trainings:,} trainings, {counted(race.costs, 'distinct cost')}{duration}."


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
