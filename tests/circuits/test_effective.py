from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from faqnas_optuna.circuits.blocks import ENTANGLERS
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
from faqnas_optuna.tables.space import all_circuits
from tests.support.pennylane_batches import batches, measured_in_bulk
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
        live = EffectiveGates(circuit=one)
        entanglers = (one.entangler, one.topology) if live.is_entangled else None
        groups[one.n_qubits, one.embedding, live.layers, entanglers].append(live)
    assert len(CIRCUITS) == 8160
    assert len(groups) == 6786
    # The effective circuit of a group belongs to the group and is its shallowest member.
    for members in groups.values():
        (effective,) = {effective_circuit(live.circuit) for live in members}
        assert effective in {live.circuit for live in members}
        assert effective.depth == min(live.circuit.depth for live in members)
    every = [EffectiveGates(circuit=one) for one in CIRCUITS]
    assert sum(one.mixing_depth < one.circuit.depth for one in every) == 2720
    assert sum(not one.is_entangled for one in every) == 408
    assert sum(one.mixing_depth == 0 for one in every) == 272


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
    live = EffectiveGates(circuit=suggested)
    assert (live.layers, live.inert, str(live)) == (layers, inert, words)


def wider(n_qubits: int) -> list[Circuit]:
    """Return the circular circuits outside the paper's space whose depth is at most the number of qubits."""
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
    """Compare every circuit with its effective gates, for random inputs and weights."""
    groups: dict[tuple[object, ...], list[EffectiveGates]] = defaultdict(list)
    for one in circuits:
        gates = EffectiveGates(circuit=one)
        kind = (one.embedding, one.entangler, one.topology, one.depth, one.reuploading)
        groups[*kind, gates.leading, gates.mixing_depth].append(gates)
    members = [gates for group in share(groups.values(), quick_share) for gates in group]
    generator = np.random.default_rng(circuits[0].n_qubits)
    for places in batches([gates.circuit for gates in members], [1] * len(members)):
        assert_live_gates_suffice([members[place] for place in places], generator)


def assert_live_gates_suffice(members: list[EffectiveGates], generator: np.random.Generator) -> None:
    """Compare circuits of the same number of qubits with their effective gates, one sample each."""
    circuits, owners = [gates.circuit for gates in members], range(len(members))
    n_qubits = circuits[0].n_qubits
    # The first input is positive, so that with basis embedding the first wire, a control, is |1⟩.
    signs = [1, *generator.choice([-1, 1], n_qubits - 1)]
    inputs = torch.tensor(generator.uniform(0.1, 3, (len(members), n_qubits)) * signs)
    widest = map(max, zip(*(one.weights_shape for one in circuits), strict=True))
    angles = torch.tensor(generator.uniform(0, 2 * np.pi, (len(members), *widest)), requires_grad=True)
    whole = measured_in_bulk(circuits, [all_layers(one) for one in circuits], owners, inputs, angles)
    live = measured_in_bulk(circuits, [tuple(gates._all_layers()) for gates in members], owners, inputs, angles)
    weights = torch.tensor(generator.normal(size=whole.shape))
    gradients, gradients_of_live = (
        torch.autograd.grad((weights * measured).sum(), angles)[0].numpy() for measured in (whole, live)
    )
    for number, gates in enumerate(members):
        one, (depth, width) = gates.circuit, gates.circuit.weights_shape
        leading, mixing = gates.leading, gates.mixing_depth
        np.testing.assert_allclose(live[number].detach(), whole[number].detach(), rtol=0, atol=1e-12, err_msg=str(one))
        gradient = gradients[number, :depth, :width]
        is_felt = np.abs(gradient) > 1e-12
        assert not is_felt[mixing:, :n_qubits].any() and not is_felt[:leading, :n_qubits].any(), str(one)
        is_inert = [not layer.entangled for layer in gates._all_layers()]
        assert not is_felt[is_inert, n_qubits:].any(), str(one)
        assert is_felt.sum() <= gates.effective_angles, str(one)
        np.testing.assert_allclose(gradients_of_live[number, :depth, :width], gradient, rtol=0, atol=1e-12, err_msg=str(one))
        if mixing:
            # Single angles of an effective layer may have no effect on the measurements, but never all angles of a layer.
            is_clear = np.abs(gradient) > 1e-6
            if ENTANGLERS[one.entangler].mixes and one.embedding is not Embedding.AMPLITUDE:
                assert is_clear[leading:mixing, :n_qubits].any(axis=1).all(), str(one)
                assert not width > n_qubits or is_clear[:, n_qubits:].any(axis=1).all(), str(one)
            elif not (ENTANGLERS[one.entangler].mixes and set(one.rotations) == {Rotation.RZ}):
                # After amplitude embedding, circuits of RZ alone may have a vanishing gradient.
                assert is_clear[leading:mixing, :n_qubits].any(), str(one)


@pytest.mark.parametrize("n_qubits", [2, 3])
def test_what_stands_for_a_wider_circuit_has_its_live_gates_and_stands_for_itself(n_qubits: int) -> None:
    for one in wider(n_qubits):
        effective = effective_circuit(one)
        assert EffectiveGates(circuit=effective).layers == EffectiveGates(circuit=one).layers
        assert effective_circuit(effective) == effective
        assert effective.depth <= one.depth
