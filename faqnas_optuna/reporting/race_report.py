"""Report of a race: its front, what is guaranteed about it, and useful next commands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from faqnas_optuna.config import cost_text
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_successful, pareto_document
from faqnas_optuna.reporting.families import Family, Trait, compare_families
from faqnas_optuna.reporting.report import Block, Line, Report
from faqnas_optuna.reporting.search_report import front_blocks
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.wording import MISSING, counted

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
    families = [] if by is None else compare_families(state.candidates, by)
    document = pareto_document(state) | {"guarantee": guarantee(description), "seconds": round(seconds, 3)}
    blocks = [
        *front_blocks(state.front, description),
        "\n" + _extent(description, seconds=seconds),
        guarantee(description),
        *family_blocks(families, description),
        *_next_commands(document, state.study.continuation(), storage_option),
    ]
    return Report(document=document | family_document(families), blocks=blocks)


def check_has_families(description: Description) -> None:
    """Check that families of circuits can be compared.

    Raises:
        ConfigError: The study is not a race.
    """
    if description.race is None:
        raise ConfigError("--by compares families of circuits by the bounds of a race, but the study is a search; leave it out")


def family_document(families: Sequence[Family]) -> dict[str, Any]:
    """Return the comparison of families as an entry of a document; nothing without families."""
    return {"families": [asdict(family) for family in families]} if families else {}


def family_blocks(families: Sequence[Family], description: Description) -> Iterator[Block]:
    """Yield a table that compares families of circuits, and what it means; nothing without families."""
    if not families:
        return
    race = description.race
    assert race is not None
    numbers = ("circuits", "better by at least", f"at {description.config.cost_name}", "better by at most")
    table = TextTable(names=(), numbers=numbers, last="family")
    for family in families:
        is_better = family.at_least > 0
        table.rows.append(
            (
                f"{family.circuits:,}",
                f"{family.at_least:.3f}" if is_better else MISSING,
                cost_text(family.at_least_cost) if is_better else MISSING,
                f"{max(family.at_most, 0):.3f}",
                family.name,
            )
        )
    yield ""
    yield table
    yield (
        f"Each row compares the best circuit of a family with the best of all other circuits at the same cost or less, by"
        f" expected validation {description.config.score.in_words}. All bounds hold at once and at all costs, with"
        f" {100 * race.level:.0f} % confidence; {MISSING} means that no advantage of the family is established."
    )


def guarantee(description: Description) -> str:
    """Return a sentence with what is guaranteed about the front of a race, and one with what is not."""
    race = description.race
    assert race is not None
    score = description.config.score.in_words
    # Rounded up, so that the printed bound holds as well.
    bound = race.within if race.is_certified and race.within is not None else min(race.epsilon + 0.0005, 1)
    if race.resplit:
        scope = "random seeds and random splits of the samples outside the test part under this protocol"
        limits = "one particular split or for the test part"
    else:
        scope = "random seeds under this protocol on this split"
        limits = "other splits or for the test part"
    return (
        f"With {100 * race.level:.0f} % confidence, no circuit {race.scope} has an expected validation {score} more than"
        f" {bound:.3g} above that of the circuit on the front at the same cost or less. The expectation is over {scope};"
        f" nothing is guaranteed for {limits}."
    )


def _extent(description: Description, *, seconds: float) -> str:
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
