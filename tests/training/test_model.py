from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch

from faqnas_optuna.circuits.blocks import EMBEDDINGS
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.config import Engine
from faqnas_optuna.training.model import HQNN, FastLayer, quantum_layer
from faqnas_optuna.training.parameters import Layout


def circuit(embedding: Embedding = Embedding.AMPLITUDE) -> Circuit:
    return Circuit(
        n_qubits=3,
        embedding=embedding,
        entangler=Entangler.CZ,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RX, Rotation.RY),
    )


def network(seed: int = 0, embedding: Embedding = Embedding.AMPLITUDE, engine: Engine = Engine.FAST) -> HQNN:
    generator = np.random.default_rng(seed)
    return HQNN(circuit(embedding), n_features=5, n_classes=4, engine=engine, generator=generator)


def angles() -> torch.Tensor:
    """Return weights (2, 3) of a quantum layer."""
    return torch.rand(2, 3, generator=torch.Generator().manual_seed(0)) * 6


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("embedding", Embedding)
def test_the_network_is_linear_quantum_linear_log_softmax(embedding: Embedding, engine: Engine) -> None:
    model = network(embedding=embedding, engine=engine)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    run, (weights,) = qnode(circuit(embedding)), model.quantum.parameters()
    # One sample at a time through PennyLane, without batches or TorchLayer.
    measured = torch.stack([torch.stack(run(row, weights)) for row in x @ model.encoder.weight.T + model.encoder.bias])
    scores = measured.float() @ model.classifier.weight.T + model.classifier.bias
    expected = scores - scores.exp().sum(dim=1, keepdim=True).log()
    assert torch.allclose(model(x), expected, atol=1e-5)


def test_parameters_are_counted() -> None:
    assert network().n_parameters == (5 * 3 + 3) + 2 * 3 + (3 * 4 + 4)


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("row", [0.0, 1e-30], ids=["zero", "too small to square"])
def test_a_row_that_cannot_be_normalised_becomes_the_ground_state(row: float, engine: Engine) -> None:
    layer = quantum_layer(circuit(), engine, angles())
    inputs = torch.tensor([[row] * 3, [1.0, 0.0, 0.0], [1.0, 2.0, 3.0]], requires_grad=True)
    outputs = layer(inputs)
    outputs.sum().backward()
    assert torch.allclose(outputs[0], outputs[1])
    assert inputs.grad is not None
    assert torch.isfinite(inputs.grad).all()
    assert (inputs.grad[0] == 0).all()
    assert (inputs.grad[2] != 0).any()


@pytest.mark.parametrize("engine", Engine)
def test_an_empty_batch_gives_an_empty_result(engine: Engine) -> None:
    model = network(engine=engine)
    result = model(torch.empty(0, 5))
    assert result.shape == (0, 4)
    result.sum().backward()
    with torch.no_grad():
        assert model(torch.empty(0, 5)).shape == (0, 4)


def test_both_engines_start_from_the_same_weights() -> None:
    for one, other in zip(network().parameters(), network(engine=Engine.PENNYLANE).parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("one", "other"), [(Engine.FAST, Engine.PENNYLANE), (Engine.PENNYLANE, Engine.FAST)])
def test_a_state_goes_from_engine_to_engine(one: Engine, other: Engine) -> None:
    saved, loading = network(engine=one), network(engine=other)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(0.25)
    loading.load_state_dict(saved.state_dict())
    x = torch.rand(3, 5)
    assert torch.allclose(saved(x), loading(x), atol=1e-6)


@pytest.mark.parametrize("embedding", [one for one in Embedding if not EMBEDDINGS[one].one_basis_state])
def test_the_gradients_of_the_fast_layer_pass_gradcheck(embedding: Embedding) -> None:
    layer = FastLayer(circuit(embedding), angles()).double()
    inputs = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, _: layer(x), (inputs, layer.weights))


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("entangler", [Entangler.CNOT, Entangler.CZ])
def test_the_gradient_of_bits_is_that_of_a_mixture_in_pennylane(entangler: Entangler, engine: Engine) -> None:
    """Compare with BitFlip(b) of |0⟩, which mixes |0⟩ and |1⟩ for 0 < b < 1, on PennyLane's simulator of mixed states."""
    one = replace(circuit(Embedding.BASIS), entangler=entangler)
    inputs = torch.tensor([[0.3, -1.2, 0.0], [-0.1, 2.0, 0.7]], requires_grad=True)
    weights = angles()

    def mixture(bits: torch.Tensor) -> list[object]:
        for wire in range(3):
            qml.BitFlip(bits[wire], wires=wire)
        for rotation, layer in zip(one.rotations, weights, strict=True):
            for wire in range(3):
                getattr(qml, rotation)(layer[wire], wires=wire)
            for pair in one.entangled_pairs:
                getattr(qml, entangler)(wires=pair)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    node = qml.QNode(mixture, qml.device("default.mixed", wires=3), interface="torch", diff_method="backprop")
    bits = (inputs.detach() > 0).double().requires_grad_()
    expected = torch.stack([torch.stack(node(row)) for row in bits])
    factors = torch.rand(2, 3, generator=torch.Generator().manual_seed(2))
    (of_bits,) = torch.autograd.grad((expected * factors).sum(), bits)
    layer = quantum_layer(one, engine, weights)
    measured = layer(inputs)
    assert torch.allclose(measured, expected.float(), atol=1e-5)
    (measured * factors).sum().backward()
    assert inputs.grad is not None
    assert torch.allclose(inputs.grad, of_bits.float(), atol=1e-5)
    assert (inputs.grad != 0).all()
    # The measured values equal those of PennyLane's own embedding of bits.
    own = qml.QNode(
        lambda row: (qml.BasisEmbedding(row, wires=range(3)), mixture(torch.zeros(3)))[1], qml.device("default.mixed", wires=3)
    )
    assert np.allclose([own(row) for row in bits.detach().int().numpy()], measured.detach(), atol=1e-5)


def test_the_fast_layer_takes_what_pytorch_gives() -> None:
    layer = FastLayer(circuit(), angles())
    inputs = torch.rand(6, 3)
    strided = torch.rand(6, 6)[:, ::2].copy_(inputs)
    expected = layer(inputs)
    assert torch.equal(layer(strided), expected)
    assert torch.equal(layer(inputs.T.contiguous().T), expected)
    # Inputs that need no gradient, then weights that need none, then neither.
    layer(strided).sum().backward()
    assert layer.weights.grad is not None
    layer.weights.requires_grad_(False)
    assert torch.allclose(layer(inputs), expected, atol=1e-6)
    grad = torch.autograd.grad(layer(strided.requires_grad_()).sum(), strided)[0]
    assert grad.shape == (6, 3)


def test_a_graph_can_be_walked_back_twice() -> None:
    layer = FastLayer(circuit(), angles())
    inputs = torch.rand(6, 3, requires_grad=True)
    total = layer(inputs).sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(total, inputs)[0], first)


def test_the_fast_layer_says_what_it_cannot_do() -> None:
    layer = FastLayer(circuit(), angles())
    with pytest.raises(TypeError, match="must have the same type; they are torch.float64 and torch.float32"):
        layer(torch.rand(2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"inputs must have the shape \(batch, 3\); they have \(2, 4\)"):
        layer(torch.rand(2, 4))
    inputs = torch.rand(2, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(inputs).square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_the_network_begins_with_the_layouts_draw() -> None:
    model = network(seed=3)
    layout = Layout.of(circuit(), n_features=5, n_classes=4)
    drawn = layout.draw(np.random.default_rng(3))
    assert np.array_equal(torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy(), drawn)
    # The parameters are a copy: two networks may start from one vector.
    with torch.no_grad():
        model.encoder.weight.zero_()
    assert drawn.all()


def test_torchs_own_randomness_is_of_no_account() -> None:
    torch.manual_seed(1)
    first = network(seed=3)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = network(seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert torch.equal(before, torch.random.get_rng_state())
