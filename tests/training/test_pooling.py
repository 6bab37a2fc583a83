import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.training.pooling import RATIOS, _deviance, _features, pooled_errors

CIRCUITS = list(dict.fromkeys(genome.circuit for genome in enumerate_genomes()))


def some_circuits(count: int, seed: int = 0) -> list[Circuit]:
    return [CIRCUITS[place] for place in np.random.default_rng(seed).permutation(len(CIRCUITS))[:count]]


def standardised(circuits: list[Circuit], trainings: NDArray[np.int64]) -> NDArray[np.float64]:
    features = np.array([_features(circuit) for circuit in circuits])
    features = features - np.average(features, axis=0, weights=trainings)
    deviations = features.std(axis=0)
    scaled: NDArray[np.float64] = features[:, deviations > 1e-9] / deviations[deviations > 1e-9]
    return scaled


def test_it_is_the_posterior_mean_at_the_most_likely_variances() -> None:
    """Compare with the posterior mean from the full covariance matrix, which the program never computes."""
    circuits, generator = some_circuits(60), np.random.default_rng(1)
    trainings = generator.integers(1, 5, len(circuits))
    x = standardised(circuits, trainings)
    truth = 0.4 + x @ generator.normal(0, 0.01, x.shape[1])
    errors = truth + generator.normal(0, 0.1, len(truth)) / np.sqrt(trainings)
    mean = np.average(errors, weights=trainings)

    def covariance(ratio: float) -> NDArray[np.float64]:
        together: NDArray[np.float64] = x @ x.T / ratio + np.diag(1 / trainings)
        return together

    def evidence(ratio: float) -> float:
        unit, count = covariance(ratio), len(errors)
        noise = (errors - mean) @ np.linalg.solve(unit, errors - mean) / count
        return float(multivariate_normal(np.full(count, mean), noise * unit).logpdf(errors))

    ratio = max(RATIOS, key=evidence)
    expected = mean + x @ x.T / ratio @ np.linalg.solve(covariance(ratio), errors - mean)
    assert pooled_errors(circuits, errors.tolist(), trainings.tolist()) == pytest.approx(np.clip(expected, 0, 1))


def test_the_evidence_is_that_of_the_values() -> None:
    circuits, generator = some_circuits(30, seed=3), np.random.default_rng(2)
    x, y = standardised(circuits, np.ones(30, np.int64)), generator.normal(0, 1, 30)
    directions, singular, _ = np.linalg.svd(x, full_matrices=False)
    along = directions.T @ y
    beside = float(y @ y - along @ along)

    def evidence(ratio: float) -> float:
        unit = x @ x.T / ratio + np.eye(30)
        noise = y @ np.linalg.solve(unit, y) / 30
        return float(multivariate_normal(np.zeros(30), noise * unit).logpdf(y))

    log_likelihoods = [-_deviance(singular, along, beside, ratio, 30) / 2 for ratio in RATIOS]
    # The two may differ by a constant.
    assert np.diff(log_likelihoods) == pytest.approx(np.diff([evidence(ratio) for ratio in RATIOS]))


def test_luck_is_averaged_out() -> None:
    circuits = some_circuits(160)
    truth = np.array([0.5 - 0.02 * circuit.n_qubits for circuit in circuits])
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, len(truth))
    pooled = pooled_errors(circuits, noisy.tolist(), [1] * len(circuits))
    assert np.abs(pooled - truth).mean() < 0.4 * np.abs(noisy - truth).mean()


def test_what_is_certain_stays() -> None:
    circuits = some_circuits(160)
    truth = np.array([0.5 - 0.02 * circuit.n_qubits for circuit in circuits])
    assert pooled_errors(circuits, truth.tolist(), [1] * len(circuits)) == pytest.approx(truth, abs=0.002)


@pytest.mark.parametrize("errors", [[0.25], [0.5, 0.5, 0.5], [0.0, 1.0]])
def test_few_or_equal_errors_do_no_harm(errors: list[float]) -> None:
    pooled = pooled_errors(some_circuits(len(errors)), errors, [1] * len(errors))
    assert np.isfinite(pooled).all() and min(errors) <= pooled.min() <= pooled.max() <= max(errors)
