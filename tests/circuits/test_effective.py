from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch
from torch import Tensor

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import EffectiveGates, Layer, all_layers, effective_circuit
from faqnas_optuna.circuits.genome import (
    EVERY_GENE,
    Circuit,
    Embedding,
    Entangler,
    GeneValue,
    Rotation,
    Topology,
    enumerate_genomes,
)
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.tables.space import all_circuits
from tests.support.sampling import in_shares, share

CIRCUITS = sorted(all_circuits(), key=str)


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
        gates = EffectiveGates(circuit=one)
        entanglers = (one.entangler, one.topology) if gates.is_entangled else None
        groups[one.n_qubits, one.embedding, gates.layers, entanglers].append(gates)
    assert len(CIRCUITS) == 8160
    assert len(groups) == 6786
    # The effective circuit of each group is itself of the group, and no shallower one is.
    for members in groups.values():
        (effective,) = {effective_circuit(live.circuit) for live in members}
        assert effective in {live.circuit for live in members}
        assert effective.depth == min(live.circuit.depth for live in members)
    every = [EffectiveGates(circuit=one) for one in CIRCUITS]
    assert sum(one.mixing_layers < one.circuit.depth for one in every) == 2720
    assert sum(not one.is_entangled for one in every) == 408
    assert sum(one.mixing_layers == 0 for one in every) == 272


@pytest.mark.parametrize(
    ("suggested", "layers", "inert", "words"),
    [
        (
            circuit("RX RZ", Entangler.CNOT),
            (Layer(Rotation.RX, True), Layer(None, True)),
            "the last RZ layer",
            "3 qubits, angle, RX [RZ], CNOT linear",
        ),
        (
            circuit("RZ RY RZ RZ", Entangler.CZ, topology=Topology.CIRCULAR),
            (Layer(Rotation.RZ, True), Layer(Rotation.RY, False)),
            "the last 2 RZ layers, the last 3 CZ layers",
            "3 qubits, angle, RZ RY [RZ RZ], CZ circular [the last 3]",
        ),
        (
            circuit("RY", Entangler.CZ),
            (Layer(Rotation.RY, False),),
            "the only CZ layer",
            "3 qubits, angle, RY, [CZ linear]",
        ),
        (
            circuit("RZ RZ", Entangler.CZ),
            (),
            "all RZ layers, all CZ layers",
            "3 qubits, angle, [RZ RZ], [CZ linear]",
        ),
        (
            replace(circuit("RZ RZ RX RZ", Entangler.CZ), embedding=Embedding.BASIS),
            (Layer(Rotation.RX, False),),
            "the first 2 RZ layers, the last RZ layer, all CZ layers",
            "3 qubits, basis, [RZ RZ] RX [RZ], [CZ linear]",
        ),
        (
            replace(circuit("RZ RX RY", Entangler.CZ), embedding=Embedding.BASIS),
            (Layer(Rotation.RX, True), Layer(Rotation.RY, False)),
            "the first RZ layer, the first CZ layer, the last CZ layer",
            "3 qubits, basis, [RZ] RX RY, CZ linear [the first, the last]",
        ),
        (
            replace(circuit("RZ RX", Entangler.CNOT), embedding=Embedding.BASIS),
            (Layer(None, True), Layer(Rotation.RX, True)),
            "the first RZ layer",
            "3 qubits, basis, [RZ] RX, CNOT linear",
        ),
        (
            replace(circuit("RZ RX RZ", Entangler.CZ), reuploading=True),
            (Layer(Rotation.RZ, True), Layer(Rotation.RX, True, True), Layer(None, False, True)),
            "the last RZ layer, the last CZ layer",
            "3 qubits, angle re-uploaded, RZ RX [RZ], CZ linear [the last]",
        ),
        (
            circuit("RX RY", Entangler.ZZ),
            (Layer(Rotation.RX, True), Layer(Rotation.RY, False)),
            "the last ZZ layer",
            "3 qubits, angle, RX RY, ZZ linear [the last]",
        ),
        (
            circuit("RZ RX RZ", Entangler.CRX),
            (Layer(Rotation.RZ, True), Layer(Rotation.RX, True), Layer(Rotation.RZ, True)),
            "",
            "3 qubits, angle, RZ RX RZ, CRX linear",
        ),
        (
            replace(circuit("RZ RZ", Entangler.CRX), embedding=Embedding.BASIS),
            (Layer(None, True), Layer(Rotation.RZ, True)),
            "the first RZ layer",
            "3 qubits, basis, [RZ] RZ, CRX linear",
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
    gates = EffectiveGates(circuit=suggested)
    assert (gates.layers, gates.inert, str(gates)) == (layers, inert, words)


def measured(circuits: Sequence[Circuit], layers: Sequence[Sequence[Layer]], inputs: Tensor, angles: Tensor) -> Tensor:
    """⟨Z⟩ of every wire (wires, batch) of circuits that differ in their rotations alone, in one execution of PennyLane.

    Args:
        layers: what is applied of each circuit, entanglers in the same layers of all.
        inputs: (batch, wires)
        angles: (batch, layers, wires)
    """
    one, wires = circuits[0], range(circuits[0].n_qubits)

    def run() -> list[object]:
        EMBEDDINGS[one.embedding].apply(inputs, wires)
        for number, of_all in enumerate(zip(*layers, strict=True)):
            kinds = [layer.rotation for layer in of_all]
            is_rz, is_rx, is_live = (
                torch.tensor([kind in chosen for kind in kinds], dtype=torch.float64)
                for chosen in ([Rotation.RZ], [Rotation.RX], list(Rotation))
            )
            for wire in wires:
                angle = angles[:, number, wire] * is_live
                # RX(θ) = RZ(-π/2) RY(θ) RZ(π/2)
                first, last = angle * is_rz + is_rx * np.pi / 2, -is_rx * np.pi / 2
                if of_all[0].uploaded:
                    qml.RY(2 * inputs[:, wire], wires=wire)
                qml.Rot(first, angle * (1 - is_rz), last, wires=wire)
            if of_all[0].entangled:
                for place, pair in enumerate(one.entangled_pairs, one.n_qubits):
                    block = ENTANGLERS[one.entangler]
                    block.apply(pair, angles[:, number, place] if block.has_angle else None)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return torch.stack(qml.QNode(run, qml.device("default.qubit", wires=one.n_qubits), interface="torch")())


def wider(n_qubits: int) -> list[Circuit]:
    """Circuits of so many qubits that the paper's space lacks: on two all of two layers, on three circular ones of three."""
    genes: dict[str, tuple[GeneValue, ...]] = {**EVERY_GENE, "n_qubits": (n_qubits,), "topology": ("circular",)}
    genes |= {"depth": tuple(range(1, n_qubits + 1))} | {f"rotation_{layer}": ("RX",) for layer in range(n_qubits + 1, 9)}
    return sorted({genome.circuit for genome in enumerate_genomes(genes)} - set(CIRCUITS), key=str)


@in_shares
@pytest.mark.parametrize(
    "circuits",
    [pytest.param([one for one in CIRCUITS if one.n_qubits == n], id=f"{n} qubits") for n in range(2, 7)]
    + [pytest.param(wider(n), id=f"{n} qubits, wider") for n in (2, 3)],
)
def test_live_gates_alone_measure_the_same_and_the_others_have_no_gradient(circuits: list[Circuit], quick_share: bool) -> None:
    """Of every circuit, for random inputs and weights."""
    n_qubits = circuits[0].n_qubits
    generator = np.random.default_rng(n_qubits)
    groups: dict[tuple[object, ...], list[EffectiveGates]] = defaultdict(list)
    for one in circuits:
        gates = EffectiveGates(circuit=one)
        kind = (one.embedding, one.entangler, one.topology, one.depth, one.reuploading)
        groups[*kind, gates.leading, gates.mixing_layers].append(gates)
    for members in share(groups.values(), quick_share):
        circuits, leading, mixing = [one.circuit for one in members], members[0].leading, members[0].mixing_layers
        # With basis embedding the first wire, which controls, is |1⟩.
        signs = [1, *generator.choice([-1, 1], n_qubits - 1)]
        inputs = torch.tensor(generator.uniform(0.1, 3, (len(members), n_qubits)) * signs)
        angles = torch.tensor(generator.uniform(0, 2 * np.pi, (len(members), *circuits[0].weights_shape)), requires_grad=True)
        whole = measured(circuits, [all_layers(one) for one in circuits], inputs, angles)
        live = measured(circuits, [list(effective._all_layers()) for effective in members], inputs, angles)
        torch.testing.assert_close(live, whole, rtol=0, atol=1e-12)
        weights = torch.tensor(generator.normal(size=whole.shape))
        (gradient,) = torch.autograd.grad((weights * whole).sum(), angles)
        assert not gradient[:, mixing:, :n_qubits].abs().gt(1e-12).any()
        assert not gradient[:, :leading, :n_qubits].abs().gt(1e-12).any()
        is_inert = torch.tensor([not layer.entangled for layer in members[0]._all_layers()])
        assert not gradient[:, is_inert, n_qubits:].abs().gt(1e-12).any()
        assert gradient.abs().gt(1e-12).sum(dim=(1, 2)).max() <= members[0].effective_angles
        if mixing:
            (of_live,) = torch.autograd.grad((weights * live).sum(), angles)
            torch.testing.assert_close(of_live, gradient, rtol=0, atol=1e-12)
            # An angle of an effective layer may still be without effect on what is measured, but not all of them are.
            felt, one = gradient.abs().gt(1e-6), circuits[0]
            if ENTANGLERS[one.entangler].mixes and one.embedding is not Embedding.AMPLITUDE:
                assert felt[:, leading:mixing, :n_qubits].any(dim=2).all() and felt[..., n_qubits:].any(dim=2).all()
            else:
                assert felt[:, leading:mixing, :n_qubits].any()


@pytest.mark.parametrize("n_qubits", [2, 3])
def test_what_stands_for_a_wider_circuit_has_its_live_gates_and_stands_for_itself(n_qubits: int) -> None:
    for one in wider(n_qubits):
        effective = effective_circuit(one)
        assert EffectiveGates(circuit=effective).layers == EffectiveGates(circuit=one).layers
        assert effective_circuit(effective) == effective
        assert effective.depth <= one.depth


@pytest.mark.parametrize("rotations", ["RX RZ RY", "RZ RX RZ"])
def test_the_gates_of_that_test_are_those_of_the_circuit(rotations: str) -> None:
    one = circuit(rotations, Entangler.CZ, topology=Topology.CIRCULAR)
    generator = np.random.default_rng(0)
    inputs, angles = (torch.tensor(generator.uniform(0, 3, shape)) for shape in ((1, 3), (1, 3, 3)))
    expected = torch.stack(list(qnode(one)(inputs[0], angles[0])))
    found = measured([one], [[Layer(kind, True) for kind in one.rotations]], inputs, angles)
    torch.testing.assert_close(found.flatten(), expected, rtol=0, atol=1e-12)
