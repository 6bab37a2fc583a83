"""What a trained network is worth if its circuit runs with noise, and its ⟨Z⟩ are means over so many shots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.circuits.openqasm import preparation_angles
from faqnas_optuna.config import Engine, Score
from faqnas_optuna.data.splits import Split
from faqnas_optuna.noise.model import NoisyProgram
from faqnas_optuna.noise.simulation import expectations
from faqnas_optuna.noise.simulation import probabilities as simulated
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import Scores, most_likely

SHOTS = 4
"""Names the stream of seeds."""
MOST_SAMPLES = 100
"""So many samples of the test part are looked at, at most."""

Simulate = Callable[[NoisyProgram, NDArray[np.float64], NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A trained network."""

    circuit: Circuit
    parameters: NDArray[np.float32]
    """(P,) in the order of `Layout`."""
    n_classes: int


def simulator(engine: Engine) -> Simulate:
    """What gives the probabilities of a program: ours, or PennyLane's `default.mixed`, which is its definition."""
    if engine is Engine.FAST:
        return simulated
    from faqnas_optuna.noise.reference import probabilities

    return probabilities


def noisy_samples(part: Split, *, seed: int) -> Split:
    """The samples that are looked at, always the same of a part and a seed: all, or `MOST_SAMPLES` of them."""
    if len(part) <= MOST_SAMPLES:
        return part
    chosen = np.sort(np.random.default_rng([seed, SHOTS]).permutation(len(part))[:MOST_SAMPLES])
    return Split(x=part.x[chosen], y=part.y[chosen])


def constant_score(train: Split, part: Split, score: Score) -> float:
    """What a network is worth on a part that always tells the class of which the training part has most."""
    most = np.bincount(train.y).argmax()
    return Scores.of(part.y, np.full_like(part.y, most)).by(score)


def predict_noisy(
    network: Network,
    program: NoisyProgram,
    x: NDArray[np.float32],
    *,
    shots: int | None,
    generator: np.random.Generator,
    simulate: Simulate = simulated,
) -> NDArray[np.int64]:
    """The class (samples,) that the network tells of samples (samples, features).

    Args:
        program: of the network's circuit, as a `Noise` makes it.
        shots: of each sample, in which all wires are read together; None for the exact ⟨Z⟩.
        generator: of the outcomes.
    """
    layout = Layout.of(network.circuit, n_features=x.shape[1], n_classes=network.n_classes)
    parts = layout.parts(network.parameters)
    # As they are without noise: `training.predict`.
    inputs = (x.astype(np.float64) @ parts.encoder_weights.T + parts.encoder_bias).astype(x.dtype)
    angles = np.array([preparation_angles(network.circuit, row) for row in inputs])
    read = simulate(program, angles, parts.angles)
    if shots is not None:
        read = generator.multinomial(shots, read) / shots
    return most_likely(expectations(read) @ parts.classifier_weights.T + parts.classifier_bias)


def shots_generator(seed: int, numbers: Sequence[int]) -> np.random.Generator:
    """The randomness of the shots, from the study's seed and what tells the networks and strengths apart.

    numpy takes [a, b] and [a, b, 0] for one seed: the last word must not be zero.
    """
    return np.random.default_rng([seed, *numbers, SHOTS])
