"""Circuits in PennyLane. This module is their definition: every other engine must agree with it.

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
    # On import PennyLane reads `config.toml` of the working directory, even if another program owns that file, or else the
    # user's.
    raise ConfigError(f"PennyLane cannot read the file config.toml ({error}); correct it or rename it") from error

NO_CONFIG: dict[str, Any] = {}
"""Empty replacement for PennyLane's `config.toml`: a user's `shots` setting would make expectation values noisy."""

ROTATIONS: dict[Rotation, Any] = {Rotation.RX: qml.RX, Rotation.RY: qml.RY, Rotation.RZ: qml.RZ}


def quantum_function(circuit: Circuit) -> Callable[[Any, Any], list[Any]]:
    """Return the circuit as a PennyLane quantum function.

    The function takes inputs (n_qubits,) or (batch, n_qubits) and weights of `weights_shape`, angles in radians, and measures
    ⟨Z⟩ of every wire. With amplitude embedding the inputs must not be all zero.
    """
    wires = range(circuit.n_qubits)
    has_angle = ENTANGLERS[circuit.entangler].has_angle

    def run(inputs: Any, weights: Any) -> list[Any]:
        EMBEDDINGS[circuit.embedding].apply(inputs, wires)
        for layer, rotation in enumerate(circuit.rotations):
            if layer and circuit.reuploading:
                EMBEDDINGS[circuit.embedding].apply(inputs, wires)
            for wire in wires:
                ROTATIONS[rotation](weights[layer, wire], wires=wire)
            # The angles of the pairs follow those of the wires.
            for place, pair in enumerate(circuit.entangled_pairs, circuit.n_qubits):
                ENTANGLERS[circuit.entangler].apply(pair, weights[layer, place] if has_angle else None)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return run


def qnode(circuit: Circuit) -> qml.QNode:
    """Return the circuit on `default.qubit` with torch tensors, differentiated by backpropagation."""
    device = qml.device("default.qubit", wires=circuit.n_qubits, config=NO_CONFIG)
    return qml.QNode(quantum_function(circuit), device, interface="torch", diff_method="backprop")


def trained_qnode(circuit: Circuit, weights: NDArray[np.float64]) -> qml.QNode:
    """Return the circuit with fixed angles (`weights_shape`) on `default.qubit`.

    Its only argument is the inputs, (n_qubits,) or (batch, n_qubits).
    """
    run = quantum_function(circuit)

    def run_trained(inputs: Any) -> list[Any]:
        return run(inputs, weights)

    return qml.QNode(run_trained, qml.device("default.qubit", wires=circuit.n_qubits, config=NO_CONFIG))


def draw_svg(circuit: Circuit) -> bytes:
    """Return a drawing of the circuit as SVG. Equal circuits give equal bytes."""
    import matplotlib
    from matplotlib import pyplot

    picture = io.BytesIO()
    # matplotlib derives element names from random salt and writes the date unless both are set.
    with matplotlib.rc_context({"svg.hashsalt": circuit.digest, "backend": "agg"}):
        figure, _ = qml.draw_mpl(quantum_function(circuit), decimals=None)(*_placeholders(circuit))
        figure.savefig(picture, format="svg", metadata={"Date": None}, bbox_inches="tight")
        pyplot.close(figure)
    return picture.getvalue()


def lightning(circuit: Circuit) -> qml.QNode:
    """Return the circuit on PennyLane's compiled simulator: one sample at a time, adjoint differentiation."""
    device = qml.device("lightning.qubit", wires=circuit.n_qubits, c_dtype=np.complex64, config=NO_CONFIG)
    return qml.QNode(quantum_function(circuit), device, interface="torch", diff_method="adjoint")


def draw(circuit: Circuit) -> str:
    """Return a drawing of the circuit as text: one line per wire, without the values of the angles."""
    drawer = qml.draw(quantum_function(circuit), decimals=None, max_length=10_000, show_matrices=False)
    drawing: str = drawer(*_placeholders(circuit))
    # PennyLane labels the embedded values as a matrix "M0", which means nothing to a reader.
    return drawing.replace(*EMBEDDINGS[circuit.embedding].labels)


def _placeholders(circuit: Circuit) -> tuple[Any, Any]:
    """Return inputs and weights for a drawing, which needs their shapes but does not show their values."""
    # Ones rather than zeros, which amplitude embedding cannot normalise.
    return qml.numpy.ones(circuit.n_qubits), qml.numpy.ones(circuit.weights_shape)
