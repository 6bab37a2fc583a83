from collections import Counter

import pytest

from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.tables.space import all_circuits, effective_circuits, sample


@pytest.fixture(scope="module")
def effective_of() -> dict[Circuit, Circuit]:
    return effective_circuits(all_circuits())


def stratum(circuit: Circuit) -> tuple[object, ...]:
    return circuit.n_qubits, circuit.embedding, circuit.entangler, circuit.depth


def test_the_space_has_as_many_circuits_as_its_description_says(effective_of: dict[Circuit, Circuit]) -> None:
    assert len(effective_of) == 8_160
    assert len(set(effective_of.values())) == 6_786
    # Circuits are in the order of their first genomes.
    assert tuple(effective_of) == tuple(dict.fromkeys(genome.circuit for genome in enumerate_genomes()))
    # An effective circuit is its own effective circuit.
    assert all(effective_of[circuit] == circuit for circuit in effective_of.values())


def test_a_sample_takes_the_same_share_of_every_stratum(effective_of: dict[Circuit, Circuit]) -> None:
    everything, tenth = set(effective_of.values()), sample(effective_of.values(), 0.1)
    assert set(tenth) < everything and len(tenth) == len(set(tenth))
    sizes, shares = (Counter(map(stratum, circuits)) for circuits in (everything, tenth))
    assert shares == {kind: max(1, round(size / 10)) for kind, size in sizes.items()}
    assert sample(reversed(effective_of.values()), 0.1) == tenth
    # A larger sample contains the smaller one.
    assert set(tenth) < set(sample(effective_of.values(), 0.2))
    assert set(sample(effective_of.values(), 1)) == everything
