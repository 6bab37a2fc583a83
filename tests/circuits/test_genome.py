import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faqnas_optuna.circuits.genome import (
    GENES,
    Circuit,
    Embedding,
    Entangler,
    GeneValue,
    Genome,
    Rotation,
    Topology,
    enumerate_genomes,
)
from faqnas_optuna.errors import GenomeError
from faqnas_optuna.tables.space import all_circuits

genomes = st.fixed_dictionaries({gene: st.sampled_from(values) for gene, values in GENES.items()}).map(Genome.from_params)


def test_the_space_has_23328_genomes_and_8160_circuits() -> None:
    everything = list(enumerate_genomes())
    circuits = {genome.circuit for genome in everything}
    assert len(everything) == len(set(everything)) == 23_328
    assert len(circuits) == 8_160
    assert len({circuit.digest for circuit in circuits}) == 8_160


@given(genomes)
def test_json_and_params_bring_back_the_same_genome(genome: Genome) -> None:
    assert Genome.from_json(genome.to_json()) == genome
    assert Genome.from_params(genome.to_params()) == genome


@given(genomes)
def test_params_are_plain_values(genome: Genome) -> None:
    assert list(genome.to_params()) == list(GENES)
    assert all(type(value) in (int, str) for value in genome.to_params().values())


@given(genomes, st.sampled_from(Rotation))
def test_inactive_rotations_do_not_change_the_circuit(genome: Genome, rotation: Rotation) -> None:
    inactive = {f"rotation_{layer}": str(rotation) for layer in range(genome.depth + 1, 5)}
    assert Genome.from_params({**genome.to_params(), **inactive}).circuit == genome.circuit


def test_on_two_qubits_a_circle_is_a_line() -> None:
    params = next(enumerate_genomes()).to_params() | {"n_qubits": 2}
    line, circle = (Genome.from_params(params | {"topology": topology}).circuit for topology in Topology)
    assert line == circle
    assert circle.entangled_pairs == ((0, 1),)


def test_entangled_pairs() -> None:
    circuit = Circuit(
        n_qubits=4,
        embedding=Embedding.ANGLE,
        entangler=Entangler.CZ,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RX,),
    )
    assert circuit.entangled_pairs == ((0, 1), (1, 2), (2, 3), (3, 0))


def test_the_digest_never_changes() -> None:
    # Stored studies look circuits up by digest.
    circuit = Circuit(
        n_qubits=4,
        embedding=Embedding.AMPLITUDE,
        entangler=Entangler.CNOT,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RX,),
    )
    assert circuit.digest == "d83fde598cf9"
    digests = "".join(one.digest for one in all_circuits())
    assert hashlib.sha256(digests.encode()).hexdigest() == "552f6dd68fc4354553d7addb26c148801e6210882436be6ee02606a5741e8776"


def test_a_wider_genome_has_the_genes_that_say_something() -> None:
    deep = next(enumerate_genomes()).to_params() | {"n_qubits": 12, "depth": 6, "rotation_5": "RY", "rotation_6": "RZ"}
    genome = Genome.from_params(deep)
    assert genome.to_params() == deep and Genome.from_json(genome.to_json()) == genome
    assert genome.circuit.rotations == ("RX", "RX", "RX", "RX", "RY", "RZ")
    # Rotations beyond the depth do not affect the circuit but remain among the genes.
    shallow = Genome.from_params(deep | {"depth": 2})
    assert shallow.circuit.depth == 2 and shallow.to_params() == deep | {"depth": 2}


def test_data_are_uploaded_again_where_that_means_something() -> None:
    once = next(enumerate_genomes()).to_params() | {"depth": 2}
    again = Genome.from_params(once | {"reuploading": True})
    assert again.to_params() == once | {"reuploading": True} and Genome.from_json(again.to_json()) == again
    circuit = again.circuit
    assert circuit.reuploading and circuit.digest != Genome.from_params(once).circuit.digest
    assert str(circuit) == "2 qubits, angle re-uploaded, RX RX, CNOT linear"
    # An explicit False is kept, so that all genomes of a study have the same genes.
    assert Genome.from_params(once | {"reuploading": False}).to_params() == once | {"reuploading": False}
    assert Genome.from_params(once | {"reuploading": False}).circuit == Genome.from_params(once).circuit
    changes: list[dict[str, GeneValue]] = [{"depth": 1}, {"embedding": "amplitude"}, {"embedding": "iqp"}]
    for change in changes:
        assert Genome.from_params(again.to_params() | change).circuit == Genome.from_params(once | change).circuit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_qubits": 13}, "'n_qubits' must be one of 2, 3, .*; it is 13"),
        ({"n_qubits": 4.0}, "it is 4.0"),
        ({"depth": True}, "it is True"),
        ({"reuploading": 1}, "'reuploading' must be one of False, True; it is 1"),
        ({"embedding": "one-hot"}, "'embedding' must be one of angle, amplitude.*; it is 'one-hot'"),
        ({"rotation_4": "RXX"}, "'rotation_4' must be one of RX, RY, RZ"),
        ({"depth": 6, "rotation_5": "RX"}, "'rotation_6' must be one of RX, RY, RZ; it is None"),
        ({"color": "red"}, "unknown genes: color; choose from n_qubits"),
    ],
)
def test_wrong_genes_are_refused(change: dict[str, object], message: str) -> None:
    params = next(enumerate_genomes()).to_params()
    with pytest.raises(GenomeError, match=message):
        Genome.from_params({**params, **change})


def test_missing_genes_are_named() -> None:
    with pytest.raises(GenomeError, match="it lacks depth, rotation_1"):
        params = next(enumerate_genomes()).to_params()
        Genome.from_params({gene: value for gene, value in params.items() if gene not in ("depth", "rotation_1")})


@pytest.mark.parametrize("text", ["", "[1]", "{", json.dumps({"depth": 1})])
def test_json_that_is_no_genome_is_refused(text: str) -> None:
    with pytest.raises(GenomeError, match="genes"):
        Genome.from_json(text)
