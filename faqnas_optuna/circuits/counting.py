"""What PennyLane's operators cost in torch, counted while a sample passes through them.

What PennyLane does for a gate depends on the gate and the number of qubits alone, so a circuit costs what its embedding and
measurement cost, and for each layer the rotations and the entanglers.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import qnode


def count_parts(n_qubits: int, *, wider: bool = False) -> dict[str, int]:
    """FLOPs of everything that a circuit of so many qubits may be made of.

    Args:
        wider: of all that is declared, else of what the paper's space has.

    Returns:
        By embedding: a circuit without layers. By rotation: a layer of it with a line of CNOTs. By entangler and topology:
        how much more a layer costs with these. "upload", if wider: how much more it costs if the data are uploaded before it.
    """

    plain = Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.ANGLE,
        entangler=Entangler.CNOT,
        topology=Topology.LINEAR,
        rotations=(),
    )

    def layer(rotation: Rotation, entangler: Entangler, topology: Topology) -> int:
        """Return what one layer adds to a circuit."""
        layered = replace(plain, rotations=(rotation,), entangler=entangler, topology=topology)
        return count(layered) - bare[Embedding.ANGLE]

    bare = {str(one): count(replace(plain, embedding=one)) for one in (Embedding if wider else PAPER_EMBEDDINGS)}
    rotations = {str(rotation): layer(rotation, Entangler.CNOT, Topology.LINEAR) for rotation in Rotation}
    entanglers = {
        f"{entangler} {topology}": layer(Rotation.RX, entangler, topology) - rotations[Rotation.RX]
        for entangler, topology in product(Entangler if wider else PAPER_ENTANGLERS, Topology)
    }
    if not wider:
        return bare | rotations | entanglers
    twice = replace(plain, rotations=(Rotation.RX, Rotation.RX))
    return bare | rotations | entanglers | {"upload": count(replace(twice, reuploading=True)) - count(twice)}


def count(circuit: Circuit) -> int:
    """FLOPs of one sample through a circuit, which may have no layers."""
    # The count depends on shapes alone. Ones, because zeros cannot be amplitudes.
    sample, weights = torch.ones(1, circuit.n_qubits), torch.ones(circuit.weights_shape)
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
