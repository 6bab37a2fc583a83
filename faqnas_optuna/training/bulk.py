"""Training of one circuit from many seeds at once, which spares most of the time around the kernels.

The scores equal those of `evaluation.train_once`, bit for bit.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, Score, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.networks import expectations_of_networks, load_network_kernels, train_networks
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import make_workspace
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.engines import load
from faqnas_optuna.training.evaluation import train_once, training_generator
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import Scores, most_likely
from faqnas_optuna.training.training import check_loss

MAX_NUMBERS = 2**20
"""Maximum number of indices and parameters that the trainings of one call hold."""


def load_bulk(config: StudyConfig) -> None:
    """Load the kernels and engines of a study into this process. The first call takes seconds."""
    load_network_kernels()
    for engine in config.engines:
        load(engine)


def train_repeats(circuit: Circuit, splits: DataSplits, config: StudyConfig, repeats: Sequence[int]) -> NDArray[np.float64]:
    """Train an effective circuit once per repeat, and return the validation scores (repeats,).

    Raises:
        TrainingError: A training diverged; the message names the circuit and the repeat.
    """
    # The bulk kernel has no weights.
    if config.engine.of(circuit) is not Engine.FAST or splits.train.weights is not None:
        return np.array([_score_once(circuit, splits, config, repeat) for repeat in repeats], np.float64)
    load_network_kernels()
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    block = max(MAX_NUMBERS // (config.training.epochs * len(splits.train) + layout.size), 1)
    blocks = [repeats[start : start + block] for start in range(0, len(repeats), block)]
    return np.concatenate([np.empty(0), *(_train_block(circuit, layout, splits, config, part) for part in blocks)])


def _score_once(circuit: Circuit, splits: DataSplits, config: StudyConfig, repeat: int) -> float:
    try:
        return train_once(circuit, splits, config, repeat=repeat).validation.by(config.score)
    except TrainingError as error:
        raise _named(error, circuit, repeat) from error


def _train_block(
    circuit: Circuit, layout: Layout, splits: DataSplits, config: StudyConfig, repeats: Sequence[int]
) -> NDArray[np.float64]:
    training = config.training
    n_samples = len(splits.train)
    parameters = np.empty((len(repeats), layout.size), np.float32)
    orders = np.empty((len(repeats), training.epochs, n_samples), np.int64)
    for row, repeat in enumerate(repeats):
        generator = training_generator(config.seed, circuit, repeat)
        generator.random(out=parameters[row], dtype=np.float32)
        for order in orders[row]:
            order[:] = generator.permutation(n_samples)
    layout.scale(parameters)
    program = compile_circuit(circuit)
    batch_size = min(training.batch_size, n_samples)
    workspace = make_workspace(program, batch_size, np.float32)
    losses = np.empty((len(repeats), training.epochs))
    x = splits.train.x
    y = splits.train.y
    rate = training.learning_rate
    train_networks(x, y, orders, batch_size, program, workspace, parameters, rate, splits.n_classes, losses)
    outputs = _predict(circuit, layout, parameters, splits.validation.x)
    _check(circuit, config, repeats, losses, outputs)
    return _scores(outputs.argmax(axis=2), splits.validation.y, config.score)


def _predict(circuit: Circuit, layout: Layout, parameters: Array, x: Array) -> Array:
    """Return the scores of `training.predict` for several networks (networks, P), of shape (networks, samples, classes)."""
    parts = layout.parts(parameters)
    inputs = x.astype(np.float64) @ parts.encoder_weights.swapaxes(1, 2) + parts.encoder_bias[:, np.newaxis]
    measured = expectations_of_networks(inputs.astype(x.dtype), parts.angles, circuit)
    scores: Array = measured.astype(np.float64) @ parts.classifier_weights.swapaxes(1, 2) + parts.classifier_bias[:, np.newaxis]
    return scores


def _check(circuit: Circuit, config: StudyConfig, repeats: Sequence[int], losses: Array, outputs: Array) -> None:
    """Raise TrainingError for the first network whose losses (epochs,) or outputs (samples, classes) are not finite."""
    is_finite = np.isfinite(losses).all(axis=1) & np.isfinite(outputs).all(axis=(1, 2))
    for network in np.flatnonzero(~is_finite).tolist():
        try:
            for epoch, loss in enumerate(losses[network], 1):
                check_loss(loss, epoch, config.training)
            most_likely(outputs[network])
        except TrainingError as error:
            raise _named(error, circuit, repeats[network]) from error


def _named(error: TrainingError, circuit: Circuit, repeat: int) -> TrainingError:
    # Among thousands of trainings the error must say which one diverged.
    return TrainingError(f"{circuit}, repeat {repeat}: {error}")


def _scores(predicted: NDArray[np.int64], y: NDArray[np.int64], score: Score) -> NDArray[np.float64]:
    """Return the scores (networks,) of predictions (networks, samples)."""
    if score is Score.ACCURACY:
        return np.asarray(np.count_nonzero(predicted == y, axis=1) / len(y), np.float64)
    return np.array([Scores.of(y, row).by(score) for row in predicted], np.float64)
