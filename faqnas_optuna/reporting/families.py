"""Comparison of families of circuits, such as those with and without entanglement, by the bounds of a race.

Let f_A(c) be the highest expected score of a circuit of family A that costs at most c, and f_B(c) that of all other circuits.
All confidence intervals (Lᵢ, Uᵢ) of a race hold at once, and with them the bound P(c) of the highest expected score of any
circuit (`possible`), which is tighter. Therefore, with the confidence of the race and for all costs at once,

    max {Lᵢ : i in A}  ≤  f_A(c)  ≤  min(max {Uᵢ : i in A}, P(c)),

where the circuits cost at most c. The bounds of the difference f_A(c) - f_B(c) follow. It does no harm that costs and families
are selected after the race.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study.records import Candidate

Floats = NDArray[np.float64]


class Trait(StrEnum):
    """Property by which circuits are divided into families."""

    ENTANGLED = "entangled"
    EMBEDDING = "embedding"
    ENTANGLER = "entangler"
    DEPTH = "depth"
    QUBITS = "n_qubits"

    def of(self, candidate: Candidate) -> str:
        """Return the family of a circuit."""
        match self:
            case Trait.ENTANGLED:
                return "entangled" if candidate.is_entangled else "not entangled"
            case Trait.ENTANGLER:
                # The entanglers of other circuits have no effect, so that their kind does not matter.
                return str(candidate.genome.entangler) if candidate.is_entangled else "none"
            case _:
                return str(getattr(candidate.genome, self))


def trait_of(name: str) -> Trait:
    """Return the property with this name.

    Raises:
        ConfigError: There is no such property.
    """
    if name not in [*Trait]:
        raise ConfigError(f"by must be one of {', '.join(Trait)}; it is {name!r}")
    return Trait(name)


class Standing(StrEnum):
    """Standing of the best circuit of a family against the best of all other circuits at the same cost or less."""

    BETTER = "better"
    WORSE = "worse"
    NEGLIGIBLE = "negligible advantage"
    """Better by at most the ε of the race, if at all."""
    OPEN = "not established"
    """The bounds allow for a greater advantage, and for a disadvantage."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Advantage of a family over all other circuits, in a range of costs."""

    standing: Standing
    lowest_cost: float
    highest_cost: float
    at_least: float
    """Lower bound of the advantage at every cost of the range; negative if the family may be worse."""
    at_most: float
    """Upper bound of the advantage at every cost of the range."""


class Step(NamedTuple):
    """Step of the staircase of a family: the bounds of its highest expected score from a cost on."""

    cost: float
    score: float
    """Mean score of the circuit with the highest lower bound."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Family:
    """Family of circuits in comparison with all other circuits of a race."""

    name: str
    circuits: int
    """Number of circuits of the family."""
    at_least: float
    """Highest lower bound, over all costs, of the family's advantage; if positive, it is better at `at_least_cost`."""
    at_least_cost: float
    """Cost at which the advantage is at least `at_least`."""
    at_most: float
    """Highest upper bound, over all costs, of the family's advantage: at every cost the advantage is at most this."""
    verdicts: tuple[Verdict, ...]
    """Verdicts in ranges of costs, sorted by cost."""
    stairs: tuple[Step, ...]
    """Staircase of the family, sorted by cost."""


class Raced(NamedTuple):
    """Values (K,) of the circuits of a race, sorted by cost."""

    costs: Floats
    scores: Floats
    low: Floats
    high: Floats
    possible: Floats
    last: NDArray[np.int64]
    """Index of the last circuit of the same cost."""


def compare_families(candidates: Iterable[Candidate], trait: Trait, *, epsilon: float) -> list[Family]:
    """Return the families of the circuits of a race, sorted by name; empty if there is only one.

    Args:
        candidates: Circuits of the race.
        trait: Property of the families.
        epsilon: ε of the front of the race, the greatest advantage that is called negligible.
    """
    circuits = sorted(candidates, key=lambda candidate: candidate.cost)
    rows = [
        (candidate.cost, 1 - candidate.val_error, race.score_low, race.score_high, race.possible)
        for candidate in circuits
        if (race := candidate.race)
    ]
    # (5, K) values, one row for each quantity.
    costs, scores, low, high, possible = np.array(rows).T
    last = np.searchsorted(costs, costs, side="right") - 1
    raced = Raced(costs=costs, scores=scores, low=low, high=high, possible=possible, last=last)
    names = np.array([trait.of(candidate) for candidate in circuits])
    # Numbers are sorted as numbers: 10 qubits come after 9.
    distinct = sorted(set(names.tolist()), key=lambda name: (len(name) if name.isdigit() else 0, name))
    if len(distinct) < 2:
        return []
    return [_family(name, names == name, raced, epsilon) for name in distinct]


def _family(name: str, is_member: NDArray[np.bool_], raced: Raced, epsilon: float) -> Family:
    own_low, own_high = _bounds(is_member, raced)
    others_low, others_high = _bounds(~is_member, raced)
    # Below the cheapest circuit of either side there is nothing to compare.
    is_comparable = np.isfinite(own_low) & np.isfinite(others_low)
    costs = raced.costs[is_comparable]
    # The least favourable and the most favourable difference at each cost.
    at_least = (own_low - others_high)[is_comparable]
    at_most = (own_high - others_low)[is_comparable]
    return Family(
        name=name,
        circuits=int(is_member.sum()),
        at_least=float(at_least.max()),
        at_least_cost=float(costs[at_least.argmax()]),
        at_most=float(at_most.max()),
        verdicts=_verdicts(costs, at_least, at_most, epsilon),
        stairs=_steps(is_member, own_low, own_high, raced),
    )


def _bounds(is_member: NDArray[np.bool_], raced: Raced) -> tuple[Floats, Floats]:
    """Return bounds (K,), (K,) of the highest expected score of a member that costs no more, for each circuit."""
    low = _stairs(raced.low, is_member, raced)
    # A family cannot be better than the best possible front.
    high = np.minimum(_stairs(raced.high, is_member, raced), raced.possible)
    return low, high


def _stairs(values: Floats, is_member: NDArray[np.bool_], raced: Raced) -> Floats:
    """Return the highest value (K,) of a member that costs no more, for each circuit; -∞ without one."""
    return np.asarray(np.maximum.accumulate(np.where(is_member, values, -np.inf))[raced.last])


def _verdicts(costs: Floats, at_least: Floats, at_most: Floats, epsilon: float) -> tuple[Verdict, ...]:
    """Return the verdicts in the longest ranges of costs with the same standing.

    Args:
        costs: (n,) costs, in ascending order.
        at_least: (n,) lower bounds of the advantage at each cost.
        at_most: (n,) upper bounds of the advantage at each cost.
        epsilon: Greatest advantage that is called negligible.
    """
    # The first condition that holds decides.
    conditions = {Standing.BETTER: at_least > 0, Standing.WORSE: at_most < 0, Standing.NEGLIGIBLE: at_most <= epsilon}
    standings = [*conditions, Standing.OPEN]
    indices = np.select([*conditions.values()], range(len(conditions)), default=len(conditions))
    starts = np.flatnonzero(np.diff(indices, prepend=-1))
    return tuple(
        Verdict(
            standing=standings[indices[start]],
            lowest_cost=float(costs[start]),
            highest_cost=float(costs[end - 1]),
            at_least=float(at_least[start:end].min()),
            at_most=float(at_most[start:end].max()),
        )
        for start, end in zip(starts, [*starts[1:], len(costs)], strict=True)
    )


def _steps(is_member: NDArray[np.bool_], low: Floats, high: Floats, raced: Raced) -> tuple[Step, ...]:
    """Return the staircase of a family, given the bounds (K,) of its highest expected score."""
    members = np.flatnonzero(is_member)
    # The last member that raised the highest lower bound, for each circuit.
    raises = np.diff(np.maximum.accumulate(raced.low[members]), prepend=-np.inf) > 0
    leaders = members[np.maximum.accumulate(np.where(raises, np.arange(len(members)), 0))]
    steps: list[Step] = []
    # Of circuits with equal costs, only the last has the values of all of them.
    for index in np.flatnonzero(np.isfinite(low) & (raced.last == np.arange(len(low)))).tolist():
        leader = leaders[np.searchsorted(members, index, side="right") - 1]
        step = Step(float(raced.costs[index]), float(raced.scores[leader]), float(low[index]), float(high[index]))
        # The most expensive circuit ends the last step.
        if not steps or steps[-1][1:] != step[1:] or index == len(low) - 1:
            steps.append(step)
    return tuple(steps)
