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

REPEATS = 20
"""Number of random choices of the circuits from which a model learns."""
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


def cost_features(circuits: Sequence[Circuit], log_flops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the features of `Base.COSTS` as columns (circuits, features)."""
    rows = []
    for circuit, flops in zip(circuits, log_flops, strict=True):
        gates = EffectiveGates(circuit=circuit)
        entangler = [float(gates.is_entangled and circuit.entangler is kind) for kind in (Entangler.CNOT, Entangler.CZ)]
        circular = float(gates.is_entangled and circuit.topology is Topology.CIRCULAR)
        rows.append([circuit.n_qubits, circuit.n_qubits**2, flops, flops**2, circuit.depth, *entangler, circular])
    return np.array(rows, np.float64)


def gate_features(circuits: Sequence[Circuit]) -> NDArray[np.float64]:
    """Return one column for each rotation in each layer, 1 where it is effective."""
    rows = []
    for circuit in circuits:
        rotations = EffectiveGates(circuit=circuit).effective_rotations
        padded = [*rotations, *[None] * (PAPER_DEPTH - len(rotations))]
        layers = [float(len(rotations) == count) for count in range(PAPER_DEPTH + 1)]
        rows.append([*layers, *(float(rotation is kind) for rotation in padded for kind in Rotation)])
    return np.array(rows)


def gains(
    circuits: Sequence[Circuit],
    log_flops: NDArray[np.float64],
    proxies: Mapping[str, NDArray[np.float64]],
    accuracies: NDArray[np.float64],
    *,
    train: int,
    repeats: int = REPEATS,
) -> dict[Base, Gain]:
    """Return the gain by all proxies together over each base.

    Args:
        accuracies: (circuits,) mean accuracies.
        train: Number of circuits from which the models learn.
    """
    costs = cost_features(circuits, log_flops)
    bases = {Base.COSTS: costs, Base.GATES: np.hstack([costs, gate_features(circuits)])}
    # Ranks, since the divergences have extreme values.
    extra = np.stack([dense_ranks(values) / len(values) for values in proxies.values()], axis=1)
    sign = np.array([0.5 if circuit.embedding is Embedding.AMPLITUDE else -0.5 for circuit in circuits])[:, np.newaxis]
    results = {}
    for base, features in bases.items():
        pairs = []
        for repeat in range(repeats):
            order = np.random.default_rng(repeat).permutation(len(circuits))
            # The same circuits for both models, so that the difference is paired.
            scores = [
                _score(_with_embedding(columns, sign), accuracies, order[:train], order[train:])
                for columns in (features, np.hstack([features, extra]))
            ]
            pairs.append(scores)
        without, together = np.array(pairs).T
        differences = together - without
        mean = float(differences.mean())
        low, high = mean_interval(mean, float(differences.std(ddof=1)), repeats)
        results[base] = Gain(without=float(without.mean()), gain=Interval(value=mean, low=low, high=high))
    return results


def _with_embedding(features: NDArray[np.float64], sign: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features and their interactions with the embedding, on which most effects depend."""
    return np.hstack([sign, features, sign * features])


def _score(
    features: NDArray[np.float64], accuracies: NDArray[np.float64], train: NDArray[np.int64], rest: NDArray[np.int64]
) -> float:
    """Return the rank correlation on the rest of a ridge regression, whose penalty is selected by leave-one-out errors."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    model.fit(features[train], accuracies[train])
    return spearman(model.predict(features[rest]), accuracies[rest])
