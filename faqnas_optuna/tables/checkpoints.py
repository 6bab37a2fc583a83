"""One training, looked at after some of its epochs.

Adam has a constant rate here: a training of 50 epochs goes through what a training of 5 ends with, bit for bit.
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
"""The epochs after which a network is looked at, as far as it is trained, beside the last."""


def checkpoints(epochs: int) -> tuple[int, ...]:
    """Those of a training of so many epochs."""
    return tuple(sorted({epoch for epoch in CHECKPOINTS if epoch < epochs} | {epochs}))


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What a training has shown; the parts are training, validation, test."""

    right: NDArray[np.uint32]
    """(checkpoints, 3) samples of each part that are told right."""
    loss: NDArray[np.float32]
    """(checkpoints, 3) mean negative log-likelihood of each part."""
    seconds: float


def train_to_checkpoints(circuit: Circuit, splits: DataSplits, config: TrainingConfig, *, seed: int) -> Checkpoints:
    """Train an effective circuit as a search with this seed does in its first repeat.

    Raises:
        TrainingError: it diverged.
    """
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    looked_at, parts = checkpoints(config.epochs), (splits.train, splits.validation, splits.test)
    right, loss = np.empty((len(looked_at), 3), np.uint32), np.empty((len(looked_at), 3), np.float32)

    def look(epoch: int, parameters: Array) -> None:
        if epoch in looked_at:
            row = looked_at.index(epoch)
            right[row], loss[row] = _judge(circuit, layout, parameters, parts)

    started, generator = time.perf_counter(), training_generator(seed, circuit, 0)
    try:
        fit(circuit, splits.train, config, n_classes=splits.n_classes, generator=generator, on_epoch=look)
    except TrainingError as error:
        raise TrainingError(f"{circuit}, from seed {seed}: {error}") from error
    return Checkpoints(right=right, loss=loss, seconds=time.perf_counter() - started)


def _judge(
    circuit: Circuit, layout: Layout, parameters: Array, parts: tuple[Split, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Right answers and mean negative log-likelihood of each part, both (parts,)."""
    # Part by part, as a search validates: another number of rows might sum in another order.
    scores = np.concatenate([predict(circuit, layout, parameters, part.x) for part in parts])
    labels = np.concatenate([part.y for part in parts])
    sizes = [len(part) for part in parts]
    begin = np.cumsum([0, *sizes[:-1]])
    right = (most_likely(scores) == labels).astype(np.int64)
    scores -= scores.max(axis=1, keepdims=True)
    lost = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
    return np.add.reduceat(right, begin), np.add.reduceat(lost, begin) / sizes
