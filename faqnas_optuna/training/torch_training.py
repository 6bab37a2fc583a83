"""Training by PyTorch: the reference that the fast engine is held against, and what `--engine pennylane` runs."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import Scores, most_likely
from faqnas_optuna.training.training import Fitted, TrainingResult, check_loss

PREDICTION_BATCH = 1_000
"""Samples predicted at a time: bounds the memory of a ten-qubit state to a few tens of megabytes."""


def use_one_thread() -> None:
    """Keep torch to one thread: workers are processes, and several threads each would only get in each other's way."""
    torch.set_num_threads(1)


def perceptron(layout: Layout, *, activated: bool, generator: np.random.Generator) -> nn.Module:
    """A network without a circuit: Linear, then tanh if it is `activated`, Linear, log-softmax.

    Args:
        layout: its sizes, with `n_qubits` for the width between the layers and no angles.
        generator: of the initial parameters.
    """
    model = nn.Sequential(
        # Its own initial values would come from torch's global randomness.
        nn.utils.skip_init(nn.Linear, layout.n_features, layout.n_qubits),
        nn.Tanh() if activated else nn.Identity(),
        nn.utils.skip_init(nn.Linear, layout.n_qubits, layout.n_classes),
        nn.LogSoftmax(dim=1),
    )
    nn.utils.vector_to_parameters(torch.from_numpy(layout.draw(generator)), model.parameters())
    return model


def train(
    model: nn.Module,
    splits: DataSplits,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    validate_epochs: bool = False,
) -> TrainingResult:
    """Train as `fit` does, then validate.

    Args:
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        validate_epochs: validate after each epoch, not only after the last.

    Raises:
        TrainingError: the loss is not finite.
    """
    validated: list[Scores] = []

    def validate(epoch: int) -> None:
        if validate_epochs or epoch == config.epochs:
            validated.append(scores(model, splits.validation))

    fitted = fit(model, splits.train, config, generator=generator, on_epoch=validate)
    return TrainingResult.of(fitted, validated, every_epoch=validate_epochs)


def fit(
    model: nn.Module,
    part: Split,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    on_epoch: Callable[[int], None] | None = None,
) -> Fitted:
    """Train with Adam on the negative log-likelihood of one part, in shuffled batches, and look at no other.

    Args:
        model: gives log-probabilities (batch, classes); trained in place.
        config: epochs, learning rate and batch size.
        generator: the order of the samples.
        on_epoch: called after each epoch with its number, from 1.

    Raises:
        TrainingError: the loss is not finite.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    losses: list[float] = []
    for epoch in range(1, config.epochs + 1):
        loss = _epoch(model, part, torch.from_numpy(generator.permutation(len(part))), config, optimiser)
        check_loss(loss, epoch, config)
        losses.append(loss)
        if on_epoch:
            on_epoch(epoch)
    return Fitted(
        parameters=nn.utils.parameters_to_vector(model.parameters()).detach().numpy(),
        losses=tuple(losses),
        steps=config.epochs * math.ceil(len(part) / config.batch_size),
    )


def _epoch(
    model: nn.Module, part: Split, order: torch.Tensor, config: TrainingConfig, optimiser: torch.optim.Optimizer
) -> float:
    """Train on every sample once; the mean of the batches' losses."""
    model.train()
    x, y = torch.from_numpy(part.x), torch.from_numpy(part.y)
    losses = []
    for batch in order.split(config.batch_size):
        optimiser.zero_grad()
        loss = nn.functional.nll_loss(model(x[batch]), y[batch])
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()


def scores(model: nn.Module, split: Split) -> Scores:
    """What telling the most likely class of each sample is worth."""
    return Scores.of(split.y, predict(model, split))


def predict(model: nn.Module, split: Split) -> NDArray[np.int64]:
    """The most likely class of each sample."""
    model.eval()
    with torch.no_grad():
        batches = torch.from_numpy(split.x).split(PREDICTION_BATCH)
        return most_likely(torch.cat([model(batch) for batch in batches]).numpy())
