"""A trained circuit as OpenQASM 3, or 2, whose inputs are the angles of the gates that prepare a sample's state.

Nothing is measured at the end: what the network reads is ⟨Z⟩ of every wire. Wire 0, `q[0]`, is the most significant bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS
from faqnas_optuna.circuits.effective import all_layers
from faqnas_optuna.circuits.elementary import count_inputs, elementary_gates, gray_code, prepared_wires
from faqnas_optuna.circuits.gates import Gate, Input
from faqnas_optuna.circuits.genome import Circuit


def preparation_angles(circuit: Circuit, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """The inputs of the OpenQASM circuit, in radians, for what the linear layer before the circuit gives.

    Args:
        inputs: (n_qubits,); with amplitude embedding of any norm, where all zeros mean |0…0⟩.
    """
    if (angles_of := EMBEDDINGS[circuit.embedding].angles) is not None:
        return angles_of(np.asarray(inputs, np.float64))
    amplitudes = np.zeros(2 ** prepared_wires(circuit))
    amplitudes[: circuit.n_qubits] = inputs
    angles = []
    for level in range(prepared_wires(circuit)):
        left, right = amplitudes.reshape(2**level, 2, -1).swapaxes(0, 1)
        if left.shape[1] > 1:
            left, right = (np.linalg.norm(half, axis=1, keepdims=True) for half in (left, right))
        # One sign for each pair of amplitudes is told by the last level alone.
        angles.append(_signs(level) @ (2 * np.arctan2(right, left)).ravel() / 2**level)
    return np.concatenate(angles)


def openqasm3(circuit: Circuit, weights: NDArray[Any]) -> str:
    """The circuit with these angles (`weights_shape`), and `input` parameters for a sample."""
    inputs = [f"input float[64] a{number};" for number in range(count_inputs(circuit))]
    gates = _gates(circuit, weights, "q[{}]")
    head = ["OPENQASM 3.0;", 'include "stdgates.inc";', *_remarks(circuit)]
    return "\n".join([*head, *inputs, f"qubit[{circuit.n_qubits}] q;", *gates]) + "\n"


def openqasm2(circuit: Circuit, weights: NDArray[Any], sample: Sequence[float]) -> str:
    """The circuit as a gate with parameters, applied once, to a sample's `preparation_angles`."""
    parameters = ", ".join(f"a{number}" for number in range(count_inputs(circuit)))
    wires = range(circuit.n_qubits)
    head = ["OPENQASM 2.0;", 'include "qelib1.inc";', *_remarks(circuit)]
    gates = [f"  {gate}" for gate in _gates(circuit, weights, "w{}")]
    name = f"gate hqnn({parameters}) {', '.join(f'w{wire}' for wire in wires)} {{"
    values = ", ".join(_number(value) for value in sample)
    applied = f"hqnn({values}) {', '.join(f'q[{wire}]' for wire in wires)};"
    return "\n".join([*head, name, *gates, "}", f"qreg q[{circuit.n_qubits}];", applied]) + "\n"


def _remarks(circuit: Circuit) -> list[str]:
    return [
        f"// {circuit}",
        f"// a0, a1, … are {EMBEDDINGS[circuit.embedding].remark}.",
        "// Nothing is measured: the linear layer after it takes the expectation of Z of every qubit. q[0] is wire 0.",
    ]


def _gates(circuit: Circuit, weights: NDArray[Any], place: str) -> list[str]:
    """A statement a gate.

    Args:
        place: how a wire is called, as `q[{}]`.
    """
    return [_written(gate, weights, place) for gate in elementary_gates(circuit, all_layers(circuit))]


def _signs(level: int) -> NDArray[np.float64]:
    """(2ˡ, 2ˡ) the signs with which a controlled rotation's angles make those between its CNOTs."""
    places = range(2**level)
    return np.array([[(-1.0) ** (gray_code(row) & column).bit_count() for column in places] for row in places])


def _written(gate: Gate, weights: NDArray[Any], place: str) -> str:
    wires = ", ".join(map(place.format, gate.wires))
    if gate.angle is None:
        return f"{gate.name} {wires};"
    angle = f"a{gate.angle.number}" if isinstance(gate.angle, Input) else _number(gate.angle.among(weights))
    return f"{gate.name}({angle}) {wires};"


def _number(value: float) -> str:
    """All digits of a number, as readers of both versions take it."""
    return f"{float(value):.17g}" if float(value) % 1 else f"{float(value):.1f}"
