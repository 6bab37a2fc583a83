"""Mixed states, compared with closed forms, PennyLane, Qiskit's density matrices and, without noise, the engine."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import DensityMatrix, Kraus

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.gates import Input, Weight
from faqnas_optuna.circuits.genome import Circuit, Embedding
from faqnas_optuna.circuits.openqasm import preparation_angles
from faqnas_optuna.engine import statevector
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.noise import reference
from faqnas_optuna.noise import simulation as mixed
from faqnas_optuna.noise.model import (
    AppliedGate,
    Depolarizing,
    DepolarizingNoise,
    DeviceNoise,
    Noise,
    NoisyOperation,
    NoisyProgram,
    Relaxation,
)
from faqnas_optuna.noise.simulation import expectations, probabilities
from faqnas_optuna.training.model import measured_by_pennylane
from tests.support.channels import depolarizing
from tests.support.devices import circuit

NOISES: Sequence[Noise] = (
    DepolarizingNoise(probability=0.05),
    *(DeviceNoise(device=device) for device in DEVICES.values()),
)
CIRCUITS = [
    circuit(2, "XY", "CNOT"),
    circuit(3, "XZY", "CNOT", circular=True, amplitude=True),
    circuit(4, "YXX", amplitude=True),
    circuit(4, "YX", circular=True),
    circuit(3, "ZZ"),
    # Circuits outside the paper's space
    replace(circuit(3, "XZY", "CNOT"), embedding=Embedding.BASIS),
    replace(circuit(3, "XY", "ZZ", circular=True), embedding=Embedding.IQP),
    replace(circuit(3, "YXZ", "ZZ"), reuploading=True),
    circuit(3, "YZ", "CRX", circular=True),
]


def drawn(of: Circuit, samples: int = 3) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return random inputs, the angles that prepare them, and weights."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(samples, of.n_qubits))
    angles = np.array([preparation_angles(of, row) for row in inputs])
    return inputs, angles, generator.uniform(0, 2 * math.pi, of.weights_shape)


def of_steps(*operations: NoisyOperation, n_qubits: int = 1, flip: float = 0.0) -> NoisyProgram:
    return NoisyProgram(n_qubits=n_qubits, operations=operations, readout=tuple(range(n_qubits)), flip=flip)


@pytest.mark.parametrize("of", CIRCUITS, ids=str)
def test_without_noise_it_is_the_circuit(of: Circuit) -> None:
    trained = effective_circuit(of)
    inputs, angles, weights = drawn(trained)
    measure = statevector.expectations if trained.has_fast_form else measured_by_pennylane
    exact = measure(inputs, weights, trained)
    for noise in NOISES:
        read = probabilities(noise.program(trained, 0.0), angles, weights)
        assert expectations(read) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("of", CIRCUITS, ids=str)
def test_with_noise_it_is_pennylane(of: Circuit) -> None:
    trained = effective_circuit(of)
    _, angles, weights = drawn(trained)
    for noise in NOISES:
        program = noise.program(trained, 3.0)
        assert probabilities(program, angles, weights) == pytest.approx(
            reference.probabilities(program, angles, weights), abs=1e-10
        )


@pytest.mark.parametrize("p", [0.0, 0.1, 0.75])
@pytest.mark.parametrize("flip", [0.0, 0.2])
def test_one_qubit_in_closed_form(p: float, flip: float) -> None:
    angles = np.array([[0.3], [2.0]])
    program = of_steps(AppliedGate("ry", (0,), Input(0)), Depolarizing(0, p), flip=flip)
    expected = (1 - 2 * flip) * (1 - 4 * p / 3) * np.cos(angles)
    assert expectations(probabilities(program, angles, np.zeros((0, 1)))) == pytest.approx(expected)


def test_a_qubit_that_waits_falls_to_zero() -> None:
    angles, weights = np.array([[0.3], [2.0]]), np.array([[0.7]])
    relaxing = Relaxation(0, 0.5, 0.8)
    program = of_steps(AppliedGate("ry", (0,), Input(0)), relaxing)
    assert expectations(probabilities(program, angles, weights)) == pytest.approx(1 - math.exp(-0.5) * (1 - np.cos(angles)))
    # A rotation about Y turns the remaining coherence ⟨X⟩, damped by T2, into ⟨Z⟩.
    program = of_steps(AppliedGate("ry", (0,), Input(0)), relaxing, AppliedGate("ry", (0,), Weight(0, 0)))
    x, z = math.exp(-0.8) * np.sin(angles), 1 - math.exp(-0.5) * (1 - np.cos(angles))
    expected = math.cos(0.7) * z - math.sin(0.7) * x
    assert expectations(probabilities(program, angles, weights)) == pytest.approx(expected)


def test_two_qubits_as_qiskit_has_them() -> None:
    of = circuit(2, "XY", "CNOT")
    _, (angles,), weights = drawn(of, samples=1)
    state = DensityMatrix(QuantumCircuit(2))
    for operation in DepolarizingNoise(probability=0.3).program(of, 1.0).operations:
        if isinstance(operation, Depolarizing):
            state = state.evolve(depolarizing(operation.probability), [operation.wire])
        elif isinstance(operation, AppliedGate):
            gate = QuantumCircuit(2)
            if operation.name == "cx":
                gate.cx(*operation.wires)
            else:
                assert operation.angle is not None
                source = operation.angle
                angle = angles[source.number] if isinstance(source, Input) else source.radians(weights)
                getattr(gate, operation.name)(float(angle), *operation.wires)
            state = state.evolve(gate)
    assert isinstance(depolarizing(0.1), Kraus)
    program = DepolarizingNoise(probability=0.3).program(of, 1.0)
    # Qiskit's qubit 0 is the least significant bit.
    assert probabilities(program, angles[np.newaxis], weights)[0] == pytest.approx(state.probabilities([1, 0]), abs=1e-12)


def test_what_is_fully_depolarized_says_nothing() -> None:
    of = circuit(3, "XYX", amplitude=True)
    _, angles, weights = drawn(of)
    read = probabilities(DepolarizingNoise(probability=0.75).program(of, 10.0), angles, weights)
    assert read == pytest.approx(np.full((3, 8), 1 / 8))


def test_samples_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    of = circuit(3, "XYX", "CNOT")
    _, angles, weights = drawn(of, samples=5)
    program = NOISES[1].program(of, 4.0)
    together = probabilities(program, angles, weights)
    monkeypatch.setattr(mixed, "CHUNK", 2 * 4**3)
    assert probabilities(program, angles, weights) == pytest.approx(together, abs=1e-14)
