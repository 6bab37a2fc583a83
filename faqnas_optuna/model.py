"""The hybrid network of a candidate.

x (batch, features) ── Linear ── quantum layer ── Linear ── log-softmax (batch, classes)
"""

import math

import torch
from torch import Tensor, nn

from faqnas_optuna.circuit import qnode
from faqnas_optuna.config import Engine
from faqnas_optuna.genome import Circuit, Embedding


class PennyLaneLayer(nn.Module):
    """The quantum layer as PennyLane simulates it.

    Weights have the shape (depth, n_qubits), in radians, and start uniform in [0, 2π).
    """

    def __init__(self, circuit: Circuit, *, generator: torch.Generator) -> None:
        from pennylane.qnn import TorchLayer

        super().__init__()
        self.circuit = circuit
        self.layer = TorchLayer(
            qnode(circuit),
            {"weights": (circuit.depth, circuit.n_qubits)},
            init_method=lambda weights: nn.init.uniform_(weights, 0, 2 * math.pi, generator=generator),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of Z, (batch, n_qubits), of inputs (batch, n_qubits)."""
        if inputs.shape[0] == 0:
            return torch.zeros_like(inputs)
        if self.circuit.embedding is Embedding.AMPLITUDE:
            inputs = replace_zero_rows(inputs)
        expectations: Tensor = self.layer(inputs)
        return expectations


def replace_zero_rows(inputs: Tensor) -> Tensor:
    """Rows (batch, n) that cannot be normalised, as (1, 0, …, 0): the state |0…0⟩, with no gradient."""
    basis_state = torch.zeros_like(inputs)
    basis_state[:, 0] = 1.0
    squared_norm = inputs.square().sum(dim=1, keepdim=True)
    return torch.where(squared_norm < torch.finfo(inputs.dtype).tiny, basis_state, inputs)


def quantum_layer(circuit: Circuit, engine: Engine, *, generator: torch.Generator) -> nn.Module:
    """The quantum layer (batch, n_qubits) → (batch, n_qubits), simulated by an engine."""
    match engine:
        case Engine.PENNYLANE:
            return PennyLaneLayer(circuit, generator=generator)


class HQNN(nn.Module):
    """Hybrid quantum neural network: a quantum layer between two linear ones.

    Args:
        circuit: the quantum layer.
        n_features: values of a sample.
        n_classes: classes to tell apart.
        engine: what simulates the quantum layer.
        generator: the randomness of the initial weights, which are the same for every engine.
    """

    def __init__(
        self, circuit: Circuit, *, n_features: int, n_classes: int, engine: Engine, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = _linear(n_features, circuit.n_qubits, generator)
        self.quantum = quantum_layer(circuit, engine, generator=generator)
        self.classifier = _linear(circuit.n_qubits, n_classes, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (batch, classes) of samples (batch, features)."""
        return torch.log_softmax(self.classifier(self.quantum(self.encoder(x))), dim=1)

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def _linear(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Linear:
    """`nn.Linear` with its usual start, U(±1/√inputs), drawn from a generator of our own instead of the global one."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs)
    bound = 1 / math.sqrt(n_inputs)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
