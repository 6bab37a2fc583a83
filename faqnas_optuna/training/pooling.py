"""What all trainings of a study say together of each circuit.

Where luck rules, the circuit that came out best is the luckiest. But circuits have gates in common, and what these do shows in
all circuits that have them: a linear model of the gates, fitted to all trainings, averages the luck out. It is a Bayesian ridge
regression whose two variances, of effects and of noise, are those that make the data most likely (MacKay 1992, DOI
10.1162/neco.1992.4.3.415).
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
"""Of the variance of the noise to that of an effect of one standard deviation: those that are tried."""
MIDDLE, SPREAD = 6, 2.6
"""Mean number of qubits, and their deviation."""


def pooled_errors(circuits: Sequence[Circuit], errors: Sequence[float], trainings: Sequence[int]) -> NDArray[np.float64]:
    """The error of each circuit as a model of their gates has it that is fitted to all of them, (circuits,) within 0 and 1.

    Args:
        circuits: each once.
        errors: the mean over the trainings of each.
        trainings: how many that are.
    """
    y, weights = np.asarray(errors, np.float64), np.sqrt(np.asarray(trainings, np.float64))
    mean = np.average(y, weights=weights**2)
    features = np.array([_features(circuit) for circuit in circuits])
    features = features - np.average(features, axis=0, weights=weights**2)
    deviations = features.std(axis=0)
    # What all circuits have in common tells nothing.
    telling = deviations > 1e-9
    scaled = weights[:, np.newaxis] * features[:, telling] / deviations[telling]
    directions, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    target = weights * (y - mean)
    along = directions.T @ target
    beside = max(float(target @ target - along @ along), 0.0)
    ratio = min(RATIOS, key=lambda one: _surprise(singular, along, beside, one, len(y)))
    fitted = directions @ (along * singular**2 / (singular**2 + ratio))
    pooled: NDArray[np.float64] = np.clip(mean + fitted / weights, 0, 1)
    return pooled


def _surprise(singular: NDArray[np.float64], along: NDArray[np.float64], beside: float, ratio: float, count: int) -> float:
    """−2 ln of the evidence for a ratio of variances, at the best noise for it, but for a constant."""
    spread = singular**2 / ratio + 1
    explained = float((along**2 / spread).sum()) + beside
    return count * math.log(max(explained, sys.float_info.min)) + float(np.log(spread).sum())


@cache
def _features(circuit: Circuit) -> NDArray[np.float64]:
    """What is live in a circuit, in numbers: qubits, embedding, entangler, layers and their rotations, some by embedding."""
    gates = EffectiveGates(circuit=circuit)
    rotations = gates.effective_rotations
    qubits = (circuit.n_qubits - MIDDLE) / SPREAD
    kind = circuit.entangler if gates.is_entangled else None
    layers = [float(len(rotations) == count) for count in range(MAX_DEPTH + 1)]
    kinds = [float(kind == one) for one in (None, *Entangler)]
    first = [float(bool(rotations) and rotations[0] is one) for one in Rotation]
    last = [float(bool(rotations) and rotations[-1] is one) for one in Rotation]
    counts = [rotations.count(one) / 2 for one in Rotation]
    sign = 0.5 if circuit.embedding is Embedding.AMPLITUDE else -0.5
    crossed = [sign * value for value in (1.0, qubits, *layers, *kinds, *first)]
    circular = float(gates.is_entangled and circuit.topology is Topology.CIRCULAR)
    wider = [float(circuit.embedding is one) for one in Embedding if one not in PAPER_EMBEDDINGS]
    wider.append(float(circuit.reuploading))
    return np.array([qubits, qubits**2, circular, *layers, *kinds, *first, *last, *counts, *crossed, *wider])
