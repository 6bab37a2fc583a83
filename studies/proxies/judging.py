"""All results on a table: correlations, gains in prediction, and stages before a race."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import Table
from faqnas_optuna.circuits.genome import Circuit, Embedding
from faqnas_optuna.tables.space import all_circuits
from studies.claims.measuring import epochs_of
from studies.proxies.correlation import Correlations, ceiling, correlate
from studies.proxies.prediction import FEW_CIRCUITS, MOST, Base, gains, gene_features
from studies.proxies.pruning import FEWEST_FLOPS, simulate

PROXIES = {
    "expressibility_embedded": "expressibility",
    "quantile_expressibility_embedded": "expressibility, quantile bins",
    "entanglement_embedded": "entangling capability",
    "expressibility_zero": "expressibility, from zero",
    "quantile_expressibility_zero": "expressibility, quantile bins, from zero",
    "entanglement_zero": "entangling capability, from zero",
    "gradient_variance": "gradient variance",
}
"""Titles of the proxies, by their columns in the file of values."""
CONDITIONS = {"qubits": "qubits", "log_flops": "FLOPs", "depth": "depth"}
"""Titles of the costs beyond which a proxy should predict."""
PARTS = ("validation", "test")
"""Parts of the data whose mean accuracy is predicted."""
RESAMPLES = 1000
"""Number of bootstrap resamples of the correlations."""
REPEATS = 20
"""Number of random choices of the circuits from which a model learns."""


def oriented(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the proxies so that high values are those that the literature calls good.

    A divergence is smaller for more expressive circuits, so that its sign changes.
    """
    return {name: -values[name] if "expressibility" in name else values[name] for name in PROXIES}


def judge(table: Table, digests: Sequence[str], values: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return a document with all results on a table.

    Args:
        digests: Effective circuits.
        values: (circuits,) values of the proxies.
    """
    # The file of values has digests only; the circuits follow from the space.
    by_digest = {circuit.digest: circuit for circuit in all_circuits()}
    circuits = [by_digest[digest] for digest in digests]
    rows = np.array([table.index(digest) for digest in digests])
    proxies = oriented(values)
    predictors = _conditions(table, circuits, rows) | proxies
    # Seeds are averaged: a proxy cannot predict the luck of a single training.
    outcomes = {
        f"{part} {epochs}": table.right(part, epochs)[rows].mean(axis=1) for epochs in epochs_of(table) for part in PARTS
    }
    features = gene_features(circuits, predictors["log_flops"])
    is_amplitude = np.array([circuit.embedding is Embedding.AMPLITUDE for circuit in circuits])
    groups = {"all": np.ones(len(rows), np.bool_), "angle": ~is_amplitude, "amplitude": is_amplitude}
    return {
        "dataset": table.document["dataset"],
        "seeds": len(table.seeds),
        "epochs": list(epochs_of(table)),
        "ceilings": {f"{part} {epochs}": ceiling(table, rows, part, epochs) for epochs in epochs_of(table) for part in PARTS},
        "correlations": {name: asdict(_within(group, predictors, outcomes)) for name, group in groups.items()},
        "gains": {str(epochs): _gains(features, proxies, outcomes[f"validation {epochs}"]) for epochs in epochs_of(table)},
        "stages": {
            str(epochs): _stages(table, epochs, digests, circuits, proxies, predictors["log_flops"])
            for epochs in epochs_of(table)
        },
    }


def _conditions(table: Table, circuits: Sequence[Circuit], rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    return {
        "qubits": np.array([circuit.n_qubits for circuit in circuits], np.float64),
        "log_flops": np.log10(table.column("quantum_flops_profiler")[rows].astype(np.float64)),
        "depth": np.array([circuit.depth for circuit in circuits], np.float64),
    }


def _within(
    group: NDArray[np.bool_], predictors: Mapping[str, NDArray[np.float64]], outcomes: Mapping[str, NDArray[np.float64]]
) -> Correlations:
    """Return the correlations among some of the circuits."""
    return correlate(
        {name: column[group] for name, column in predictors.items()},
        {name: column[group] for name, column in outcomes.items()},
        [*CONDITIONS],
        resamples=RESAMPLES,
    )


def _gains(
    features: Mapping[Base, NDArray[np.float64]], proxies: Mapping[str, NDArray[np.float64]], accuracies: NDArray[np.float64]
) -> dict[str, Any]:
    """Return the gains by the number of circuits from which the models learn, then by the set of proxies."""
    # The gradient variance alone, too: few circuits may not be enough to learn the effects of seven proxies.
    sets = {"all": proxies, "gradient_variance": {"gradient_variance": proxies["gradient_variance"]}}
    by_size: dict[str, Any] = {}
    for train in (FEW_CIRCUITS, round(MOST * len(accuracies))):
        by_size[str(train)] = {}
        for name, chosen in sets.items():
            results = gains(features, chosen, accuracies, train=train, repeats=REPEATS)
            by_size[str(train)][name] = {str(base): asdict(gain) for base, gain in results.items()}
    return by_size


def _stages(
    table: Table,
    epochs: int,
    digests: Sequence[str],
    circuits: Sequence[Circuit],
    proxies: Mapping[str, NDArray[np.float64]],
    log_flops: NDArray[np.float64],
) -> dict[str, Any]:
    places = {digest: place for place, digest in enumerate(digests)}
    # Circuits that differ only in inert gates are one network, which a stage keeps or drops as a whole.
    networks = np.array([places[digest] for digest in table.column("trained").tolist()])
    qubits = np.array([circuit.n_qubits for circuit in circuits])
    # The front consists of cheap circuits, so that dropping expensive ones is the obvious alternative to any proxy.
    results = simulate(table, epochs, {**proxies, FEWEST_FLOPS: -log_flops}, qubits, networks)
    return {str(scope): {name: asdict(stage) for name, stage in stages.items()} for scope, stages in results.items()}
