"""FLOPs of PennyLane's operators in torch, counted while a sample passes through them.

PennyLane's work for a gate depends only on the gate and the number of qubits. The cost of a circuit is therefore the cost of
its embedding and measurement, plus those of the rotations and the entanglers of each layer.
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
    """Return the FLOPs of every part of which circuits with `n_qubits` qubits consist.

    Args:
        wider: Count all declared embeddings and entanglers and re-uploading; by default those of the paper's space.

    Returns:
        By embedding: FLOPs of a circuit without layers. By rotation: FLOPs of a layer with a linear topology of CNOTs. By
        entangler and topology: the difference that they make to a layer. "upload", if wider: the difference that re-uploading
        before a layer makes.
    """

    plain = Circuit(
        n_qubits=n_qubits,
        embedding=Embedding.ANGLE,
        entangler=Entangler.CNOT,
        topology=Topology.LINEAR,
        rotations=(),
    )

    def layer(rotation: Rotation, entangler: Entangler, topology: Topology) -> int:
        """Return the FLOPs that one layer adds to a circuit."""
        with_layer = replace(plain, rotations=(rotation,), entangler=entangler, topology=topology)
        return count(with_layer) - embeddings[Embedding.ANGLE]

    searched_embeddings = Embedding if wider else PAPER_EMBEDDINGS
    searched_entanglers = Entangler if wider else PAPER_ENTANGLERS
    embeddings = {str(embedding): count(replace(plain, embedding=embedding)) for embedding in searched_embeddings}
    # Every layer has an entangler: a linear topology of CNOTs is the reference to which the others are compared.
    rotations = {str(rotation): layer(rotation, Entangler.CNOT, Topology.LINEAR) for rotation in Rotation}
    entanglers = {
        f"{entangler} {topology}": layer(Rotation.RX, entangler, topology) - rotations[Rotation.RX]
        for entangler, topology in product(searched_entanglers, Topology)
    }
    if not wider:
        return embeddings | rotations | entanglers
    # Re-uploading starts at the second layer.
    two_layers = replace(plain, rotations=(Rotation.RX, Rotation.RX))
    upload = count(replace(two_layers, reuploading=True)) - count(two_layers)
    return embeddings | rotations | entanglers | {"upload": upload}


def count(circuit: Circuit) -> int:
    """Return the FLOPs of one sample through a circuit, which may have no layers."""
    # Only the shapes affect the count. Ones rather than zeros, which amplitude embedding cannot normalise.
    sample = torch.ones(1, circuit.n_qubits)
    weights = torch.ones(circuit.weights_shape)
    counter = _ProfilerFormulas()
    with torch.no_grad(), counter:
        qnode(circuit)(sample, weights)
    return counter.flops


class _ProfilerFormulas(TorchDispatchMode):
    """Sum of the PyTorch profiler's FLOPs formulas over all operators that run in its context.

    The formulas are those of `torch/csrc/profiler/util.cpp`, `computeFlops`. Running the profiler itself would take up to half
    a second per circuit.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's method has no annotations
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # This private hook of torch would import torch._dynamo, which takes most of a second. Nothing is compiled here.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Like the profiler, count nothing for operators without a formula.
        match func.overloadpacket.__name__:
            case "mul" | "add":
                self.flops += args[0].numel() if isinstance(args[0], torch.Tensor) else 1
            case "mm" | "bmm":
                self.flops += 2 * args[0].numel() * args[1].shape[-1]
            # The first argument is the summand; the factors follow it.
            case "addmm" | "baddbmm":
                self.flops += 2 * args[1].numel() * args[2].shape[-1]
        return func(*args, **(kwargs or {}))
