import itertools
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import draw, qnode, quantum_function
from tests.support.pennylane_batches import references


def circuit(**changes: object) -> Circuit:
    genes = {
        "n_qubits": 3,
        "embedding": Embedding.ANGLE,
        "entangler": Entangler.CNOT,
        "topology": Topology.LINEAR,
        "rotations": (Rotation.RX, Rotation.RZ),
    }
    return Circuit(**(genes | changes))  # type: ignore[arg-type]


def state(of: Circuit, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the state vector before the measurement."""
    tape = qml.tape.make_qscript(quantum_function(of))(inputs, weights)
    matrices = qml.tape.QuantumScript(tape.operations, [qml.state()])
    vector: np.ndarray = qml.execute([matrices], qml.device("default.qubit", wires=of.n_qubits))[0]
    return vector


def test_angle_embedding_is_the_papers_equation() -> None:
    x = np.array([0.3, -1.2, 2.5])
    # Without rotations there are no layers, so the state is that of the embedding alone.
    vector = state(circuit(rotations=()), x, np.zeros((0, 3)))
    expected = np.ones(1)
    for value in x:
        expected = np.kron(expected, [np.cos(value), np.sin(value)])
    assert np.allclose(vector, expected)


def test_amplitude_embedding_pads_and_normalises() -> None:
    vector = state(circuit(embedding=Embedding.AMPLITUDE, rotations=()), np.array([3.0, 0.0, 4.0]), np.zeros((0, 3)))
    assert np.allclose(vector, [0.6, 0, 0.8, 0, 0, 0, 0, 0])


def test_gates_come_in_the_order_of_the_design() -> None:
    of = circuit(topology=Topology.CIRCULAR, entangler=Entangler.CZ)
    tape = qml.tape.make_qscript(quantum_function(of))(np.ones(3), np.arange(6.0).reshape(2, 3))
    gates = [(gate.name, tuple(gate.wires)) for gate in tape.operations]
    layer = [("CZ", (0, 1)), ("CZ", (1, 2)), ("CZ", (2, 0))]
    wires = [(0,), (1,), (2,)]
    assert gates[0][0] == "AngleEmbedding"
    assert gates[1:] == [*(("RX", wire) for wire in wires), *layer, *(("RZ", wire) for wire in wires), *layer]
    assert [gate.parameters[0] for gate in tape.operations if gate.name in ("RX", "RZ")] == [0, 1, 2, 3, 4, 5]
    assert [(measured.obs.name, tuple(measured.obs.wires)) for measured in tape.measurements] == [
        ("PauliZ", wire) for wire in wires
    ]


@pytest.mark.parametrize(("embedding", "entangler"), list(itertools.product(Embedding, Entangler)))
def test_the_lines_for_who_has_pennylane_alone_are_the_circuit(embedding: Embedding, entangler: Entangler) -> None:
    of, random = circuit(embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR), np.random.default_rng(0)
    x, weights = random.normal(size=3), random.normal(size=of.weights_shape)
    node = qnode(replace(of, rotations=(Rotation.RX, Rotation.RX)))

    def alone() -> list[object]:
        scope = {"qml": qml, "x": x, "n": 3}
        exec(EMBEDDINGS[embedding].code, scope)
        for layer in weights:
            for wire in range(3):
                qml.RX(layer[wire], wires=wire)
            for place, pair in enumerate([(0, 1), (1, 2), (2, 0)]):
                exec(ENTANGLERS[entangler].code, scope | {"layer": layer, "place": place, "pair": pair})
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    assert np.allclose(qml.QNode(alone, qml.device("default.qubit", wires=3))(), node(torch.tensor(x), torch.tensor(weights)))


@pytest.mark.parametrize("embedding", Embedding)
def test_the_drawing_has_a_line_for_each_wire(embedding: Embedding) -> None:
    drawn = draw(circuit(embedding=embedding, topology=Topology.CIRCULAR, n_qubits=10)).splitlines()
    assert len(drawn) == 10
    assert all(line.endswith("┤  <Z>") for line in drawn)
    assert len({len(line.partition("┤")[0]) for line in drawn}) == 1
    assert "M0" not in drawn[0]


@pytest.mark.parametrize("n_qubits", [2, 3])
def test_circuits_computed_in_bulk_are_those_of_single_executions(n_qubits: int) -> None:
    """Check every embedding, entangler and topology: other tests rely on the bulk computation."""
    rng, circuits = np.random.default_rng(n_qubits), []
    for embedding, entangler, topology in itertools.product(Embedding, Entangler, Topology):
        rotations = tuple(list(Rotation)[number] for number in rng.integers(3, size=rng.integers(1, 4)))
        one = circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
        circuits += [one, replace(one, reuploading=True)] if EMBEDDINGS[embedding].reuploads else [one]
    arguments = [
        (*rng.normal(size=(1, 2, n_qubits)), rng.uniform(0, 6, one.weights_shape), rng.normal(size=(2, n_qubits)))
        for one in circuits
    ]
    for one, (inputs, weights, grad), results in zip(circuits, arguments, references(circuits, arguments), strict=True):
        tensors = [torch.tensor(array, requires_grad=True) for array in (inputs, weights)]
        measured = torch.stack(qnode(one)(*tensors), dim=-1)
        of_inputs, of_weights = torch.autograd.grad(measured, tensors, torch.tensor(grad), materialize_grads=True)
        for actual, expected in zip(results, (measured.detach(), of_inputs, of_weights), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12, err_msg=str(one))
