"""Search spaces of tables: their circuits, the genes and effective circuits of these, and stratified samples."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, Circuit, Topology
from faqnas_optuna.space_config import SpaceConfig

PAPER_SPACE = SpaceConfig()


def all_circuits(space: SpaceConfig = PAPER_SPACE) -> tuple[Circuit, ...]:
    """Return all circuits without re-uploading of a space, in the order of the genes: 8,160 in the paper's space."""
    # In this order similar circuits are neighbours, which makes the columns of a table compress well. The circuits are built
    # directly, since the canonical forms of all genomes would take ten times as long.
    frames = product(space.n_qubits, space.embedding, space.entangler, space.topology, space.depth)
    return tuple(
        Circuit(
            n_qubits=n_qubits,
            embedding=embedding,
            entangler=entangler,
            topology=Topology.LINEAR if n_qubits == 2 else topology,
            rotations=rotations,
        )
        for n_qubits, embedding, entangler, topology, depth in frames
        # On two qubits both topologies are the same circuit, whose canonical form is linear.
        if n_qubits != 2 or topology is space.topology[0]
        for rotations in product(space.rotation, repeat=depth)
    )


def gene_columns(circuits: Collection[Circuit]) -> dict[str, list[Any]]:
    """Return the genes of circuits as columns. Rotations beyond the depth of a circuit are None."""
    rows = [circuit.genes for circuit in circuits]
    return {gene: [row.get(gene) for row in rows] for gene in GENES}


def effective_circuits(circuits: Iterable[Circuit]) -> dict[Circuit, Circuit]:
    """Return the effective circuit of each circuit, which is the one to train."""
    return {circuit: effective_circuit(circuit) for circuit in circuits}


def sample(circuits: Iterable[Circuit], fraction: float) -> tuple[Circuit, ...]:
    """Return a sample with the same share of every stratum, and at least one circuit of each.

    A stratum consists of the circuits with equal number of qubits, embedding, entangler and depth. The sample is deterministic.
    """
    # Digests are hashes, so the first circuits in their order are as good as a random choice, and larger samples contain
    # smaller ones.
    strata = defaultdict(list)
    for circuit in sorted(set(circuits), key=lambda circuit: circuit.digest):
        strata[circuit.n_qubits, circuit.embedding, circuit.entangler, circuit.depth].append(circuit)
    return tuple(circuit for stratum in strata.values() for circuit in stratum[: max(1, round(fraction * len(stratum)))])
