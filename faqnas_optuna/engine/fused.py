"""Training of a whole epoch in one numba call. With PyTorch, the dozen calls of a step would take longer than a small circuit.

    x ── encoder ── circuit ── classifier ── log-softmax ── negative log-likelihood;  gradients;  Adam

Within a step, the batch is the last axis of arrays: (n_qubits, B), (classes, B). All real numbers are float32.
"""

import logging
from functools import cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from faqnas_optuna.cache import in_subprocess
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.engine.basis_patterns import (
    Patterns,
    list_patterns,
    look_up,
    make_patterns,
    store_measured,
    straight_through,
    sum_by_pattern,
    write_bits,
)
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import compile_once, jit, kernel
from faqnas_optuna.engine.layers import (
    Optimiser,
    adam,
    adjoint_of_classify,
    adjoint_of_encode,
    classify,
    encode,
    make_optimiser,
    negative_log_likelihood,
    weighted_negative_log_likelihood,
)
from faqnas_optuna.engine.normal_form import Integers, Program, compile_circuit
from faqnas_optuna.engine.statevector import BASIS, Workspace, backward, expectations, forward, make_workspace

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ParameterBlocks(NamedTuple, Generic[T]):
    """Blocks of a vector of parameters or gradients."""

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
    sample_weights: Array | None = None,
) -> float:
    """Train on every sample once and return the mean loss of the batches.

    Args:
        x: (samples, features).
        y: (samples,).
        order: (samples,) indices in the order of training, `batch_size` per step.
        workspace: Has room for `batch_size` samples.
        optimiser: Changed in place.
        steps_before: Number of optimiser steps of earlier epochs.
        sample_weights: (samples,) in float64, above 0: the loss of a batch is the weighted mean. Leave it out for the mean.
    """
    n_qubits = program.n_qubits
    features = x.shape[1]
    weights = _layers(optimiser.parameters, features, program, n_classes)
    gradients = _layers(optimiser.gradients, features, program, n_classes)
    of_bits = program.embedding == BASIS
    # Encoded and measured values, their gradients, and inputs and outputs of patterns. Smaller batches use the front.
    buffers = np.empty((6, n_qubits * workspace.embedding.shape[2]), x.dtype)
    score_buffer = np.empty(n_classes * batch_size, x.dtype)
    patterns = make_patterns(n_qubits if of_bits else 0, batch_size, x)
    total = 0.0
    batches = 0
    for start in range(0, order.size, batch_size):
        rows = order[start : start + batch_size]
        encoded = _front(buffers[0], n_qubits, rows.size)
        measured = _front(buffers[1], n_qubits, rows.size)
        grad_encoded = _front(buffers[2], n_qubits, rows.size)
        grad_measured = _front(buffers[3], n_qubits, rows.size)
        scores = score_buffer[: n_classes * rows.size].reshape(n_classes, rows.size)

        encode(x, rows, weights.encoder_weights, weights.encoder_bias, encoded)
        inputs, outputs = _simulate(encoded, weights.angles, program, workspace, patterns, buffers, measured)
        classify(measured, weights.classifier_weights, weights.classifier_bias, scores)
        # `nll_loss` averages over a batch, also over a last one that is smaller.
        # Numba compiles only one of the branches. Any code that is shared by both could change the last bits of trainings
        # without weights, on which published tables depend.
        if sample_weights is None:
            total += negative_log_likelihood(scores, y, rows)
        else:
            total += weighted_negative_log_likelihood(scores, y, rows, sample_weights)
        # From here on `scores` holds the gradient of the loss with respect to the scores.
        adjoint_of_classify(
            scores, measured, weights.classifier_weights, gradients.classifier_weights, gradients.classifier_bias, grad_measured
        )
        grad_inputs = grad_encoded
        grad_outputs = grad_measured
        if of_bits:
            # The inputs and outputs of the samples' patterns are no longer needed.
            grad_inputs = inputs
            grad_outputs = outputs
            sum_by_pattern(grad_measured, patterns, grad_outputs)
        backward(weights.angles, program, workspace, grad_outputs, grad_inputs, gradients.angles)
        if of_bits:
            straight_through(grad_measured, patterns, grad_encoded)
        adjoint_of_encode(x, rows, grad_encoded, gradients.encoder_weights, gradients.encoder_bias)
        batches += 1
        adam(optimiser, steps_before + batches, learning_rate)
    return total / batches


@jit
def _simulate(
    encoded: Array,
    angles: Array,
    program: Program,
    workspace: Workspace,
    patterns: Patterns,
    buffers: Array,
    measured: Array,
) -> tuple[Array, Array]:
    """Write ⟨Z⟩ (n, B) of every sample, and return inputs and outputs of the last simulation, from which `backward` starts."""
    # With basis embedding, patterns are simulated instead of samples; those of the samples come last. Both cases share one
    # call of `forward`: a second one would take a third longer to compile.
    of_bits = program.embedding == BASIS
    capacity = workspace.embedding.shape[2]
    n_qubits, batch = encoded.shape
    own, count = list_patterns(encoded, patterns) if of_bits else (batch, batch)
    inputs = encoded
    outputs = measured
    end = count
    while end > 0:
        begin = max(own, end - capacity) if end > own else 0
        if of_bits:
            inputs = _front(buffers[4], n_qubits, end - begin)
            outputs = _front(buffers[5], n_qubits, end - begin)
            write_bits(patterns.distinct[begin:end], inputs)
        forward(inputs, angles, program, workspace, outputs, end < count)
        if of_bits:
            store_measured(patterns.distinct[begin:end], outputs, patterns)
        end = begin
    if of_bits:
        look_up(encoded, patterns, measured)
    return inputs, outputs


@jit
def _layers(vector: Array, features: int, program: Program, n_classes: int) -> ParameterBlocks[Array]:
    """Return the blocks of a vector of parameters, as views."""
    n_qubits = program.n_qubits
    depth = program.depth
    width = program.width
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
    """Return the front of a buffer as an array (rows, columns)."""
    return buffer[: rows * columns].reshape(rows, columns)


@cache
def load_weighted_kernel() -> None:
    """Load the kernel for training with weights; compile it first if this installation has not."""
    compile_once(_compile_weighted, group="weighted")
    compile_weighted_training()


def _compile_weighted() -> None:
    logger.info("compiling the kernel for weighted samples, once per installation; this takes about ten seconds")
    with in_subprocess(compile_weighted_training):
        pass
    # It finds the machine code on disk, unless the subprocess failed.
    compile_weighted_training()


@cache
def load_kernels() -> None:
    """Load the float32 kernels into this process; compile them first if this installation has not."""
    compile_once(_compile, group="single")
    compile_forward()
    compile_training()


def _compile() -> None:
    """Compile all kernels in subprocesses."""
    # A subprocess can be ended at any time. In this process, numba's compiler would swallow an exception raised by a signal.
    logger.info("compiling the fast engine, once per installation; this takes about ten seconds")
    # The two slowest compile in parallel; the training kernel contains both.
    with in_subprocess(compile_backward), in_subprocess(compile_forward):
        pass
    logger.info("compiling the fast engine: the circuit kernels are ready, the training kernel follows")
    with in_subprocess(compile_training):
        pass
    # These find the machine code on disk, unless a subprocess failed.
    compile_forward()
    compile_training()


# The next four take no arguments, because `in_subprocess` calls them by name.


def compile_forward() -> None:
    """Compile the kernels for predictions, or load them from disk."""
    expectations(np.ones((2, 2), np.float32), np.ones((1, 2), np.float32), SMALLEST_CIRCUIT)


def compile_backward() -> None:
    """Compile the kernel for gradients of a circuit, or load it from disk."""
    program = compile_circuit(SMALLEST_CIRCUIT)
    wires = np.ones((2, 2), np.float32)
    backward(np.ones((1, 2), np.float32), program, make_workspace(program, 2, np.float32), wires, wires, wires[:1])


def compile_training() -> None:
    """Compile the kernel for training, or load it from disk."""
    _train_smallest()


def compile_weighted_training() -> None:
    """Compile the kernel for training with weights, or load it from disk."""
    _train_smallest(np.ones(2))


def _train_smallest(*sample_weights: Array) -> None:
    program = compile_circuit(SMALLEST_CIRCUIT)
    optimiser = make_optimiser(np.ones(N_SMALLEST, np.float32))
    workspace = make_workspace(program, 2, np.float32)
    x = np.ones((2, 1), np.float32)
    y = np.zeros(2, np.int64)
    train_epoch(x, y, np.arange(2), 2, program, workspace, optimiser, 0, 0.1, 2, *sample_weights)


SMALLEST_CIRCUIT = Circuit(
    n_qubits=2, embedding=Embedding.ANGLE, entangler=Entangler.CZ, topology=Topology.LINEAR, rotations=(Rotation.RX,)
)
"""Smallest circuit, used to load and compile the kernels. Machine code depends on types, not on the sizes of arrays."""
N_SMALLEST = 1 * 2 + 2 + 2 + 2 * 2 + 2
"""Number of parameters of a network around it, with one feature and two classes."""
