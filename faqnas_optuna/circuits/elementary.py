"""A circuit as a list of elementary gates: Hadamard, RX, RY, RZ of a wire, CNOT and CZ of two.

What embeddings and entanglers are made of stands with them (`circuits.blocks`), but for amplitude embedding. There the n values
of a sample are the first n amplitudes, real ones, on the last ⌈log₂ n⌉ wires: rotations of each of these wires, controlled by
all before it, prepare them (Möttönen, Vartiainen, Bergholm and Salomaa, arXiv quant-ph/0407010), each written as RY and CNOT in
the order of a Gray code.
"""

import math
from collections.abc import Iterator, Sequence

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.gates import Gate, Input, Weight
from faqnas_optuna.circuits.genome import Circuit


def elementary_gates(circuit: Circuit, layers: Sequence[Layer]) -> Iterator[Gate]:
    """The gates of a circuit that are applied, in order."""
    yield from embedding_gates(circuit)
    for number, layer in enumerate(layers):
        if layer.uploaded:
            yield from embedding_gates(circuit)
        if layer.rotation:
            name = layer.rotation.lower()
            yield from (Gate(name, (wire,), Weight(number, wire)) for wire in range(circuit.n_qubits))
        if layer.entangled:
            for place, pair in enumerate(circuit.entangled_pairs, circuit.n_qubits):
                yield from ENTANGLERS[circuit.entangler].gates(pair, Weight(number, place))


def embedding_gates(circuit: Circuit) -> Iterator[Gate]:
    """The gates that prepare a sample's state from |0…0⟩, or, uploaded again, turn the data into any state."""
    prepared = EMBEDDINGS[circuit.embedding].gates
    yield from prepared(circuit.n_qubits) if prepared else _amplitude_gates(circuit)


def prepared_wires(circuit: Circuit) -> int:
    """How many wires amplitude embedding prepares: the others stay |0⟩."""
    return math.ceil(math.log2(circuit.n_qubits))


def count_inputs(circuit: Circuit) -> int:
    """How many angles a sample has."""
    return len({gate.angle for gate in embedding_gates(circuit) if gate.angle})


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
