"""Which circuit of a front to take: rules that choose one, and say why."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.literals import decimal_number

if TYPE_CHECKING:
    # At run time it would bring Optuna to whoever only completes a word.
    from faqnas_optuna.study.records import Candidate

ROUNDING = 1e-9
"""Errors are differences of fractions: 1 - 0.94 is a little more than 0.05 + 0.01."""


EXAMPLES = ("knee", "best", "cheapest-within:0.01")
"""Each rule as it is typed."""


class Rule(StrEnum):
    """What makes a circuit of a front the one to take."""

    KNEE = "knee"
    """Up to it cost buys much accuracy, from there on little."""
    BEST = "best"
    """It has the lowest validation error."""
    CHEAPEST_WITHIN = "cheapest-within"
    """It is the cheapest whose validation error is so little above the lowest."""


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """A rule with what it needs."""

    rule: Rule
    within: float = 0.0
    """How far above the lowest validation error still counts: of `cheapest-within` alone."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """A rule as it is typed: `knee`, `best`, `cheapest-within:0.01`.

        Raises:
            ConfigError: it is none, or the number is missing, out of place, or outside 0 to 1.
        """
        name, colon, number = text.partition(":")
        if name == Rule.CHEAPEST_WITHIN and (within := _fraction(number)) is not None:
            return cls(rule=Rule.CHEAPEST_WITHIN, within=within)
        if name in (Rule.KNEE, Rule.BEST) and not colon:
            return cls(rule=Rule(name))
        raise ConfigError(
            f"a rule is knee, best, or cheapest-within:X with X from 0 to 1, as in {EXAMPLES[-1]}; it is {text!r}"
        )

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.rule}:{self.within:g}" if self.rule is Rule.CHEAPEST_WITHIN else str(self.rule)

    def choose(self, front: Sequence["Candidate"]) -> "Candidate":
        """The circuit to take; of circuits that are equal in both values the one of the first trial.

        `knee`: the point of the front farthest below the straight line from its cheapest point to its most accurate one, both
        axes scaled to 1 between the two. With F the cost and e the validation error of a point, those of the cheapest
        F₀ and e₀ and of the most accurate F₁ and e₁, its distance is (1 - u - v) / √2 where u = log(F / F₀) / log(F₁ / F₀) and
        v = (e - e₁) / (e₀ - e₁). (Das 1999, DOI 10.1007/BF01195985.) Where no point lies below the line, as on a front of one
        or two points, nothing is traded off better than at its ends, and it is the most accurate.

        Args:
            front: non-dominated, in any order, not empty.
        """
        if self.rule is Rule.KNEE:
            return min(front, key=lambda one: (-_below_line(one, front), one.val_error, one.trial))
        return min(self._near_lowest(front), key=lambda one: (one.cost, one.val_error, one.trial))

    def why(self, front: Sequence["Candidate"], *, cost_with_name: Callable[[float], str]) -> str:
        """Why this circuit of the front, to be read after a colon.

        Args:
            cost_with_name: a cost with its name.
        """
        chosen, many = self.choose(front), len(front)
        error, cost = f"{chosen.val_error:.3f}", cost_with_name(chosen.cost)
        if many == 1:
            return f"it is the only circuit of the front, with an error of {error} at {cost}"
        if self.rule is Rule.BEST:
            return f"of {many} circuits it has the lowest error, {error}, at {cost}"
        if self.rule is Rule.CHEAPEST_WITHIN:
            near, lowest = len(self._near_lowest(front)), _lowest(front)
            return f"within {self.within:g} of the lowest error, {lowest:.3f}, it is the cheapest of {near}: {cost}"
        if below := _below_line(chosen, front):
            return (
                f"of {many} circuits it lies farthest below the line from the cheapest to the most accurate,"
                f" {below:.2f} of the way to the ideal corner, with an error of {error} at {cost}"
            )
        return (
            f"none of {many} circuits lies below the line from the cheapest to the most accurate,"
            f" so it is the most accurate, with an error of {error} at {cost}"
        )

    def _near_lowest(self, front: Sequence["Candidate"]) -> list["Candidate"]:
        return [one for one in front if one.val_error <= _lowest(front) + self.within + ROUNDING]


def _fraction(text: str) -> float | None:
    """A number from 0 to 1; None if it is none."""
    try:
        number = decimal_number(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _lowest(front: Sequence["Candidate"]) -> float:
    return min(one.val_error for one in front)


def _below_line(candidate: "Candidate", front: Sequence["Candidate"]) -> float:
    """1 - u - v of `SelectionRule.choose`: 0 on the line, 1 in the corner that is as cheap and as accurate as any."""
    costs, errors = [one.cost for one in front], [one.val_error for one in front]
    cheapest, lowest = min(costs), min(errors)
    width, height = math.log(max(costs) / cheapest), max(errors) - lowest
    if not width:
        # Circuits that are equal in both values have no line between them.
        return 0.0
    u, v = math.log(candidate.cost / cheapest) / width, (candidate.val_error - lowest) / height
    # Points that are equally far, or on the line, must not differ by the last digit.
    return round(1 - u - v, 9)
