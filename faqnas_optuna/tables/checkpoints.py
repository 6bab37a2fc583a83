"""Training of a circuit with its results after several numbers of epochs.

One training serves all numbers of epochs: the learning rate is constant, so a training of 50 epochs passes, bit for bit,
through the final state of a training of 5 epochs.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.evaluation import training_generator
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import most_likely
from faqnas_optuna.training.training import fit, predict

CHECKPOINTS = (1, 2, 5, 10, 20, 50)
"""Epochs after which a network is evaluated, apart from the last."""


def checkpoints(epochs: int) -> tuple[int, ...]:
    """Return the checkpoints of a training, given its number of epochs.

    >>> checkpoints(7)
    (1, 2, 5, 7)
    """
    return tuple(sorted({epoch for epoch in CHECKPOINTS if epoch < epochs} | {epochs}))


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Results of a training at its checkpoints, on the training, validation and test parts."""

    right: NDArray[np.uint32]
    """Number of correct predictions on each part, of shape (checkpoints, 3)."""
    loss: NDArray[np.float32]
    """Mean negative log-likelihood on each part, of shape (checkpoints, 3)."""
    seconds: float
    """Duration of the training, with the evaluations."""


def train_to_checkpoints(circuit: Circuit, splits: DataSplits, config: TrainingConfig, *, seed: int) -> Checkpoints:
    """Train an effective circuit as the first training of a search with this seed.

    Raises:
        TrainingError: The training diverged.
    """
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    epochs = checkpoints(config.epochs)
    parts = (splits.train, splits.validation, splits.test)
    right = np.empty((len(epochs), 3), np.uint32)
    loss = np.empty((len(epochs), 3), np.float32)

    def evaluate(epoch: int, parameters: Array) -> None:
        if epoch in epochs:
            row = epochs.index(epoch)
            right[row], loss[row] = _evaluate(circuit, layout, parameters, parts)

    start = time.perf_counter()
    # The generator of repeat 0, so that a table answers what a search with one repeat would have measured.
    generator = training_generator(seed, circuit, 0)
    try:
        fit(circuit, splits.train, config, n_classes=splits.n_classes, generator=generator, on_epoch=evaluate)
    # Among thousands of trainings the error must say which one diverged.
    except TrainingError as error:
        raise TrainingError(f"{circuit}, from seed {seed}: {error}") from error
    return Checkpoints(right=right, loss=loss, seconds=time.perf_counter() - start)


def _evaluate(
    circuit: Circuit, layout: Layout, parameters: Array, parts: tuple[Split, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the correct predictions and the mean negative log-likelihood on each part, both of shape (parts,)."""
    # Each part is predicted on its own, as in a search: with another number of rows sums might be rounded differently.
    scores = np.concatenate([predict(circuit, layout, parameters, part.x) for part in parts])
    labels = np.concatenate([part.y for part in parts])
    sizes = [len(part) for part in parts]
    starts = np.cumsum([0, *sizes[:-1]])
    right = (most_likely(scores) == labels).astype(np.int64)
    # Subtracting the maximum keeps the exponentials of the log-softmax from overflowing.
    scores -= scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
    return np.add.reduceat(right, starts), np.add.reduceat(losses, starts) / sizes
