"""Comparison of families of circuits, such as those with and without entanglement, by the bounds of a race.

Let f_A(c) be the highest expected score of a circuit of family A that costs at most c, and f_B(c) that of all other circuits.
All confidence intervals of a race hold at once. Therefore, with the confidence of the race and for all costs at once,

    max {L_i : i in A} - max {U_j : j in B}  ≤  f_A(c) - f_B(c)  ≤  max {U_i : i in A} - max {L_j : j in B},

where the circuits i and j cost at most c. The selection of costs and families after the race does no harm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.study.records import Candidate, RaceRecord

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
        gates = candidate.effective_gates
        match self:
            case Trait.ENTANGLED:
                return "entangled" if gates.is_entangled else "not entangled"
            case Trait.ENTANGLER:
                # Circuits that are not entangled have inert entanglers only.
                return str(candidate.genome.entangler) if gates.is_entangled else "none"
            case _:
                return str(getattr(candidate.genome, self))


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


def compare_families(candidates: Iterable[Candidate], trait: Trait) -> list[Family]:
    """Return the families of the circuits of a race, sorted by name; empty if there is only one."""
    raced = sorted(candidates, key=lambda candidate: candidate.cost)
    costs = np.array([candidate.cost for candidate in raced])
    records = [candidate.race for candidate in raced if candidate.race is not None]
    names = np.array([trait.of(candidate) for candidate in raced])
    distinct = sorted(set(names.tolist()), key=lambda name: (len(name) if name.isdigit() else 0, name))
    if len(distinct) < 2:
        return []
    return [_family(name, names == name, costs, records) for name in distinct]


def _family(name: str, is_member: NDArray[np.bool_], costs: Floats, records: Sequence[RaceRecord]) -> Family:
    low = np.array([record.score_low for record in records])
    high = np.array([record.score_high for record in records])
    # Below the cheapest circuit of either side there is nothing to compare.
    begin = max(costs[is_member].min(), costs[~is_member].min())
    is_comparable = costs >= begin
    own_low, own_high = _stairs(low, is_member, costs), _stairs(high, is_member, costs)
    others_low, others_high = _stairs(low, ~is_member, costs), _stairs(high, ~is_member, costs)
    at_least = (own_low - others_high)[is_comparable]
    at_most = (own_high - others_low)[is_comparable]
    return Family(
        name=name,
        circuits=int(is_member.sum()),
        at_least=float(at_least.max()),
        at_least_cost=float(costs[is_comparable][at_least.argmax()]),
        at_most=float(at_most.max()),
    )


def _stairs(values: Floats, is_member: NDArray[np.bool_], costs: Floats) -> Floats:
    """Return the highest value of a member that costs no more, for each circuit."""
    last = np.searchsorted(costs, costs, side="right") - 1
    return np.asarray(np.maximum.accumulate(np.where(is_member, values, -np.inf))[last])
