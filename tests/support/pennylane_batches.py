"""Many circuits in one execution of PennyLane, whose cost is that of the gates, whatever the number of samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from torch import Tensor

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer, all_layers
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation
from faqnas_optuna.circuits.pennylane_circuit import ROTATIONS

MAX_AMPLITUDES = 2**17
"""Maximum number of amplitudes of all samples of an execution; backpropagation keeps as many for each gate."""


def batches(circuits: Sequence[Circuit], samples: Sequence[int]) -> list[list[int]]:
    """Return the places of circuits that fit into one execution, circuits of similar depth together."""
    result: list[list[int]] = []
    room = 0
    for place in sorted(range(len(circuits)), key=lambda place: circuits[place].depth):
        amplitudes = samples[place] * 2 ** circuits[place].n_qubits
        if amplitudes > room:
            result.append([])
            room = MAX_AMPLITUDES
        result[-1].append(place)
        room -= amplitudes
    return result


def references(
    circuits: Sequence[Circuit],
    arguments: Sequence[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
    layers: Sequence[Sequence[Layer]] | None = None,
) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Return the expectations of circuits, and the gradients of their inputs and weights.

    Args:
        arguments: Inputs (samples, wires), weights, and the gradient of the expectations, of each circuit.
        layers: Layers of each circuit to apply; None for all.
    """
    layers = layers or [all_layers(circuit) for circuit in circuits]
    owners = [number for number, (inputs, _, _) in enumerate(arguments) for _ in inputs]
    inputs = torch.tensor(np.concatenate([inputs for inputs, _, _ in arguments]), requires_grad=True)
    shapes = [weights.shape for _, weights, _ in arguments]
    # All circuits in one array, padded with zeros.
    angles = torch.zeros(len(circuits), *map(max, zip(*shapes, strict=True)), dtype=torch.float64)
    for number, (_, weights, _) in enumerate(arguments):
        angles[number, : weights.shape[0], : weights.shape[1]] = torch.tensor(weights)
    angles.requires_grad_()
    measured = measured_in_bulk(circuits, layers, owners, inputs, angles)
    of_measured = torch.tensor(np.concatenate([grad for _, _, grad in arguments]))
    of_inputs, of_angles = torch.autograd.grad(measured, (inputs, angles), of_measured)
    ends = np.cumsum([len(inputs) for inputs, _, _ in arguments])[:-1]
    by_circuit = (np.split(array.detach().numpy(), ends) for array in (measured, of_inputs))
    of_weights = [of_angles[number, :rows, :columns].numpy() for number, (rows, columns) in enumerate(shapes)]
    return list(zip(*by_circuit, of_weights, strict=True))


def measured_in_bulk(
    circuits: Sequence[Circuit],
    layers: Sequence[Sequence[Layer]],
    owners: Sequence[int],
    inputs: Tensor,
    angles: Tensor,
) -> Tensor:
    """Return ⟨Z⟩ of every wire (samples, wires) for circuits that have the same number of qubits.

    A gate is applied to all samples, with a matrix for each of them, which is the identity for circuits that lack the gate. All
    matrices are PennyLane's.

    Args:
        layers: Layers of each circuit to apply.
        owners: Number of the circuit of each sample.
        inputs: (samples, wires)
        angles: (circuits, layers, angles of a layer), as wide as the largest of the circuits needs.
    """
    n_qubits = circuits[0].n_qubits
    depth = max(map(len, layers))
    owner = torch.tensor(owners)
    wires = range(n_qubits)
    states = _embedded([circuits[number].embedding for number in owners], inputs)
    rotations = _rotations(layers, angles[:, :depth, :n_qubits])[owner]
    # The matrices of uploading the data once more, by angle embedding.
    uploads = qml.RY.compute_matrix(2 * inputs.flatten()).reshape(*inputs.shape, 2, 2)
    pairs = max((circuit.entangled_pairs for circuit in circuits), key=len)
    assert all(circuit.entangled_pairs == pairs[: len(circuit.entangled_pairs)] for circuit in circuits)
    entanglers, is_applied = _entanglers(circuits, layers, angles[:, :depth, n_qubits:], len(pairs))

    def run() -> list[Any]:
        qml.StatePrep(states, wires=wires, validate_norm=False)
        for layer in range(depth):
            matrices = rotations[:, layer]
            uploaded = torch.tensor([len(gates) > layer and gates[layer].uploaded for gates in layers])[owner]
            if uploaded.any():
                matrices = torch.where(uploaded[:, None, None, None], matrices @ uploads, matrices)
            for wire in wires:
                qml.QubitUnitary(matrices[:, wire], wires=wire)
            for place, pair in enumerate(pairs):
                if is_applied[:, layer, place].any():
                    qml.QubitUnitary(entanglers[owner, layer, place], wires=pair)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return torch.stack(_execute(run, n_qubits), dim=-1)


def _execute(run: Any, n_qubits: int) -> Any:
    device = qml.device("default.qubit", wires=n_qubits)
    return qml.QNode(run, device, interface="torch", diff_method="backprop")()


def _embedded(embeddings: Sequence[Embedding], inputs: Tensor) -> Tensor:
    """Return the states (samples, amplitudes) of samples, each by its embedding."""
    n_qubits = inputs.shape[1]
    places: list[int] = []
    states = []
    for embedding in dict.fromkeys(embeddings):
        chosen = [place for place, other in enumerate(embeddings) if other is embedding]

        def run(embedding: Embedding = embedding, chosen: list[int] = chosen) -> Any:
            EMBEDDINGS[embedding].apply(inputs[chosen], range(n_qubits))
            return qml.state()

        places += chosen
        states.append(_execute(run, n_qubits).to(torch.complex128))
    # Back into the order of the samples.
    return torch.cat(states)[torch.argsort(torch.tensor(places))]


def _rotations(layers: Sequence[Sequence[Layer]], angles: Tensor) -> Tensor:
    """Return the matrices (circuits, layers, wires, 2, 2) of rotations."""
    matrices = torch.eye(2, dtype=torch.complex128).expand(*angles.shape, 2, 2)
    for rotation in Rotation:
        chosen = torch.tensor(
            [
                [len(gates) > layer and gates[layer].rotation is rotation for layer in range(angles.shape[1])]
                for gates in layers
            ],
            dtype=torch.bool,
        )
        of_rotation = ROTATIONS[rotation].compute_matrix(angles.flatten()).reshape(*angles.shape, 2, 2)
        matrices = torch.where(chosen[:, :, None, None, None], of_rotation.to(torch.complex128), matrices)
    return matrices


def _entanglers(
    circuits: Sequence[Circuit], layers: Sequence[Sequence[Layer]], angles: Tensor, n_pairs: int
) -> tuple[Tensor, Tensor]:
    """Return the matrices (circuits, layers, pairs, 4, 4) of entanglers, and which of them are applied."""
    shape = (len(circuits), angles.shape[1], n_pairs)
    is_applied = torch.zeros(shape, dtype=torch.bool)
    for number, gates in enumerate(layers):
        for layer, of_layer in enumerate(gates):
            is_applied[number, layer, : len(circuits[number].entangled_pairs)] = of_layer.entangled
    matrices = torch.eye(4, dtype=torch.complex128).expand(*shape, 4, 4)
    for entangler in dict.fromkeys(circuit.entangler for circuit in circuits):
        chosen = is_applied & torch.tensor([circuit.entangler is entangler for circuit in circuits])[:, None, None]
        matrices = torch.where(chosen[..., None, None], _entangler_matrix(entangler, angles, shape), matrices)
    return matrices, is_applied


def _entangler_matrix(entangler: Entangler, angles: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the matrices (circuits, layers, pairs, 4, 4) of an entangler; the angles of missing pairs count as 0."""
    block = ENTANGLERS[entangler]
    # A circuit may have fewer pairs than the largest.
    padded = torch.nn.functional.pad(angles, (0, shape[-1] - angles.shape[-1]))
    with qml.queuing.AnnotatedQueue() as applied:
        block.apply((0, 1), padded.flatten() if block.has_angle else None)
    (operation,) = applied.queue
    matrix = torch.as_tensor(operation.matrix(wire_order=[0, 1]), dtype=torch.complex128)
    return matrix.reshape(*shape, 4, 4) if block.has_angle else matrix.expand(*shape, 4, 4)
