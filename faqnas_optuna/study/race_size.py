"""Number of circuits and expected duration of a race."""

from collections import defaultdict
from math import prod
from statistics import fmean

import numpy as np

from faqnas_optuna.circuits.genome import ROTATION_GENES
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.state import SearchState

MAX_CIRCUITS = 50_000
"""Maximum number of circuits of a space that is raced as a whole."""
TRAININGS_PER_CIRCUIT = 16
"""Default budget of the first stage of a race, per circuit."""


def space_size(space: SpaceConfig) -> int:
    """Return the number of choices of the active genes of a space."""
    frame = prod(len(choices) for gene, choices in space.genes.items() if gene not in (*ROTATION_GENES, "depth"))
    return frame * sum(int(len(space.rotation) ** depth) for depth in space.depth)


def expected_seconds(state: SearchState, *, processes: int) -> float | None:
    """Return roughly how long the first stage of a race would take, by the trainings of a search.

    None if no training was timed, if the space is too large, or if limits leave an unknown number of circuits.
    """
    space = state.study.config.space
    size = space_size(space)
    seconds_by_qubits: defaultdict[int, list[float]] = defaultdict(list)
    # Trials that reused a result have no duration.
    for candidate in state.candidates:
        if candidate.record.seconds:
            seconds_by_qubits[candidate.genome.n_qubits].append(candidate.record.seconds)
    if size > MAX_CIRCUITS or state.study.config.limits.by_name or not seconds_by_qubits:
        return None
    # As many circuits of the space have each number of qubits. A search prefers the small ones, which train fastest.
    seconds = fmean(_expected(seconds_by_qubits, n_qubits) for n_qubits in space.n_qubits)
    return TRAININGS_PER_CIRCUIT * size * seconds / state.study.config.training.repeats / processes


def _expected(seconds_by_qubits: dict[int, list[float]], n_qubits: int) -> float:
    """Return the expected duration for a number of qubits, from the nearest number that has any, the larger of two."""
    nearest = min(seconds_by_qubits, key=lambda known: (abs(known - n_qubits), -known))
    # A further qubit doubles the state vector.
    # Trainings one after the other, as in a race, are about as fast as the fastest quarter of those between the database
    # transactions of a search.
    quartile = float(np.quantile(seconds_by_qubits[nearest], 0.25))
    return quartile * 2.0 ** max(n_qubits - nearest, 0)
