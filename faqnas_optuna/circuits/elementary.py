"""A circuit as a list of elementary gates: RX, RY, RZ of a wire, CNOT and CZ of two.

With angle embedding a qubit is prepared by RY(2x). With amplitude embedding the n values of a sample are the first n
amplitudes, real ones, on the last ⌈log₂ n⌉ wires: rotations of each of these wires, controlled by all before it, prepare them
(Möttönen, Vartiainen, Bergholm and Salomaa, arXiv quant-ph/0407010), each written as RY and CNOT in the order of a Gray code.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.genome import Circuit, Embedding


class Input(NamedTuple):
    """An angle that prepares a sample."""

    number: int


class Weight(NamedTuple):
    """A trained angle."""

    layer: int
    wire: int


class Gate(NamedTuple):
    """A gate as OpenQASM calls it: rx, ry, rz, cx or cz."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None


def elementary_gates(circuit: Circuit, layers: Sequence[Layer]) -> Iterator[Gate]:
    """The gates of a circuit that are applied, in order."""
    yield from embedding_gates(circuit)
    entangler = {"CNOT": "cx", "CZ": "cz"}[circuit.entangler]
    for number, layer in enumerate(layers):
        if layer.rotation:
            name = layer.rotation.lower()
            yield from (Gate(name, (wire,), Weight(number, wire)) for wire in range(circuit.n_qubits))
        if layer.entangled:
            yield from (Gate(entangler, pair) for pair in circuit.entangled_pairs)


def embedding_gates(circuit: Circuit) -> Iterator[Gate]:
    """The gates that prepare a sample's state from |0…0⟩."""
    if circuit.embedding is Embedding.ANGLE:
        yield from (Gate("ry", (wire,), Input(wire)) for wire in range(circuit.n_qubits))
    else:
        yield from _amplitude_gates(circuit)


def prepared_wires(circuit: Circuit) -> int:
    """How many wires amplitude embedding prepares: the others stay |0⟩."""
    return math.ceil(math.log2(circuit.n_qubits))


def count_inputs(circuit: Circuit) -> int:
    """How many angles a sample has."""
    return circuit.n_qubits if circuit.embedding is Embedding.ANGLE else 2 ** prepared_wires(circuit) - 1


def _amplitude_gates(circuit: Circuit) -> Iterator[Gate]:
    """Each prepared wire turned, controlled by those before it."""
    prepared = prepared_wires(circuit)
    first, number = circuit.n_qubits - prepared, 0
    for level in range(prepared):
        for step in range(2**level):
            yield Gate("ry", (first + level,), Input(number))
            number += 1
            if level:
                # The bit in which this step's Gray code differs from the next one's.
                changed = (gray_code(step) ^ gray_code((step + 1) % 2**level)).bit_length() - 1
                yield Gate("cx", (first + level - 1 - changed, first + level))


def gray_code(number: int) -> int:
    """The number's place in the reflected binary code, in which neighbours differ in one bit."""
    return number ^ (number >> 1)
