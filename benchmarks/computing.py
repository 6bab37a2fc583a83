"""How fast circuits are simulated, trained and counted, without a study: on one thread, of this process."""

import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks import references
from benchmarks.measurement import Measurement, at_most, faster, paired, seconds, within
from faqnas_optuna import Circuit, DataSplits, StudyConfig, evaluate
from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.counting import count_parts
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import GENES, Embedding, Entangler, Rotation, Topology, enumerate_genomes
from faqnas_optuna.circuits.openqasm import preparation_angles
from faqnas_optuna.config import Engine
from faqnas_optuna.data import named
from faqnas_optuna.engine.fused import make_optimiser, train_epoch
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import forward, make_workspace
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import ALL_TO_ALL, DEVICES
from faqnas_optuna.noise.evaluation import simulator
from faqnas_optuna.noise.model import DeviceNoise
from faqnas_optuna.training.evaluation import train_once
from faqnas_optuna.training.parameters import Layout

logger = logging.getLogger(__name__)

BATCH = 64
N_FEATURES, N_CLASSES = 13, 3
ROTATIONS = (Rotation.RX, Rotation.RY, Rotation.RZ, Rotation.RY)
LAYER_TARGETS = {2: 30, 4: 60, 6: 60, 8: 40, 10: 25}
STEP_TARGETS = {2: 15, 4: 30, 6: 30, 8: 30, 10: 25}
GATES_TARGET, NOISY_TARGET, NOISY_SAMPLES = 0.99, 10, 36
NOISY_TARGETS_S = {8: 2, 9: 8, 10: 30}
"""Of those that take `default.mixed` minutes."""
LIGHTNING_TARGET, JAX_TARGET, WIDER_TARGET = 20, 2, 2
TRAINING_TARGETS_MS = {"iris": 1.1, "wine": 1.3, "breast-cancer": 3.0, "digits": 9.5}
AROUND_KERNELS_TARGET_MS, SPACE_TARGET_S, FLOPS_TARGET_MS = 0.25, 12.0, 5.0


def steps(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """The quantum layer forward and backward, and a whole training step, against PennyLane's."""
    x, y = _batch()
    for n, embedding, entangler in product(qubits, PAPER_EMBEDDINGS, PAPER_ENTANGLERS):
        circuit, case = _frame(n, embedding, entangler)
        layer = references.layer_pass(circuit, Engine.FAST, BATCH), references.layer_pass(circuit, Engine.PENNYLANE, BATCH)
        fast, reference = paired(*layer, repeats)
        yield faster("quantum layer", case, fast * 1e3, reference * 1e3, "ms", LAYER_TARGETS[n])
        ours, _ = _fused_step(circuit, x, y)
        fast, reference = paired(ours, references.torch_step(circuit, x, y, N_CLASSES), repeats)
        yield faster("training step", case, fast * 1e3, reference * 1e3, "ms", STEP_TARGETS[n])


def against_lightning(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """The quantum layer forward and backward, against lightning.qubit."""
    for n in qubits:
        circuit, case = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        ours = references.layer_pass(circuit, Engine.FAST, BATCH)
        fast, reference = paired(ours, references.lightning_pass(circuit, BATCH), repeats)
        yield faster("quantum layer", f"{case}, lightning.qubit", fast * 1e3, reference * 1e3, "ms", LIGHTNING_TARGET)


def against_jax(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """A training step against the same in JAX, if that is installed. What both come to is compared first."""
    if find_spec("jax") is None:
        logger.info("no comparison with JAX, which is not installed: pip install jax")
        return
    x, y = _batch()
    for n in qubits:
        circuit, case = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        ours, vector = _fused_step(circuit, x, y)
        theirs = references.jax_step(circuit, x, y, N_CLASSES, vector.copy())
        ours()
        if not np.allclose(vector, theirs(), atol=1e-4):
            raise AssertionError(f"JAX comes to other parameters than we do for {case}; please report this")
        fast, reference = paired(ours, theirs, repeats)
        yield faster("training step", f"{case}, JAX", fast * 1e3, reference * 1e3, "ms", JAX_TARGET)


def wider_steps(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """A gate's share of a training step with what the paper's space lacks, against one with angle embedding and CZ.

    The features are normal numbers: the less alike samples are, the more patterns of bits there are to run.
    """
    x, y = np.random.default_rng(0).standard_normal((BATCH, N_FEATURES), np.float32), _batch()[1]
    for n in qubits:
        angle, _ = _frame(n, Embedding.ANGLE, Entangler.CZ)
        wider = {
            "basis": replace(angle, embedding=Embedding.BASIS),
            "iqp": replace(angle, embedding=Embedding.IQP),
            "re-uploading": replace(angle, reuploading=True),
            "ZZ": replace(angle, entangler=Entangler.ZZ),
        }
        for name, circuit in wider.items():
            taken, reference = paired(_fused_step(circuit, x, y)[0], _fused_step(angle, x, y)[0], repeats)
            taken, reference = taken / _gates(circuit), reference / _gates(angle)
            case = f"{n} qubits, {name}, against angle"
            yield within("training step, per gate", case, taken * 1e6, reference * 1e6, "µs", WIDER_TARGET)


def _gates(circuit: Circuit) -> int:
    """How many there are, an entangler of whatever kind being one."""
    n, depth, uploads = circuit.n_qubits, circuit.depth, circuit.depth if circuit.reuploading else 1
    embedding = 2 * n + n * (n - 1) // 2 if circuit.embedding is Embedding.IQP else n
    return uploads * embedding + depth * (n + len(circuit.entangled_pairs))


def _batch() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.random.default_rng(0).random((BATCH, N_FEATURES), np.float32), np.arange(BATCH) % N_CLASSES


def _frame(n: int, embedding: Embedding, entangler: Entangler) -> tuple[Circuit, str]:
    """A circuit of four layers, and what to call it."""
    circuit = Circuit(n_qubits=n, embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR, rotations=ROTATIONS)
    return circuit, f"{n} qubits, {embedding}, {entangler}"


def _fused_step(
    circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[Callable[[], None], NDArray[np.float32]]:
    """A call that takes a step, and the parameters that it changes."""
    order = np.arange(BATCH)
    vector = Layout.of(circuit, n_features=N_FEATURES, n_classes=N_CLASSES).draw(np.random.default_rng(0))
    program, optimiser = compile_circuit(circuit), make_optimiser(vector)
    workspace = make_workspace(program, BATCH, np.float32)
    taken = 0

    def run() -> None:
        nonlocal taken
        train_epoch(x, y, order, BATCH, program, workspace, optimiser, taken, references.LEARNING_RATE, N_CLASSES)
        taken += 1

    return run, vector


def trainings(names: tuple[str, ...], *, circuits: int) -> Iterator[Measurement]:
    """A training at the paper's budget, averaged over random circuits, and what of it is not spent in the kernels."""
    chosen = random.Random(0).sample(_all_circuits(), circuits)
    for name in names:
        config, splits = StudyConfig(dataset=name), named.load(name, seed=0)
        whole, kernels = [], []
        for circuit in chosen:
            in_kernels = _kernels(circuit, splits, config)
            in_kernels()
            whole.append(seconds(partial(train_once, circuit, splits, config, repeat=0)))
            kernels.append(seconds(in_kernels))
        case = f"{name}, mean of {circuits} circuits"
        yield at_most("training", case, 1e3 * statistics.fmean(whole), "ms", TRAINING_TARGETS_MS[name])
        around = statistics.median(total - inside for total, inside in zip(whole, kernels, strict=True))
        yield at_most("training, around its kernels", case, 1e3 * around, "ms", AROUND_KERNELS_TARGET_MS)


def _kernels(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Callable[[], None]:
    """The calls of kernels in a training and its validation, with nothing around them."""
    training, samples = config.training, len(splits.train)
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    program, vector = compile_circuit(circuit), layout.draw(np.random.default_rng(0))
    optimiser, batch_size, order = make_optimiser(vector), min(training.batch_size, samples), np.arange(samples)
    workspace = make_workspace(program, batch_size, np.float32)
    inputs = np.ones((circuit.n_qubits, len(splits.validation)), np.float32)
    measured, validating = np.empty_like(inputs), make_workspace(program, inputs.shape[1], np.float32)
    part, angles = splits.train, np.ones(circuit.weights_shape, np.float32)

    def run() -> None:
        for _ in range(training.epochs):
            data = part.x, part.y, order, batch_size
            train_epoch(*data, program, workspace, optimiser, 0, training.learning_rate, splits.n_classes)
        forward(inputs, angles, program, validating, measured, False)

    return run


def whole_space() -> Measurement:
    """Every circuit of the space, counted and trained on Wine."""
    config, splits, circuits = StudyConfig(dataset="wine"), named.load("wine", seed=0), _all_circuits()
    started = time.perf_counter()
    for circuit in circuits:
        evaluate(circuit, splits, config)
    taken = time.perf_counter() - started
    return at_most("evaluating the space", f"wine, {len(circuits):,} circuits", taken, "s", SPACE_TARGET_S)


def flops_counters(*, profiled: int, counter: Callable[[Circuit], int] = profiler_flops) -> Measurement:
    """Counting the profiler's FLOPs of all circuits, from the counting of their parts on, against the profiler itself."""
    circuits = _all_circuits()
    started = time.perf_counter()
    for n_qubits in GENES["n_qubits"]:
        count_parts(int(n_qubits))
    counted = {circuit: counter(circuit) for circuit in circuits}
    fast = (time.perf_counter() - started) / len(circuits)
    times = []
    for circuit in random.Random(0).sample(circuits, profiled):
        started = time.perf_counter()
        if references.profiled_flops(circuit) != counted[circuit]:
            raise AssertionError(f"torch.profiler counts other FLOPs than we do for {circuit}; please report this")
        times.append(time.perf_counter() - started)
    reference = statistics.fmean(times)
    return Measurement(
        what="profiler FLOPs of a new circuit",
        case=f"mean of all {len(circuits):,}, equal to torch.profiler's",
        value=fast * 1e3,
        reference=reference * 1e3,
        unit="ms",
        ratio=reference / fast,
        target=f"<= {FLOPS_TARGET_MS:g} ms",
        met=fast * 1e3 <= FLOPS_TARGET_MS,
    )


def against_qiskit(*, circuits: int, seeds: int) -> Iterator[Measurement]:
    """Two-qubit gates of random circuits in sum, on each device that needs SWAPs, against Qiskit's if that is installed."""
    if find_spec("qiskit") is None:
        logger.info("no comparison with Qiskit, which is not installed: pip install qiskit")
        return
    chosen = random.Random(0).sample(_all_circuits(), circuits)
    for device in (one for one in DEVICES.values() if one.coupling != ALL_TO_ALL):
        ours = [hardware_cost(circuit, device).two_qubit_gates for circuit in chosen]
        theirs = [references.qiskit_gates(circuit, device, seeds=seeds) for circuit in chosen]
        most = max(mine - best for mine, best in zip(ours, theirs, strict=True))
        case = f"{device.name}, sum of {circuits} circuits, at most {most} more than Qiskit's best of {seeds}"
        yield faster("two-qubit gates", case, sum(ours), sum(theirs), "gates", GATES_TARGET)


def noisy(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """The test samples of Wine through a circuit with the noise of a device, against `default.mixed` if that can."""
    noise, generator = DeviceNoise(device=DEVICES["heron-r3"]), np.random.default_rng(0)
    for n in qubits:
        frame, _ = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        circuit = replace(frame, topology=Topology.LINEAR)
        inputs = np.array([preparation_angles(circuit, row) for row in generator.random((NOISY_SAMPLES, n))])
        weights = generator.random(circuit.weights_shape, np.float32)
        arguments = noise.program(circuit, 1.0), inputs, weights
        ours, theirs = (partial(simulator(engine), *arguments) for engine in (Engine.FAST, Engine.PENNYLANE))
        what, case = "noisy simulation", f"{n} qubits, {NOISY_SAMPLES} samples, heron-r3"
        if n in NOISY_TARGETS_S:
            yield at_most(what, case, seconds(ours), "s", NOISY_TARGETS_S[n])
        else:
            fast, reference = paired(ours, theirs, repeats)
            yield faster(what, case, fast * 1e3, reference * 1e3, "ms", NOISY_TARGET)


def _all_circuits() -> list[Circuit]:
    return sorted({genome.circuit for genome in enumerate_genomes()}, key=str)
