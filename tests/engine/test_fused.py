from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.config import Engine
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import train_epoch
from faqnas_optuna.engine.layers import make_optimiser
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import make_workspace
from faqnas_optuna.training.model import HQNN
from faqnas_optuna.training.parameters import Layout
from tests.support.sampling import drawn_circuits

CIRCUITS = drawn_circuits(24, seed=3)


def network(circuit: Circuit, splits: DataSplits) -> HQNN:
    return HQNN(
        circuit,
        n_features=splits.n_features,
        n_classes=splits.n_classes,
        engine=Engine.FAST,
        generator=np.random.default_rng(0),
    )


WIDER = [
    Circuit(
        n_qubits=4,
        embedding=Embedding.BASIS,
        entangler=Entangler.CNOT,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RX, Rotation.RZ, Rotation.RY),
    ),
    Circuit(
        n_qubits=3,
        embedding=Embedding.ANGLE,
        entangler=Entangler.CZ,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RY, Rotation.RZ, Rotation.RX),
        reuploading=True,
    ),
    Circuit(
        n_qubits=4,
        embedding=Embedding.IQP,
        entangler=Entangler.ZZ,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RY, Rotation.RZ, Rotation.RX),
    ),
]
"""Circuits outside the paper's space, whose training has special code paths."""


@pytest.mark.parametrize("batch_size", [1, 32, 64, 90, 1_000])
@pytest.mark.parametrize("circuit", [*CIRCUITS[::6], *WIDER], ids=str)
def test_an_epoch_is_what_autograd_and_adam_make_of_it(circuit: Circuit, batch_size: int, iris: DataSplits) -> None:
    """Compare in double precision, where many digits must agree; the last batch is smaller unless the batch size divides 90."""
    model = network(circuit, iris).double()
    vector = nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy()
    x, y = iris.train.x.astype(np.float64), iris.train.y
    program = compile_circuit(circuit)
    workspace = make_workspace(program, batch_size, np.float64)
    optimiser = make_optimiser(vector)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    steps = 0
    for epoch in range(2):
        order = np.random.default_rng(epoch).permutation(len(y))
        fused = train_epoch(x, y, order, batch_size, program, workspace, optimiser, steps, 0.01, iris.n_classes)
        losses = []
        for rows in torch.from_numpy(order).split(batch_size):
            adam.zero_grad()
            loss = nn.functional.nll_loss(model(torch.from_numpy(x)[rows]), torch.from_numpy(y)[rows])
            loss.backward()
            adam.step()
            losses.append(loss.item())
        steps += len(losses)
        assert fused == pytest.approx(np.mean(losses), abs=1e-9)
    expected = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    # Adam turns rounding errors of vanishing gradients into steps, so those parameters may differ.
    settled = optimiser.second_moments > 1e-20
    np.testing.assert_allclose(vector[settled], expected[settled], atol=1e-7)
    assert settled.mean() > 0.6


@pytest.mark.parametrize("batch_size", [1, 32, 90])
@pytest.mark.parametrize("circuit", [CIRCUITS[0], WIDER[0]], ids=str)
def test_a_weighted_epoch_is_what_autograd_makes_of_weighted_means(circuit: Circuit, batch_size: int, iris: DataSplits) -> None:
    model = network(circuit, iris).double()
    vector = nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy()
    x, y, weights = iris.train.x.astype(np.float64), iris.train.y, np.random.default_rng(0).uniform(0.01, 3, len(iris.train))
    program = compile_circuit(circuit)
    workspace, optimiser = make_workspace(program, batch_size, np.float64), make_optimiser(vector)
    order = np.random.default_rng(0).permutation(len(y))
    fused = train_epoch(x, y, order, batch_size, program, workspace, optimiser, 0, 0.01, iris.n_classes, weights)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for rows in torch.from_numpy(order).split(batch_size):
        adam.zero_grad()
        every = -model(torch.from_numpy(x)[rows])[torch.arange(len(rows)), torch.from_numpy(y)[rows]]
        shares = torch.from_numpy(weights)[rows]
        loss = (every * shares).sum() / shares.sum()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert fused == pytest.approx(np.mean(losses), abs=1e-9)
    expected = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    settled = optimiser.second_moments > 1e-20
    np.testing.assert_allclose(vector[settled], expected[settled], atol=1e-7)
    assert settled.mean() > 0.6


NEIGHBOURS = np.array(
    [[1, 1, 1], [1, 1, 1], [1, 1, -1], [1, -1, -1], [-1, 1, 1], [1, 1, -1], [2, 3, 1], [-1, -1, -1]], np.float64
)


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_samples_that_share_bits_or_differ_in_one_are_trained_as_each_alone(batch_size: int) -> None:
    """Use an identity as encoder, so that the eight samples have five bit patterns."""
    circuit = replace(WIDER[0], n_qubits=3)
    layout = Layout.of(circuit, n_features=3, n_classes=2)
    vector = layout.draw(np.random.default_rng(1)).astype(np.float64)
    layout.parts(vector).encoder_weights[:] = np.eye(3)
    layout.parts(vector).encoder_bias[:] = 0
    model = HQNN(circuit, n_features=3, n_classes=2, engine=Engine.PENNYLANE, generator=np.random.default_rng(0)).double()
    nn.utils.vector_to_parameters(torch.from_numpy(vector.copy()), model.parameters())
    y = np.array([0, 1, 1, 0, 0, 0, 1, 1])
    program, optimiser = compile_circuit(circuit), make_optimiser(vector)
    workspace = make_workspace(program, batch_size, np.float64)
    train_epoch(NEIGHBOURS, y, np.arange(8), batch_size, program, workspace, optimiser, 0, 0.01, 2)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    for rows in torch.arange(8).split(batch_size):
        adam.zero_grad()
        nn.functional.nll_loss(model(torch.from_numpy(NEIGHBOURS)[rows]), torch.from_numpy(y)[rows]).backward()
        adam.step()
    gradients = np.concatenate(
        [parameter.grad.numpy().ravel() for parameter in model.parameters() if parameter.grad is not None]
    )
    np.testing.assert_allclose(optimiser.gradients, gradients, atol=1e-9)
    settled = optimiser.second_moments > 1e-20
    expected = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    np.testing.assert_allclose(vector[settled], expected[settled], atol=1e-7)


def on_the_bloch_sphere(encoded: Tensor, layers: tuple[Layer, ...], angles: Tensor) -> Tensor:
    """Return ⟨Z⟩ (batch, n) without entanglers: Bloch vectors, rotated about the axis of each layer by its angle."""
    x, y, z = torch.sin(2 * encoded), torch.zeros_like(encoded), torch.cos(2 * encoded)
    for (rotation, *_), angle in zip(layers, angles, strict=True):
        c, s = torch.cos(angle), torch.sin(angle)
        if rotation is Rotation.RX:
            y, z = c * y - s * z, s * y + c * z
        elif rotation is Rotation.RY:
            z, x = c * z - s * x, s * z + c * x
        else:
            x, y = c * x - s * y, s * x + c * y
    return z


def of_amplitudes(encoded: Tensor, *_: object) -> Tensor:
    """Return ⟨Z⟩ (batch, 3) of amplitudes x / ‖x‖."""
    shares = encoded.square() / encoded.square().sum(dim=1, keepdim=True)
    # The first three of eight basis states have bits 000, 001 and 010, so only the last two wires differ.
    return shares @ torch.tensor([[1.0, 1, 1], [1, 1, -1], [1, -1, 1]], dtype=encoded.dtype)


@pytest.mark.parametrize(
    ("embedding", "rotations"),
    [
        (Embedding.ANGLE, ()),
        (Embedding.ANGLE, (Rotation.RY,)),
        (Embedding.ANGLE, (Rotation.RZ, Rotation.RX)),
        (Embedding.ANGLE, (Rotation.RX, Rotation.RX, Rotation.RZ, Rotation.RY)),
        (Embedding.AMPLITUDE, ()),
    ],
)
def test_so_is_one_without_entanglers_or_without_any_gate(
    embedding: Embedding, rotations: tuple[Rotation, ...], iris: DataSplits
) -> None:
    circuit = Circuit(
        n_qubits=3, embedding=embedding, entangler=Entangler.CNOT, topology=Topology.CIRCULAR, rotations=(Rotation.RX,)
    )
    layers = tuple(Layer(rotation, False) for rotation in rotations)
    layout = Layout.of(circuit, n_features=4, n_classes=3, layers=layers)
    vector = layout.draw(np.random.default_rng(0)).astype(np.float64)
    parts = [torch.from_numpy(part.copy()).requires_grad_() for part in layout.parts(vector)]
    adam = torch.optim.Adam(parts, lr=0.01)
    program = compile_circuit(circuit, layers)
    workspace, optimiser = make_workspace(program, 64, np.float64), make_optimiser(vector)
    x, y = iris.train.x.astype(np.float64), iris.train.y
    measure = on_the_bloch_sphere if embedding is Embedding.ANGLE else of_amplitudes
    for epoch in range(3):
        order = np.random.default_rng(epoch).permutation(len(y))
        fused = train_epoch(x, y, order, 64, program, workspace, optimiser, 2 * epoch, 0.01, 3)
        losses = []
        for rows in torch.from_numpy(order).split(64):
            weights, bias, angles, *classifier = parts
            measured = measure(nn.functional.linear(torch.from_numpy(x)[rows], weights, bias), layers, angles)
            loss = nn.functional.cross_entropy(nn.functional.linear(measured, *classifier), torch.from_numpy(y)[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        assert fused == pytest.approx(np.mean(losses), abs=1e-9)
    expected = np.concatenate([part.detach().numpy().ravel() for part in parts])
    np.testing.assert_allclose(vector, expected, atol=1e-7)


@pytest.mark.parametrize("circuit", [*CIRCUITS, *WIDER], ids=str)
def test_the_loss_falls(circuit: Circuit, iris: DataSplits) -> None:
    vector = nn.utils.parameters_to_vector(network(circuit, iris).parameters()).detach().numpy()
    program = compile_circuit(circuit)
    workspace, optimiser = make_workspace(program, 30, np.float32), make_optimiser(vector)
    order = np.arange(90)
    losses = [
        train_epoch(iris.train.x, iris.train.y, order, 30, program, workspace, optimiser, 3 * epoch, 0.01, 3)
        for epoch in range(60)
    ]
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("circuit", [CIRCUITS[0], *WIDER], ids=str)
def test_nan_in_the_data_reaches_the_loss(circuit: Circuit, iris: DataSplits) -> None:
    vector = nn.utils.parameters_to_vector(network(circuit, iris).parameters()).detach().numpy()
    program = compile_circuit(circuit)
    x = iris.train.x.copy()
    x[5, 1] = np.nan
    workspace, optimiser = make_workspace(program, 64, np.float32), make_optimiser(vector)
    assert np.isnan(train_epoch(x, iris.train.y, np.arange(90), 64, program, workspace, optimiser, 0, 0.01, 3))
