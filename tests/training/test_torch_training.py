from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from faqnas_optuna.config import TrainingConfig
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.torch_training import perceptron, predict, scores, train
from faqnas_optuna.training.training import TrainingResult


def linear(splits: DataSplits) -> nn.Module:
    layer, seeded = nn.Linear(splits.n_features, splits.n_classes), torch.Generator().manual_seed(0)
    nn.init.uniform_(layer.weight, -1, 1, generator=seeded)
    nn.init.uniform_(layer.bias, -1, 1, generator=seeded)
    return nn.Sequential(layer, nn.LogSoftmax(dim=1))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_training_learns(iris: DataSplits) -> None:
    config = TrainingConfig(epochs=60, learning_rate=0.05)
    result = train(linear(iris), iris, config, generator=generator())
    assert result.validation.accuracy > 0.85
    assert result.loss < 0.4
    assert result.steps == 60 * 2


def test_a_step_is_adams_on_the_whole_batch(iris: DataSplits) -> None:
    # With one batch an epoch, the order of the samples does not matter.
    model, expected = linear(iris), linear(iris)
    train(model, iris, TrainingConfig(epochs=3, batch_size=1000), generator=generator())
    optimiser = torch.optim.Adam(expected.parameters(), lr=0.003)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.nll_loss(expected(torch.from_numpy(iris.train.x)), torch.from_numpy(iris.train.y)).backward()
        optimiser.step()
    for trained, reference in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(trained, reference, atol=1e-6)


def test_a_curve_has_what_shorter_trainings_come_to(iris: DataSplits) -> None:
    def trained(epochs: int, validate_epochs: bool = False) -> TrainingResult:
        config = TrainingConfig(epochs=epochs, learning_rate=0.05)
        return train(linear(iris), iris, config, generator=generator(), validate_epochs=validate_epochs)

    result, shorter = trained(4, True), [trained(epochs) for epochs in (1, 2, 3, 4)]
    assert result.losses == shorter[-1].losses == tuple(one.loss for one in shorter)
    assert result.validation_accuracies == tuple(one.validation.accuracy for one in shorter)
    assert shorter[-1].validation_accuracies == ()
    assert np.array_equal(result.parameters, shorter[-1].parameters)


def test_whoever_validates_in_between_goes_on_training(iris: DataSplits) -> None:
    """Use dropout, which acts in training mode only: if all values are dropped the weights get no gradient."""
    model = nn.Sequential(nn.Dropout(1.0), linear(iris))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(model, iris, TrainingConfig(epochs=3), generator=generator(), validate_epochs=True)
    weight, bias = (not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert (weight, bias) == (False, True)


@pytest.mark.parametrize("activated", [False, True])
def test_a_perceptron_is_two_layers_that_begin_with_the_layouts_draw(activated: bool) -> None:
    layout = Layout(n_features=5, n_qubits=3, depth=0, n_classes=4)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    model = perceptron(layout, activated=activated, generator=generator(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    parts = layout.parts(layout.draw(generator(2)))
    x = np.random.default_rng(3).normal(size=(6, 5)).astype(np.float32)
    hidden = x @ parts.encoder_weights.T + parts.encoder_bias
    scores = (np.tanh(hidden) if activated else hidden) @ parts.classifier_weights.T + parts.classifier_bias
    expected = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(model(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-6)
    assert predict(model, Split(x=x, y=np.zeros(6, np.int64))).tolist() == scores.argmax(axis=1).tolist()


def test_the_order_of_the_samples_comes_from_the_generator(iris: DataSplits) -> None:
    losses = [train(linear(iris), iris, TrainingConfig(), generator=generator(seed)).loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_the_test_part_is_never_looked_at(iris: DataSplits) -> None:
    poisoned = replace(iris, test=Split(x=np.full_like(iris.test.x, np.nan), y=iris.test.y + 100))
    plain = train(linear(iris), iris, TrainingConfig(), generator=generator())
    assert train(linear(iris), poisoned, TrainingConfig(), generator=generator()).loss == plain.loss


def test_a_loss_that_is_not_finite_ends_the_training(iris: DataSplits) -> None:
    broken = replace(iris, train=Split(x=np.full_like(iris.train.x, np.inf), y=iris.train.y))
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1 of 5; try a lower learning rate"):
        train(linear(iris), broken, TrainingConfig(), generator=generator())


def test_accuracy_is_the_share_told_right() -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    # 2,500 samples are more than one batch of predictions.
    y = np.where(np.arange(2_500) % 9, np.arange(2_500) % 3, 2)
    x = np.eye(3, dtype=np.float32)[np.where(np.arange(2_500) < 2_000, y, (y + 1) % 3)]
    result = scores(Fixed(), Split(x=x, y=y))
    assert result.accuracy == 0.8
    assert result.balanced == pytest.approx(balanced_accuracy_score(y, x.argmax(axis=1))) != 0.8
