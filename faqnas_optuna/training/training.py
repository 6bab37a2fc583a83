"""Training of a network on the fast engine, within a budget. It needs numpy and the kernels, but no torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.engine.fused import train_epoch
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.layers import make_optimiser
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import expectations, make_workspace
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import Scores, most_likely


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """Result of the optimisation."""

    parameters: NDArray[np.float32]
    """(P,) parameters after the last step, in the order of `Layout`."""
    losses: tuple[float, ...]
    """Mean negative log-likelihood over the batches of each epoch."""
    steps: int
    """Number of optimiser steps."""

    @property
    def loss(self) -> float:
        """Loss of the last epoch."""
        return self.losses[-1]


@dataclass(frozen=True, kw_only=True)
class TrainingResult(FitResult):
    """Result of a training: that of the optimisation, and scores on the validation part."""

    validation: Scores
    """Scores on the validation part after the last epoch."""
    validation_accuracies: tuple[float, ...]
    """Accuracy on the validation part after each epoch; empty unless requested."""

    @classmethod
    def of(cls, result: FitResult, validation_scores: Sequence[Scores], *, every_epoch: bool) -> Self:
        """Return the result of a training.

        Args:
            validation_scores: Scores after some epochs, at least the last.
            every_epoch: Include the accuracy after each epoch.
        """
        return cls(
            **vars(result),
            validation=validation_scores[-1],
            validation_accuracies=tuple(scores.accuracy for scores in validation_scores) if every_epoch else (),
        )


def train(
    circuit: Circuit,
    splits: DataSplits,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    layers: tuple[Layer, ...] | None = None,
    validate_epochs: bool = False,
) -> TrainingResult:
    """Train on the training part (see `fit`) and validate on the validation part. The test part is not used.

    Args:
        config: Epochs, learning rate and batch size.
        generator: Randomness of the initial parameters, then of the order of the samples in each epoch.
        layers: Layers that are applied (see `compile_circuit`); None for the whole circuit.
        validate_epochs: Validate after each epoch, not only after the last.

    Raises:
        TrainingError: The loss is not finite.
    """
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes, layers=layers)
    validation_scores: list[Scores] = []

    def validate(epoch: int, parameters: Array) -> None:
        # Validation can take as long as an epoch, so it is skipped where nobody reads the result.
        if validate_epochs or epoch == config.epochs:
            validation_scores.append(scores(circuit, layout, parameters, splits.validation, layers))

    result = fit(
        circuit, splits.train, config, n_classes=splits.n_classes, generator=generator, layers=layers, on_epoch=validate
    )
    return TrainingResult.of(result, validation_scores, every_epoch=validate_epochs)


def fit(
    circuit: Circuit,
    part: Split,
    config: TrainingConfig,
    *,
    n_classes: int,
    generator: np.random.Generator,
    layers: tuple[Layer, ...] | None = None,
    on_epoch: Callable[[int, Array], None] | None = None,
) -> FitResult:
    """Train on one part with Adam, in shuffled batches, on the negative log-likelihood.

    The loss of a batch is the mean over its samples, weighted by the weights of the part: Σ w ℓ / Σ w.

    Args:
        config: Epochs, learning rate and batch size.
        n_classes: Number of classes, including any that the part lacks.
        generator: Randomness of the initial parameters, then of the order of the samples in each epoch.
        layers: Layers that are applied (see `compile_circuit`); None for the whole circuit.
        on_epoch: Called after each epoch with its number, from 1, and the current parameters (P,).

    Raises:
        TrainingError: The loss is not finite.
    """
    layout = Layout.of(circuit, n_features=part.x.shape[1], n_classes=n_classes, layers=layers)
    optimiser = make_optimiser(layout.draw(generator))
    n_samples = len(part)
    batch_size = min(config.batch_size, n_samples)
    program = compile_circuit(circuit, layers)
    workspace = make_workspace(program, batch_size, part.x.dtype)
    steps_per_epoch = math.ceil(n_samples / batch_size)
    rate = config.learning_rate
    # Left out and not None: another type of argument would be another kernel.
    weights = () if part.weights is None else (part.weights,)
    losses = []
    for epoch in range(1, config.epochs + 1):
        order = generator.permutation(n_samples)
        # Adam's bias correction depends on the number of all steps so far.
        steps = (epoch - 1) * steps_per_epoch
        loss = train_epoch(part.x, part.y, order, batch_size, program, workspace, optimiser, steps, rate, n_classes, *weights)
        check_loss(loss, epoch, config)
        losses.append(loss)
        if on_epoch:
            on_epoch(epoch, optimiser.parameters)
    return FitResult(parameters=optimiser.parameters, losses=tuple(losses), steps=config.epochs * steps_per_epoch)


def scores(
    circuit: Circuit, layout: Layout, parameters: Array, split: Split, layers: tuple[Layer, ...] | None = None
) -> Scores:
    """Return the scores of a network's predictions on a split."""
    return Scores.of(split.y, most_likely(predict(circuit, layout, parameters, split.x, layers)))


def predict(circuit: Circuit, layout: Layout, parameters: Array, x: Array, layers: tuple[Layer, ...] | None = None) -> Array:
    """Return the scores before the softmax, (samples, classes) in float64, for samples (samples, features).

    Up to the last bits of a double, the scores of a sample do not depend on the other samples.
    """
    return predict_by(partial(expectations, circuit=circuit, layers=layers), layout, parameters, x)


def predict_by(measure: Callable[[Array, Array], Array], layout: Layout, parameters: Array, x: Array) -> Array:
    """Return the scores of `predict`, with the circuit simulated by `measure`.

    Args:
        measure: Returns ⟨Z⟩ of every wire, (samples, n), for the circuit's inputs (samples, n) and its angles.
        parameters: (P,).
    """
    parts = layout.parts(parameters)
    # The order of the sums in a matrix product depends on its size. In double precision the difference is negligible; in
    # single precision a prediction could depend on the other samples.
    inputs = x.astype(np.float64) @ parts.encoder_weights.T + parts.encoder_bias
    measured = measure(inputs.astype(x.dtype), parts.angles)
    scores: Array = measured.astype(np.float64) @ parts.classifier_weights.T + parts.classifier_bias
    return scores


def check_loss(loss: float, epoch: int, config: TrainingConfig) -> None:
    """Raise TrainingError if the loss of an epoch is not finite."""
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {epoch} of {config.epochs}; try a lower learning rate")
