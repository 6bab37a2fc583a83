"""Training and simulation of several networks of one circuit in one numba call.

Calling a kernel from Python takes about as long as the kernel itself for a small circuit. The results equal those of one call
per network, bit for bit.
"""

import logging
from functools import cache

import numpy as np

from faqnas_optuna.cache import in_subprocess
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.engine.fused import N_SMALLEST, SMALLEST_CIRCUIT, load_kernels, train_epoch
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import compile_once, kernel
from faqnas_optuna.engine.layers import Optimiser
from faqnas_optuna.engine.normal_form import Integers, Program, compile_circuit
from faqnas_optuna.engine.statevector import Workspace, chunk_size, fill_wires, forward, make_workspace

logger = logging.getLogger(__name__)


@kernel
def train_networks(
    x: Array,
    y: Integers,
    orders: Integers,
    batch_size: int,
    program: Program,
    workspace: Workspace,
    parameters: Array,
    learning_rate: float,
    n_classes: int,
    losses: Array,
) -> None:
    """Train networks of one circuit that differ in their initial parameters and orders of samples (see `train_epoch`).

    Args:
        orders: (networks, epochs, samples).
        parameters: (networks, P), overwritten with those after the last step.
        losses: (networks, epochs), overwritten.
    """
    steps_per_epoch = -(-orders.shape[2] // batch_size)
    gradients = np.zeros_like(parameters[0])
    moments = np.empty((2, gradients.size), gradients.dtype)
    for network in range(orders.shape[0]):
        moments[:] = 0
        optimiser = Optimiser(parameters[network], gradients, moments[0], moments[1])
        for epoch in range(orders.shape[1]):
            steps = epoch * steps_per_epoch
            order = orders[network, epoch]
            losses[network, epoch] = train_epoch(
                x, y, order, batch_size, program, workspace, optimiser, steps, learning_rate, n_classes
            )


def expectations_of_networks(inputs: Array, weights: Array, circuit: Circuit) -> Array:
    """Return ⟨Z⟩ of every wire for several networks of one circuit, (K, B, n); those of each are equal to `expectations`.

    Args:
        inputs: (K, B, n).
        weights: (K, L, W).
    """
    program = compile_circuit(circuit)
    weights = np.ascontiguousarray(weights, inputs.dtype)
    result = np.empty_like(inputs)
    n_samples = inputs.shape[1]
    chunk = chunk_size(n_samples, circuit.n_qubits)
    workspace = make_workspace(program, chunk, inputs.dtype)
    wires_first = np.empty((len(inputs), circuit.n_qubits, chunk), inputs.dtype)
    measured = np.empty_like(wires_first)
    for start in range(0, n_samples, max(chunk, 1)):
        fill_wires(wires_first, inputs[:, start : start + chunk])
        forward_networks(wires_first, weights, program, workspace, measured)
        result[:, start : start + chunk] = measured.swapaxes(-1, -2)[:, : n_samples - start]
    return result


@kernel
def forward_networks(inputs: Array, weights: Array, program: Program, workspace: Workspace, measured: Array) -> None:
    """Run a circuit for several networks, with a leading axis in all arrays (see `forward`)."""
    for network in range(inputs.shape[0]):
        forward(inputs[network], weights[network], program, workspace, measured[network], False)


@cache
def load_network_kernels() -> None:
    """Load these kernels and those that they call; compile them first if this installation has not."""
    load_kernels()
    compile_once(_compile, group="networks")
    compile_training()
    compile_forward()


def _compile() -> None:
    """Compile both kernels in subprocesses, in parallel."""
    logger.info("compiling the kernels for many trainings, once per installation; this takes about ten seconds")
    with in_subprocess(compile_training), in_subprocess(compile_forward):
        pass
    # These find the machine code on disk, unless a subprocess failed.
    compile_training()
    compile_forward()


# The next two take no arguments, because `in_subprocess` calls them by name.


def compile_training() -> None:
    """Compile the kernel for training, or load it from disk."""
    program = compile_circuit(SMALLEST_CIRCUIT)
    x = np.ones((2, 1), np.float32)
    y = np.zeros(2, np.int64)
    parameters = np.ones((1, N_SMALLEST), np.float32)
    orders = np.zeros((1, 1, 2), np.int64)
    train_networks(x, y, orders, 2, program, make_workspace(program, 2, np.float32), parameters, 0.1, 2, np.empty((1, 1)))


def compile_forward() -> None:
    """Compile the kernel for predictions, or load it from disk."""
    expectations_of_networks(np.ones((1, 2, 2), np.float32), np.ones((1, 1, 2), np.float32), SMALLEST_CIRCUIT)
