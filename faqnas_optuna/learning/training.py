"""Training a network within a budget."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from faqnas_optuna.config import Engine, TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.engine.fused import compile_kernels, make_optimiser, train_epoch
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import make_workspace
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.learning.model import HQNN, FastLayer

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


def use_one_thread() -> None:
    """Keep torch to one thread: workers are processes, and several threads each would only get in each other's way."""
    torch.set_num_threads(1)


def prepare(engine: Engine) -> None:
    """Do what an engine needs done once per installation: the fast one is compiled."""
    if engine is Engine.FAST:
        compile_kernels()


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
    model.train()
    fused = isinstance(model, HQNN) and isinstance(model.quantum, FastLayer)
    run = _fused_epochs if fused else _torch_epochs
    loss = math.nan
    for epoch, loss in enumerate(run(model, splits, config, generator), start=1):
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} in epoch {epoch} of {config.epochs}; try a lower learning rate")
    return TrainingResult(
        validation_accuracy=accuracy(model, splits.validation),
        loss=loss,
        steps=config.epochs * math.ceil(len(splits.train) / config.batch_size),
        seconds=time.perf_counter() - started,
    )


def _torch_epochs(model: nn.Module, splits: DataSplits, config: TrainingConfig, generator: torch.Generator) -> Iterator[float]:
    """The mean loss of each epoch, trained by PyTorch: the reference."""
    x, y = torch.from_numpy(splits.train.x), torch.from_numpy(splits.train.y)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    for _ in range(config.epochs):
        losses = []
        for batch in torch.randperm(len(y), generator=generator).split(config.batch_size):
            optimiser.zero_grad()
            loss = nn.functional.nll_loss(model(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        yield torch.stack(losses).mean().item()


def _fused_epochs(model: nn.Module, splits: DataSplits, config: TrainingConfig, generator: torch.Generator) -> Iterator[float]:
    """The same by `fused.train_epoch`, which knows the one architecture there is."""
    assert isinstance(model, HQNN)
    part, samples = splits.train, len(splits.train)
    vector = nn.utils.parameters_to_vector(model.parameters()).detach()
    # The parameters become views of the vector: what happens to it happens to the model.
    nn.utils.vector_to_parameters(vector, model.parameters())
    optimiser = make_optimiser(vector.numpy())
    batch_size = min(config.batch_size, samples)
    program = compile_circuit(model.circuit)
    workspace = make_workspace(program, batch_size, part.x.dtype)
    for epoch in range(config.epochs):
        order = torch.randperm(samples, generator=generator).numpy()
        steps_before = epoch * math.ceil(samples / batch_size)
        yield train_epoch(
            part.x,
            part.y,
            order,
            batch_size,
            program,
            workspace,
            optimiser,
            steps_before,
            config.learning_rate,
            splits.n_classes,
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
