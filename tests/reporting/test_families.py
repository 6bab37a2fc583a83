from dataclasses import replace

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.reporting.families import Trait, compare_families
from faqnas_optuna.study.records import Candidate, RaceRecord
from tests.support.candidates import candidate

GENES = {"n_qubits": 3, "embedding": "angle", "topology": "linear", "depth": 1} | {f"rotation_{n}": "RY" for n in range(1, 5)}


def raced(cost: int, entangler: str, low: float, high: float, **genes: object) -> Candidate:
    """Return a circuit of a race; with RY alone, a CZ layer has no effect and a CNOT layer has."""
    genome = Genome.from_params(GENES | {"entangler": entangler} | genes)
    race = RaceRecord(trainings=9, score_low=low, score_high=high, certain=0.0, possible=1.0, on_front=False)
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
    entangled, other = compare_families(reversed(circuits), Trait.ENTANGLED)
    assert (entangled.name, entangled.circuits, other.name, other.circuits) == ("entangled", 3, "not entangled", 2)
    # At a cost of 20, 0.50 - 0.40; at 40, 0.70 - 0.62. Below 20 there is nothing to compare.
    assert other.at_least == pytest.approx(0.10) and other.at_least_cost == 20
    # At 20, 0.60 - 0.30.
    assert other.at_most == pytest.approx(0.30)
    # At 50, 0.90 - 0.70; the least favourable differences are negative everywhere.
    assert entangled.at_most == pytest.approx(0.20) and entangled.at_least < 0


def test_bounds_agree_with_brute_force() -> None:
    generator = np.random.default_rng(0)
    circuits = []
    for _ in range(60):
        low = generator.uniform(0, 0.8)
        cost, qubits = int(generator.integers(1, 15)), int(generator.integers(2, 5))
        circuits.append(raced(cost, "CNOT", low, low + generator.uniform(0, 0.2), n_qubits=qubits))
    for family in compare_families(circuits, Trait.QUBITS):
        own = [circuit for circuit in circuits if str(circuit.genome.n_qubits) == family.name]
        others = [circuit for circuit in circuits if str(circuit.genome.n_qubits) != family.name]
        differences = []
        for cost in range(1, 15):
            mine = [bounds(one) for one in own if one.cost <= cost]
            theirs = [bounds(one) for one in others if one.cost <= cost]
            if mine and theirs:
                (low, high), (others_low, others_high) = np.max(mine, axis=0), np.max(theirs, axis=0)
                differences.append((low - others_high, high - others_low))
        assert family.at_least == pytest.approx(max(least for least, _ in differences))
        assert family.at_most == pytest.approx(max(most for _, most in differences))


def test_a_single_family_cannot_be_compared() -> None:
    assert compare_families([raced(1, "CZ", 0.1, 0.2), raced(2, "CZ", 0.2, 0.3)], Trait.ENTANGLED) == []


def test_circuits_without_effective_entanglers_have_no_entangler() -> None:
    names = [
        family.name for family in compare_families([raced(1, "CZ", 0.1, 0.2), raced(2, "CNOT", 0.2, 0.3)], Trait.ENTANGLER)
    ]
    assert names == ["CNOT", "none"]
