"""Training a network within a budget, on the fast engine: numpy and the kernels, nothing else."""

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
from faqnas_optuna.engine.fused import make_optimiser, train_epoch
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import expectations, make_workspace
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import Scores, most_likely


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What the optimiser came to."""

    parameters: NDArray[np.float32]
    """(P,) after the last step, in the order of `Layout`."""
    losses: tuple[float, ...]
    """Mean negative log-likelihood over the batches of each epoch."""
    steps: int
    """Optimiser steps taken."""

    @property
    def loss(self) -> float:
        """That of the last epoch."""
        return self.losses[-1]


@dataclass(frozen=True, kw_only=True)
class TrainingResult(Fitted):
    """What one training came to."""

    validation: Scores
    """Scores on the validation part after the last epoch."""
    validation_accuracies: tuple[float, ...]
    """Accuracy on the validation part after each epoch, if it was asked for; else none."""

    @classmethod
    def of(cls, fitted: Fitted, validated: Sequence[Scores], *, every_epoch: bool) -> Self:
        """What the optimiser came to, with what the validation part has shown, of the last epoch last.

        Args:
            every_epoch: whether that is to be kept of each.
        """
        return cls(
            **vars(fitted),
            validation=validated[-1],
            validation_accuracies=tuple(scores.accuracy for scores in validated) if every_epoch else (),
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
    """Train as `fit` does, then validate.

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
    validated: list[Scores] = []

    def validate(epoch: int, parameters: Array) -> None:
        if validate_epochs or epoch == config.epochs:
            validated.append(scores(circuit, layout, parameters, splits.validation, layers))

    fitted = fit(
        circuit, splits.train, config, n_classes=splits.n_classes, generator=generator, layers=layers, on_epoch=validate
    )
    return TrainingResult.of(fitted, validated, every_epoch=validate_epochs)


def fit(
    circuit: Circuit,
    part: Split,
    config: TrainingConfig,
    *,
    n_classes: int,
    generator: np.random.Generator,
    layers: tuple[Layer, ...] | None = None,
    on_epoch: Callable[[int, Array], None] | None = None,
) -> Fitted:
    """Train with Adam on the negative log-likelihood of one part, in shuffled batches, and look at no other.

    Args:
        n_classes: classes there are, also if the part lacks one.
        on_epoch: called after each epoch with its number, from 1, and the parameters (P,) as they are then.

    The others as `train` has them, which raises the same.
    """
    layout = Layout.of(circuit, n_features=part.x.shape[1], n_classes=n_classes, layers=layers)
    optimiser, samples = make_optimiser(layout.draw(generator)), len(part)
    batch_size = min(config.batch_size, samples)
    program = compile_circuit(circuit, layers)
    workspace = make_workspace(program, batch_size, part.x.dtype)
    steps_an_epoch, losses = math.ceil(samples / batch_size), []
    for epoch in range(1, config.epochs + 1):
        order, steps = generator.permutation(samples), (epoch - 1) * steps_an_epoch
        rate = config.learning_rate
        loss = train_epoch(part.x, part.y, order, batch_size, program, workspace, optimiser, steps, rate, n_classes)
        check_loss(loss, epoch, config)
        losses.append(loss)
        if on_epoch:
            on_epoch(epoch, optimiser.parameters)
    return Fitted(parameters=optimiser.parameters, losses=tuple(losses), steps=config.epochs * steps_an_epoch)


def scores(
    circuit: Circuit, layout: Layout, parameters: Array, split: Split, layers: tuple[Layer, ...] | None = None
) -> Scores:
    """What telling the most likely class of each sample is worth."""
    return Scores.of(split.y, most_likely(predict(circuit, layout, parameters, split.x, layers)))


def predict(circuit: Circuit, layout: Layout, parameters: Array, x: Array, layers: tuple[Layer, ...] | None = None) -> Array:
    """Scores (samples, classes), float64, of samples (samples, features), before the softmax; parameters (P,).

    They are the same, but for the last bits of a double, whatever other samples are beside a sample: how a matrix product is
    summed depends on its size, which single precision would show.
    """
    return predict_by(partial(expectations, circuit=circuit, layers=layers), layout, parameters, x)


def predict_by(measure: Callable[[Array, Array], Array], layout: Layout, parameters: Array, x: Array) -> Array:
    """The same by whatever gives ⟨Z⟩ of every wire (samples, n) for the circuit's inputs (samples, n) and its angles."""
    parts = layout.parts(parameters)
    inputs = x.astype(np.float64) @ parts.encoder_weights.T + parts.encoder_bias
    measured = measure(inputs.astype(x.dtype), parts.angles)
    scores: Array = measured.astype(np.float64) @ parts.classifier_weights.T + parts.classifier_bias
    return scores


def check_loss(loss: float, epoch: int, config: TrainingConfig) -> None:
    """Raises:
    TrainingError: the loss of an epoch is not finite.
    """
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in epoch {epoch} of {config.epochs}; try a lower learning rate")
