"""Training a network within a budget, on the fast engine: numpy and the kernels, nothing else."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.engine.fused import make_optimiser, train_epoch
from faqnas_optuna.engine.gates import Array
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import expectations, make_workspace
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.learning.parameters import Layout


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What one training came to."""

    parameters: NDArray[np.float32]
    """(P,) after the last step, in the order of `Layout`."""
    validation_accuracy: float
    """Share of the validation part that is told right, after the last epoch."""
    loss: float
    """Mean negative log-likelihood over the last epoch's batches."""
    steps: int
    """Optimiser steps taken."""


def train(circuit: Circuit, splits: DataSplits, config: TrainingConfig, *, generator: np.random.Generator) -> TrainingResult:
    """Train with Adam on the negative log-likelihood, in shuffled batches, then validate.

    Args:
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        generator: of the initial parameters, then of the order of the samples in each epoch.

    Raises:
        TrainingError: the loss is not finite.
    """
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    optimiser = make_optimiser(layout.draw(generator))
    part, samples = splits.train, len(splits.train)
    batch_size = min(config.batch_size, samples)
    program = compile_circuit(circuit)
    workspace = make_workspace(program, batch_size, part.x.dtype)
    loss, steps = math.nan, 0
    for epoch in range(1, config.epochs + 1):
        order = generator.permutation(samples)
        loss = train_epoch(
            part.x,
            part.y,
            order,
            batch_size,
            program,
            workspace,
            optimiser,
            steps,
            config.learning_rate,
            splits.n_classes,
        )
        steps += math.ceil(samples / batch_size)
        check_loss(loss, epoch, config)
    return TrainingResult(
        parameters=optimiser.parameters,
        validation_accuracy=accuracy(circuit, layout, optimiser.parameters, splits.validation),
        loss=loss,
        steps=steps,
    )


def accuracy(circuit: Circuit, layout: Layout, parameters: Array, split: Split) -> float:
    """Share of the samples whose most likely class is the right one."""
    scores = predict(circuit, layout, parameters, split.x)
    return int((scores.argmax(axis=1) == split.y).sum()) / len(split)


def predict(circuit: Circuit, layout: Layout, parameters: Array, x: Array) -> Array:
    """Scores (samples, classes) of samples (samples, features), before the softmax; parameters (P,)."""
    parts = layout.parts(parameters)
    measured = expectations(x @ parts.encoder_weights.T + parts.encoder_bias, parts.angles, circuit)
    return measured @ parts.classifier_weights.T + parts.classifier_bias


def check_loss(loss: float, epoch: int, config: TrainingConfig) -> None:
    """Raises:
    TrainingError: the loss of an epoch is not finite.
    """
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {epoch} of {config.epochs}; try a lower learning rate")
