"""States compared with PennyLane, and their entanglement with closed forms."""

from itertools import product
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import ROTATIONS
from studies.proxies.states import (
    INPUT_DEVIATION,
    KINDS,
    RX,
    RY,
    Origin,
    entangle,
    meyer_wallach,
    pair_fidelities,
    rotate,
    sample_states,
    zero_states,
)

# Compiling the kernels takes seconds.
pytestmark = pytest.mark.slow
CIRCUITS = [
    Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR, rotations=rotations)
    for n_qubits, embedding, entangler in product(
        (3, 4), (Embedding.ANGLE, Embedding.AMPLITUDE), (Entangler.CNOT, Entangler.CZ)
    )
    for rotations in ((Rotation.RX, Rotation.RZ, Rotation.RY), (Rotation.RZ, Rotation.RX, Rotation.RZ))
]


def reference(circuit: Circuit, origin: Origin, states: int, generator: np.random.Generator) -> list[NDArray[np.complex128]]:
    """Return random states by PennyLane, which draws the numbers that `sample_states` draws for a single chunk."""
    shape = (circuit.n_qubits, states)
    layers = EffectiveGates(circuit=circuit).layers
    inputs = INPUT_DEVIATION * generator.standard_normal(shape, np.float32) if origin is Origin.EMBEDDED else None
    angles = [2 * np.pi * generator.random(shape, np.float32) if layer.rotation else np.zeros(shape) for layer in layers]

    @qml.qnode(qml.device("default.qubit", wires=circuit.n_qubits))  # type: ignore[untyped-decorator]
    def run(state: int) -> Any:
        if inputs is not None:
            EMBEDDINGS[circuit.embedding].apply(inputs[:, state].astype(float), range(circuit.n_qubits))
        for layer, angles_of_layer in zip(layers, angles, strict=True):
            if layer.rotation:
                for wire in range(circuit.n_qubits):
                    ROTATIONS[layer.rotation](angles_of_layer[wire, state], wires=wire)
            for pair in circuit.entangled_pairs if layer.entangled else ():
                ENTANGLERS[circuit.entangler].apply(pair, None)
        return qml.state()

    return [np.asarray(run(state)) for state in range(states)]


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("circuit", CIRCUITS, ids=str)
def test_states_are_those_of_pennylane(circuit: Circuit, origin: Origin) -> None:
    ((re, im),) = sample_states(circuit, origin, 4, np.random.default_rng(0))
    states = reference(circuit, origin, 4, np.random.default_rng(0))
    assert re + 1j * im == pytest.approx(np.stack(states, axis=1), abs=3e-6)
    wires = range(circuit.n_qubits)
    purities = [
        [np.trace(np.linalg.matrix_power(qml.math.reduce_statevector(state, [wire]), 2)).real for wire in wires]
        for state in states
    ]
    assert meyer_wallach(re, im) == pytest.approx(2 * (1 - np.mean(purities, axis=1)), abs=3e-6)
    fidelities = [abs(np.vdot(states[0], states[2])) ** 2, abs(np.vdot(states[1], states[3])) ** 2]
    assert pair_fidelities(re, im) == pytest.approx(fidelities, abs=3e-6)


def test_chunks_have_all_states() -> None:
    circuit = CIRCUITS[0]
    chunks = [re.shape for re, _ in sample_states(circuit, Origin.ZERO, 2500, np.random.default_rng(0))]
    assert chunks == [(8, 1024), (8, 1024), (8, 452)]


def test_entanglement_is_that_of_closed_forms() -> None:
    n = 5
    re, im = np.zeros((2, 2**n, 4), np.float32)
    # |0…0⟩, a GHZ state, a W state, and a product of states (0.6, 0.8 i).
    re[0, 0] = 1
    re[[0, -1], 1] = 2**-0.5
    re[[1 << wire for wire in range(n)], 2] = n**-0.5
    state = np.array([1.0])
    for _ in range(n):
        state = np.kron(state, [0.6, 0.8j])
    re[:, 3] = state.real
    im[:, 3] = state.imag
    assert meyer_wallach(re, im) == pytest.approx([0, 1, 4 * (n - 1) / n**2, 0], abs=1e-6)


@pytest.mark.parametrize("n_qubits", [2, 4, 7])
def test_mean_entanglement_of_haar_random_states(n_qubits: int) -> None:
    rows = 2**n_qubits
    amplitudes = np.random.default_rng(0).normal(size=(2, rows, 4000))
    re, im = (amplitudes / np.sqrt((amplitudes**2).sum(axis=(0, 1)))).astype(np.float32)
    entanglement = meyer_wallach(re, im)
    error = entanglement.std() / len(entanglement) ** 0.5
    # Meyer & Wallach 2002: (N - 2) / (N + 1).
    assert abs(entanglement.mean() - (rows - 2) / (rows + 1)) < 4 * error


@pytest.mark.parametrize("n_qubits", [2, 4, 6])
def test_circuit_9_of_sim_et_al_is_maximally_entangled(n_qubits: int) -> None:
    """Hadamard gates, a line of CZ and random RX: a graph state with local rotations, whose Q is 1."""
    circuit = Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.ANGLE,
        entangler=Entangler.CZ,
        topology=Topology.LINEAR,
        rotations=(Rotation.RX,),
    )
    re, im = zero_states(n_qubits, 8)
    # RY(π/2) prepares the state that a Hadamard gate prepares from |0⟩.
    rotate(re, im, RY, np.full((n_qubits, 8), np.pi / 2, np.float32))
    entangle(re, im, circuit)
    rotate(re, im, RX, 2 * np.pi * np.random.default_rng(0).random((n_qubits, 8), np.float32))
    assert meyer_wallach(re, im) == pytest.approx(np.ones(8), abs=1e-5)


def test_circuit_1_of_sim_et_al_is_not_entangled() -> None:
    """RX and RZ on every wire, without entanglers."""
    re, im = zero_states(4, 8)
    for rotation in (Rotation.RX, Rotation.RZ):
        rotate(re, im, KINDS[rotation], 2 * np.pi * np.random.default_rng(0).random((4, 8), np.float32))
    assert meyer_wallach(re, im) == pytest.approx(np.zeros(8), abs=1e-5)
