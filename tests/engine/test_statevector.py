"""The engine, compared with PennyLane, closed forms and finite differences."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from faqnas_optuna.circuits.blocks import ENTANGLERS
from faqnas_optuna.circuits.effective import EffectiveGates, Layer, all_layers, weights_shape
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import backward, expectations, forward, make_workspace
from tests.support.pennylane_batches import batches, references
from tests.support.sampling import in_shares, mostly_slow, share

FAST = [entangler for entangler, block in ENTANGLERS.items() if block.action]
"""Entanglers that the engine simulates; PennyLane simulates the others."""
STRUCTURES = list(itertools.product(Embedding, FAST, Topology))
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}


def circuits(n_qubits: int, rng: np.random.Generator) -> Iterator[Circuit]:
    """Yield every embedding × entangler × topology × depth; over these each rotation occurs in every layer."""
    for (embedding, entangler, topology), depth in itertools.product(STRUCTURES, (1, 2, 3, 4)):
        offset = rng.integers(3)
        for first in Rotation if depth == 1 else list(Rotation)[offset : offset + 1]:
            rest = (list(Rotation)[i] for i in rng.integers(3, size=depth - 1))
            yield Circuit(
                n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=(first, *rest)
            )


def run(
    circuit: Circuit, inputs: Any, weights: Any, grad: Any, layers: tuple[Layer, ...] | None = None
) -> tuple[Any, Any, Any]:
    """Return expectations and the gradients of inputs and weights, given `grad`, that of the expectations; batch first."""
    program = compile_circuit(circuit, layers)
    workspace = make_workspace(program, len(inputs), inputs.dtype)
    wires_first = np.ascontiguousarray(inputs.T)
    measured, grad_inputs, grad_weights = np.empty_like(wires_first), np.empty_like(wires_first), np.empty_like(weights)
    forward(wires_first, weights, program, workspace, measured, False)
    backward(weights, program, workspace, np.ascontiguousarray(grad.T), grad_inputs, grad_weights)
    return measured.T, grad_inputs.T, grad_weights


def run_pennylane(node: Any, inputs: Any, weights: Any, grad: Any) -> tuple[Any, Any, Any]:
    tensors = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (inputs, weights)]
    measured = torch.stack(node(*tensors), dim=-1)
    grads = torch.autograd.grad(measured, tensors, torch.tensor(grad, dtype=torch.float64), allow_unused=True)
    zeros = (torch.zeros_like(tensor) for tensor in tensors)
    filled = (zero if grad is None else grad for grad, zero in zip(grads, zeros, strict=True))
    grad_inputs, grad_weights = (grad.numpy() for grad in filled)
    return measured.detach().numpy(), grad_inputs, grad_weights


Arguments = tuple[Any, Any, Any]
"""Inputs, weights and the gradient of the expectations."""


def arguments(circuit: Circuit, batch: int, rng: np.random.Generator) -> Arguments:
    inputs, grad = rng.normal(size=(2, batch, circuit.n_qubits))
    return inputs, rng.uniform(-np.pi, 2 * np.pi, size=circuit.weights_shape), grad


def rounded(arrays: Arguments) -> Arguments:
    """Round the arrays to numbers that both types can represent."""
    inputs, weights, grad = (array.astype(np.float32).astype(np.float64) for array in arrays)
    return inputs, weights, grad


def assert_agree(circuit: Circuit, arrays: Arguments, reference: Arguments) -> None:
    """Compare the engine in both types with PennyLane."""
    for dtype, tolerance in TOLERANCE.items():
        for actual, expected in zip(run(circuit, *(array.astype(dtype) for array in arrays)), reference, strict=True):
            scale = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale, err_msg=str(circuit))


def assert_all_agree(cases: Iterable[tuple[Circuit, Arguments]]) -> None:
    """Compare circuits of the same number of qubits; PennyLane computes many at once."""
    circuits, of_circuits = zip(*((circuit, rounded(arrays)) for circuit, arrays in cases), strict=True)
    for places in batches(circuits, [len(inputs) for inputs, _, _ in of_circuits]):
        chosen = [circuits[place] for place in places], [of_circuits[place] for place in places]
        for circuit, arrays, reference in zip(*chosen, references(*chosen), strict=True):
            assert_agree(circuit, arrays, reference)


@in_shares
@pytest.mark.parametrize("n_qubits", range(2, 11))
def test_values_and_gradients_agree_with_pennylane(n_qubits: int, quick_share: bool) -> None:
    rng = np.random.default_rng(n_qubits)
    chosen = share(enumerate(circuits(n_qubits, rng)), quick_share)
    if n_qubits > 6:
        chosen = [(index, circuit) for index, circuit in chosen if index % 4 == n_qubits % 4]
    batch_of = {index: (1, 3, 64)[index % 3] if n_qubits <= 6 else 3 for index, _ in chosen}
    assert_all_agree((circuit, arguments(circuit, batch_of[index], rng)) for index, circuit in chosen)


@in_shares
@pytest.mark.parametrize("n_qubits", [3, 11, 12])
def test_more_qubits_and_layers_than_the_papers_agree_with_pennylane(n_qubits: int, quick_share: bool) -> None:
    rng, cases = np.random.default_rng(n_qubits), []
    for number, (embedding, entangler, topology) in share(enumerate(STRUCTURES), quick_share):
        # Large deep circuits are slow in PennyLane, so only one in four is deep.
        depth = 8 if n_qubits == 3 or number % 4 == n_qubits % 4 else 3
        rotations = tuple(list(Rotation)[i] for i in rng.integers(3, size=depth))
        circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
        cases.append((circuit, arguments(circuit, 3, rng)))
    assert_all_agree(cases)


@in_shares
@pytest.mark.parametrize("n_qubits", [2, 3, 5, 12])
def test_data_that_are_uploaded_again_agree_with_pennylane(n_qubits: int, quick_share: bool) -> None:
    """Compare every circuit of two layers, and some of eight."""
    rng, cases = np.random.default_rng(n_qubits), []
    for entangler, topology in share(itertools.product(FAST, Topology), quick_share):
        pairs = itertools.product(Rotation, repeat=2) if n_qubits < 5 else []
        deep = tuple(list(Rotation)[i] for i in rng.integers(3, size=8 if n_qubits < 12 else 2))
        for rotations in (*pairs, deep):
            circuit = Circuit(
                n_qubits=n_qubits,
                embedding=Embedding.ANGLE,
                entangler=entangler,
                topology=topology,
                rotations=rotations,
                reuploading=True,
            )
            cases.append((circuit, arguments(circuit, 3, rng)))
    assert_all_agree(cases)


@in_shares
@pytest.mark.parametrize("n_qubits", [2, 3])
def test_every_circuit_of_three_layers_agrees_with_pennylane(n_qubits: int, quick_share: bool) -> None:
    rng, cases = np.random.default_rng(0), []
    grid = itertools.product(STRUCTURES, itertools.product(Rotation, repeat=3))
    for (embedding, entangler, topology), rotations in share(grid, quick_share):
        circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
        cases.append((circuit, arguments(circuit, 3, rng)))
    assert_all_agree(cases)


@pytest.mark.parametrize(("embedding", "entangler", "topology"), mostly_slow(STRUCTURES))
@pytest.mark.parametrize("n_qubits", [5, 10])
def test_large_batches_agree_with_pennylane(
    n_qubits: int, embedding: Embedding, entangler: Entangler, topology: Topology
) -> None:
    rng = np.random.default_rng(1)
    rotations = (Rotation.RY, Rotation.RZ, Rotation.RX, Rotation.RY)
    circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
    arrays = rounded(arguments(circuit, 1000 if n_qubits == 5 else 64, rng))
    assert_agree(circuit, arrays, run_pennylane(qnode(circuit), *arrays))


@pytest.mark.parametrize("n_qubits", [2, 3, 6, 10])
def test_expectations_of_many_samples_are_those_of_forward(n_qubits: int) -> None:
    rng = np.random.default_rng(2)
    for circuit in itertools.islice(circuits(n_qubits, rng), 0, None, 7):
        inputs, weights, grad = (array.astype(np.float32) for array in arguments(circuit, 1000, rng))
        np.testing.assert_allclose(expectations(inputs, weights, circuit), run(circuit, inputs, weights, grad)[0], atol=2e-6)


@pytest.mark.parametrize(("embedding", "entangler", "topology"), STRUCTURES)
def test_gradients_are_finite_differences(embedding: Embedding, entangler: Entangler, topology: Topology) -> None:
    rng = np.random.default_rng(3)
    for n_qubits, rotations in itertools.product((2, 3, 5), itertools.product(Rotation, repeat=2)):
        circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
        inputs, weights, grad = arguments(circuit, 3, rng)
        _, grad_inputs, grad_weights = run(circuit, inputs, weights, grad)
        step_inputs, step_weights = 1e-5 * rng.normal(size=inputs.shape), 1e-5 * rng.normal(size=weights.shape)
        after = expectations(inputs + step_inputs, weights + step_weights, circuit)
        before = expectations(inputs - step_inputs, weights - step_weights, circuit)
        expected = 2 * ((grad_inputs * step_inputs).sum() + (grad_weights * step_weights).sum())
        np.testing.assert_allclose((grad * (after - before)).sum(), expected, rtol=1e-5, atol=1e-11)


def amplitude_circuit(*rotations: Rotation) -> Circuit:
    return Circuit(
        n_qubits=4,
        embedding=Embedding.AMPLITUDE,
        entangler=Entangler.CNOT,
        topology=Topology.CIRCULAR,
        rotations=rotations,
    )


@pytest.mark.parametrize("row", [np.zeros(4), np.full(4, 1e-25)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_vanishing_row_is_the_ground_state_with_no_input_gradient(dtype: Any, row: Any) -> None:
    rng = np.random.default_rng(4)
    circuit = amplitude_circuit(Rotation.RX, Rotation.RY)
    inputs, weights, grad = (array.astype(dtype) for array in arguments(circuit, 3, rng))
    inputs[1] = row
    measured, grad_inputs, grad_weights = run(circuit, inputs, weights, grad)
    inputs[1] = [1, 0, 0, 0]
    expected, _, expected_grad_weights = run(circuit, inputs, weights, grad)
    np.testing.assert_array_equal(grad_inputs[1], 0)
    # Some processors compute 1 / √1 with a rounding error, so equality would be too strict.
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(measured, expected, rtol=0, atol=rounding)
    np.testing.assert_allclose(grad_weights, expected_grad_weights, rtol=0, atol=rounding)


@pytest.mark.parametrize("embedding", Embedding)
def test_nan_travels_through(embedding: Embedding) -> None:
    circuit = Circuit(
        n_qubits=3,
        embedding=embedding,
        entangler=Entangler.CZ,
        topology=Topology.LINEAR,
        rotations=(Rotation.RX, Rotation.RZ, Rotation.RY),
    )
    inputs, weights, grad = arguments(circuit, 3, np.random.default_rng(5))
    inputs[1, 1] = np.nan
    measured = run(circuit, inputs, weights, grad)[0]
    assert np.isnan(measured[1]).any()
    assert np.isfinite(measured[[0, 2]]).all()


def test_an_empty_batch_gives_empty_expectations_and_zero_weight_gradients() -> None:
    for circuit in circuits(3, np.random.default_rng(6)):
        inputs, weights, grad = arguments(circuit, 0, np.random.default_rng(6))
        measured, grad_inputs, grad_weights = run(circuit, inputs, weights, grad)
        assert measured.shape == grad_inputs.shape == expectations(inputs, weights, circuit).shape == (0, 3)
        np.testing.assert_array_equal(grad_weights, 0)


def test_non_contiguous_arrays() -> None:
    rng = np.random.default_rng(7)
    circuit = amplitude_circuit(Rotation.RY, Rotation.RZ, Rotation.RX)
    inputs, weights, _ = arguments(circuit, 5, rng)
    strided_inputs, strided_weights = np.repeat(inputs, 2, axis=1)[:, ::2], np.asfortranarray(weights)
    np.testing.assert_array_equal(
        expectations(strided_inputs, strided_weights, circuit), expectations(inputs, weights, circuit)
    )


def test_a_workspace_serves_smaller_batches_and_later_steps() -> None:
    rng = np.random.default_rng(8)
    for circuit in circuits(4, rng):
        program = compile_circuit(circuit)
        workspace = make_workspace(program, 64, np.float64)
        for batch in (64, 7):
            inputs, weights, grad = arguments(circuit, batch, rng)
            wires_first = np.ascontiguousarray(inputs.T)
            measured, grad_inputs, grad_weights = (
                np.empty_like(wires_first),
                np.empty_like(wires_first),
                np.empty_like(weights),
            )
            forward(wires_first, weights, program, workspace, measured, False)
            backward(weights, program, workspace, np.ascontiguousarray(grad.T), grad_inputs, grad_weights)
            for actual, expected in zip(
                (measured.T, grad_inputs.T, grad_weights), run(circuit, inputs, weights, grad), strict=True
            ):
                np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_an_rz_layer_that_nothing_follows_has_no_gradient() -> None:
    circuit = amplitude_circuit(Rotation.RX, Rotation.RZ)
    _, _, grad_weights = run(circuit, *arguments(circuit, 3, np.random.default_rng(9)))
    np.testing.assert_array_equal(grad_weights[1], 0)
    assert np.abs(grad_weights[0]).min() > 0


def without_entanglers() -> Iterator[tuple[Layer, ...]]:
    """Yield no layer, every sequence of up to two rotations, and some of three and four."""
    for depth in range(3):
        for rotations in itertools.product(Rotation, repeat=depth):
            yield tuple(Layer(rotation, False) for rotation in rotations)
    yield tuple(Layer(rotation, False) for rotation in (Rotation.RZ, Rotation.RX, Rotation.RX))
    yield tuple(Layer(rotation, False) for rotation in (Rotation.RY, Rotation.RZ, Rotation.RZ, Rotation.RX))


@in_shares
@pytest.mark.parametrize("n_qubits", [2, 3, 6])
def test_layers_without_entanglers_and_none_at_all_agree_with_pennylane(n_qubits: int, quick_share: bool) -> None:
    rng, cases = np.random.default_rng(n_qubits), []
    for embedding in share(Embedding, quick_share):
        circuit = Circuit(
            n_qubits=n_qubits,
            embedding=embedding,
            entangler=Entangler.CNOT,
            topology=Topology.CIRCULAR,
            rotations=(Rotation.RX,) * 4,
        )
        cases += [(circuit, layers, (1, 5)[index % 2]) for index, layers in enumerate(without_entanglers())]
    assert_layers_agree(cases, rng)


@in_shares
def test_entanglers_in_some_layers_agree_with_pennylane(quick_share: bool) -> None:
    rng, cases = np.random.default_rng(10), []
    for embedding, entangler, topology in share(STRUCTURES, quick_share):
        for entangled in itertools.product((False, True), repeat=3):
            rotations = tuple(list(Rotation)[i] for i in rng.integers(3, size=3))
            circuit = Circuit(n_qubits=4, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
            cases.append((circuit, tuple(map(Layer, rotations, entangled)), 3))
    assert_layers_agree(cases, rng)


def assert_layers_agree(cases: Sequence[tuple[Circuit, tuple[Layer, ...], int]], rng: np.random.Generator) -> None:
    """Compare circuits with some of their layers removed, each for its own batch size."""
    circuits, layers, sizes = zip(*cases, strict=True)
    of_circuits = []
    for circuit, gates, size in cases:
        inputs, grad = rng.normal(size=(2, size, circuit.n_qubits))
        of_circuits.append((inputs, rng.uniform(-np.pi, 2 * np.pi, size=weights_shape(circuit, gates)), grad))
    for places in batches(circuits, sizes):
        expected_of = references(
            [circuits[place] for place in places],
            [of_circuits[place] for place in places],
            [layers[place] for place in places],
        )
        for place, reference in zip(places, expected_of, strict=True):
            circuit, gates = circuits[place], layers[place]
            inputs, weights, grad = of_circuits[place]
            result = run(circuit, inputs, weights, grad, gates)
            for actual, expected in zip(result, reference, strict=True):
                np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10, err_msg=f"{circuit}: {gates}")
            np.testing.assert_allclose(expectations(inputs, weights, circuit, gates), result[0], rtol=0, atol=1e-12)


def test_the_embedding_alone_by_hand() -> None:
    inputs = np.array([[0.3, -1.2], [2.0, 0.5]])
    shares = (inputs**2 / (inputs**2).sum(axis=1, keepdims=True)).T
    expected = {
        # ⟨Z⟩ of cos(x)|0⟩ + sin(x)|1⟩
        Embedding.ANGLE: np.cos(2 * inputs),
        # Amplitudes x / ‖x‖ of |00⟩ and |01⟩: only the second wire differs.
        Embedding.AMPLITUDE: np.stack([sum(shares), shares[0] - shares[1]], axis=1),
    }
    for embedding, measured in expected.items():
        circuit = Circuit(
            n_qubits=2, embedding=embedding, entangler=Entangler.CZ, topology=Topology.LINEAR, rotations=(Rotation.RY,)
        )
        np.testing.assert_allclose(expectations(inputs, np.empty((0, 2)), circuit, ()), measured, atol=1e-12)


def test_the_layers_of_a_whole_circuit_are_that_circuit() -> None:
    for circuit in circuits(3, np.random.default_rng(11)):
        for part, whole in zip(compile_circuit(circuit, all_layers(circuit)), compile_circuit(circuit), strict=True):
            np.testing.assert_array_equal(part, whole)


def test_the_live_layers_compute_what_the_circuit_computes() -> None:
    rng = np.random.default_rng(12)
    for circuit in circuits(3, rng):
        live = EffectiveGates(circuit=circuit)
        layers = tuple(layer for layer in live.layers if layer.rotation is not None)
        if len(layers) == len(live.layers):
            inputs, weights, _ = arguments(circuit, 3, rng)
            np.testing.assert_allclose(
                expectations(inputs, weights[live.leading :][: len(layers)], circuit, layers),
                expectations(inputs, weights, circuit),
                atol=1e-12,
            )
