import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, TrainingConfig
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training import torch_training
from faqnas_optuna.training.model import HQNN
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import TrainingResult, predict, scores, train
from tests.support.sampling import drawn_circuits, mostly_slow

CIRCUITS = drawn_circuits(6, seed=5)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def trained(splits: DataSplits, seed: int = 0, circuit: Circuit = CIRCUITS[0], **settings: object) -> TrainingResult:
    return train(circuit, splits, TrainingConfig(**settings), generator=generator(seed))  # type: ignore[arg-type]


def network(circuit: Circuit, splits: DataSplits, seeded: np.random.Generator) -> HQNN:
    n_features, n_classes = splits.n_features, splits.n_classes
    return HQNN(circuit, n_features=n_features, n_classes=n_classes, engine=Engine.PENNYLANE, generator=seeded)


@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize("circuit", mostly_slow(CIRCUITS), ids=str)
def test_both_engines_train_to_the_same_network(name: str, circuit: Circuit) -> None:
    splits, config = load(name, seed=0), TrainingConfig(epochs=2)
    fast = train(circuit, splits, config, generator=generator(7))
    seeded = generator(7)
    by_torch = torch_training.train(network(circuit, splits, seeded), splits, config, generator=seeded)
    # The accuracies may differ by one sample.
    assert abs(fast.validation.accuracy - by_torch.validation.accuracy) <= 1 / len(splits.validation) + 1e-9
    assert fast.loss == pytest.approx(by_torch.loss, abs=1e-4)
    assert fast.steps == by_torch.steps
    assert fast.parameters.shape == by_torch.parameters.shape


@pytest.mark.parametrize("circuit", CIRCUITS, ids=str)
def test_predictions_are_those_of_the_network(circuit: Circuit, iris: DataSplits) -> None:
    model = network(circuit, iris, generator(1))
    vector = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    layout = Layout.of(circuit, n_features=iris.n_features, n_classes=iris.n_classes)
    with torch.no_grad():
        expected = model(torch.from_numpy(iris.test.x)).double()
    scores = torch.from_numpy(predict(circuit, layout, vector, iris.test.x))
    assert torch.allclose(torch.log_softmax(scores, dim=1), expected, atol=1e-5)


@pytest.mark.parametrize("circuit", CIRCUITS, ids=str)
def test_what_is_told_of_a_sample_does_not_depend_on_those_beside_it(circuit: Circuit) -> None:
    splits = load("digits", seed=0)
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    parameters, x = layout.draw(generator()), splits.validation.x[:50]
    together = predict(circuit, layout, parameters, x)
    for parts in (50, 7):
        alone = np.concatenate([predict(circuit, layout, parameters, part) for part in np.array_split(x, parts)])
        # In single precision they would differ by about 1e-7.
        assert np.abs(together - alone).max() < 1e-12


def test_training_learns(iris: DataSplits) -> None:
    result = trained(iris, epochs=60, learning_rate=0.05)
    assert result.validation.accuracy > 0.85
    assert result.loss < 0.4
    assert result.steps == 60 * 2


def test_a_training_is_the_same_bit_for_bit_and_its_seed_decides(iris: DataSplits) -> None:
    first, again, other = (trained(iris, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.parameters, again.parameters)
    assert first.loss == again.loss != other.loss


def test_a_curve_has_what_shorter_trainings_come_to(iris: DataSplits) -> None:
    result = train(CIRCUITS[0], iris, TrainingConfig(epochs=4), generator=generator(), validate_epochs=True)
    shorter = [trained(iris, epochs=epochs) for epochs in (1, 2, 3, 4)]
    assert result.losses == shorter[-1].losses == tuple(one.loss for one in shorter)
    assert result.validation_accuracies == tuple(one.validation.accuracy for one in shorter)
    # Curves are computed on request only, and do not change the training.
    assert shorter[-1].validation_accuracies == ()
    assert np.array_equal(result.parameters, shorter[-1].parameters)
    assert result.validation.accuracy == shorter[-1].validation.accuracy


def test_a_batch_larger_than_the_data_is_all_of_them(iris: DataSplits) -> None:
    result = trained(iris, batch_size=1_000_000, epochs=3)
    assert result.steps == 3
    assert result.loss == trained(iris, batch_size=len(iris.train), epochs=3).loss


def test_the_test_part_is_never_looked_at(iris: DataSplits) -> None:
    poisoned = replace(iris, test=Split(x=np.full_like(iris.test.x, np.nan), y=iris.test.y + 100))
    assert trained(poisoned).loss == trained(iris).loss


def test_a_loss_that_is_not_finite_ends_the_training(iris: DataSplits) -> None:
    broken = replace(iris, train=Split(x=np.full_like(iris.train.x, math.inf), y=iris.train.y))
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1 of 5; try a lower learning rate"):
        trained(broken)


def test_accuracy_is_the_share_told_right(iris: DataSplits) -> None:
    circuit = CIRCUITS[0]
    layout = Layout.of(circuit, n_features=iris.n_features, n_classes=iris.n_classes)
    parameters = layout.draw(generator())
    predicted = predict(circuit, layout, parameters, iris.train.x).argmax(axis=1)
    y = np.where(np.arange(len(predicted)) < 60, predicted, (predicted + 1) % 3)
    result = scores(circuit, layout, parameters, Split(x=iris.train.x, y=y))
    assert result.accuracy == pytest.approx(60 / len(y))
    assert result.balanced == pytest.approx(balanced_accuracy_score(y, predicted))
