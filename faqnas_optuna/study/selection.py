"""Rules that select one circuit of a front, and explain the choice."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from faqnas_optuna.config import cost_text
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.literals import decimal_number
from faqnas_optuna.wording import counted

if TYPE_CHECKING:
    # This import at run time would load Optuna for the completion of command lines.
    from faqnas_optuna.study.records import Candidate

ROUNDING = 1e-9
"""Tolerance for rounding errors: 1 - 0.94 is a little larger than 0.05 + 0.01."""


EXAMPLES = ("knee", "best", "cheapest-within:0.01", "best-under:10000", "at-least:0.9")
"""An example of each rule, as a user types it."""
RULES = "knee, best, cheapest-within:X or at-least:SCORE with a number from 0 to 1, or best-under:COST with a cost above 0"
"""All rules in words, for error messages."""


class Rule(StrEnum):
    """Criterion for the selected circuit."""

    KNEE = "knee"
    """Best trade-off: cheaper circuits are much less accurate, more expensive ones hardly more accurate."""
    BEST = "best"
    """Lowest validation error."""
    CHEAPEST_WITHIN = "cheapest-within"
    """Lowest cost among the circuits whose validation error is within a tolerance of the lowest."""
    BEST_UNDER = "best-under"
    """Lowest validation error among the circuits whose cost is at most a limit."""
    AT_LEAST = "at-least"
    """Lowest cost among the circuits whose validation score is at least a limit."""


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """Criterion with its parameter."""

    rule: Rule
    limit: float = 0.0
    """Number after the colon: maximum difference from the lowest error, maximum cost, or minimum score; 0 for other rules."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a rule: `knee`, `best` or, for example, `cheapest-within:0.01`.

        Raises:
            ConfigError: The text is no rule, or the number is absent, out of place, or out of its range.
        """
        name, colon, number = text.partition(":")
        # Rules without a number do not even take an empty one.
        if name in (Rule.KNEE, Rule.BEST) and not colon:
            return cls(rule=Rule(name))
        # A text that is no number is refused below.
        with suppress(ValueError):
            limit = decimal_number(number)
            if name in (Rule.CHEAPEST_WITHIN, Rule.AT_LEAST) and 0 <= limit <= 1:
                return cls(rule=Rule(name), limit=limit)
            # An infinite cost would be no limit.
            if name == Rule.BEST_UNDER and 0 < limit < math.inf:
                return cls(rule=Rule.BEST_UNDER, limit=limit)
        raise ConfigError(f"a rule is {RULES}, as in {EXAMPLES[2]}; it is {text!r}")

    def __str__(self) -> str:
        """Return the rule as a user types it."""
        # 15 digits, since costs have more than the six of the default format.
        return str(self.rule) if self.rule in (Rule.KNEE, Rule.BEST) else f"{self.rule}:{self.limit:.15g}"

    def choose(self, front: Sequence["Candidate"]) -> "Candidate":
        """Return the selected circuit; of circuits with equal values, the one with the lowest place.

        The knee is the point of the front farthest below the straight line from its cheapest point to its most accurate point,
        with both axes scaled to 1 between the two (Das 1999, DOI 10.1007/BF01195985). For a point with cost F and validation
        error e, the cheapest point (F₀, e₀) and the most accurate point (F₁, e₁), the distance is (1 - u - v) / √2 with
        u = log(F / F₀) / log(F₁ / F₀) and v = (e - e₁) / (e₀ - e₁). If no point lies below the line, as on a front of one or
        two points, no point is a better trade-off than the ends, and the most accurate point is selected.

        Args:
            front: Non-dominated circuits in any order; at least one.

        Raises:
            ConfigError: No circuit satisfies the rule; the message names the nearest.
        """
        # The further keys decide ties, so that the choice does not depend on the order of the front.
        if self.rule is Rule.KNEE:
            return min(front, key=lambda point: (-_below_line(point, front), point.val_error, point.place))
        eligible = self._eligible(front)
        if eligible:
            return min(eligible, key=lambda point: (point.cost, point.val_error, point.place))
        if self.rule is Rule.BEST_UNDER:
            cheapest = min(front, key=lambda point: (point.cost, point.place))
            reason = f"cheapest circuit of the front, trial {cheapest.trial}, costs {cost_text(cheapest.cost)}; raise the limit"
        else:
            best = min(front, key=lambda point: (point.val_error, point.place))
            score = f"has a validation score of {1 - best.val_error:.4f}"
            reason = f"most accurate circuit of the front, trial {best.trial}, {score}; lower the limit"
        raise ConfigError(f"{self}: the {reason}")

    def why(self, front: Sequence["Candidate"], *, cost_with_name: Callable[[float], str]) -> str:
        """Explain the choice, as the continuation of a sentence after a colon.

        Args:
            cost_with_name: Returns a cost with its unit.
        """
        choice = self.choose(front)
        count = len(front)
        error = f"{choice.val_error:.3f}"
        cost = cost_with_name(choice.cost)
        eligible = len(self._eligible(front))
        if count == 1:
            return f"it is the only circuit of the front, with an error of {error} at {cost}"
        if self.rule is Rule.BEST:
            return f"of {count} circuits it has the lowest error, {error}, at {cost}"
        if self.rule is Rule.CHEAPEST_WITHIN:
            return f"within {self.limit:g} of the lowest error, {_lowest(front):.3f}, it is the cheapest of {eligible}: {cost}"
        if self.rule is Rule.BEST_UNDER:
            affordable = counted(len(self._affordable(front)), "circuit")
            limit = cost_with_name(self.limit)
            return f"among {affordable} of at most {limit} it has the lowest error, {error}, at {cost}"
        if self.rule is Rule.AT_LEAST:
            good = counted(eligible, "circuit")
            return f"among {good} with a score of at least {self.limit:g} it is the cheapest: {cost}, with an error of {error}"
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

    def _eligible(self, front: Sequence["Candidate"]) -> list["Candidate"]:
        """Return the circuits of which the cheapest is selected, by any rule but the knee; none if none satisfies the rule."""
        if self.rule is Rule.AT_LEAST:
            return [point for point in front if 1 - point.val_error >= self.limit - ROUNDING]
        within = self.limit if self.rule is Rule.CHEAPEST_WITHIN else 0.0
        points = self._affordable(front)
        return [point for point in points if point.val_error <= _lowest(points) + within + ROUNDING]

    def _affordable(self, front: Sequence["Candidate"]) -> Sequence["Candidate"]:
        """Return the circuits that cost at most the limit, if the rule has one."""
        if self.rule is not Rule.BEST_UNDER:
            return front
        # Relative, since costs may be large.
        return [point for point in front if point.cost <= self.limit * (1 + ROUNDING)]


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
