"""Training a network within a budget, on the fast engine: numpy and the kernels, nothing else."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import Layer
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
    losses: tuple[float, ...]
    """Mean negative log-likelihood over the batches of each epoch."""
    validation_accuracies: tuple[float, ...]
    """`validation_accuracy` after each epoch, if they were asked for; else none."""
    steps: int
    """Optimiser steps taken."""

    @property
    def loss(self) -> float:
        """That of the last epoch."""
        return self.losses[-1]


def train(
    circuit: Circuit,
    splits: DataSplits,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    layers: tuple[Layer, ...] | None = None,
    validate_epochs: bool = False,
) -> TrainingResult:
    """Train with Adam on the negative log-likelihood, in shuffled batches, then validate.

    Args:
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        generator: of the initial parameters, then of the order of the samples in each epoch.
        layers: to be applied instead of all of the circuit's own, as `compile_circuit` takes them.
        validate_epochs: validate after each epoch, not only after the last.

    Raises:
        TrainingError: the loss is not finite.
    """
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes, layers=layers)
    optimiser = make_optimiser(layout.draw(generator))
    part, samples = splits.train, len(splits.train)
    batch_size = min(config.batch_size, samples)
    program = compile_circuit(circuit, layers)
    workspace = make_workspace(program, batch_size, part.x.dtype)
    losses: list[float] = []
    accuracies: list[float] = []
    steps = 0
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
        losses.append(loss)
        if validate_epochs or epoch == config.epochs:
            accuracies.append(accuracy(circuit, layout, optimiser.parameters, splits.validation, layers))
    return TrainingResult(
        parameters=optimiser.parameters,
        validation_accuracy=accuracies[-1],
        losses=tuple(losses),
        validation_accuracies=tuple(accuracies) if validate_epochs else (),
        steps=steps,
    )


def accuracy(
    circuit: Circuit, layout: Layout, parameters: Array, split: Split, layers: tuple[Layer, ...] | None = None
) -> float:
    """Share of the samples whose most likely class is the right one."""
    scores = predict(circuit, layout, parameters, split.x, layers)
    return int((scores.argmax(axis=1) == split.y).sum()) / len(split)


def predict(circuit: Circuit, layout: Layout, parameters: Array, x: Array, layers: tuple[Layer, ...] | None = None) -> Array:
    """Scores (samples, classes) of samples (samples, features), before the softmax; parameters (P,)."""
    parts = layout.parts(parameters)
    measured = expectations(x @ parts.encoder_weights.T + parts.encoder_bias, parts.angles, circuit, layers)
    return measured @ parts.classifier_weights.T + parts.classifier_bias


def check_loss(loss: float, epoch: int, config: TrainingConfig) -> None:
    """Raises:
    TrainingError: the loss of an epoch is not finite.
    """
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {epoch} of {config.epochs}; try a lower learning rate")
