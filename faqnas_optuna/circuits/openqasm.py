"""Trained circuits as OpenQASM 3 or 2. The inputs are the angles of the gates that encode a sample.

The programs contain no measurement: the network uses the expectation value ⟨Z⟩ of every wire. Wire 0, `q[0]`, is the most
significant bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS
from faqnas_optuna.circuits.effective import all_layers
from faqnas_optuna.circuits.elementary import count_inputs, count_prepared_wires, elementary_gates, gray_code
from faqnas_optuna.circuits.gates import Gate, Input
from faqnas_optuna.circuits.genome import Circuit


def preparation_angles(circuit: Circuit, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Return the inputs of the OpenQASM circuit, in radians, for the outputs of the linear layer before the circuit.

    Args:
        inputs: (n_qubits,). With amplitude embedding they need not be normalised, and all zeros give |0…0⟩.
    """
    block_angles = EMBEDDINGS[circuit.embedding].angles
    if block_angles is not None:
        return block_angles(np.asarray(inputs, np.float64))
    n_prepared = count_prepared_wires(circuit)
    amplitudes = np.zeros(2**n_prepared)
    amplitudes[: circuit.n_qubits] = inputs
    angles = []
    for level in range(n_prepared):
        # (2ˡ, amplitudes) for each state of the controls: the amplitudes whose next bit is 0, and those whose next bit is 1.
        lower, upper = amplitudes.reshape(2**level, 2, -1).swapaxes(0, 1)
        # Upper levels distribute norms, which are not negative. Only the last level, with one amplitude each, sees the signs.
        if lower.shape[1] > 1:
            lower, upper = (np.linalg.norm(half, axis=1, keepdims=True) for half in (lower, upper))
        angles.append(_signs(level) @ (2 * np.arctan2(upper, lower)).ravel() / 2**level)
    return np.concatenate(angles)


def openqasm3(circuit: Circuit, weights: NDArray[Any]) -> str:
    """Return the circuit with fixed trained angles (`weights_shape`) and `input` parameters for a sample."""
    inputs = [f"input float[64] a{number};" for number in range(count_inputs(circuit))]
    gates = _gates(circuit, weights, "q[{}]")
    head = ["OPENQASM 3.0;", 'include "stdgates.inc";', *_remarks(circuit)]
    return "\n".join([*head, *inputs, f"qubit[{circuit.n_qubits}] q;", *gates]) + "\n"


def openqasm2(circuit: Circuit, weights: NDArray[Any], sample: Sequence[float]) -> str:
    """Return the circuit as a parametrised gate, applied once with the `preparation_angles` of a sample."""
    # OpenQASM 2 has no `input` declarations, so that the parameters of a gate take their place.
    parameters = ", ".join(f"a{number}" for number in range(count_inputs(circuit)))
    wires = range(circuit.n_qubits)
    head = ["OPENQASM 2.0;", 'include "qelib1.inc";', *_remarks(circuit)]
    gates = [f"  {gate}" for gate in _gates(circuit, weights, "w{}")]
    name = f"gate hqnn({parameters}) {', '.join(f'w{wire}' for wire in wires)} {{"
    values = ", ".join(_number(value) for value in sample)
    application = f"hqnn({values}) {', '.join(f'q[{wire}]' for wire in wires)};"
    return "\n".join([*head, name, *gates, "}", f"qreg q[{circuit.n_qubits}];", application]) + "\n"


def _remarks(circuit: Circuit) -> list[str]:
    return [
        f"// {circuit}",
        f"// a0, a1, … are {EMBEDDINGS[circuit.embedding].remark}.",
        "// Nothing is measured: the linear layer after the circuit uses the expectation of Z of every qubit. q[0] is wire 0.",
    ]


def _gates(circuit: Circuit, weights: NDArray[Any], wire_format: str) -> list[str]:
    """Return one statement per gate.

    Args:
        wire_format: Name of a wire with a placeholder for its number, such as `q[{}]`.
    """
    return [_statement(gate, weights, wire_format) for gate in elementary_gates(circuit, all_layers(circuit))]


def _signs(level: int) -> NDArray[np.float64]:
    """Return the sign matrix (2ˡ, 2ˡ) that maps the angles of a controlled rotation to those of its RY gates."""
    # Equation (3) of Möttönen et al., without the factor 2⁻ˡ.
    indices = range(2**level)
    return np.array([[(-1.0) ** (gray_code(row) & column).bit_count() for column in indices] for row in indices])


def _statement(gate: Gate, weights: NDArray[Any], wire_format: str) -> str:
    wires = ", ".join(map(wire_format.format, gate.wires))
    if gate.angle is None:
        return f"{gate.name} {wires};"
    angle = f"a{gate.angle.number}" if isinstance(gate.angle, Input) else _number(gate.angle.radians(weights))
    return f"{gate.name}({angle}) {wires};"


def _number(value: float) -> str:
    """Return a number with all its digits, in a notation that both versions of OpenQASM accept."""
    return f"{float(value):.17g}" if float(value) % 1 else f"{float(value):.1f}"
