"""The hybrid network of a candidate.

x (batch, features) ── Linear ── quantum layer ── Linear ── log-softmax (batch, classes)
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from faqnas_optuna.circuits.genome import Circuit, Embedding
from faqnas_optuna.circuits.reference import qnode
from faqnas_optuna.config import Engine
from faqnas_optuna.engine.gates import Array
from faqnas_optuna.engine.normal_form import Program, compile_circuit
from faqnas_optuna.engine.statevector import Workspace, backward, expectations, forward, make_workspace


class FastLayer(nn.Module):
    """The quantum layer on our own kernels, on the processor, in float32 or float64.

    Weights have the shape (depth, n_qubits), in radians, and start uniform in [0, 2π).
    """

    def __init__(self, circuit: Circuit, *, generator: torch.Generator) -> None:
        super().__init__()
        self.circuit = circuit
        self._program = compile_circuit(circuit)
        self.weights = nn.Parameter(torch.empty(circuit.depth, circuit.n_qubits))
        nn.init.uniform_(self.weights, 0, 2 * math.pi, generator=generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of Z, (batch, n_qubits), of inputs (batch, n_qubits) of the weights' type."""
        if inputs.dtype != self.weights.dtype:
            raise TypeError(f"inputs and weights must be of one type; they are {inputs.dtype} and {self.weights.dtype}")
        if inputs.ndim != 2 or inputs.shape[1] != self.circuit.n_qubits:
            raise ValueError(f"inputs must be (batch, {self.circuit.n_qubits}); they are {tuple(inputs.shape)}")
        if torch.is_grad_enabled() and (inputs.requires_grad or self.weights.requires_grad):
            # torch leaves `apply` untyped.
            measured: Tensor = _Expectations.apply(inputs, self.weights, self._program)  # type: ignore[no-untyped-call]  # torch's
            return measured
        values = expectations(inputs.detach().numpy(), self.weights.detach().numpy(), self.circuit)
        return torch.from_numpy(values)


class _Expectations(torch.autograd.Function):
    """⟨Z⟩ of every wire with gradients by the adjoint method. The kernels have the batch last."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, program: Program) -> Tensor:
        ctx.save_for_backward(inputs, weights)
        ctx.program = program
        measured, ctx.workspace = _run(inputs, weights, program)
        return torch.from_numpy(measured.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_expectations: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weights = ctx.saved_tensors
        # The kernel uses up the final state. Where the graph is walked back again, it is computed anew.
        workspace = ctx.workspace or _run(inputs, weights, ctx.program)[1]
        ctx.workspace = None
        grad_measured = np.ascontiguousarray(grad_expectations.numpy().T)
        grad_inputs, grad_weights = np.empty_like(grad_measured), np.empty(weights.shape, grad_measured.dtype)
        backward(_contiguous(weights), ctx.program, workspace, grad_measured, grad_inputs, grad_weights)
        return torch.from_numpy(grad_inputs.T), torch.from_numpy(grad_weights), None


def _run(inputs: Tensor, weights: Tensor, program: Program) -> tuple[Array, Workspace]:
    """Expectations (n_qubits, batch), and what `backward` needs for their gradients."""
    wires_first = _contiguous(inputs.T)
    workspace = make_workspace(program, wires_first.shape[1], wires_first.dtype)
    measured = np.empty_like(wires_first)
    forward(wires_first, _contiguous(weights), program, workspace, measured)
    return measured, workspace


def _contiguous(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().numpy())


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
        case Engine.FAST:
            return FastLayer(circuit, generator=generator)
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
        self.circuit = circuit
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
