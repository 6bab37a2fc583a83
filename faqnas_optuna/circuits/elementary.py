"""Circuits as lists of elementary gates: Hadamard, RX, RY and RZ on one wire, CNOT and CZ on two.

`circuits.blocks` declares the gates of embeddings and entanglers, except for amplitude embedding, which is decomposed here. Its
n values are the first n amplitudes, all real, on the last ⌈log₂ n⌉ wires. Each of these wires is prepared by a rotation that is
controlled by all earlier ones (Möttönen, Vartiainen, Bergholm and Salomaa, arXiv quant-ph/0407010), written as alternating RY
and CNOT gates in Gray code order.
"""

import math
from collections.abc import Iterator, Sequence

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS
from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.gates import Gate, Input, Weight
from faqnas_optuna.circuits.genome import Circuit


def elementary_gates(circuit: Circuit, layers: Sequence[Layer]) -> Iterator[Gate]:
    """Yield the gates of the embedding and of `layers`, in the order of application."""
    yield from embedding_gates(circuit)
    for number, layer in enumerate(layers):
        if layer.uploaded:
            yield from embedding_gates(circuit)
        if layer.rotation:
            # OpenQASM names gates in lower case.
            name = layer.rotation.lower()
            yield from (Gate(name, (wire,), Weight(number, wire)) for wire in range(circuit.n_qubits))
        if layer.entangled:
            # The angles of the pairs follow those of the wires.
            for place, pair in enumerate(circuit.entangled_pairs, circuit.n_qubits):
                yield from ENTANGLERS[circuit.entangler].gates(pair, Weight(number, place))


def embedding_gates(circuit: Circuit) -> Iterator[Gate]:
    """Yield the gates that encode a sample. They prepare its state from |0…0⟩ or, on re-uploading, act on the current state."""
    block_gates = EMBEDDINGS[circuit.embedding].gates
    yield from block_gates(circuit.n_qubits) if block_gates else _amplitude_gates(circuit)


def count_prepared_wires(circuit: Circuit) -> int:
    """Return the number of wires that amplitude embedding prepares; the others stay in |0⟩."""
    return math.ceil(math.log2(circuit.n_qubits))


def count_inputs(circuit: Circuit) -> int:
    """Return the number of angles that encode a sample."""
    return len({gate.angle for gate in embedding_gates(circuit) if gate.angle})


def _amplitude_gates(circuit: Circuit) -> Iterator[Gate]:
    n_prepared = count_prepared_wires(circuit)
    first_wire = circuit.n_qubits - n_prepared
    number = 0
    # Level l rotates one wire, controlled by the l wires before it: 2ˡ angles, one for each state of the controls.
    for level in range(n_prepared):
        for step in range(2**level):
            yield Gate("ry", (first_wire + level,), Input(number))
            number += 1
            if level:
                # The control is the wire of the bit in which the Gray codes of this step and the next differ.
                bit = (gray_code(step) ^ gray_code((step + 1) % 2**level)).bit_length() - 1
                yield Gate("cx", (first_wire + level - 1 - bit, first_wire + level))


def gray_code(number: int) -> int:
    """Return the code word of `number` in the reflected binary code, where neighbours differ in one bit.

    >>> [f"{gray_code(number):02b}" for number in range(4)]
    ['00', '01', '11', '10']
    """
    return number ^ (number >> 1)
