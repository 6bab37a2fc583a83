"""Training by PyTorch: the reference that the fast engine is held against, and what `--engine pennylane` runs."""

import math

import numpy as np
import torch
from torch import nn

from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.learning.training import TrainingResult, check_loss

PREDICTION_BATCH = 1_000
"""Samples predicted at a time: bounds the memory of a ten-qubit state to a few tens of megabytes."""


def use_one_thread() -> None:
    """Keep torch to one thread: workers are processes, and several threads each would only get in each other's way."""
    torch.set_num_threads(1)


def train(model: nn.Module, splits: DataSplits, config: TrainingConfig, *, generator: np.random.Generator) -> TrainingResult:
    """Train with Adam on the negative log-likelihood, in shuffled batches, then validate.

    Args:
        model: gives log-probabilities (batch, classes); trained in place.
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        generator: the order of the samples.

    Raises:
        TrainingError: the loss is not finite.
    """
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    loss = math.nan
    for epoch in range(1, config.epochs + 1):
        loss = _epoch(model, splits.train, torch.from_numpy(generator.permutation(len(splits.train))), config, optimiser)
        check_loss(loss, epoch, config)
    return TrainingResult(
        parameters=nn.utils.parameters_to_vector(model.parameters()).detach().numpy(),
        validation_accuracy=accuracy(model, splits.validation),
        loss=loss,
        steps=config.epochs * math.ceil(len(splits.train) / config.batch_size),
    )


def _epoch(
    model: nn.Module, part: Split, order: torch.Tensor, config: TrainingConfig, optimiser: torch.optim.Optimizer
) -> float:
    """Train on every sample once; the mean of the batches' losses."""
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
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(split), PREDICTION_BATCH):
            rows = slice(start, start + PREDICTION_BATCH)
            predicted = model(torch.from_numpy(split.x[rows])).argmax(dim=1)
            right += int((predicted == torch.from_numpy(split.y[rows])).sum())
    return right / len(split)
