"""Hand-written equivalents: the networks in PennyLane, PyTorch and JAX, Qiskit's transpiler, and a search in plain Optuna.

Most functions return a function without arguments, whose calls are timed.
"""

import math
import os
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from torch import nn
from torch.profiler import ProfilerActivity, profile

from faqnas_optuna import HQNN, Circuit, DataSplits, Genome, StudyConfig
from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.elementary import elementary_gates
from faqnas_optuna.circuits.genome import Embedding, Entangler, Rotation
from faqnas_optuna.circuits.pennylane_circuit import lightning
from faqnas_optuna.config import Engine
from faqnas_optuna.engine.fused import ParameterBlocks
from faqnas_optuna.engine.layers import BETA_1, BETA_2, EPSILON
from faqnas_optuna.hardware.devices import Device, TwoQubitGate
from faqnas_optuna.training.evaluation import train_once
from faqnas_optuna.training.model import quantum_layer
from faqnas_optuna.training.parameters import Layout

LEARNING_RATE = 0.003


def layer_pass(circuit: Circuit, engine: Engine, batch: int) -> Callable[[], None]:
    """Return a forward and backward pass of the quantum layer in PyTorch on a random batch."""
    layer = quantum_layer(circuit, engine, torch.ones(circuit.weights_shape))
    inputs = torch.rand(batch, circuit.n_qubits, requires_grad=True)

    def run() -> None:
        layer(inputs).sum().backward()

    return run


def lightning_pass(circuit: Circuit, batch: int) -> Callable[[], None]:
    """Return a forward and backward pass on lightning.qubit, PennyLane's compiled simulator, by adjoint differentiation."""
    node = lightning(circuit)
    weights = torch.ones(circuit.weights_shape, requires_grad=True)
    inputs = torch.rand(batch, circuit.n_qubits, requires_grad=True)

    def run() -> None:
        # The simulator has no batches: each sample is one execution.
        torch.stack([torch.stack(node(sample, weights)) for sample in inputs]).sum().backward()

    return run


def torch_step(circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> Callable[[], None]:
    """Return a training step in PyTorch with the circuit in PennyLane."""
    generator = np.random.default_rng(0)
    model = HQNN(circuit, n_features=x.shape[1], n_classes=n_classes, engine=Engine.PENNYLANE, generator=generator)
    samples = torch.from_numpy(x)
    labels = torch.from_numpy(y)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.nll_loss(model(samples), labels).backward()
        optimiser.step()

    return run


def jax_step(
    circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64], n_classes: int, parameters: NDArray[np.float32]
) -> Callable[[], NDArray[np.float32]]:
    """Return a jitted training step in JAX with a hand-written state vector; each call returns the parameters after the step.

    Raises:
        ImportError: JAX is not installed.
    """
    # JAX reads the flags at import. One thread, like the other references.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax

    layout = Layout.of(circuit, n_features=x.shape[1], n_classes=n_classes)
    labels = y[:, None]
    # Places where the vector of parameters is split into blocks.
    ends = np.cumsum([math.prod(shape) for shape in layout.shapes])[:-1]

    def loss(vector: Any) -> Any:
        pieces = jax.numpy.split(vector, ends)
        parts = ParameterBlocks(*(piece.reshape(shape) for piece, shape in zip(pieces, layout.shapes, strict=True)))
        outputs = _jax_circuit(circuit, x @ parts.encoder_weights.T + parts.encoder_bias, parts.angles)
        # Log-probabilities (B, classes); the loss is the negative log-likelihood, as in training.
        scores = jax.nn.log_softmax(outputs @ parts.classifier_weights.T + parts.classifier_bias)
        return -jax.numpy.take_along_axis(scores, labels, axis=1).mean()

    def step(vector: Any, first: Any, second: Any, count: Any) -> Any:
        # Adam, with the first and second moments of the gradients as its state.
        gradients = jax.grad(loss)(vector)
        first = BETA_1 * first + (1 - BETA_1) * gradients
        second = BETA_2 * second + (1 - BETA_2) * gradients**2
        root = jax.numpy.sqrt(second / (1 - BETA_2**count)) + EPSILON
        return vector - LEARNING_RATE * first / (1 - BETA_1**count) / root, first, second, count + 1

    jitted = jax.jit(step)
    state: Any = (jax.numpy.asarray(parameters), np.zeros_like(parameters), np.zeros_like(parameters), np.float32(1))

    def run() -> NDArray[np.float32]:
        nonlocal state
        state = jitted(*state)
        return np.asarray(state[0])

    return run


def _jax_circuit(circuit: Circuit, inputs: Any, angles: Any) -> Any:
    """Return ⟨Z⟩ of every wire (B, n) for inputs (B, n) and angles (depth, n)."""
    from jax import numpy as jnp

    n = circuit.n_qubits
    batch = inputs.shape[0]
    # The state is (B, 2ⁿ); wire 0 is the most significant bit of the index.
    if circuit.embedding is Embedding.ANGLE:
        # RY(2x)|0⟩ = cos x |0⟩ + sin x |1⟩ on each wire, multiplied wire by wire.
        qubits = jnp.stack([jnp.cos(inputs), jnp.sin(inputs)], axis=-1)
        state = reduce(lambda left, q: (left[:, :, None] * q[:, None]).reshape(batch, -1), qubits.swapaxes(0, 1))
    else:
        state = jnp.pad(inputs, ((0, 0), (0, 2**n - n))) / jnp.linalg.norm(inputs, axis=1, keepdims=True)
    state = state.astype(jnp.complex64)
    bits = np.indices(n * (2,)).reshape(n, -1)
    index = np.arange(2**n)
    # All entanglers of a layer together are one permutation (CNOT) or one change of signs (CZ).
    sources = index
    signs = np.ones(2**n, np.float32)
    for control, target in circuit.entangled_pairs:
        sources = sources[index ^ (bits[control] << (n - 1 - target))]
        signs = signs * (1 - 2 * bits[control] * bits[target])
    for rotation, row in zip(circuit.rotations, angles, strict=True):
        for wire in range(n):
            (a, b), (c, d) = _jax_rotation(rotation, row[wire])
            pairs = state.reshape(batch << wire, 2, -1)
            zero = pairs[:, 0]
            one = pairs[:, 1]
            state = jnp.stack([a * zero + b * one, c * zero + d * one], axis=1).reshape(batch, -1)
        state = state * signs.astype(np.float32) if circuit.entangler is Entangler.CZ else state[:, sources]
    probabilities = state.real**2 + state.imag**2
    return probabilities @ (1 - 2 * bits.T).astype(np.float32)


def _jax_rotation(rotation: Rotation, angle: Any) -> Any:
    """Return the 2 x 2 matrix of a rotation by an angle, as rows."""
    from jax import numpy as jnp

    c = jnp.cos(angle / 2)
    s = jnp.sin(angle / 2)
    if rotation is Rotation.RX:
        return (c, -1j * s), (-1j * s, c)
    if rotation is Rotation.RY:
        return (c, -s), (s, c)
    return (c - 1j * s, 0), (0, c + 1j * s)


def profiled_flops(circuit: Circuit) -> int:
    """Return the FLOPs that torch.profiler reports for one sample through the PennyLane layer."""
    layer = quantum_layer(circuit, Engine.PENNYLANE, torch.ones(circuit.weights_shape))
    sample = torch.ones(1, circuit.n_qubits)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
        layer(sample)
    return sum(event.flops for event in profiler.key_averages() if event.flops)


def qiskit_gates(circuit: Circuit, device: Device, *, seeds: int) -> int:
    """Return the two-qubit gates of the effective circuit on a device by Qiskit's transpiler at its highest level.

    Args:
        seeds: Number of random seeds of the transpiler; the smallest count is returned.

    Raises:
        ImportError: Qiskit is not installed.
    """
    import qiskit

    program = qiskit.QuantumCircuit(circuit.n_qubits)
    for number, gate in enumerate(elementary_gates(circuit, EffectiveGates(circuit=circuit).layers)):
        # Arbitrary angles: at multiples of π/2 the transpiler could drop or merge gates.
        angle = [] if gate.angle is None else [0.3 + 2 * (number * 0.618 % 1)]
        getattr(program, gate.name)(*angle, *gate.wires)
    program.measure_all()
    # RZZ(π/2) is a CZ up to rotations of single qubits, and Qiskit's basis has the CZ.
    native = "cz" if device.two_qubit_gate is TwoQubitGate.RZZ else str(device.two_qubit_gate)
    chip = qiskit.transpiler.CouplingMap([*device.pairs, *((b, a) for a, b in device.pairs)])
    options = {"coupling_map": chip, "basis_gates": [native, "sx", "x", "rz"], "optimization_level": 3}
    return min(int(qiskit.transpile(program, **options, seed_transpiler=seed).num_nonlocal_gates()) for seed in range(seeds))


def search_by_hand(url: str, params: list[dict[str, Any]], config: StudyConfig, splits: DataSplits) -> Callable[[], None]:
    """Return a search in plain Optuna, with TorchLayer and torch.profiler, that evaluates the given genomes.

    Args:
        params: Parameters of the trials.
    """
    sampler = optuna.samplers.NSGAIISampler(population_size=len(params))
    study = optuna.create_study(storage=url, directions=["minimize", "minimize"], sampler=sampler)
    # The sampler would suggest other genomes than ours; queued trials are the same circuits, with its overhead.
    for genes in params:
        study.enqueue_trial(genes)
    objective = partial(_objective_by_hand, config=config.model_copy(update={"engine": Engine.PENNYLANE}), splits=splits)
    return partial(study.optimize, objective, n_trials=len(params))


def _objective_by_hand(trial: optuna.Trial, *, config: StudyConfig, splits: DataSplits) -> tuple[float, float]:
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in config.space.genes.items()}
    circuit = Genome.from_params(genes).circuit
    result = train_once(circuit, splits, config, repeat=0)
    return float(profiled_flops(circuit)), 1 - result.validation.accuracy
