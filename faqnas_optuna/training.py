"""Training a network within a budget."""

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.datasets import DataSplits, Split
from faqnas_optuna.errors import TrainingError

PREDICTION_BATCH = 1_000
"""Samples predicted at a time: bounds the memory of a ten-qubit state to a few tens of megabytes."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What one training came to."""

    validation_accuracy: float
    """Share of the validation part that is told right, after the last epoch."""
    loss: float
    """Mean negative log-likelihood over the last epoch's batches."""
    steps: int
    """Optimiser steps taken."""
    seconds: float


def train(model: nn.Module, splits: DataSplits, config: TrainingConfig, *, generator: torch.Generator) -> TrainingResult:
    """Train with Adam on the negative log-likelihood, in shuffled batches, then validate.

    Args:
        model: gives log-probabilities (batch, classes); trained in place.
        splits: the training and validation parts are used, the test part is not.
        config: epochs, learning rate and batch size.
        generator: the order of the samples.

    Raises:
        TrainingError: the loss is not finite.
    """
    started = time.perf_counter()
    x, y = torch.from_numpy(splits.train.x), torch.from_numpy(splits.train.y)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    model.train()
    steps, loss = 0, math.nan
    for epoch in range(config.epochs):
        losses = []
        for batch in torch.randperm(len(y), generator=generator).split(config.batch_size):
            optimiser.zero_grad()
            batch_loss = nn.functional.nll_loss(model(x[batch]), y[batch])
            batch_loss.backward()
            optimiser.step()
            losses.append(batch_loss.detach())
        steps += len(losses)
        loss = torch.stack(losses).mean().item()
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} in epoch {epoch + 1} of {config.epochs}; try a lower learning rate")
    return TrainingResult(
        validation_accuracy=accuracy(model, splits.validation),
        loss=loss,
        steps=steps,
        seconds=time.perf_counter() - started,
    )


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
