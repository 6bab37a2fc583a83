"""Predictions of a trained network whose circuit is noisy and whose ⟨Z⟩ are estimated from a number of shots."""

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

SHOTS_STREAM = 4
"""Last word of the seeds of shots, which keeps them apart from other seeds of a study."""
MAX_SAMPLES = 100
"""Maximum number of samples of the test part that are simulated."""

Simulate = Callable[[NoisyProgram, NDArray[np.float64], NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Network:
    """Trained network."""

    circuit: Circuit
    parameters: NDArray[np.float32]
    """(P,) parameters in the order of `Layout`."""
    n_classes: int


def simulator(engine: Engine) -> Simulate:
    """Return the function that computes the probabilities of a program on an engine: numpy, or PennyLane's `default.mixed`."""
    if engine is Engine.FAST:
        return simulated
    from faqnas_optuna.noise.reference import probabilities

    return probabilities


def noisy_samples(part: Split, *, seed: int) -> Split:
    """Return all samples of a part, or `MAX_SAMPLES` of them, the same for every call with this part and seed."""
    if len(part) <= MAX_SAMPLES:
        return part
    rows = np.sort(np.random.default_rng([seed, SHOTS_STREAM]).permutation(len(part))[:MAX_SAMPLES])
    return Split(x=part.x[rows], y=part.y[rows])


def constant_score(train: Split, part: Split, score: Score) -> float:
    """Return the score, on `part`, of always predicting the most frequent class of the training part."""
    majority = np.bincount(train.y).argmax()
    return Scores.of(part.y, np.full_like(part.y, majority)).by(score)


def predict_noisy(
    network: Network,
    program: NoisyProgram,
    x: NDArray[np.float32],
    *,
    shots: int | None,
    generator: np.random.Generator,
    simulate: Simulate = simulated,
) -> NDArray[np.int64]:
    """Return the predicted class of each sample, (samples,).

    Args:
        program: Program of the network's circuit, from `Noise.program`.
        x: (samples, features).
        shots: Number of shots per sample, each of which reads all wires; None for exact ⟨Z⟩.
        generator: Randomness of the outcomes.
    """
    layout = Layout.of(network.circuit, n_features=x.shape[1], n_classes=network.n_classes)
    parts = layout.parts(network.parameters)
    # The linear layers are computed in the same way as without noise, in `training.predict_by`.
    inputs = (x.astype(np.float64) @ parts.encoder_weights.T + parts.encoder_bias).astype(x.dtype)
    angles = np.array([preparation_angles(network.circuit, row) for row in inputs])
    shares = simulate(program, angles, parts.angles)
    if shots is not None:
        shares = generator.multinomial(shots, shares) / shots
    return most_likely(expectations(shares) @ parts.classifier_weights.T + parts.classifier_bias)


def shots_generator(seed: int, numbers: Sequence[int]) -> np.random.Generator:
    """Return the random generator of the shots, from the study's seed and the numbers of the network and the noise factor."""
    # numpy treats [a, b] and [a, b, 0] as the same seed, so the last word must not be zero.
    return np.random.default_rng([seed, *numbers, SHOTS_STREAM])
