"""Training by PyTorch: the reference that the fast engine is held against, and what `--engine pennylane` runs."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.learning.parameters import Layout
from faqnas_optuna.learning.training import TrainingResult, check_loss

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
    """Train with Adam on the negative log-likelihood, in shuffled batches, then validate.

    Args:
        model: gives log-probabilities (batch, classes); trained in place.
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        generator: the order of the samples.
        validate_epochs: validate after each epoch, not only after the last.

    Raises:
        TrainingError: the loss is not finite.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    losses: list[float] = []
    accuracies: list[float] = []
    for epoch in range(1, config.epochs + 1):
        loss = _epoch(model, splits.train, torch.from_numpy(generator.permutation(len(splits.train))), config, optimiser)
        check_loss(loss, epoch, config)
        losses.append(loss)
        if validate_epochs or epoch == config.epochs:
            accuracies.append(accuracy(model, splits.validation))
    return TrainingResult(
        parameters=nn.utils.parameters_to_vector(model.parameters()).detach().numpy(),
        validation_accuracy=accuracies[-1],
        losses=tuple(losses),
        validation_accuracies=tuple(accuracies) if validate_epochs else (),
        steps=config.epochs * math.ceil(len(splits.train) / config.batch_size),
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


def accuracy(model: nn.Module, split: Split) -> float:
    """Share of the samples whose most likely class is the right one."""
    return int((predict(model, split) == split.y).sum()) / len(split)


def predict(model: nn.Module, split: Split) -> NDArray[np.int64]:
    """The most likely class of each sample."""
    model.eval()
    with torch.no_grad():
        batches = torch.from_numpy(split.x).split(PREDICTION_BATCH)
        return torch.cat([model(batch).argmax(dim=1) for batch in batches]).numpy()
