from dataclasses import replace

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.reporting.families import Family, Standing, Trait, compare_families
from faqnas_optuna.study.records import Candidate, RaceRecord
from tests.support.candidates import candidate

GENES = {"n_qubits": 3, "embedding": "angle", "topology": "linear", "depth": 1} | {f"rotation_{n}": "RY" for n in range(1, 5)}


def raced(cost: int, entangler: str, low: float, high: float, possible: float = 1.0, **genes: object) -> Candidate:
    """Return a circuit of a race; with RY alone, a CZ layer has no effect and a CNOT layer has."""
    genome = Genome.from_params(GENES | {"entangler": entangler} | genes)
    race = RaceRecord(trainings=9, score_low=low, score_high=high, certain=0.0, possible=possible, on_front=False)
    return replace(candidate(0, genome, flops=cost, error=0.5), race=race)


def bounds(circuit: Candidate) -> tuple[float, float]:
    assert circuit.race
    return circuit.race.score_low, circuit.race.score_high


def test_two_families_bound_each_other() -> None:
    circuits = [
        raced(10, "CNOT", 0.30, 0.40),
        raced(20, "CZ", 0.50, 0.60),
        raced(30, "CNOT", 0.58, 0.62),
        raced(40, "CZ", 0.70, 0.75),
        raced(50, "CNOT", 0.60, 0.90),
    ]
    entangled, other = compare_families(reversed(circuits), Trait.ENTANGLED, epsilon=0.16)
    assert (entangled.name, entangled.circuits, other.name, other.circuits) == ("entangled", 3, "not entangled", 2)
    # At a cost of 20, 0.50 - 0.40; at 40, 0.70 - 0.62. Below 20 there is nothing to compare.
    assert other.at_least == pytest.approx(0.10) and other.at_least_cost == 20
    # At 20, 0.60 - 0.30.
    assert other.at_most == pytest.approx(0.30)
    # At 50, 0.90 - 0.70; the least favourable differences are negative everywhere.
    assert entangled.at_most == pytest.approx(0.20) and entangled.at_least < 0

    def verdicts(family: Family) -> list[tuple[Standing, float, float]]:
        return [(verdict.standing, verdict.lowest_cost, verdict.highest_cost) for verdict in family.verdicts]

    assert verdicts(entangled) == [
        (Standing.WORSE, 20, 20),
        (Standing.NEGLIGIBLE, 30, 30),
        (Standing.WORSE, 40, 40),
        (Standing.OPEN, 50, 50),
    ]
    assert verdicts(other) == [
        (Standing.BETTER, 20, 20),
        (Standing.NEGLIGIBLE, 30, 30),
        (Standing.BETTER, 40, 40),
        (Standing.NEGLIGIBLE, 50, 50),
    ]
    assert [tuple(step) for step in other.stairs] == [(20, 0.5, 0.5, 0.6), (40, 0.5, 0.7, 0.75), (50, 0.5, 0.7, 0.75)]


def test_no_family_is_better_than_the_best_possible_front() -> None:
    circuits = [raced(10, "CNOT", 0.30, 0.70, possible=0.5), raced(20, "CZ", 0.40, 0.80, possible=0.6)]
    entangled, other = compare_families(circuits, Trait.ENTANGLED, epsilon=0.01)
    # At 20, the CNOT circuit is bounded by 0.60 instead of 0.70, and the CZ circuit by 0.60 instead of 0.80.
    assert entangled.at_most == pytest.approx(0.60 - 0.40) and other.at_most == pytest.approx(0.60 - 0.30)


def test_bounds_agree_with_brute_force() -> None:
    generator = np.random.default_rng(0)
    circuits = []
    for _ in range(60):
        low = generator.uniform(0, 0.8)
        cost, qubits = int(generator.integers(1, 15)), int(generator.integers(2, 5))
        circuits.append(raced(cost, "CNOT", low, low + generator.uniform(0, 0.2), n_qubits=qubits))
    for family in compare_families(circuits, Trait.QUBITS, epsilon=0.1):
        own = [circuit for circuit in circuits if str(circuit.genome.n_qubits) == family.name]
        others = [circuit for circuit in circuits if str(circuit.genome.n_qubits) != family.name]
        differences = []
        for cost in range(1, 15):
            mine = [bounds(one) for one in own if one.cost <= cost]
            theirs = [bounds(one) for one in others if one.cost <= cost]
            if mine and theirs:
                (low, high), (others_low, others_high) = np.max(mine, axis=0), np.max(theirs, axis=0)
                differences.append((low - others_high, high - others_low))
                verdict = next(one for one in family.verdicts if one.lowest_cost <= cost <= one.highest_cost)
                assert verdict.at_least <= differences[-1][0] + 1e-12 and differences[-1][1] <= verdict.at_most + 1e-12
                assert (verdict.standing is Standing.BETTER) == (low > others_high)
        assert family.at_least == pytest.approx(max(least for least, _ in differences))
        assert family.at_most == pytest.approx(max(most for _, most in differences))


def test_a_single_family_cannot_be_compared() -> None:
    assert compare_families([raced(1, "CZ", 0.1, 0.2), raced(2, "CZ", 0.2, 0.3)], Trait.ENTANGLED, epsilon=0.1) == []


def test_circuits_without_effective_entanglers_have_no_entangler() -> None:
    circuits = [raced(1, "CZ", 0.1, 0.2), raced(2, "CNOT", 0.2, 0.3)]
    assert [family.name for family in compare_families(circuits, Trait.ENTANGLER, epsilon=0.1)] == ["CNOT", "none"]
