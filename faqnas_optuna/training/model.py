"""The hybrid network of a candidate.

x (batch, features) ── Linear ── quantum layer ── Linear ── log-softmax (batch, classes)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from faqnas_optuna.circuits.blocks import EMBEDDINGS
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.config import Engine
from faqnas_optuna.engine.fused import ParameterBlocks
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.normal_form import Program, compile_circuit
from faqnas_optuna.engine.statevector import Workspace, backward, expectations, forward, make_workspace
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.torch_training import PREDICTION_BATCH


class FastLayer(nn.Module):
    """The quantum layer on our own kernels, on the processor, in float32 or float64.

    Args:
        angles: initial weights (`weights_shape`), in radians.
    """

    def __init__(self, circuit: Circuit, angles: Tensor) -> None:
        super().__init__()
        self.circuit = circuit
        self._program = compile_circuit(circuit)
        self.weights = nn.Parameter(angles.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of Z, (batch, n_qubits), of inputs (batch, n_qubits) of the weights' type."""
        if inputs.dtype != self.weights.dtype:
            raise TypeError(f"inputs and weights must be of one type; they are {inputs.dtype} and {self.weights.dtype}")
        if inputs.ndim != 2 or inputs.shape[1] != self.circuit.n_qubits:
            raise ValueError(f"inputs must be (batch, {self.circuit.n_qubits}); they are {tuple(inputs.shape)}")
        is_of_bits = EMBEDDINGS[self.circuit.embedding].one_basis_state
        return through_bits(self._measured, inputs) if is_of_bits else self._measured(inputs)

    def _measured(self, inputs: Tensor) -> Tensor:
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
    forward(wires_first, _contiguous(weights), program, workspace, measured, False)
    return measured, workspace


def _contiguous(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().numpy())


class PennyLaneLayer(nn.Module):
    """The quantum layer as PennyLane simulates it.

    Args:
        angles: initial weights (`weights_shape`), in radians.
    """

    def __init__(self, circuit: Circuit, angles: Tensor) -> None:
        from pennylane.qnn import TorchLayer

        super().__init__()
        self.circuit = circuit
        layer = TorchLayer(
            qnode(circuit),
            {"weights": circuit.weights_shape},
            init_method={"weights": angles.clone()},
        )
        # Not as a module of this one, which would put a name before that of its weights: states go from engine to engine.
        self._layers = [layer]
        self.weights: nn.Parameter = layer.weights

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of Z, (batch, n_qubits), of inputs (batch, n_qubits)."""
        if inputs.shape[0] == 0:
            return torch.zeros_like(inputs)
        if EMBEDDINGS[self.circuit.embedding].normalised:
            inputs = replace_zero_rows(inputs)
        (layer,) = self._layers
        is_of_bits = EMBEDDINGS[self.circuit.embedding].one_basis_state
        expectations: Tensor = through_bits(layer, inputs) if is_of_bits else layer(inputs)
        return expectations


def measured_by_pennylane(inputs: Array, weights: Array, circuit: Circuit) -> Array:
    """⟨Z⟩ of every wire, without gradients: inputs (B, n), weights (`weights_shape`), result (B, n) of the inputs' type."""
    # Copies: of what cannot be written, as of a file, torch would warn.
    layer, samples = PennyLaneLayer(circuit, torch.tensor(weights)), torch.tensor(inputs)
    with torch.no_grad():
        measured = [layer(part) for part in samples.split(PREDICTION_BATCH)]
    found: Array = torch.cat(measured).to(samples.dtype).numpy()
    return found


def replace_zero_rows(inputs: Tensor) -> Tensor:
    """Rows (batch, n) that cannot be normalised, as (1, 0, …, 0): the state |0…0⟩, with no gradient."""
    basis_state = torch.zeros_like(inputs)
    basis_state[:, 0] = 1.0
    squared_norm = inputs.square().sum(dim=1, keepdim=True)
    return torch.where(squared_norm < torch.finfo(inputs.dtype).tiny, basis_state, inputs)


def through_bits(measure: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """⟨Z⟩ (batch, n) of the bits 1[x > 0], with a gradient for the inputs (batch, n), for which bits have none.

    Straight-through (Bengio, Léonard and Courville, arXiv 1308.3432): a bit hands its gradient on as it is, ∂b/∂x = 1. ⟨Z⟩ is
    known of whole bits alone; between them it is linear in each, as of a mixture of both basis states: ∂⟨Z⟩/∂b is what turning
    the bit from 0 to 1 changes. So what changes no measured value, as a phase, changes no gradient either.
    """
    measured = measure(inputs)
    if not (torch.is_grad_enabled() and inputs.requires_grad):
        return measured
    with torch.no_grad():
        towards = 1 - 2 * (inputs > 0).to(inputs.dtype)
        slopes = []
        for wire in range(inputs.shape[1]):
            turned = inputs.clone()
            turned[:, wire] = towards[:, wire]
            slopes.append((measure(turned) - measured) * towards[:, wire, None])
    # The first term is the value, the second, which is zero, the gradient.
    return measured + ((inputs - inputs.detach()).T[:, :, None] * torch.stack(slopes)).sum(dim=0)


def quantum_layer(circuit: Circuit, engine: Engine, angles: Tensor) -> nn.Module:
    """The quantum layer (batch, n_qubits) → (batch, n_qubits), simulated by an engine, from angles (`weights_shape`)."""
    match engine.of(circuit):
        case Engine.FAST:
            return FastLayer(circuit, angles)
        case Engine.PENNYLANE:
            return PennyLaneLayer(circuit, angles)


class HQNN(nn.Module):
    """Hybrid quantum neural network: a quantum layer between two linear ones.

    Args:
        circuit: the quantum layer.
        n_features: values of a sample.
        n_classes: classes to tell apart.
        engine: what simulates the quantum layer, if it can; else PennyLane does.
        generator: of the initial parameters, which `Layout.draw` draws alike for every engine.
    """

    def __init__(
        self, circuit: Circuit, *, n_features: int, n_classes: int, engine: Engine, generator: np.random.Generator
    ) -> None:
        super().__init__()
        layout = Layout.of(circuit, n_features=n_features, n_classes=n_classes)
        parts = ParameterBlocks(*map(torch.from_numpy, layout.parts(layout.draw(generator))))
        self.circuit = circuit
        self.encoder = _linear(parts.encoder_weights, parts.encoder_bias)
        self.quantum = quantum_layer(circuit, engine, parts.angles)
        self.classifier = _linear(parts.classifier_weights, parts.classifier_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (batch, classes) of samples (batch, features)."""
        return torch.log_softmax(self.classifier(self.quantum(self.encoder(x))), dim=1)

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def _linear(weights: Tensor, bias: Tensor) -> nn.Linear:
    """`nn.Linear` from weights (outputs, inputs) and a bias (outputs,)."""
    outputs, inputs = weights.shape
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    layer.weight, layer.bias = nn.Parameter(weights.clone()), nn.Parameter(bias.clone())
    return layer
