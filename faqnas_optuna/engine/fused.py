"""A whole epoch of training in one numba call: what PyTorch does in a dozen calls a step takes longer than a small circuit.

    x ── encoder ── circuit ── classifier ── log-softmax ── negative log-likelihood;  gradients;  Adam

The arithmetic is that of `nn.Linear`, `nll_loss(log_softmax(…))` and `torch.optim.Adam` with their defaults. Arrays within a
step have the batch last: (n_qubits, B), (classes, B). All reals are float32.
"""

import logging
import math
from functools import cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from faqnas_optuna.cache import in_subprocess
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.engine.basis_patterns import (
    keep,
    list_patterns,
    look_up,
    make_patterns,
    straight_through,
    sum_by_pattern,
    write_bits,
)
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import compile_once, jit, kernel
from faqnas_optuna.engine.normal_form import Integers, Program, compile_circuit
from faqnas_optuna.engine.statevector import BASIS, Workspace, backward, expectations, forward, make_workspace

logger = logging.getLogger(__name__)

T = TypeVar("T")

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as in PyTorch (Kingma and Ba, arXiv 1412.6980)."""


class Optimiser(NamedTuple):
    """Parameters and what Adam keeps of each; all (P,)."""

    parameters: Array
    """Encoder weights and bias, angles, classifier weights and bias, one after the other, as in `HQNN.parameters()`."""
    gradients: Array
    first_moments: Array
    second_moments: Array


class ParameterBlocks(NamedTuple, Generic[T]):
    """A vector of parameters, or of gradients, as what it is made of."""

    encoder_weights: T
    """(n_qubits, features)"""
    encoder_bias: T
    """(n_qubits,)"""
    angles: T
    """(depth, width)"""
    classifier_weights: T
    """(classes, n_qubits)"""
    classifier_bias: T
    """(classes,)"""


def make_optimiser(parameters: Array) -> Optimiser:
    """Adam before its first step, on parameters (P,) that it changes in place."""
    return Optimiser(parameters, np.zeros_like(parameters), np.zeros_like(parameters), np.zeros_like(parameters))


@kernel
def train_epoch(
    x: Array,
    y: Integers,
    order: Integers,
    batch_size: int,
    program: Program,
    workspace: Workspace,
    optimiser: Optimiser,
    steps_before: int,
    learning_rate: float,
    n_classes: int,
) -> float:
    """Train on every sample once, and return the mean of the batches' losses.

    Args:
        x: (samples, features), y: (samples,).
        order: (samples,) in which the samples are taken, `batch_size` at a time.
        workspace: for `batch_size` samples.
        optimiser: changed in place.
        steps_before: optimiser steps of earlier epochs.
    """
    n_qubits, features = program.n_qubits, x.shape[1]
    weights = _layers(optimiser.parameters, features, program, n_classes)
    gradients = _layers(optimiser.gradients, features, program, n_classes)
    of_bits, most = program.embedding == BASIS, workspace.embedding.shape[2]
    # Encoded and measured values, their gradients, the same two of patterns; the scores. What is smaller uses the front.
    buffers = np.empty((6, n_qubits * most), x.dtype)
    score_buffer = np.empty(n_classes * batch_size, x.dtype)
    patterns = make_patterns(n_qubits if of_bits else 0, batch_size, x)
    total, batches = 0.0, 0
    for start in range(0, order.size, batch_size):
        rows = order[start : start + batch_size]
        encoded, measured = _front(buffers[0], n_qubits, rows.size), _front(buffers[1], n_qubits, rows.size)
        grad_encoded, grad_measured = _front(buffers[2], n_qubits, rows.size), _front(buffers[3], n_qubits, rows.size)
        scores = score_buffer[: n_classes * rows.size].reshape(n_classes, rows.size)

        _encode(x, rows, weights.encoder_weights, weights.encoder_bias, encoded)
        # Of basis embedding patterns are run, those of the samples last: the last state is that which is gone back from. All in
        # one place, since a second call of `forward` would take a third longer to compile.
        own, needed = list_patterns(encoded, patterns) if of_bits else (rows.size, rows.size)
        inputs, outputs, end = encoded, measured, needed
        while end > 0:
            begin = max(own, end - most) if end > own else 0
            if of_bits:
                inputs, outputs = _front(buffers[4], n_qubits, end - begin), _front(buffers[5], n_qubits, end - begin)
                write_bits(patterns.listed[begin:end], inputs)
            forward(inputs, weights.angles, program, workspace, outputs, end < needed)
            if of_bits:
                keep(patterns.listed[begin:end], outputs, patterns)
            end = begin
        if of_bits:
            look_up(encoded, patterns, measured)
        _classify(measured, weights.classifier_weights, weights.classifier_bias, scores)
        total += _negative_log_likelihood(scores, y, rows)
        # From here on `scores` holds the gradient of the loss by the scores.
        _adjoint_of_classify(
            scores, measured, weights.classifier_weights, gradients.classifier_weights, gradients.classifier_bias, grad_measured
        )
        grad_inputs, grad_outputs = grad_encoded, grad_measured
        if of_bits:
            grad_inputs, grad_outputs = inputs, outputs
            sum_by_pattern(grad_measured, patterns, grad_outputs)
        backward(weights.angles, program, workspace, grad_outputs, grad_inputs, gradients.angles)
        if of_bits:
            straight_through(grad_measured, patterns, grad_encoded)
        _adjoint_of_encode(x, rows, grad_encoded, gradients.encoder_weights, gradients.encoder_bias)
        batches += 1
        _adam(optimiser, steps_before + batches, learning_rate)
    return total / batches


@jit
def _layers(vector: Array, features: int, program: Program, n_classes: int) -> ParameterBlocks[Array]:
    """Views of a vector of parameters."""
    n_qubits, depth, width = program.n_qubits, program.depth, program.width
    a = n_qubits * features
    b = a + n_qubits
    c = b + depth * width
    d = c + n_classes * n_qubits
    return ParameterBlocks(
        vector[:a].reshape(n_qubits, features),
        vector[a:b],
        vector[b:c].reshape(depth, width),
        vector[c:d].reshape(n_classes, n_qubits),
        vector[d:],
    )


@jit
def _front(buffer: Array, rows: int, columns: int) -> Array:
    return buffer[: rows * columns].reshape(rows, columns)


@jit
def _encode(x: Array, rows: Integers, weights: Array, bias: Array, encoded: Array) -> None:
    """encoded[q, b] = weights[q] · x[rows[b]] + bias[q]"""
    for b in range(rows.size):
        sample = x[rows[b]]
        for q in range(bias.size):
            row = weights[q]
            total = bias[q]
            for i in range(sample.size):
                total += row[i] * sample[i]
            encoded[q, b] = total


@jit
def _adjoint_of_encode(x: Array, rows: Integers, grad_encoded: Array, grad_weights: Array, grad_bias: Array) -> None:
    grad_weights[:] = 0
    for b in range(rows.size):
        sample = x[rows[b]]
        for q in range(grad_bias.size):
            grad, row = grad_encoded[q, b], grad_weights[q]
            for i in range(sample.size):
                row[i] += grad * sample[i]
    for q in range(grad_bias.size):
        grad_bias[q] = grad_encoded[q].sum()


@jit
def _classify(measured: Array, weights: Array, bias: Array, scores: Array) -> None:
    """scores[c, b] = weights[c] · measured[:, b] + bias[c]"""
    for c in range(bias.size):
        score = scores[c]
        score[:] = bias[c]
        for q in range(measured.shape[0]):
            weight, values = weights[c, q], measured[q]
            for b in range(score.size):
                score[b] += weight * values[b]


@jit
def _adjoint_of_classify(
    grad_scores: Array, measured: Array, weights: Array, grad_weights: Array, grad_bias: Array, grad_measured: Array
) -> None:
    grad_measured[:] = 0
    for c in range(grad_bias.size):
        grads = grad_scores[c]
        grad_bias[c] = grads.sum()
        for q in range(measured.shape[0]):
            weight, values, target = weights[c, q], measured[q], grad_measured[q]
            total = values.dtype.type(0)
            for b in range(grads.size):
                total += grads[b] * values[b]
                target[b] += weight * grads[b]
            grad_weights[c, q] = total


@jit
def _negative_log_likelihood(scores: Array, y: Integers, rows: Integers) -> float:
    """The mean over the batch of -log softmax(scores)[y]; `scores` become its gradient, (softmax(scores) - [y]) / B."""
    n_classes, batch = scores.shape
    total = 0.0
    for b in range(batch):
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
        scale = scores.dtype.type(1) / (exponentials * scores.dtype.type(batch))
        for c in range(n_classes):
            scores[c, b] *= scale
        scores[label, b] -= scores.dtype.type(1) / scores.dtype.type(batch)
    mean: float = total / batch
    return mean


@jit
def _adam(optimiser: Optimiser, step: int, learning_rate: float) -> None:
    """One step: p -= lr · m̂ / (√v̂ + ε)."""
    real = optimiser.parameters.dtype.type
    step_size = real(learning_rate / (1 - BETA_1**step))
    root_of_correction = real(math.sqrt(1 - BETA_2**step))
    # Subtracted before they are rounded: 1 - float32(0.999) is off by a hundred-thousandth.
    keep_1, take_1, keep_2, take_2 = real(BETA_1), real(1 - BETA_1), real(BETA_2), real(1 - BETA_2)
    epsilon = real(EPSILON)
    parameters, gradients, first, second = optimiser
    for i in range(parameters.size):
        gradient = gradients[i]
        first[i] = keep_1 * first[i] + take_1 * gradient
        second[i] = keep_2 * second[i] + take_2 * gradient * gradient
        parameters[i] -= step_size * first[i] / (np.sqrt(second[i]) / root_of_correction + epsilon)


@cache
def load_kernels() -> None:
    """Have the engine for float32 in this process, compiled if it has not been in this installation."""
    compile_once(_compile)
    compile_forward()
    compile_training()


def _compile() -> None:
    """By processes of their own, which end at any time: an exception that a signal raises within the compiler gets lost."""
    logger.info("compiling the fast engine, once; this takes some ten seconds")
    # The two that take longest side by side; then what is made of both.
    with in_subprocess(compile_backward), in_subprocess(compile_forward):
        pass
    logger.info("compiling the fast engine: the circuit is done, now the training")
    with in_subprocess(compile_training):
        pass
    # Should one of them have failed, this one compiles; otherwise it finds all.
    compile_forward()
    compile_training()


def compile_forward() -> None:
    """Compile what predictions need, or find it on disk. To be run in a process of its own, as the next two."""
    expectations(np.ones((2, 2), np.float32), np.ones((1, 2), np.float32), LEAST)


def compile_backward() -> None:
    """Compile the way back through a circuit, or find it on disk."""
    program, wires = compile_circuit(LEAST), np.ones((2, 2), np.float32)
    backward(np.ones((1, 2), np.float32), program, make_workspace(program, 2, np.float32), wires, wires, wires[:1])


def compile_training() -> None:
    """Compile what a training needs, or find it on disk."""
    layout = 1 * 2 + 2 + 2 + 2 * 2 + 2
    program, optimiser = compile_circuit(LEAST), make_optimiser(np.ones(layout, np.float32))
    x, y, workspace = np.ones((2, 1), np.float32), np.zeros(2, np.int64), make_workspace(program, 2, np.float32)
    train_epoch(x, y, np.arange(2), 2, program, workspace, optimiser, 0, 0.1, 2)


LEAST = Circuit(
    n_qubits=2, embedding=Embedding.ANGLE, entangler=Entangler.CZ, topology=Topology.LINEAR, rotations=(Rotation.RX,)
)
"""The least circuit, to load and compile with: how large arrays are is of no account."""
