"""Gain by proxies in the prediction of accuracies of circuits that were not trained, beyond costs and genes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import PAPER_DEPTH, Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.training.statistics import mean_interval
from studies.claims.intervals import Interval
from studies.proxies.correlation import dense_ranks, spearman

FEW_CIRCUITS = 100
"""Number of circuits from which a model learns if training is expensive: about a search of five generations."""
MOST = 0.9
"""Fraction of the circuits from which a model learns if the whole space is available."""
PENALTIES = np.geomspace(1e-2, 1e4, 25)
"""Candidate penalties of the ridge regression."""


class Base(StrEnum):
    """Features of the model without proxies."""

    COSTS = "costs"
    """Qubits, FLOPs, depth, embedding, entangler and topology."""
    GATES = "gates"
    """The costs, and the effective rotation of each layer."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Spearman's correlation of predicted and measured accuracies of the other circuits."""

    without: float
    """Mean correlation of the model without proxies."""
    gain: Interval
    """Increase by the proxies, with a t interval over the random choices of circuits."""


def gene_features(circuits: Sequence[Circuit], log_flops: NDArray[np.float64]) -> dict[Base, NDArray[np.float64]]:
    """Return the features (circuits, features) of each base; the first is the embedding, ±½."""
    costs = np.array([_costs(circuit, flops) for circuit, flops in zip(circuits, log_flops, strict=True)], np.float64)
    gates = np.array([_gates(circuit) for circuit in circuits], np.float64)
    return {Base.COSTS: costs, Base.GATES: np.hstack([costs, gates])}


def _costs(circuit: Circuit, flops: float) -> list[float]:
    # Inert entanglers neither cost accuracy nor help it.
    is_entangled = EffectiveGates(circuit=circuit).is_entangled
    sign = 0.5 if circuit.embedding is Embedding.AMPLITUDE else -0.5
    entanglers = [is_entangled and circuit.entangler is kind for kind in (Entangler.CNOT, Entangler.CZ)]
    is_circular = is_entangled and circuit.topology is Topology.CIRCULAR
    # Squares, since accuracy saturates with qubits and FLOPs.
    return [sign, circuit.n_qubits, circuit.n_qubits**2, flops, flops**2, circuit.depth, *entanglers, is_circular]


def _gates(circuit: Circuit) -> list[float]:
    """Return an indicator of each number of effective layers, and of each rotation in each layer."""
    rotations = EffectiveGates(circuit=circuit).effective_rotations
    # Absent layers have none of the rotations: all of their indicators are zero.
    padded = [*rotations, *[None] * (PAPER_DEPTH - len(rotations))]
    layers = [len(rotations) == count for count in range(PAPER_DEPTH + 1)]
    return [*layers, *(rotation is kind for rotation in padded for kind in Rotation)]


def gains(
    features: Mapping[Base, NDArray[np.float64]],
    proxies: Mapping[str, NDArray[np.float64]],
    accuracies: NDArray[np.float64],
    *,
    train: int,
    repeats: int,
) -> dict[Base, Gain]:
    """Return the gain by all proxies together over each base.

    Args:
        features: Result of `gene_features`.
        accuracies: (circuits,) mean accuracies.
        train: Number of circuits from which the models learn.
        repeats: Number of random choices of these circuits.
    """
    # Ranks, since the divergences have extreme values.
    extra = np.stack([dense_ranks(values) / len(values) for values in proxies.values()], axis=1)
    results = {}
    for base, columns in features.items():
        pairs = []
        for repeat in range(repeats):
            # The same circuits for both models, so that the difference is paired.
            order = np.random.default_rng(repeat).permutation(len(accuracies))
            models = (columns, np.hstack([columns, extra]))
            pairs.append([_score(model, accuracies, order[:train], order[train:]) for model in models])
        without, together = np.array(pairs).T
        differences = together - without
        mean = float(differences.mean())
        low, high = mean_interval(mean, float(differences.std(ddof=1)), repeats)
        results[base] = Gain(without=float(without.mean()), gain=Interval(value=mean, low=low, high=high))
    return results


def _score(
    features: NDArray[np.float64], accuracies: NDArray[np.float64], train: NDArray[np.int64], rest: NDArray[np.int64]
) -> float:
    """Return the rank correlation on the rest of a ridge regression, whose penalty is selected by leave-one-out errors."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # With the interactions with the embedding, on which most effects depend.
    columns = np.hstack([features, features[:, :1] * features[:, 1:]])
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    model.fit(columns[train], accuracies[train])
    return spearman(model.predict(columns[rest]), accuracies[rest])
