"""A trained circuit as OpenQASM 3, or 2, whose inputs are the angles of the gates that prepare a sample's state.

With angle embedding a qubit is prepared by RY(2x). With amplitude embedding the n values of a sample are the first n
amplitudes, real ones, on the last ⌈log₂ n⌉ wires: rotations of each of these wires, controlled by all before it, prepare them
(Möttönen, Vartiainen, Bergholm and Salomaa, arXiv quant-ph/0407010), each written as RY and CNOT in the order of a Gray code.

Nothing is measured at the end: what the network reads is ⟨Z⟩ of every wire. Wire 0, `q[0]`, is the most significant bit.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit

Gate = tuple[str, tuple[int, ...], str]
"""Its name, its wires, and its angle; an empty one of a gate without."""


def preparation_angles(circuit: Circuit, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """The inputs of the OpenQASM circuit, in radians, for what the linear layer before the circuit gives.

    Args:
        inputs: (n_qubits,); with amplitude embedding of any norm, where all zeros mean |0…0⟩.
    """
    if (angles_of := EMBEDDINGS[circuit.embedding].angles) is not None:
        return angles_of(np.asarray(inputs, np.float64))
    amplitudes = np.zeros(2 ** _prepared(circuit))
    amplitudes[: circuit.n_qubits] = inputs
    angles = []
    for level in range(_prepared(circuit)):
        left, right = amplitudes.reshape(2**level, 2, -1).swapaxes(0, 1)
        if left.shape[1] > 1:
            left, right = (np.linalg.norm(half, axis=1, keepdims=True) for half in (left, right))
        # One sign for each pair of amplitudes is told by the last level alone.
        angles.append(_signs(level) @ (2 * np.arctan2(right, left)).ravel() / 2**level)
    return np.concatenate(angles)


def openqasm3(circuit: Circuit, weights: NDArray[Any]) -> str:
    """The circuit with these angles (`weights_shape`), and `input` parameters for a sample."""
    inputs = [f"input float[64] a{number};" for number in range(_inputs(circuit))]
    gates = [_written(gate, "q[{}]") for gate in _gates(circuit, weights)]
    head = ["OPENQASM 3.0;", 'include "stdgates.inc";', *_remarks(circuit)]
    return "\n".join([*head, *inputs, f"qubit[{circuit.n_qubits}] q;", *gates]) + "\n"


def openqasm2(circuit: Circuit, weights: NDArray[Any], sample: Sequence[float]) -> str:
    """The circuit as a gate with parameters, applied once, to a sample's `preparation_angles`."""
    parameters = ", ".join(f"a{number}" for number in range(_inputs(circuit)))
    wires = range(circuit.n_qubits)
    head = ["OPENQASM 2.0;", 'include "qelib1.inc";', *_remarks(circuit)]
    gates = [f"  {_written(gate, 'w{}')}" for gate in _gates(circuit, weights)]
    name = f"gate hqnn({parameters}) {', '.join(f'w{wire}' for wire in wires)} {{"
    values = ", ".join(_number(value) for value in sample)
    applied = f"hqnn({values}) {', '.join(f'q[{wire}]' for wire in wires)};"
    return "\n".join([*head, name, *gates, "}", f"qreg q[{circuit.n_qubits}];", applied]) + "\n"


def _prepared(circuit: Circuit) -> int:
    """How many wires amplitude embedding prepares: the others stay |0⟩."""
    return math.ceil(math.log2(circuit.n_qubits))


def _inputs(circuit: Circuit) -> int:
    """How many angles a sample has."""
    return len(preparation_angles(circuit, np.ones(circuit.n_qubits)))


def _remarks(circuit: Circuit) -> list[str]:
    return [
        f"// {circuit}",
        f"// a0, a1, … are {EMBEDDINGS[circuit.embedding].remark}.",
        "// Nothing is measured: the linear layer after it takes the expectation of Z of every qubit. q[0] is wire 0.",
    ]


def _gates(circuit: Circuit, weights: NDArray[Any]) -> Iterator[Gate]:
    prepared, entangler = EMBEDDINGS[circuit.embedding].gates, ENTANGLERS[circuit.entangler]
    yield from prepared(circuit.n_qubits) if prepared else _amplitude_gates(circuit)
    for layer, (rotation, angles) in enumerate(zip(circuit.rotations, weights, strict=True)):
        if prepared and layer and circuit.reuploading:
            yield from prepared(circuit.n_qubits)
        yield from ((rotation.lower(), (wire,), _number(angles[wire])) for wire in range(circuit.n_qubits))
        for number, pair in enumerate(circuit.entangled_pairs, circuit.n_qubits):
            yield from entangler.gates(pair, _number(angles[number]) if entangler.has_angle else "")


def _amplitude_gates(circuit: Circuit) -> Iterator[Gate]:
    """Each prepared wire turned, controlled by those before it."""
    first, number = circuit.n_qubits - _prepared(circuit), 0
    for level in range(_prepared(circuit)):
        for step in range(2**level):
            yield "ry", (first + level,), f"a{number}"
            number += 1
            if level:
                # The bit in which this step's Gray code differs from the next one's.
                changed = (_gray(step) ^ _gray((step + 1) % 2**level)).bit_length() - 1
                yield "cx", (first + level - 1 - changed, first + level), ""


def _signs(level: int) -> NDArray[np.float64]:
    """(2ˡ, 2ˡ) the signs with which a controlled rotation's angles make those between its CNOTs."""
    places = range(2**level)
    return np.array([[(-1.0) ** (_gray(row) & column).bit_count() for column in places] for row in places])


def _gray(number: int) -> int:
    return number ^ (number >> 1)


def _written(gate: Gate, wire: str) -> str:
    name, wires, angle = gate
    return f"{name}{f'({angle})' if angle else ''} {', '.join(map(wire.format, wires))};"


def _number(value: float) -> str:
    """All digits of a number, as readers of both versions take it."""
    return f"{float(value):.17g}" if float(value) % 1 else f"{float(value):.1f}"
