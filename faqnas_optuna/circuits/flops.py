"""Floating-point operations of a candidate: one sample, forward pass.

Two counts of the quantum layer are kept side by side, because they answer different questions.

`profiler_flops` is the paper's metric: what the PyTorch profiler reports while PennyLane simulates the layer. It counts the
simulator. PennyLane applies a CNOT by moving indices (0 FLOPs) and a CZ by a matrix product (expensive), and the three
rotations alike; so this count ranks CZ circuits dearer than CNOT ones and does not see the rotations at all.

`analytic_flops` counts the arithmetic that a state vector of N = 2ⁿ amplitudes needs, and sees every gene.
"""

from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.reference import qnode


def profiler_flops(circuit: Circuit) -> int:
    """FLOPs that `torch.profiler` reports for one sample through the PennyLane layer, without the profiler.

    What PennyLane does for a gate depends on the gate and the number of qubits alone, so a circuit costs what its embedding
    and measurement cost, and for each layer the rotations and the entanglers. These few parts are counted once each.
    """
    n = circuit.n_qubits
    bare = _count(n, circuit.embedding)
    entanglers = _layer(n, Rotation.RX, circuit.entangler, circuit.topology) - _layer(n, Rotation.RX)
    return bare + sum(_layer(n, rotation) + entanglers for rotation in circuit.rotations)


def _layer(
    n_qubits: int, rotation: Rotation, entangler: Entangler = Entangler.CNOT, topology: Topology = Topology.LINEAR
) -> int:
    """What one layer adds to a circuit."""
    embedding = Embedding.ANGLE
    return _count(n_qubits, embedding, entangler, topology, (rotation,)) - _count(n_qubits, embedding)


@cache
def _count(
    n_qubits: int,
    embedding: Embedding,
    entangler: Entangler = Entangler.CNOT,
    topology: Topology = Topology.LINEAR,
    rotations: tuple[Rotation, ...] = (),
) -> int:
    """FLOPs of PennyLane's operators in torch, counted while one sample passes through."""
    circuit = Circuit(n_qubits=n_qubits, embedding=embedding, entangler=entangler, topology=topology, rotations=rotations)
    # The count depends on shapes alone. Ones, because zeros cannot be amplitudes.
    sample, weights = torch.ones(1, n_qubits), torch.ones(circuit.depth, n_qubits)
    counter = _ProfilerFormulas()
    with torch.no_grad(), counter:
        qnode(circuit)(sample, weights)
    return counter.flops


class _ProfilerFormulas(TorchDispatchMode):
    """Adds up the PyTorch profiler's FLOPs formulas for every operator that runs.

    The profiler itself takes up to half a second a circuit. Formulas: `torch/csrc/profiler/util.cpp`, `computeFlops`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here, and the default would import torch._dynamo, which takes most of a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        match func.overloadpacket.__name__:
            case "mul" | "add":
                self.flops += args[0].numel() if isinstance(args[0], torch.Tensor) else 1
            case "mm" | "bmm":
                self.flops += 2 * args[0].numel() * args[1].shape[-1]
            case "addmm" | "baddbmm":
                self.flops += 2 * args[1].numel() * args[2].shape[-1]
        return func(*args, **(kwargs or {}))


def analytic_flops(circuit: Circuit) -> int:
    """State-vector operations of one sample, from first principles.

    One operation is one addition, multiplication, division, root, sine or cosine of real numbers, or one sign change or
    move of a real number. Amplitudes start real and stay real until the first RX or RZ; then each has two real components.
    With N = 2ⁿ amplitudes of w = 1 (real) or 2 (complex) components:

    | part                   | real     | complex  | why                                                              |
    | ---------------------- | -------- | -------- | ---------------------------------------------------------------- |
    | angle embedding        | 2n+2N-4  |          | cos and sin of n values; each further wire doubles the products  |
    | amplitude embedding    | 3n       |          | n squares, n-1 sums, a root, n divisions                         |
    | RX on a wire           | 2+2N     | 2+6N     | cos a - i sin b: 2 products; complex: 4 products, 2 sums         |
    | RY on a wire           | 2+3N     | 2+6N     | cos a - sin b: 2 products, 1 sum, for each component             |
    | RZ on a wire           | 2+N      | 2+3N     | diag(1, exp iθ) touches half of the amplitudes: as RX does      |
    | CNOT                   | N/2      | N        | half of the amplitudes move                                      |
    | CZ                     | N/4      | N/2      | a quarter of the amplitudes changes sign                         |
    | probabilities          | N        | 3N       | squared moduli                                                   |
    | ⟨Z⟩ of n wires         | n(N-1)   | n(N-1)   | signed sums of the probabilities                                 |
    """
    n = circuit.n_qubits
    size: int = 2**n
    total = 2 * n + 2 * size - 4 if circuit.embedding is Embedding.ANGLE else 3 * n
    real = True
    for rotation in circuit.rotations:
        for _ in range(n):
            total += 2 + _ROTATION_FLOPS[rotation][real] * size
            real = real and rotation is Rotation.RY
        components = size if real else 2 * size
        moved = components // 2 if circuit.entangler is Entangler.CNOT else components // 4
        total += len(circuit.entangled_pairs) * moved
    return total + (size if real else 3 * size) + n * (size - 1)


_ROTATION_FLOPS = {
    Rotation.RX: {True: 2, False: 6},
    Rotation.RY: {True: 3, False: 6},
    Rotation.RZ: {True: 1, False: 3},
}
"""Operations per amplitude, while the state is real (True) and after."""


def classical_flops(circuit: Circuit, *, n_features: int, n_classes: int) -> int:
    """FLOPs of the two linear layers as the PyTorch profiler counts them: 2·inputs·outputs each, biases free."""
    return 2 * circuit.n_qubits * (n_features + n_classes)
