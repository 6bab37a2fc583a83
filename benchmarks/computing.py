"""Measurements of simulation, training and FLOP counting without a study, in this process on one thread."""

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
from faqnas_optuna.engine.fused import train_epoch
from faqnas_optuna.engine.layers import make_optimiser
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
N_FEATURES = 13
N_CLASSES = 3
ROTATIONS = (Rotation.RX, Rotation.RY, Rotation.RZ, Rotation.RY)
# Targets are speed-ups over the reference, by the number of qubits, unless their names have a unit.
LAYER_TARGETS = {2: 30, 4: 60, 6: 60, 8: 40, 10: 25}
STEP_TARGETS = {2: 15, 4: 30, 6: 30, 8: 30, 10: 25}
LIGHTNING_TARGET = 20
JAX_TARGET = 2
WIDER_TARGET = 2
"""Time per gate of an extension, divided by that of angle embedding and CZ."""
GATES_TARGET = 0.99
"""Two-qubit gates of Qiskit, divided by ours."""
NOISY_SAMPLES = 36
NOISY_TARGET = 10
NOISY_TARGETS_S = {8: 2, 9: 8, 10: 30}
"""Limits for numbers of qubits that take minutes with `default.mixed` and are therefore measured without it."""
TRAINING_TARGETS_MS = {"iris": 1.1, "wine": 1.3, "breast-cancer": 3.0, "digits": 9.5}
AROUND_KERNELS_TARGET_MS = 0.25
SPACE_TARGET_S = 12.0
FLOPS_TARGET_MS = 5.0


def steps(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """Compare the quantum layer, forward and backward, and a whole training step with PennyLane."""
    x, y = _batch()
    for n, embedding, entangler in product(qubits, PAPER_EMBEDDINGS, PAPER_ENTANGLERS):
        circuit, case = _frame(n, embedding, entangler)
        fast_layer = references.layer_pass(circuit, Engine.FAST, BATCH)
        fast, reference = paired(fast_layer, references.layer_pass(circuit, Engine.PENNYLANE, BATCH), repeats)
        yield faster("quantum layer", case, fast * 1e3, reference * 1e3, "ms", LAYER_TARGETS[n])
        ours, _ = _fused_step(circuit, x, y)
        fast, reference = paired(ours, references.torch_step(circuit, x, y, N_CLASSES), repeats)
        yield faster("training step", case, fast * 1e3, reference * 1e3, "ms", STEP_TARGETS[n])


def against_lightning(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """Compare the quantum layer, forward and backward, with lightning.qubit."""
    for n in qubits:
        circuit, case = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        ours = references.layer_pass(circuit, Engine.FAST, BATCH)
        fast, reference = paired(ours, references.lightning_pass(circuit, BATCH), repeats)
        yield faster("quantum layer", f"{case}, lightning.qubit", fast * 1e3, reference * 1e3, "ms", LIGHTNING_TARGET)


def against_jax(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """Compare a training step with one in JAX, if that is installed, after checking that both give the same parameters."""
    if find_spec("jax") is None:
        logger.info("no comparison with JAX, which is not installed; install it with `pip install jax`")
        return
    x, y = _batch()
    for n in qubits:
        circuit, case = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        ours, vector = _fused_step(circuit, x, y)
        # Our step changes the parameters in place, so JAX starts from a copy.
        theirs = references.jax_step(circuit, x, y, N_CLASSES, vector.copy())
        ours()
        if not np.allclose(vector, theirs(), atol=1e-4):
            raise AssertionError(
                f"JAX and this program must give the same parameters after a training step, and differ for {case}; report this"
            )
        fast, reference = paired(ours, theirs, repeats)
        yield faster("training step", f"{case}, JAX", fast * 1e3, reference * 1e3, "ms", JAX_TARGET)


def wider_steps(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """Compare the time per gate of a training step on extensions of the paper's space with that of angle embedding and CZ."""
    # Basis embedding runs each distinct bit pattern of a batch once. Normal features give many patterns, its worst case.
    x = np.random.default_rng(0).standard_normal((BATCH, N_FEATURES), np.float32)
    _, y = _batch()
    for n in qubits:
        angle, _ = _frame(n, Embedding.ANGLE, Entangler.CZ)
        wider = {
            "basis": replace(angle, embedding=Embedding.BASIS),
            "iqp": replace(angle, embedding=Embedding.IQP),
            "re-uploading": replace(angle, reuploading=True),
            "ZZ": replace(angle, entangler=Entangler.ZZ),
        }
        for name, circuit in wider.items():
            extended_step, _ = _fused_step(circuit, x, y)
            angle_step, _ = _fused_step(angle, x, y)
            extended, reference = paired(extended_step, angle_step, repeats)
            per_gate = 1e6 * extended / _gates(circuit)
            reference_per_gate = 1e6 * reference / _gates(angle)
            case = f"{n} qubits, {name}, compared with angle"
            yield within("training step, per gate", case, per_gate, reference_per_gate, "µs", WIDER_TARGET)


def _gates(circuit: Circuit) -> int:
    """Return the number of gates; an entangler of any kind counts as one."""
    n = circuit.n_qubits
    # IQP: a Hadamard and an RZ on each wire, a ZZ on each pair of wires.
    embedding = 2 * n + n * (n - 1) // 2 if circuit.embedding is Embedding.IQP else n
    uploads = circuit.depth if circuit.reuploading else 1
    return uploads * embedding + circuit.depth * (n + len(circuit.entangled_pairs))


def _batch() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features (BATCH, N_FEATURES) in [0, 1) and labels (BATCH,)."""
    return np.random.default_rng(0).random((BATCH, N_FEATURES), np.float32), np.arange(BATCH) % N_CLASSES


def _frame(n: int, embedding: Embedding, entangler: Entangler) -> tuple[Circuit, str]:
    """Return a circuit of four layers and its name in the results."""
    circuit = Circuit(n_qubits=n, embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR, rotations=ROTATIONS)
    return circuit, f"{n} qubits, {embedding}, {entangler}"


def _fused_step(
    circuit: Circuit, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[Callable[[], None], NDArray[np.float32]]:
    """Return a function that takes one training step, and the vector of parameters that it changes in place."""
    order = np.arange(BATCH)
    vector = Layout.of(circuit, n_features=N_FEATURES, n_classes=N_CLASSES).draw(np.random.default_rng(0))
    program = compile_circuit(circuit)
    optimiser = make_optimiser(vector)
    workspace = make_workspace(program, BATCH, np.float32)
    # Adam corrects its bias by the number of earlier steps.
    n_steps = 0

    def run() -> None:
        nonlocal n_steps
        train_epoch(x, y, order, BATCH, program, workspace, optimiser, n_steps, references.LEARNING_RATE, N_CLASSES)
        n_steps += 1

    return run, vector


def trainings(names: tuple[str, ...], *, circuits: int) -> Iterator[Measurement]:
    """Measure a training with the paper's budget, as a mean over random circuits, and its time outside the kernels."""
    sample = random.Random(0).sample(_all_circuits(), circuits)
    for name in names:
        config = StudyConfig(dataset=name)
        splits = named.load(name, seed=0)
        trainings_s = []
        kernels_s = []
        for circuit in sample:
            in_kernels = _kernels(circuit, splits, config)
            # The first call warms the caches for both.
            in_kernels()
            trainings_s.append(seconds(partial(train_once, circuit, splits, config, repeat=0)))
            kernels_s.append(seconds(in_kernels))
        case = f"{name}, mean of {circuits} circuits"
        yield at_most("training", case, 1e3 * statistics.fmean(trainings_s), "ms", TRAINING_TARGETS_MS[name])
        # The median of differences: one interruption by the system is longer than what is measured here.
        outside_s = statistics.median(whole - inside for whole, inside in zip(trainings_s, kernels_s, strict=True))
        yield at_most("training, outside its kernels", case, 1e3 * outside_s, "ms", AROUND_KERNELS_TARGET_MS)


def _kernels(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Callable[[], None]:
    """Return a function with only the kernel calls of a training and its validation."""
    training = config.training
    part = splits.train
    batch_size = min(training.batch_size, len(part))
    order = np.arange(len(part))
    program = compile_circuit(circuit)
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    optimiser = make_optimiser(layout.draw(np.random.default_rng(0)))
    workspace = make_workspace(program, batch_size, np.float32)
    # Kernels take one column for each sample: (n_qubits, samples).
    inputs = np.ones((circuit.n_qubits, len(splits.validation)), np.float32)
    outputs = np.empty_like(inputs)
    validation_workspace = make_workspace(program, inputs.shape[1], np.float32)
    angles = np.ones(circuit.weights_shape, np.float32)

    def run() -> None:
        for _ in range(training.epochs):
            # The time of a step does not depend on its number, so each epoch begins at 0.
            data = (part.x, part.y, order, batch_size)
            train_epoch(*data, program, workspace, optimiser, 0, training.learning_rate, splits.n_classes)
        forward(inputs, angles, program, validation_workspace, outputs, False)

    return run


def whole_space() -> Measurement:
    """Measure the evaluation of all circuits of the space on Wine, counting and training."""
    config = StudyConfig(dataset="wine")
    splits = named.load("wine", seed=0)
    circuits = _all_circuits()
    started = time.perf_counter()
    for circuit in circuits:
        evaluate(circuit, splits, config)
    duration_s = time.perf_counter() - started
    return at_most("evaluation of the space", f"wine, {len(circuits):,} circuits", duration_s, "s", SPACE_TARGET_S)


def flops_counters(*, profiled: int, counter: Callable[[Circuit], int] = profiler_flops) -> Measurement:
    """Compare counting the profiler's FLOPs of all circuits, their parts included, with running the profiler itself."""
    circuits = _all_circuits()
    started = time.perf_counter()
    # The counter profiles each part of a circuit once and adds the parts up; that time belongs to it.
    for n_qubits in GENES["n_qubits"]:
        count_parts(int(n_qubits))
    counts = {circuit: counter(circuit) for circuit in circuits}
    fast = (time.perf_counter() - started) / len(circuits)
    times = []
    for circuit in random.Random(0).sample(circuits, profiled):
        started = time.perf_counter()
        if references.profiled_flops(circuit) != counts[circuit]:
            raise AssertionError(
                f"torch.profiler and the counter must give the same FLOPs, and differ for {circuit}; report this"
            )
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
    """Compare the two-qubit gates of random circuits on each device that needs SWAPs with Qiskit, if that is installed."""
    if find_spec("qiskit") is None:
        logger.info("no comparison with Qiskit, which is not installed; install it with `pip install qiskit`")
        return
    sample = random.Random(0).sample(_all_circuits(), circuits)
    for device in (device for device in DEVICES.values() if device.coupling != ALL_TO_ALL):
        ours = [hardware_cost(circuit, device).two_qubit_gates for circuit in sample]
        theirs = [references.qiskit_gates(circuit, device, seeds=seeds) for circuit in sample]
        largest_excess = max(mine - best for mine, best in zip(ours, theirs, strict=True))
        case = f"{device.name}, sum of {circuits} circuits, at most {largest_excess} more than Qiskit's best of {seeds}"
        yield faster("two-qubit gates", case, sum(ours), sum(theirs), "gates", GATES_TARGET)


def noisy(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """Measure a noisy circuit on as many samples as the test part of Wine has, and compare it with `default.mixed`."""
    noise = DeviceNoise(device=DEVICES["heron-r3"])
    generator = np.random.default_rng(0)
    for n in qubits:
        frame, _ = _frame(n, Embedding.ANGLE, Entangler.CNOT)
        circuit = replace(frame, topology=Topology.LINEAR)
        inputs = np.array([preparation_angles(circuit, row) for row in generator.random((NOISY_SAMPLES, n))])
        weights = generator.random(circuit.weights_shape, np.float32)
        program = noise.program(circuit, 1.0)
        ours, theirs = (partial(simulator(engine), program, inputs, weights) for engine in (Engine.FAST, Engine.PENNYLANE))
        what = "noisy simulation"
        case = f"{n} qubits, {NOISY_SAMPLES} samples, heron-r3"
        if n in NOISY_TARGETS_S:
            yield at_most(what, case, seconds(ours), "s", NOISY_TARGETS_S[n])
        else:
            fast, reference = paired(ours, theirs, repeats)
            yield faster(what, case, fast * 1e3, reference * 1e3, "ms", NOISY_TARGET)


def _all_circuits() -> list[Circuit]:
    # Sorted, since the order of a set changes from run to run and random samples are drawn from the list.
    return sorted({genome.circuit for genome in enumerate_genomes()}, key=str)
