from collections import defaultdict

import numpy as np
import pennylane as qml
import pytest
import torch

from faqnas_optuna.circuits.effective import EffectiveCircuit, Layer
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology, enumerate_genomes
from faqnas_optuna.circuits.reference import qnode

CIRCUITS = sorted({genome.circuit for genome in enumerate_genomes()}, key=str)


def circuit(rotations: str, entangler: Entangler, *, n_qubits: int = 3, topology: Topology = Topology.LINEAR) -> Circuit:
    return Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.ANGLE,
        entangler=entangler,
        topology=topology,
        rotations=tuple(Rotation(rotation) for rotation in rotations.split()),
    )


def test_the_space_has_6786_effective_circuits() -> None:
    groups = defaultdict(list)
    for one in CIRCUITS:
        effective = EffectiveCircuit(circuit=one)
        entanglers = (one.entangler, one.topology) if effective.is_entangled else None
        groups[one.n_qubits, one.embedding, effective.layers, entanglers].append(effective)
    assert len(CIRCUITS) == 8160
    assert len(groups) == 6786
    # Each group has one that stands for it, itself of the group, and no shallower one.
    for members in groups.values():
        (standing,) = {effective.representative for effective in members}
        assert standing in {effective.circuit for effective in members}
        assert standing.depth == min(effective.circuit.depth for effective in members)
    effective = [EffectiveCircuit(circuit=one) for one in CIRCUITS]
    assert sum(one.mixing_layers < one.circuit.depth for one in effective) == 2720
    assert sum(not one.is_entangled for one in effective) == 408
    assert sum(one.mixing_layers == 0 for one in effective) == 272


@pytest.mark.parametrize(
    ("suggested", "layers", "inert", "words"),
    [
        (
            circuit("RX RZ", Entangler.CNOT),
            (Layer(Rotation.RX, True), Layer(None, True)),
            "the last RZ layer",
            "3 qubits, angle, RX, CNOT linear × 2",
        ),
        (
            circuit("RZ RY RZ RZ", Entangler.CZ, topology=Topology.CIRCULAR),
            (Layer(Rotation.RZ, True), Layer(Rotation.RY, False)),
            "the last 2 RZ layers, the last 3 CZ layers",
            "3 qubits, angle, RZ RY, CZ circular × 1",
        ),
        (
            circuit("RY", Entangler.CZ),
            (Layer(Rotation.RY, False),),
            "the only CZ layer",
            "3 qubits, angle, RY, no live entangler",
        ),
        (
            circuit("RZ RZ", Entangler.CZ),
            (),
            "all RZ layers, all CZ layers",
            "3 qubits, angle, no live rotation, no live entangler",
        ),
        (
            circuit("RX RY", Entangler.CNOT),
            (Layer(Rotation.RX, True), Layer(Rotation.RY, True)),
            "",
            "3 qubits, angle, RX RY, CNOT linear",
        ),
    ],
    ids=str,
)
def test_what_is_inert_is_told(suggested: Circuit, layers: tuple[Layer, ...], inert: str, words: str) -> None:
    effective = EffectiveCircuit(circuit=suggested)
    assert (effective.layers, effective.inert, str(effective)) == (layers, inert, words)


def live_gates_only(effective: EffectiveCircuit, inputs: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """⟨Z⟩ of every wire, from the live gates alone, in PennyLane."""
    one, wires = effective.circuit, range(effective.circuit.n_qubits)

    @qml.qnode(qml.device("default.qubit", wires=one.n_qubits), interface="torch")
    def run() -> list[object]:
        if one.embedding is Embedding.ANGLE:
            qml.AngleEmbedding(2 * inputs, wires=wires, rotation="Y")
        else:
            qml.AmplitudeEmbedding(inputs, wires=wires, pad_with=0.0, normalize=True)
        for number, layer in enumerate(effective.layers):
            if layer.rotation:
                for wire in wires:
                    getattr(qml, layer.rotation)(angles[number, wire], wires=wire)
            if layer.entangled:
                for pair in one.entangled_pairs:
                    getattr(qml, one.entangler)(wires=pair)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return torch.stack(list(run()))


@pytest.mark.parametrize("n_qubits", range(2, 7))
def test_live_gates_alone_measure_the_same_and_the_others_have_no_gradient(n_qubits: int) -> None:
    """Of every circuit of so many qubits that has an inert gate, for random inputs and weights."""
    generator = np.random.default_rng(n_qubits)
    with_inert = [one for one in CIRCUITS if one.n_qubits == n_qubits and EffectiveCircuit(circuit=one).inert]
    for one in with_inert:
        effective = EffectiveCircuit(circuit=one)
        inputs = torch.tensor(generator.uniform(0.1, 3, n_qubits))
        angles = torch.tensor(generator.uniform(0, 2 * np.pi, (one.depth, n_qubits)), requires_grad=True)
        weights = torch.tensor(generator.normal(size=n_qubits))
        whole, live = torch.stack(list(qnode(one)(inputs, angles))), live_gates_only(effective, inputs, angles)
        torch.testing.assert_close(live, whole, rtol=0, atol=1e-12)
        (gradient,) = torch.autograd.grad(weights @ whole, angles)
        if effective.live_angles:
            (of_live,) = torch.autograd.grad(weights @ live, angles)
            torch.testing.assert_close(of_live, gradient, rtol=0, atol=1e-12)
        assert not gradient[effective.mixing_layers :].abs().gt(1e-12).any()
