"""Search space of the paper: its circuits, their genes and effective circuits, and samples of these by strata."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, PAPER_DEPTH, Circuit, Rotation, Topology


def all_circuits() -> tuple[Circuit, ...]:
    """Every circuit of the paper's space, in the order of the genes: those with much in common are neighbours."""
    # By way of the genomes it would take ten times as long.
    frames = product(GENES["n_qubits"], PAPER_EMBEDDINGS, PAPER_ENTANGLERS, Topology, GENES["depth"])
    return tuple(
        Circuit(n_qubits=int(n_qubits), embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
        for n_qubits, embedding, entangler, topology, depth in frames
        # On two qubits a circle is a line.
        if n_qubits != 2 or topology is Topology.LINEAR
        for rotations in product(Rotation, repeat=int(depth))
    )


def gene_columns(circuits: Collection[Circuit]) -> dict[str, list[Any]]:
    """Return the genes of circuits by column, None for rotations beyond the depth."""
    columns: dict[str, list[Any]] = {"n_qubits": [circuit.n_qubits for circuit in circuits]}
    for gene in ("embedding", "entangler", "topology"):
        columns[gene] = [str(getattr(circuit, gene)) for circuit in circuits]
    columns["depth"] = [circuit.depth for circuit in circuits]
    for layer in range(PAPER_DEPTH):
        columns[f"rotation_{layer + 1}"] = [str(one.rotations[layer]) if layer < one.depth else None for one in circuits]
    return columns


def effective_circuits(circuits: Iterable[Circuit]) -> dict[Circuit, Circuit]:
    """Return the effective circuit of each circuit, which is trained for it."""
    return {circuit: effective_circuit(circuit) for circuit in circuits}


def sample(circuits: Iterable[Circuit], fraction: float) -> tuple[Circuit, ...]:
    """As large a share of each stratum, but one circuit at least: which ones, their digests decide.

    A stratum has one number of qubits, one embedding, one entangler and one depth.
    """
    strata = defaultdict(list)
    for circuit in sorted(set(circuits), key=lambda circuit: circuit.digest):
        strata[circuit.n_qubits, circuit.embedding, circuit.entangler, circuit.depth].append(circuit)
    return tuple(circuit for stratum in strata.values() for circuit in stratum[: max(1, round(fraction * len(stratum)))])
