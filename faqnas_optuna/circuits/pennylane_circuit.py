"""The circuit in PennyLane, which is its definition: any other engine must agree with what stands here.

    x ── embedding ── [ rotation of the layer on every wire ── entanglers ] × depth ── ⟨Z⟩ of every wire

Wire 0 is the most significant bit of a basis state.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit, Rotation
from faqnas_optuna.errors import ConfigError

try:
    import pennylane as qml
except ValueError as error:
    # It reads one of the working directory, whoever that is for, and else the user's.
    raise ConfigError(f"PennyLane cannot read a file config.toml ({error}); mend it, or call it by another name") from error

NO_CONFIG: dict[str, Any] = {}
"""In the place of PennyLane's `config.toml`, whose `shots` would make our circuits noisy."""

ROTATIONS: dict[Rotation, Any] = {Rotation.RX: qml.RX, Rotation.RY: qml.RY, Rotation.RZ: qml.RZ}


def quantum_function(circuit: Circuit) -> Callable[[Any, Any], list[Any]]:
    """The circuit as a PennyLane quantum function.

    It takes inputs (n_qubits,) or (batch, n_qubits) and weights `weights_shape`, angles in radians, and measures ⟨Z⟩ of
    every wire. Amplitude embedding needs inputs that are not all zero.
    """
    wires, has_angle = range(circuit.n_qubits), ENTANGLERS[circuit.entangler].has_angle

    def run(inputs: Any, weights: Any) -> list[Any]:
        EMBEDDINGS[circuit.embedding].apply(inputs, wires)
        for layer, rotation in enumerate(circuit.rotations):
            if layer and circuit.reuploading:
                EMBEDDINGS[circuit.embedding].apply(inputs, wires)
            for wire in wires:
                ROTATIONS[rotation](weights[layer, wire], wires=wire)
            for number, pair in enumerate(circuit.entangled_pairs, circuit.n_qubits):
                ENTANGLERS[circuit.entangler].apply(pair, weights[layer, number] if has_angle else None)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return run


def qnode(circuit: Circuit) -> qml.QNode:
    """The circuit on `default.qubit` with torch tensors, differentiated by backpropagation."""
    device = qml.device("default.qubit", wires=circuit.n_qubits, config=NO_CONFIG)
    return qml.QNode(quantum_function(circuit), device, interface="torch", diff_method="backprop")


def trained_qnode(circuit: Circuit, weights: NDArray[np.float64]) -> qml.QNode:
    """The circuit with these angles (`weights_shape`) on `default.qubit`: inputs (n_qubits,) or (batch, n_qubits) alone."""
    run = quantum_function(circuit)

    def trained(inputs: Any) -> list[Any]:
        return run(inputs, weights)

    return qml.QNode(trained, qml.device("default.qubit", wires=circuit.n_qubits, config=NO_CONFIG))


def draw_svg(circuit: Circuit) -> bytes:
    """The circuit as a picture, the same bytes each time."""
    import matplotlib
    from matplotlib import pyplot

    inputs, weights = qml.numpy.ones(circuit.n_qubits), qml.numpy.ones(circuit.weights_shape)
    picture = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": circuit.digest, "backend": "agg"}):
        figure, _ = qml.draw_mpl(quantum_function(circuit), decimals=None)(inputs, weights)
        figure.savefig(picture, format="svg", metadata={"Date": None}, bbox_inches="tight")
        pyplot.close(figure)
    return picture.getvalue()


def lightning(circuit: Circuit) -> qml.QNode:
    """The circuit on PennyLane's compiled simulator, one sample at a time, by adjoint differentiation."""
    device = qml.device("lightning.qubit", wires=circuit.n_qubits, c_dtype=np.complex64, config=NO_CONFIG)
    return qml.QNode(quantum_function(circuit), device, interface="torch", diff_method="adjoint")


def draw(circuit: Circuit) -> str:
    """The circuit as text: a line a wire, without the values of its angles."""
    # The values give the drawing its shapes and are not shown. Ones, because zeros cannot be amplitudes.
    inputs, weights = qml.numpy.ones(circuit.n_qubits), qml.numpy.ones(circuit.weights_shape)
    drawer = qml.draw(quantum_function(circuit), decimals=None, max_length=10_000, show_matrices=False)
    drawing: str = drawer(inputs, weights)
    # PennyLane numbers the embedded values as a matrix M0.
    return drawing.replace(*EMBEDDINGS[circuit.embedding].drawn)
