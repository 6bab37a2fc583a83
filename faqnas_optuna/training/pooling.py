"""Error estimates that pool the trainings of all circuits of a study.

If the variance between random seeds is large, the best observed circuit is mostly the luckiest one. Circuits share gates,
however, and the effect of a gate shows in all circuits that have it. A linear model of the gates, fitted to all trainings,
averages the seed variance out. It is a Bayesian ridge regression whose two variances, of the effects and of the noise, maximise
the evidence (MacKay 1992, DOI 10.1162/neco.1992.4.3.415).
"""

import math
import sys
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS
from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import MAX_DEPTH, Circuit, Embedding, Entangler, Rotation, Topology

RATIOS = np.geomspace(1, 3000, 25)
"""Candidate ratios of the noise variance to the variance of an effect, for features with a standard deviation of 1."""
MEAN_QUBITS = 6
"""Mean number of qubits in the paper's space."""
QUBITS_DEVIATION = 2.6
"""Standard deviation of the number of qubits in the paper's space."""


def pooled_errors(circuits: Sequence[Circuit], errors: Sequence[float], trainings: Sequence[int]) -> NDArray[np.float64]:
    """Return the error of each circuit, (circuits,) within 0 and 1, estimated by the model that is fitted to all of them.

    Args:
        circuits: Distinct circuits.
        errors: Mean error over the trainings of each circuit.
        trainings: Number of trainings of each circuit.
    """
    y = np.asarray(errors, np.float64)
    # The variance of a mean is inversely proportional to the number of trainings. Multiplying rows by its root gives all rows
    # equal noise.
    weights = np.sqrt(np.asarray(trainings, np.float64))
    mean = np.average(y, weights=weights**2)
    features = np.array([_features(circuit) for circuit in circuits])
    features = features - np.average(features, axis=0, weights=weights**2)
    deviations = features.std(axis=0)
    # A feature that is equal in all circuits carries no information.
    varies = deviations > 1e-9
    scaled = weights[:, np.newaxis] * features[:, varies] / deviations[varies]
    # In the coordinates of the singular vectors, ridge regression shrinks each component separately.
    directions, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    target = weights * (y - mean)
    components = directions.T @ target
    residual = max(float(target @ target - components @ components), 0.0)
    ratio = min(RATIOS, key=lambda candidate: _deviance(singular, components, residual, candidate, len(y)))
    fit = directions @ (components * singular**2 / (singular**2 + ratio))
    # A linear model can leave the range of an error.
    pooled: NDArray[np.float64] = np.clip(mean + fit / weights, 0, 1)
    return pooled


def _deviance(
    singular: NDArray[np.float64], components: NDArray[np.float64], residual: float, ratio: float, count: int
) -> float:
    """Return -2 ln of the evidence for a ratio of variances, at the best noise variance for it, up to a constant."""
    variances = singular**2 / ratio + 1
    total = float((components**2 / variances).sum()) + residual
    # `total` is 0 if the model is exact, where the logarithm does not exist.
    return count * math.log(max(total, sys.float_info.min)) + float(np.log(variances).sum())


@cache
def _features(circuit: Circuit) -> NDArray[np.float64]:
    """Return the effective gates of a circuit as numbers: qubits, embedding, entangler, layers, rotations, some
    interactions."""
    gates = EffectiveGates(circuit=circuit)
    rotations = gates.effective_rotations
    qubits = (circuit.n_qubits - MEAN_QUBITS) / QUBITS_DEVIATION
    entangler = circuit.entangler if gates.is_entangled else None
    layers = [float(len(rotations) == count) for count in range(MAX_DEPTH + 1)]
    entanglers = [float(entangler == kind) for kind in (None, *Entangler)]
    first = [float(bool(rotations) and rotations[0] is rotation) for rotation in Rotation]
    last = [float(bool(rotations) and rotations[-1] is rotation) for rotation in Rotation]
    counts = [rotations.count(rotation) / 2 for rotation in Rotation]
    # The two embeddings of the paper's space are so different that most effects depend on the embedding.
    sign = 0.5 if circuit.embedding is Embedding.AMPLITUDE else -0.5
    interactions = [sign * value for value in (1.0, qubits, *layers, *entanglers, *first)]
    circular = float(gates.is_entangled and circuit.topology is Topology.CIRCULAR)
    wider = [float(circuit.embedding is embedding) for embedding in Embedding if embedding not in PAPER_EMBEDDINGS]
    wider.append(float(circuit.reuploading))
    return np.array([qubits, qubits**2, circular, *layers, *entanglers, *first, *last, *counts, *interactions, *wider])
