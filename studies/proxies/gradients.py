"""Variance of the gradients of a circuit at initialisation.

The derivatives are those of the measured values with respect to the trained angles, ∂⟨Z_q⟩/∂θ_lw for every wire q, layer l
and wire w. Inputs are from N(0, 1/3) and angles from U[0, 2π), as at initialisation. The mean of a derivative over its angle is
zero, so that its variance is its mean square. The proxy is the sum of the variances over the measured wires q, averaged over
the effective angles: ½ for single RY gates. McClean et al. 2018 (arXiv 1803.11173) show that the variance vanishes
exponentially with the number of qubits if the circuit is random enough.
"""

import numpy as np

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import backward, forward, make_workspace
from studies.proxies.states import INPUT_DEVIATION


def gradient_variance(circuit: Circuit, draws: int, generator: np.random.Generator) -> float:
    """Return the variance, estimated from random inputs and angles; 0 if no angle is effective."""
    layers = EffectiveGates(circuit=circuit).mixing_depth
    if not layers:
        return 0.0
    program = compile_circuit(circuit)
    workspace = make_workspace(program, 1, np.float32)
    inputs = generator.standard_normal((draws, circuit.n_qubits, 1), np.float32) * np.float32(INPUT_DEVIATION)
    weights = generator.random((draws, *circuit.weights_shape), np.float32) * np.float32(2 * np.pi)
    # Backpropagating random signs v gives Σ_q v_q ∂⟨Z_q⟩/∂θ, whose mean square is the sum over q of the mean squares: one pass
    # instead of one for each wire.
    signs = (2 * generator.integers(0, 2, inputs.shape) - 1).astype(np.float32)
    squares = np.zeros(circuit.weights_shape)
    gradients = np.empty_like(weights[0])
    measured = np.empty_like(inputs[0])
    grad_inputs = np.empty_like(inputs[0])
    # One sample at a time, since each has its own angles, which a batch of the kernels shares.
    for draw in range(draws):
        forward(inputs[draw], weights[draw], program, workspace, measured, False)
        backward(weights[draw], program, workspace, signs[draw], grad_inputs, gradients)
        squares += gradients**2
    # The rotations after the last mixing layer are inert, and have no gradient.
    return float(squares[:layers].mean() / draws)
