"""Rules that select one circuit of a front, and explain the choice."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.literals import decimal_number

if TYPE_CHECKING:
    # This import at run time would load Optuna for the completion of command lines.
    from faqnas_optuna.study.records import Candidate

ROUNDING = 1e-9
"""Tolerance for rounding errors: 1 - 0.94 is a little larger than 0.05 + 0.01."""


EXAMPLES = ("knee", "best", "cheapest-within:0.01")
"""An example of each rule, as a user types it."""


class Rule(StrEnum):
    """Criterion for the selected circuit."""

    KNEE = "knee"
    """Best trade-off: cheaper circuits are much less accurate, more expensive ones hardly more accurate."""
    BEST = "best"
    """Lowest validation error."""
    CHEAPEST_WITHIN = "cheapest-within"
    """Lowest cost among the circuits whose validation error is within a tolerance of the lowest."""


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """Criterion with its parameter."""

    rule: Rule
    within: float = 0.0
    """Maximum difference from the lowest validation error; for `cheapest-within` only."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a rule: `knee`, `best` or, for example, `cheapest-within:0.01`.

        Raises:
            ConfigError: The text is no rule, or the number is absent, out of place, or not between 0 and 1.
        """
        name, colon, number = text.partition(":")
        within = _fraction(number)
        if name == Rule.CHEAPEST_WITHIN and within is not None:
            return cls(rule=Rule.CHEAPEST_WITHIN, within=within)
        # The other rules take no number, not even an empty one.
        if name in (Rule.KNEE, Rule.BEST) and not colon:
            return cls(rule=Rule(name))
        raise ConfigError(
            f"a rule is knee, best, or cheapest-within:X with X from 0 to 1, as in {EXAMPLES[-1]}; it is {text!r}"
        )

    def __str__(self) -> str:
        """Return the rule as a user types it."""
        return f"{self.rule}:{self.within:g}" if self.rule is Rule.CHEAPEST_WITHIN else str(self.rule)

    def choose(self, front: Sequence["Candidate"]) -> "Candidate":
        """Return the selected circuit; of circuits with equal values, the one with the lowest place.

        The knee is the point of the front farthest below the straight line from its cheapest point to its most accurate point,
        with both axes scaled to 1 between the two (Das 1999, DOI 10.1007/BF01195985). For a point with cost F and validation
        error e, the cheapest point (F₀, e₀) and the most accurate point (F₁, e₁), the distance is (1 - u - v) / √2 with
        u = log(F / F₀) / log(F₁ / F₀) and v = (e - e₁) / (e₀ - e₁). If no point lies below the line, as on a front of one or
        two points, no point is a better trade-off than the ends, and the most accurate point is selected.

        Args:
            front: Non-dominated circuits in any order; at least one.
        """
        # The further keys decide ties, so that the choice does not depend on the order of the front.
        if self.rule is Rule.KNEE:
            return min(front, key=lambda point: (-_below_line(point, front), point.val_error, point.place))
        return min(self._near_lowest(front), key=lambda point: (point.cost, point.val_error, point.place))

    def why(self, front: Sequence["Candidate"], *, cost_with_name: Callable[[float], str]) -> str:
        """Explain the choice, as the continuation of a sentence after a colon.

        Args:
            cost_with_name: Returns a cost with its unit.
        """
        choice = self.choose(front)
        count = len(front)
        error = f"{choice.val_error:.3f}"
        cost = cost_with_name(choice.cost)
        if count == 1:
            return f"it is the only circuit of the front, with an error of {error} at {cost}"
        if self.rule is Rule.BEST:
            return f"of {count} circuits it has the lowest error, {error}, at {cost}"
        if self.rule is Rule.CHEAPEST_WITHIN:
            near = len(self._near_lowest(front))
            return f"within {self.within:g} of the lowest error, {_lowest(front):.3f}, it is the cheapest of {near}: {cost}"
        below = _below_line(choice, front)
        if below:
            return (
                f"of {count} circuits it lies farthest below the line from the cheapest to the most accurate,"
                f" {below:.2f} of the way to the ideal corner, with an error of {error} at {cost}"
            )
        return (
            f"none of {count} circuits lies below the line from the cheapest to the most accurate,"
            f" so it is the most accurate, with an error of {error} at {cost}"
        )

    def _near_lowest(self, front: Sequence["Candidate"]) -> list["Candidate"]:
        """Return the circuits within the tolerance of the lowest error."""
        return [point for point in front if point.val_error <= _lowest(front) + self.within + ROUNDING]


def _fraction(text: str) -> float | None:
    """Return the number in a text if it is between 0 and 1, otherwise None."""
    try:
        number = decimal_number(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _lowest(front: Sequence["Candidate"]) -> float:
    return min(point.val_error for point in front)


def _below_line(candidate: "Candidate", front: Sequence["Candidate"]) -> float:
    """Return 1 - u - v of `SelectionRule.choose`: 0 on the line, 1 at the ideal corner of lowest cost and lowest error."""
    costs = [point.cost for point in front]
    errors = [point.val_error for point in front]
    cheapest = min(costs)
    lowest = min(errors)
    width = math.log(max(costs) / cheapest)
    height = max(errors) - lowest
    if not width:
        # All points of the front are equal, and there is no line.
        return 0.0
    u = math.log(candidate.cost / cheapest) / width
    v = (candidate.val_error - lowest) / height
    # Rounded, so that rounding errors do not decide between points at equal distances, or lift points from the line.
    return round(1 - u - v, 9)
