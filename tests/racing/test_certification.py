import numpy as np
import pytest

from faqnas_optuna.racing.bounds import Floats
from faqnas_optuna.racing.certification import Certificate, certify, staircase
from faqnas_optuna.racing.halving import halve
from tests.support.races import SimulatedTrainings

EPSILON = 0.12
CIRCUITS = 24


def race(means: Floats, costs: Floats, *, seed: int) -> tuple[Certificate, SimulatedTrainings]:
    """Run a race between circuits with known means until its front is certified."""
    trainings = SimulatedTrainings(means, samples=12, spread=0.2, seed=seed)
    histograms, _ = halve(trainings, len(means), 8 * len(means))
    certificate = Certificate(costs)
    certify(trainings, certificate, histograms.sizes, EPSILON)
    return certificate, trainings


def best_at_cost(means: Floats, costs: Floats) -> Floats:
    """Return the highest mean of a circuit that costs no more, for each circuit, by brute force."""
    return np.array([means[costs <= cost].max() for cost in costs])


def reported_at_cost(front: list[int], means: Floats, costs: Floats) -> Floats:
    """Return the mean of the most expensive circuit of a front that costs no more, for each circuit; 0 without one."""
    return np.array([next((means[step] for step in reversed(front) if costs[step] <= cost), 0.0) for cost in costs])


def failures(*, count: int, are_equal: bool) -> tuple[int, int]:
    """Return in how many of `count` races the front is worse than guaranteed, and how many have a wrong bound."""
    wrong_fronts = 0
    wrong_bounds = 0
    for seed in range(count):
        generator = np.random.default_rng([7, seed])
        # Some circuits have equal costs.
        costs = np.sort(generator.integers(1, 10, CIRCUITS).astype(float))
        means = np.full(CIRCUITS, 0.5) if are_equal else generator.uniform(0.3, 0.8, CIRCUITS)
        certificate, _ = race(means, costs, seed=seed)
        best = best_at_cost(means, costs)
        reported = reported_at_cost(certificate.front(EPSILON).tolist(), means, costs)
        wrong_fronts += bool((best - reported > EPSILON).any())
        wrong_bounds += bool((best > certificate.possible).any() or (certificate.lower > means).any())
    return wrong_fronts, wrong_bounds


@pytest.mark.parametrize("are_equal", [False, True])
def test_guarantees_fail_in_few_races(are_equal: bool) -> None:
    wrong_fronts, wrong_bounds = failures(count=100, are_equal=are_equal)
    # At most 5 % are expected to fail; 11 or more of 100 would then have a probability of 1 %.
    assert wrong_fronts <= 10 and wrong_bounds <= 10


@pytest.mark.slow
@pytest.mark.parametrize("are_equal", [False, True])
def test_guarantees_fail_in_at_most_five_percent_of_races(are_equal: bool) -> None:
    wrong_fronts, wrong_bounds = failures(count=1000, are_equal=are_equal)
    assert wrong_fronts <= 50 and wrong_bounds <= 50


def test_bounds_only_become_tighter() -> None:
    means = np.array([0.3, 0.5, 0.7])
    trainings = SimulatedTrainings(means, samples=10, spread=0.1, seed=2)
    certificate = Certificate(np.array([1.0, 2.0, 3.0]))
    everything = np.arange(3)
    epsilons = [certificate.epsilon]
    for count in (5, 20, 80, 320):
        histograms = trainings(np.full(3, count))
        lower, upper = certificate.lower.copy(), certificate.upper.copy()
        certificate.raise_lower(histograms, everything)
        certificate.reduce_upper(histograms, everything)
        assert (certificate.lower >= lower).all() and (certificate.upper <= upper).all()
        epsilons.append(certificate.epsilon)
    assert epsilons[0] == 1 and epsilons == sorted(epsilons, reverse=True) and epsilons[-1] < 0.15


def test_a_certified_front_satisfies_its_claim_at_every_cost() -> None:
    generator = np.random.default_rng(3)
    costs = np.sort(generator.integers(1, 30, 60).astype(float))
    means = np.sort(generator.uniform(0.2, 0.9, 60)) - generator.choice([0, 0.2], size=60)
    certificate, _ = race(np.clip(means, 0, 1), costs, seed=3)
    front = certificate.front(EPSILON).tolist()
    assert certificate.epsilon <= EPSILON
    lower = reported_at_cost(front, certificate.lower, costs)
    assert (lower + EPSILON >= certificate.possible).all()
    # No step is superfluous, except the first, which names a circuit for the lowest cost.
    for step in front[1:]:
        others = [other for other in front if other != step]
        assert (reported_at_cost(others, certificate.lower, costs) + EPSILON < certificate.possible).any()


def test_simultaneous_intervals_are_wider_than_the_bounds() -> None:
    means = np.linspace(0.3, 0.8, 40)
    trainings = SimulatedTrainings(means, samples=10, spread=0.1, seed=5)
    # Few costs, so that fewer upper bounds must hold.
    certificate = Certificate(np.repeat([1.0, 2.0], 20))
    histograms = trainings(np.full(40, 50))
    certificate.raise_lower(histograms, np.arange(40))
    certificate.reduce_upper(histograms, np.arange(40))
    low, high = certificate.intervals(histograms)
    assert low == pytest.approx(certificate.lower) and (high > certificate.upper).all()
    assert ((low < means) & (means < high)).all()


def test_a_staircase_has_the_best_circuit_of_each_cost_alone() -> None:
    values = np.array([0.3, 0.5, 0.4, 0.5, 0.9, 0.8])
    costs = np.array([1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert staircase(values, costs, np.arange(6)).tolist() == [1, 4]
    assert staircase(values, costs, np.array([0, 2, 3, 5])).tolist() == [0, 2, 3, 5]


def test_the_bound_of_a_front_is_that_of_the_circuits_that_it_names() -> None:
    generator = np.random.default_rng(6)
    costs = np.sort(generator.integers(1, 12, 30).astype(float))
    trainings = SimulatedTrainings(generator.uniform(0.2, 0.9, 30), samples=10, spread=0.1, seed=6)
    histograms = trainings(generator.integers(5, 60, 30))
    certificate = Certificate(costs)
    certificate.raise_lower(histograms, np.arange(30))
    certificate.reduce_upper(histograms, np.arange(30))
    by_means = staircase(histograms.means, costs, np.arange(30))
    certain = certificate.certain_of(by_means)
    assert certain.tolist() == reported_at_cost(by_means.tolist(), certificate.lower, costs).tolist()
    # By brute force: for each cost, the highest upper bound of an affordable circuit, and the named circuit's lower bound.
    bounds = zip(best_at_cost(certificate.upper, costs), certain, strict=True)
    assert certificate.epsilon_of(by_means) == pytest.approx(max(high - low for high, low in bounds))
    # No front has a better bound than that of the highest lower bounds.
    assert certificate.epsilon_of(by_means) >= certificate.epsilon
    assert certificate.epsilon_of(certificate.front(0)) == pytest.approx(certificate.epsilon)
    # Below the cost of its first circuit, a front guarantees nothing.
    assert certificate.certain_of(np.array([29]))[costs < costs[29]].tolist() == [0] * int((costs < costs[29]).sum())
