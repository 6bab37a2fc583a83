"""Certification of a front: no circuit is better at its cost than the front by more than ε, with probability 1 - α.

Circuits i = 1 … K have exact costs cᵢ and unknown mean scores μᵢ. The best possible front is the staircase
f(c) = max {μᵢ : cᵢ ≤ c}. A reported front names a circuit j(c) of cost at most c for every cost c. It is ε-certified at level α
if

    P(μ_j(c) ≥ f(c) - ε for all c, whenever the race is stopped) ≥ 1 - α.

Proof. Let Lᵢ and Uᵢ be bounds of μᵢ that hold at all times (`bounds`), each L at level 1 - α_L / K and each U at level
1 - α_U / D, where D is the number of distinct costs and α_L + α_U = α. For every cost c let i(c) be a fixed circuit of cost at
most c with mean f(c). There are at most D such circuits, since f rises only at the costs of circuits. By the union bound, with
probability 1 - α, all K lower bounds hold and the upper bounds of these D circuits hold. The race stops with
Uᵢ ≤ max {Lⱼ : cⱼ ≤ cᵢ} + ε for every i. Then for every c, with the reported circuit j(c) of the highest L at cost at most c,

    f(c) = μ_i(c) ≤ U_i(c) ≤ max {Lⱼ : cⱼ ≤ c_i(c)} + ε ≤ L_j(c) + ε ≤ μ_j(c) + ε.

The lower bounds of another front need not rise with the cost. It is certified within ε = max_c (max {Uᵢ : cᵢ ≤ c} - L_j(c)).
`Certificate.front` leaves out a step while the step before it still satisfies max U ≤ L + ε up to the next step.

The lower bounds must hold for all K circuits, because the reported circuits were selected by them. The upper bounds must hold
for only one circuit per cost, although it is not known which one. Bounds that hold at all times may be combined over time: the
highest lower bound and the lowest upper bound of a circuit hold as well.

The table of a race also has an interval for each of the K circuits, whose upper end holds at level 1 - α_I / K. Certificate and
intervals hold at once with probability 1 - α_L - α_U - α_I.
"""

from collections.abc import Callable

import numpy as np

from faqnas_optuna.racing.bounds import Floats, Histograms, Integers, lower_bounds, upper_bounds
from faqnas_optuna.racing.halving import Train

ALPHA_LOWER = 0.02
"""Maximum probability that at least one of the K lower bounds fails."""
ALPHA_UPPER = 0.02
"""Maximum probability that the upper bound of at least one of the D best circuits fails."""
ALPHA_INTERVALS = 0.01
"""Maximum probability that the upper end of at least one of the K intervals fails."""
LEVEL = 0.95
"""Confidence level of the certificate, of all intervals, and of what follows from them; 1 minus the three values above."""
GROWTH = 1.4
"""Factor by which the trainings of the open circuits grow from round to round."""
LEADER_FACTOR = 6
"""Trainings of a leader for each training of an open circuit."""
MIN_ROUND = 12
"""Minimum growth, in a round, of the number of trainings that each open circuit must have."""
MARGIN = 8
"""A leader exceeds the leaders before it by at least ε / `MARGIN`, in the mean minus two standard errors."""


class Certificate:
    """Lower and upper bounds of the mean scores, which become tighter during a race.

    Args:
        costs: (K,) costs of the circuits, in ascending order.
    """

    def __init__(self, costs: Floats) -> None:
        self.costs = costs
        self.lower = np.zeros(len(costs))
        """(K,) lower bounds; 0 for circuits that are no candidates for the front."""
        self.upper = np.ones(len(costs))
        """(K,) upper bounds."""
        # Index of the last circuit of the same cost.
        self._last = np.searchsorted(costs, costs, side="right") - 1
        self._alpha_lower = ALPHA_LOWER / len(costs)
        self._alpha_upper = ALPHA_UPPER / len(np.unique(costs))

    def raise_lower(self, histograms: Histograms, circuits: Integers) -> None:
        """Update the lower bounds of some circuits."""
        bounds = lower_bounds(histograms.among(circuits), self._alpha_lower)
        self.lower[circuits] = np.maximum(self.lower[circuits], bounds)

    def reduce_upper(self, histograms: Histograms, circuits: Integers) -> None:
        """Update the upper bounds of some circuits."""
        bounds = upper_bounds(histograms.among(circuits), self._alpha_upper)
        self.upper[circuits] = np.minimum(self.upper[circuits], bounds)

    @property
    def certain(self) -> Floats:
        """(K,) highest lower bound of a circuit that costs no more."""
        return np.maximum.accumulate(self.lower)[self._last]

    def certain_of(self, front: Integers) -> Floats:
        """Return the lower bound (K,) of the circuit that a front (n,) names for each cost; 0 below its first cost."""
        lower = np.append(0, self.lower[front])
        return np.asarray(lower[np.searchsorted(self.costs[front], self.costs, side="right")])

    @property
    def possible(self) -> Floats:
        """(K,) highest upper bound of a circuit that costs no more."""
        return np.maximum.accumulate(self.upper)[self._last]

    @property
    def gaps(self) -> Floats:
        """(K,) by how much each circuit may be better than the front."""
        return self.upper - self.certain

    @property
    def epsilon(self) -> float:
        """Smallest ε for which a front is certified, that of the highest lower bounds."""
        return float(self.gaps.max())

    def intervals(self, histograms: Histograms) -> tuple[Floats, Floats]:
        """Return intervals (K,), (K,) that contain the mean scores of all circuits at once."""
        # Wider than `upper`, which needs to hold only for the best circuit of each cost.
        upper = upper_bounds(histograms, ALPHA_INTERVALS / len(self.costs))
        return lower_bounds(histograms, self._alpha_lower), upper

    def epsilon_of(self, front: Integers) -> float:
        """Return the smallest ε for which a front (n,) is certified."""
        return float((self.possible - self.certain_of(front)).max())

    def front(self, within: float) -> Integers:
        """Return a short front (n,) that is certified within an ε, sorted by cost."""
        steps = staircase(self.lower, self.costs, np.arange(len(self.costs)))
        possible = self.possible
        front: list[int] = []
        # A step is skipped while the one before it is within ε of everything that is possible up to the next step.
        ends = np.append(np.searchsorted(self.costs, self.costs[steps[1:]]), len(self.costs)) - 1
        for step, end in zip(steps.tolist(), ends.tolist(), strict=True):
            if not front or self.lower[front[-1]] + within < possible[end]:
                front.append(step)
        return np.array(front)


def certify(
    train: Train,
    certificate: Certificate,
    trainings: Integers,
    within: float,
    *,
    on_round: Callable[[Integers], None] = lambda circuits: None,
) -> None:
    """Continue a race until its front is certified.

    Args:
        train: Runs the trainings.
        certificate: Bounds, updated in place after each round.
        trainings: (K,) trainings of the circuits so far, at least one each.
        within: ε.
        on_round: Callback with the open circuits at the beginning of each round, and with an empty array at the end.
    """
    targets = trainings.copy()
    per_circuit = int(targets.min())
    open_circuits = np.arange(len(targets))
    while len(open_circuits):
        on_round(open_circuits)
        per_circuit = max(per_circuit + MIN_ROUND, int(per_circuit * GROWTH))
        targets[open_circuits] = np.maximum(targets[open_circuits], per_circuit)
        leaders = _leaders(train(targets), within / MARGIN)
        targets[leaders] = np.maximum(targets[leaders], LEADER_FACTOR * per_circuit)
        histograms = train(targets)
        certificate.raise_lower(histograms, leaders)
        certificate.reduce_upper(histograms, open_circuits)
        open_circuits = np.flatnonzero(certificate.gaps > within)
    on_round(open_circuits)


def _leaders(histograms: Histograms, margin: float) -> Integers:
    """Return the circuits whose mean minus two standard errors exceeds that of all leaders before them by a margin."""
    errors = np.sqrt(np.maximum(histograms.variances, 1e-4) / histograms.sizes)
    pessimistic = histograms.means - 2 * errors
    leaders: list[int] = []
    highest = -np.inf
    for circuit, value in enumerate(pessimistic.tolist()):
        if value > highest + margin:
            leaders.append(circuit)
            highest = value
    return np.array(leaders)


def staircase(values: Floats, costs: Floats, circuits: Integers) -> Integers:
    """Return the circuits whose value is higher than that of every other one of them that costs no more.

    Args:
        values: (K,) values of all circuits.
        costs: (K,) costs of all circuits, in ascending order.
        circuits: Circuits to choose from, sorted.
    """
    highest = np.maximum.accumulate(values[circuits])
    steps = circuits[np.diff(highest, prepend=-np.inf) > 0]
    # Of several steps at one cost, the last is the highest.
    return steps[np.diff(costs[steps], append=np.inf) > 0]
