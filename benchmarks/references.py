"""What one would write without this program: the same networks in PennyLane and PyTorch, in JAX, and a search by hand.

Each makes a call to be timed, on random data of a batch.
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
from faqnas_optuna.engine.fused import BETA_1, BETA_2, EPSILON, ParameterBlocks
from faqnas_optuna.hardware.devices import Device, TwoQubitGate
from faqnas_optuna.training.evaluation import train_once
from faqnas_optuna.training.model import quantum_layer
from faqnas_optuna.training.parameters import Layout

LEARNING_RATE = 0.003


def layer_pass(circuit: Circuit, engine: Engine, batch: int) -> Callable[[], None]:
    """The quantum layer in PyTorch, forward and backward."""
    layer = quantum_layer(circuit, engine, torch.ones(circuit.weights_shape))
    inputs = torch.rand(batch, circuit.n_qubits, requires_grad=True)

    def run() -> None:
        layer(inputs).sum().backward()

    return run


def lightning_pass(circuit: Circuit, batch: int) -> Callable[[], None]:
    """The same on PennyLane's compiled simulator, by adjoint differentiation."""
    node = lightning(circuit)
    weights = torch.ones(circuit.weights_shape, requires_grad=True)
    inputs = torch.rand(batch, circuit.n_qubits, requires_grad=True)

    def run() -> None:
        torch.stack([torch.stack(node(sample, weights)) for sample in inputs]).sum().backward()

    return run


def torch_step(circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> Callable[[], None]:
    """A training step in PyTorch, the circuit in PennyLane."""
    generator = np.random.default_rng(0)
    model = HQNN(circuit, n_features=x.shape[1], n_classes=n_classes, engine=Engine.PENNYLANE, generator=generator)
    samples, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.nll_loss(model(samples), labels).backward()
        optimiser.step()

    return run


def jax_step(
    circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64], n_classes: int, parameters: NDArray[np.float32]
) -> Callable[[], NDArray[np.float32]]:
    """A training step in JAX, jitted, the state vector by hand; a call returns the parameters after it.

    Raises:
        ImportError: JAX is not installed.
    """
    # Before it is imported: one thread, as everything else here has.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax

    layout = Layout.of(circuit, n_features=x.shape[1], n_classes=n_classes)
    labels, ends = y[:, None], np.cumsum([math.prod(shape) for shape in layout.shapes])[:-1]

    def loss(vector: Any) -> Any:
        pieces = jax.numpy.split(vector, ends)
        parts = ParameterBlocks(*(piece.reshape(shape) for piece, shape in zip(pieces, layout.shapes, strict=True)))
        measured = _jax_circuit(circuit, x @ parts.encoder_weights.T + parts.encoder_bias, parts.angles)
        scores = jax.nn.log_softmax(measured @ parts.classifier_weights.T + parts.classifier_bias)
        return -jax.numpy.take_along_axis(scores, labels, axis=1).mean()

    def step(vector: Any, first: Any, second: Any, count: Any) -> Any:
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
    """⟨Z⟩ (B, n) of inputs (B, n)."""
    from jax import numpy as jnp

    n, batch = circuit.n_qubits, inputs.shape[0]
    if circuit.embedding is Embedding.ANGLE:
        qubits = jnp.stack([jnp.cos(inputs), jnp.sin(inputs)], axis=-1)
        state = reduce(lambda left, q: (left[:, :, None] * q[:, None]).reshape(batch, -1), qubits.swapaxes(0, 1))
    else:
        state = jnp.pad(inputs, ((0, 0), (0, 2**n - n))) / jnp.linalg.norm(inputs, axis=1, keepdims=True)
    state = state.astype(jnp.complex64)
    bits, index = np.indices(n * (2,)).reshape(n, -1), np.arange(2**n)
    # A layer's entanglers are one permutation, or one change of signs.
    sources, signs = index, np.ones(2**n, np.float32)
    for control, target in circuit.entangled_pairs:
        sources = sources[index ^ (bits[control] << (n - 1 - target))]
        signs = signs * (1 - 2 * bits[control] * bits[target])
    for rotation, row in zip(circuit.rotations, angles, strict=True):
        for wire in range(n):
            (a, b), (c, d) = _jax_rotation(rotation, row[wire])
            pairs = state.reshape(batch << wire, 2, -1)
            zero, one = pairs[:, 0], pairs[:, 1]
            state = jnp.stack([a * zero + b * one, c * zero + d * one], axis=1).reshape(batch, -1)
        state = state * signs.astype(np.float32) if circuit.entangler is Entangler.CZ else state[:, sources]
    probabilities = state.real**2 + state.imag**2
    return probabilities @ (1 - 2 * bits.T).astype(np.float32)


def _jax_rotation(rotation: Rotation, angle: Any) -> Any:
    from jax import numpy as jnp

    c, s = jnp.cos(angle / 2), jnp.sin(angle / 2)
    if rotation is Rotation.RX:
        return (c, -1j * s), (-1j * s, c)
    if rotation is Rotation.RY:
        return (c, -s), (s, c)
    return (c - 1j * s, 0), (0, c + 1j * s)


def profiled_flops(circuit: Circuit) -> int:
    """What torch.profiler itself reports for one sample through the PennyLane layer."""
    layer = quantum_layer(circuit, Engine.PENNYLANE, torch.ones(circuit.weights_shape))
    sample = torch.ones(1, circuit.n_qubits)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiled:
        layer(sample)
    return sum(event.flops for event in profiled.key_averages() if event.flops)


def qiskit_gates(circuit: Circuit, device: Device, *, seeds: int) -> int:
    """Two-qubit gates of the live circuit on a device by Qiskit's transpiler at its highest level, the fewest of so many seeds.

    Raises:
        ImportError: Qiskit is not installed.
    """
    import qiskit

    written = qiskit.QuantumCircuit(circuit.n_qubits)
    for number, gate in enumerate(elementary_gates(circuit, EffectiveGates(circuit=circuit).layers)):
        # Angles of no special value, of which nothing could be made less.
        angle = [] if gate.angle is None else [0.3 + 2 * (number * 0.618 % 1)]
        getattr(written, gate.name)(*angle, *gate.wires)
    written.measure_all()
    # A ZZ rotation of a quarter turn is a CZ.
    native = "cz" if device.two_qubit_gate is TwoQubitGate.RZZ else str(device.two_qubit_gate)
    chip = qiskit.transpiler.CouplingMap([*device.pairs, *((b, a) for a, b in device.pairs)])
    options = {"coupling_map": chip, "basis_gates": [native, "sx", "x", "rz"], "optimization_level": 3}
    return min(int(qiskit.transpile(written, **options, seed_transpiler=seed).num_nonlocal_gates()) for seed in range(seeds))


def search_by_hand(url: str, params: list[dict[str, Any]], config: StudyConfig, splits: DataSplits) -> Callable[[], None]:
    """A search of plain Optuna over genomes that are given, with TorchLayer and torch.profiler."""
    sampler = optuna.samplers.NSGAIISampler(population_size=len(params))
    study = optuna.create_study(storage=url, directions=["minimize", "minimize"], sampler=sampler)
    for genes in params:
        study.enqueue_trial(genes)
    objective = partial(_objective_by_hand, config=config.model_copy(update={"engine": Engine.PENNYLANE}), splits=splits)
    return partial(study.optimize, objective, n_trials=len(params))


def _objective_by_hand(trial: optuna.Trial, *, config: StudyConfig, splits: DataSplits) -> tuple[float, float]:
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in config.space.genes.items()}
    circuit = Genome.from_params(genes).circuit
    result = train_once(circuit, splits, config, repeat=0)
    return float(profiled_flops(circuit)), 1 - result.validation.accuracy
