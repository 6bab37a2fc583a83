"""Training on the requested engine, or on PennyLane if the circuit has no fast form."""

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.engine.fused import SMALLEST_CIRCUIT, load_kernels, load_weighted_kernel
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import FitResult, TrainingResult, fit, predict, predict_by, train

if TYPE_CHECKING:
    from faqnas_optuna.training.model import HQNN


# Cached, because trials call it every time.
@cache
def load(engine: Engine) -> None:
    """Load an engine into this process, on one thread. The first call takes seconds."""
    if engine is Engine.FAST:
        load_kernels()
        return
    from faqnas_optuna.training.torch_training import use_one_thread

    use_one_thread()
    # Much of torch and PennyLane is only loaded by a first training.
    part = Split(x=np.ones((2, 1), np.float32), y=np.zeros(2, np.int64))
    fit_on(engine, SMALLEST_CIRCUIT, part, TrainingConfig(epochs=1), n_classes=2, generator=np.random.default_rng(0))


def train_on(
    engine: Engine,
    circuit: Circuit,
    splits: DataSplits,
    config: TrainingConfig,
    *,
    generator: np.random.Generator,
    validate_epochs: bool = False,
) -> TrainingResult:
    """Train and validate a circuit. Both engines start from the same parameters and use the same order of samples.

    Args:
        engine: Engine to use if it can simulate the circuit.
        generator: See `training.train`.
        validate_epochs: See `training.train`.

    Raises:
        TrainingError: The training diverged.
    """
    if engine.of(circuit) is Engine.FAST:
        _load_kernels_for(splits.train)
        return train(circuit, splits, config, generator=generator, validate_epochs=validate_epochs)
    # This import loads torch and PennyLane, which the fast engine does not need.
    from faqnas_optuna.training import torch_training

    model = _network(circuit, splits.train, splits.n_classes, generator)
    return torch_training.train(model, splits, config, generator=generator, validate_epochs=validate_epochs)


def fit_on(
    engine: Engine, circuit: Circuit, part: Split, config: TrainingConfig, *, n_classes: int, generator: np.random.Generator
) -> FitResult:
    """Train a circuit on one part, without validation. For the arguments see `train_on` and `training.fit`.

    Raises:
        TrainingError: The training diverged.
    """
    if engine.of(circuit) is Engine.FAST:
        _load_kernels_for(part)
        return fit(circuit, part, config, n_classes=n_classes, generator=generator)
    from faqnas_optuna.training import torch_training

    return torch_training.fit(_network(circuit, part, n_classes, generator), part, config, generator=generator)


def predict_scores(circuit: Circuit, layout: Layout, parameters: Array, x: Array) -> Array:
    """Return the scores of `training.predict`, from the fast engine if it can simulate the circuit, else from PennyLane."""
    if circuit.has_fast_form:
        load_kernels()
        return predict(circuit, layout, parameters, x)
    from faqnas_optuna.training.model import measured_by_pennylane

    return predict_by(partial(measured_by_pennylane, circuit=circuit), layout, parameters, x)


def _load_kernels_for(part: Split) -> None:
    load_kernels()
    if part.weights is not None:
        load_weighted_kernel()


def _network(circuit: Circuit, part: Split, n_classes: int, generator: np.random.Generator) -> "HQNN":
    # This import loads torch.
    from faqnas_optuna.training.model import HQNN

    return HQNN(circuit, n_features=part.x.shape[1], n_classes=n_classes, engine=Engine.PENNYLANE, generator=generator)
