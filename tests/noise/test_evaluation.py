"""A trained network under noise: the answers without noise, and the statistics of shots."""

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.config import Engine
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.noise.evaluation import (
    MAX_SAMPLES,
    Network,
    noisy_samples,
    predict_noisy,
    shots_generator,
    simulator,
)
from faqnas_optuna.noise.model import DepolarizingNoise, NoisyProgram, noise_of
from faqnas_optuna.noise.reference import probabilities as defined
from faqnas_optuna.noise.simulation import probabilities
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import predict
from tests.support.devices import circuit

CIRCUIT = circuit(3, "XYX", "CNOT", amplitude=True)


@pytest.fixture
def network(iris: DataSplits) -> Network:
    """Return an untrained network with its initial parameters."""
    layout = Layout.of(CIRCUIT, n_features=4, n_classes=3)
    return Network(circuit=CIRCUIT, parameters=layout.draw(np.random.default_rng(0)), n_classes=3)


def noisy_answers(
    network: Network, iris: DataSplits, *, strength: float = 0.0, shots: int | None = None, seed: int = 0
) -> NDArray[np.int64]:
    program = noise_of("eagle").program(CIRCUIT, strength)
    generator = shots_generator(seed, (0, 0, 0))
    return predict_noisy(network, program, iris.train.x, shots=shots, generator=generator)


def test_without_noise_the_answers_are_those_of_the_fast_engine(network: Network, iris: DataSplits) -> None:
    layout = Layout.of(CIRCUIT, n_features=4, n_classes=3)
    exact = predict(CIRCUIT, layout, network.parameters, iris.train.x)
    answers = exact.argmax(axis=1)
    assert len(np.unique(answers)) > 1
    assert noisy_answers(network, iris).tolist() == answers.tolist()
    assert noisy_answers(network, iris, strength=32).tolist() != answers.tolist()


def test_few_shots_err_and_many_do_not(network: Network, iris: DataSplits) -> None:
    exact = noisy_answers(network, iris, strength=1)
    wrong = [int((noisy_answers(network, iris, strength=1, shots=shots) != exact).sum()) for shots in (1, 10, 100, 10_000)]
    assert wrong == sorted(wrong, reverse=True) and wrong[0] > 10 > wrong[-1]


def test_the_same_seed_gives_the_same_shots(network: Network, iris: DataSplits) -> None:
    first, again, other = (noisy_answers(network, iris, strength=1, shots=3, seed=seed).tolist() for seed in (0, 0, 1))
    assert first == again != other
    drawn = [shots_generator(0, numbers).random() for numbers in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert len(set(drawn)) == 4


def test_shots_are_of_all_wires_together(network: Network, iris: DataSplits) -> None:
    """Check that two perfectly correlated wires agree in every shot, and so do their ⟨Z⟩."""
    batch_sizes = []

    def always_equal(_program: NoisyProgram, inputs: NDArray[np.float64], _weights: object) -> NDArray[np.float64]:
        batch_sizes.append(len(inputs))
        return np.tile([0.5, 0, 0, 0, 0, 0, 0, 0.5], (len(inputs), 1))

    weights = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-0.1, 0.0, 0.0]], np.float32)
    parts = Layout.of(CIRCUIT, n_features=4, n_classes=3).parts(network.parameters)
    parts.classifier_weights[:] = weights
    parts.classifier_bias[:] = (0.0, 0.0, 0.0)
    program = DepolarizingNoise(probability=0.1).program(CIRCUIT, 1.0)
    answers = predict_noisy(network, program, iris.train.x, shots=7, generator=np.random.default_rng(0), simulate=always_equal)
    # Scores are exactly 0, 0 and ∓0.1, so the second class is never the first maximum.
    assert batch_sizes == [len(iris.train)] and set(answers.tolist()) == {0, 2}


def test_the_mean_of_many_shots_is_within_the_binomial_error(network: Network, iris: DataSplits) -> None:
    program = noise_of("eagle").program(CIRCUIT, 1.0)
    read = probabilities(program, np.array([[0.3, 0.4, 0.5]]), np.full((3, 3), 0.7))
    shots = 100_000
    share = np.random.default_rng(1).multinomial(shots, read) / shots
    assert (np.abs(share - read) <= 4 * np.sqrt(read * (1 - read) / shots)).all()


def test_at_most_so_many_samples_are_looked_at(iris: DataSplits) -> None:
    assert noisy_samples(iris.test, seed=0) is iris.test
    many = Split(x=np.arange(300, dtype=np.float32)[:, np.newaxis], y=np.arange(300))
    chosen, again, other = (noisy_samples(many, seed=seed) for seed in (0, 0, 1))
    assert len(chosen) == MAX_SAMPLES == len(set(chosen.y.tolist()))
    assert chosen.x[:, 0].tolist() == chosen.y.tolist() == sorted(chosen.y)
    assert chosen.y.tolist() == again.y.tolist() != other.y.tolist()


def test_pennylane_simulates_where_it_trains() -> None:
    assert simulator(Engine.FAST) is probabilities
    assert simulator(Engine.PENNYLANE) is defined
