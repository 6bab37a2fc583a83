import numpy as np
import pytest
from sklearn.metrics import log_loss

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.tables.checkpoints import checkpoints, train_to_checkpoints
from faqnas_optuna.training.evaluation import train_once
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import predict
from tests.support.candidates import genome_of

CIRCUIT = genome_of(3, "CNOT", "RY", "RX", topology="circular").circuit


def test_a_network_is_looked_at_as_far_as_it_is_trained_and_at_the_end() -> None:
    assert checkpoints(50) == (1, 2, 5, 10, 20, 50)
    assert checkpoints(5) == (1, 2, 5)
    assert checkpoints(7) == (1, 2, 5, 7)
    assert checkpoints(1) == (1,)


@pytest.mark.parametrize("circuit", [CIRCUIT, genome_of(2, "CZ", "RX", embedding="amplitude").circuit], ids=str)
def test_a_long_training_contains_the_short_ones(circuit: Circuit, iris: DataSplits) -> None:
    """Check that a checkpoint equals, bit for bit, the end of a shorter training."""
    long = train_to_checkpoints(circuit, iris, TrainingConfig(epochs=20), seed=3)
    for row, epochs in enumerate(checkpoints(20)):
        short = train_to_checkpoints(circuit, iris, TrainingConfig(epochs=epochs), seed=3)
        assert np.array_equal(long.right[row], short.right[-1]) and np.array_equal(long.loss[row], short.loss[-1])


def test_it_is_the_training_of_a_search_judged_on_each_part(iris: DataSplits) -> None:
    checkpoint = train_to_checkpoints(CIRCUIT, iris, TrainingConfig(epochs=5), seed=0)
    trained = train_once(CIRCUIT, iris, StudyConfig(dataset="iris"), repeat=0)
    assert checkpoint.right[-1, 1] == round(trained.validation.accuracy * len(iris.validation))
    layout = Layout.of(CIRCUIT, n_features=4, n_classes=3)
    for number, part in enumerate((iris.train, iris.validation, iris.test)):
        scores = predict(CIRCUIT, layout, trained.parameters, part.x)
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        assert checkpoint.right[-1, number] == (probabilities.argmax(axis=1) == part.y).sum()
        assert checkpoint.loss[-1, number] == pytest.approx(log_loss(part.y, probabilities, labels=[0, 1, 2]), rel=1e-6)


def test_a_training_that_diverges_is_named(iris: DataSplits) -> None:
    x = iris.train.x.copy()
    x[0] = np.inf
    broken = type(iris)(**{**vars(iris), "train": type(iris.train)(x=x, y=iris.train.y)})
    with pytest.raises(TrainingError, match=r"3 qubits, angle, RY RX, CNOT circular, from seed 4: the loss is nan in epoch 1"):
        train_to_checkpoints(CIRCUIT, broken, TrainingConfig(epochs=2), seed=4)
