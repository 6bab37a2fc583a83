"""Hybrid network of a candidate, as a torch module.

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
    """Quantum layer simulated by the fast engine on the CPU, in float32 or float64.

    Args:
        angles: Initial weights (`weights_shape`), in radians.
    """

    def __init__(self, circuit: Circuit, angles: Tensor) -> None:
        super().__init__()
        self.circuit = circuit
        self._program = compile_circuit(circuit)
        self.weights = nn.Parameter(angles.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ⟨Z⟩ of every wire, (batch, n_qubits), for inputs (batch, n_qubits) of the same type as the weights."""
        if inputs.dtype != self.weights.dtype:
            raise TypeError(f"inputs and weights must have the same type; they are {inputs.dtype} and {self.weights.dtype}")
        if inputs.ndim != 2 or inputs.shape[1] != self.circuit.n_qubits:
            raise ValueError(f"inputs must have the shape (batch, {self.circuit.n_qubits}); they have {tuple(inputs.shape)}")
        is_of_bits = EMBEDDINGS[self.circuit.embedding].one_basis_state
        return through_bits(self._measure, inputs) if is_of_bits else self._measure(inputs)

    def _measure(self, inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (inputs.requires_grad or self.weights.requires_grad):
            measured: Tensor = _Expectations.apply(inputs, self.weights, self._program)  # type: ignore[no-untyped-call]  # torch's
            return measured
        # Without gradients nothing needs to be stored for `backward`.
        values = expectations(inputs.detach().numpy(), self.weights.detach().numpy(), self.circuit)
        return torch.from_numpy(values)


class _Expectations(torch.autograd.Function):
    """⟨Z⟩ of every wire, with gradients by adjoint differentiation. Torch has the batch first, the kernels have it last."""

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
        # The kernel overwrites the final state. A second backward pass through a retained graph has to compute it again.
        workspace = ctx.workspace or _run(inputs, weights, ctx.program)[1]
        ctx.workspace = None
        grad_measured = np.ascontiguousarray(grad_expectations.numpy().T)
        grad_inputs = np.empty_like(grad_measured)
        grad_weights = np.empty(weights.shape, grad_measured.dtype)
        backward(_contiguous(weights), ctx.program, workspace, grad_measured, grad_inputs, grad_weights)
        return torch.from_numpy(grad_inputs.T), torch.from_numpy(grad_weights), None


def _run(inputs: Tensor, weights: Tensor, program: Program) -> tuple[Array, Workspace]:
    """Return ⟨Z⟩ (n_qubits, batch), and the workspace that `backward` needs for the gradients."""
    wires_first = _contiguous(inputs.T)
    workspace = make_workspace(program, wires_first.shape[1], wires_first.dtype)
    measured = np.empty_like(wires_first)
    forward(wires_first, _contiguous(weights), program, workspace, measured, False)
    return measured, workspace


def _contiguous(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().numpy())


class PennyLaneLayer(nn.Module):
    """Quantum layer simulated by PennyLane.

    Args:
        angles: Initial weights (`weights_shape`), in radians.
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
        # The list hides the layer from torch. As a submodule it would add a prefix to the name of its weights, and a state dict
        # could not be loaded into the network of the other engine.
        self._layers = [layer]
        self.weights: nn.Parameter = layer.weights

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ⟨Z⟩ of every wire, (batch, n_qubits), for inputs (batch, n_qubits)."""
        # PennyLane does not accept empty batches.
        if inputs.shape[0] == 0:
            return torch.zeros_like(inputs)
        if EMBEDDINGS[self.circuit.embedding].normalised:
            inputs = replace_zero_rows(inputs)
        (layer,) = self._layers
        is_of_bits = EMBEDDINGS[self.circuit.embedding].one_basis_state
        expectations: Tensor = through_bits(layer, inputs) if is_of_bits else layer(inputs)
        return expectations


def measured_by_pennylane(inputs: Array, weights: Array, circuit: Circuit) -> Array:
    """Return ⟨Z⟩ of every wire, (B, n), in the type of the inputs and without gradients.

    Args:
        inputs: (B, n).
        weights: `weights_shape`, in radians.
    """
    # `torch.tensor` copies. Sharing the memory of a read-only array, such as one from a file, would cause a warning.
    layer = PennyLaneLayer(circuit, torch.tensor(weights))
    samples = torch.tensor(inputs)
    with torch.no_grad():
        batches = [layer(part) for part in samples.split(PREDICTION_BATCH)]
    measured: Array = torch.cat(batches).to(samples.dtype).numpy()
    return measured


def replace_zero_rows(inputs: Tensor) -> Tensor:
    """Replace rows (batch, n) that cannot be normalised by (1, 0, …, 0), the state |0…0⟩, with zero gradient."""
    basis_state = torch.zeros_like(inputs)
    basis_state[:, 0] = 1.0
    # The threshold is that of the fast engine, `engine.embeddings.VANISHING_SQUARED_NORM`, in float32.
    squared_norm = inputs.square().sum(dim=1, keepdim=True)
    return torch.where(squared_norm < torch.finfo(inputs.dtype).tiny, basis_state, inputs)


def through_bits(measure: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return ⟨Z⟩ (batch, n) of the bits 1[x > 0], with a substitute gradient for the inputs (batch, n).

    The bits have no derivative. The straight-through estimator (Bengio, Léonard and Courville, arXiv 1308.3432) passes the
    gradient of a bit on unchanged, ∂b/∂x = 1. ∂⟨Z⟩/∂b is the change of ⟨Z⟩ when the bit is flipped from 0 to 1, which makes ⟨Z⟩
    linear in each bit, as for a mixture of both basis states. Inert gates, such as those that change a global phase, therefore
    do not affect the gradients either.
    """
    measured = measure(inputs)
    if not (torch.is_grad_enabled() and inputs.requires_grad):
        return measured
    with torch.no_grad():
        # -1 where a flip clears the bit, 1 where it sets the bit. As inputs, these values give the flipped bits.
        direction = 1 - 2 * (inputs > 0).to(inputs.dtype)
        slopes = []
        for wire in range(inputs.shape[1]):
            flipped = inputs.clone()
            flipped[:, wire] = direction[:, wire]
            slopes.append((measure(flipped) - measured) * direction[:, wire, None])
    # The second term is zero and carries the gradient.
    return measured + ((inputs - inputs.detach()).T[:, :, None] * torch.stack(slopes)).sum(dim=0)


def quantum_layer(circuit: Circuit, engine: Engine, angles: Tensor) -> nn.Module:
    """Return the quantum layer (batch, n_qubits) → (batch, n_qubits) of an engine, with initial angles (`weights_shape`)."""
    match engine.of(circuit):
        case Engine.FAST:
            return FastLayer(circuit, angles)
        case Engine.PENNYLANE:
            return PennyLaneLayer(circuit, angles)


class HQNN(nn.Module):
    """Hybrid quantum neural network: a quantum layer between two linear ones.

    Args:
        circuit: Circuit of the quantum layer.
        n_features: Number of values of a sample.
        n_classes: Number of classes.
        engine: Engine that simulates the quantum layer if it can; otherwise PennyLane does.
        generator: Randomness of the initial parameters. `Layout.draw` gives every engine the same.
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
        """Return log-probabilities (batch, classes) for samples (batch, features)."""
        return torch.log_softmax(self.classifier(self.quantum(self.encoder(x))), dim=1)

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def _linear(weights: Tensor, bias: Tensor) -> nn.Linear:
    """Return an `nn.Linear` with the given weights (outputs, inputs) and bias (outputs,)."""
    outputs, inputs = weights.shape
    # `skip_init` leaves torch's global random state alone.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    layer.weight = nn.Parameter(weights.clone())
    layer.bias = nn.Parameter(bias.clone())
    return layer
