"""Classical layers of a network, its loss and its optimiser, as kernels.

The arithmetic is that of `nn.Linear`, `nll_loss(log_softmax(…))` and `torch.optim.Adam` with their defaults.
"""

import math
from typing import NamedTuple

import numpy as np

from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers

# Adam's constants (Kingma and Ba, arXiv 1412.6980); PyTorch has the same defaults.
BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8


class Optimiser(NamedTuple):
    """Parameters, gradients and Adam's moments; all (P,)."""

    parameters: Array
    """Encoder weights and bias, angles, classifier weights and bias, concatenated in the order of `HQNN.parameters()`."""
    gradients: Array
    first_moments: Array
    second_moments: Array


def make_optimiser(parameters: Array) -> Optimiser:
    """Return Adam before its first step, for parameters (P,) that it will change in place."""
    return Optimiser(parameters, np.zeros_like(parameters), np.zeros_like(parameters), np.zeros_like(parameters))


@jit
def encode(x: Array, rows: Integers, weights: Array, bias: Array, encoded: Array) -> None:
    """Write encoded[q, b] = weights[q] · x[rows[b]] + bias[q]."""
    for b in range(rows.size):
        sample = x[rows[b]]
        for q in range(bias.size):
            row = weights[q]
            total = bias[q]
            for i in range(sample.size):
                total += row[i] * sample[i]
            encoded[q, b] = total


@jit
def adjoint_of_encode(x: Array, rows: Integers, grad_encoded: Array, grad_weights: Array, grad_bias: Array) -> None:
    grad_weights[:] = 0
    for b in range(rows.size):
        sample = x[rows[b]]
        for q in range(grad_bias.size):
            grad = grad_encoded[q, b]
            row = grad_weights[q]
            # The inner loop runs over the features, which are contiguous in the samples and the weights.
            for i in range(sample.size):
                row[i] += grad * sample[i]
    for q in range(grad_bias.size):
        grad_bias[q] = grad_encoded[q].sum()


@jit
def classify(measured: Array, weights: Array, bias: Array, scores: Array) -> None:
    """Write scores[c, b] = weights[c] · measured[:, b] + bias[c]."""
    for c in range(bias.size):
        score = scores[c]
        score[:] = bias[c]
        for q in range(measured.shape[0]):
            weight = weights[c, q]
            values = measured[q]
            for b in range(score.size):
                score[b] += weight * values[b]


@jit
def adjoint_of_classify(
    grad_scores: Array, measured: Array, weights: Array, grad_weights: Array, grad_bias: Array, grad_measured: Array
) -> None:
    grad_measured[:] = 0
    for c in range(grad_bias.size):
        grads = grad_scores[c]
        grad_bias[c] = grads.sum()
        for q in range(measured.shape[0]):
            weight = weights[c, q]
            values = measured[q]
            target = grad_measured[q]
            total = values.dtype.type(0)
            for b in range(grads.size):
                total += grads[b] * values[b]
                target[b] += weight * grads[b]
            grad_weights[c, q] = total


@jit
def negative_log_likelihood(scores: Array, y: Integers, rows: Integers) -> float:
    """Return the mean of -log softmax(scores)[y] over the batch. Overwrite `scores` with its gradient."""
    n_classes, batch = scores.shape
    total = 0.0
    for b in range(batch):
        # Subtracting the largest score prevents overflow of the exponentials.
        largest = scores[0, b]
        for c in range(1, n_classes):
            largest = max(largest, scores[c, b])
        label = y[rows[b]]
        margin = scores[label, b] - largest
        exponentials = scores.dtype.type(0)
        for c in range(n_classes):
            scores[c, b] = math.exp(scores[c, b] - largest)
            exponentials += scores[c, b]
        total += math.log(exponentials) - margin
        # The gradient is (softmax(scores) - one-hot(y)) / B.
        scale = scores.dtype.type(1) / (exponentials * scores.dtype.type(batch))
        for c in range(n_classes):
            scores[c, b] *= scale
        scores[label, b] -= scores.dtype.type(1) / scores.dtype.type(batch)
    mean: float = total / batch
    return mean


@jit
def weighted_negative_log_likelihood(scores: Array, y: Integers, rows: Integers, sample_weights: Array) -> float:
    """Return the weighted mean of -log softmax(scores)[y] over the batch. Overwrite `scores` with its gradient."""
    sum_of_weights = 0.0
    for b in range(rows.size):
        sum_of_weights += sample_weights[rows[b]]
    mean = 0.0
    for b in range(rows.size):
        share = sample_weights[rows[b]] / sum_of_weights
        of_sample = scores[:, b : b + 1]
        mean += share * negative_log_likelihood(of_sample, y, rows[b : b + 1])
        for c in range(scores.shape[0]):
            of_sample[c, 0] *= scores.dtype.type(share)
    return mean


@jit
def adam(optimiser: Optimiser, step: int, learning_rate: float) -> None:
    """Make one step of Adam: p -= lr · m̂ / (√v̂ + ε)."""
    real = optimiser.parameters.dtype.type
    step_size = real(learning_rate / (1 - BETA_1**step))
    root_of_correction = real(math.sqrt(1 - BETA_2**step))
    beta_1 = real(BETA_1)
    beta_2 = real(BETA_2)
    # The difference is rounded, not the minuend: 1 - float32(0.999) has a relative error of about 1e-5.
    complement_1 = real(1 - BETA_1)
    complement_2 = real(1 - BETA_2)
    epsilon = real(EPSILON)
    parameters, gradients, first, second = optimiser
    for i in range(parameters.size):
        gradient = gradients[i]
        first[i] = beta_1 * first[i] + complement_1 * gradient
        second[i] = beta_2 * second[i] + complement_2 * gradient * gradient
        parameters[i] -= step_size * first[i] / (np.sqrt(second[i]) / root_of_correction + epsilon)
