"""Training with PyTorch: the reference for the fast engine, and the implementation of `--engine pennylane`."""

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
from faqnas_optuna.training.training import FitResult, TrainingResult, check_loss

PREDICTION_BATCH = 1_000
"""Number of samples predicted at a time. It bounds the memory of a ten-qubit state to a few tens of megabytes."""


def use_one_thread() -> None:
    """Limit torch to one thread in this process."""
    # Parallelism comes from worker processes. With several threads each, they would compete for the cores.
    torch.set_num_threads(1)


def perceptron(layout: Layout, *, activated: bool, generator: np.random.Generator) -> nn.Module:
    """Return a network without a circuit: Linear, tanh if `activated`, Linear, log-softmax.

    Args:
        layout: Sizes of the network. `n_qubits` is the width between the linear layers, and there are no angles.
        generator: Randomness of the initial parameters.
    """
    model = nn.Sequential(
        # `skip_init`, because initial values would come from torch's global random state.
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
    """Train on the training part (see `fit`) and validate on the validation part. The test part is not used.

    Args:
        config: Epochs, learning rate and batch size.
        generator: Randomness of the order of the samples in each epoch.
        validate_epochs: Validate after each epoch, not only after the last.

    Raises:
        TrainingError: The loss is not finite.
    """
    validation_scores: list[Scores] = []

    def validate(epoch: int) -> None:
        if validate_epochs or epoch == config.epochs:
            validation_scores.append(scores(model, splits.validation))

    result = fit(model, splits.train, config, generator=generator, on_epoch=validate)
    return TrainingResult.of(result, validation_scores, every_epoch=validate_epochs)


def fit(
    model: nn.Module,
    part: Split,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    on_epoch: Callable[[int], None] | None = None,
) -> FitResult:
    """Train on one part with Adam, in shuffled batches, on the negative log-likelihood.

    The loss of a batch is the mean over its samples, weighted by the weights of the part: Σ w ℓ / Σ w.

    Args:
        model: Returns log-probabilities (batch, classes); trained in place.
        config: Epochs, learning rate and batch size.
        generator: Randomness of the order of the samples in each epoch.
        on_epoch: Called after each epoch with its number, from 1.

    Raises:
        TrainingError: The loss is not finite.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    losses: list[float] = []
    for epoch in range(1, config.epochs + 1):
        # The order comes from numpy, so that both engines use the same.
        loss = _epoch(model, part, torch.from_numpy(generator.permutation(len(part))), config, optimiser)
        check_loss(loss, epoch, config)
        losses.append(loss)
        if on_epoch:
            on_epoch(epoch)
    return FitResult(
        parameters=nn.utils.parameters_to_vector(model.parameters()).detach().numpy(),
        losses=tuple(losses),
        steps=config.epochs * math.ceil(len(part) / config.batch_size),
    )


def _epoch(
    model: nn.Module, part: Split, order: torch.Tensor, config: TrainingConfig, optimiser: torch.optim.Optimizer
) -> float:
    """Train on every sample once and return the mean loss of the batches."""
    model.train()
    x = torch.from_numpy(part.x)
    y = torch.from_numpy(part.y)
    weights = None if part.weights is None else torch.from_numpy(part.weights)
    losses = []
    for batch in order.split(config.batch_size):
        optimiser.zero_grad()
        if weights is None:
            loss = nn.functional.nll_loss(model(x[batch]), y[batch])
        else:
            # What `nll_loss` does with a weight per class, here with one per sample.
            shares = (weights[batch] / weights[batch].sum()).to(x.dtype)
            loss = shares @ nn.functional.nll_loss(model(x[batch]), y[batch], reduction="none")
        loss.backward()
        optimiser.step()
        # Detached, so that torch can free the graph of the batch.
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()


def scores(model: nn.Module, split: Split) -> Scores:
    """Return the scores of a network's predictions on a split."""
    return Scores.of(split.y, predict(model, split))


def predict(model: nn.Module, split: Split) -> NDArray[np.int64]:
    """Return the index of the most likely class of each sample, (samples,)."""
    model.eval()
    with torch.no_grad():
        batches = torch.from_numpy(split.x).split(PREDICTION_BATCH)
        return most_likely(torch.cat([model(batch) for batch in batches]).numpy())
