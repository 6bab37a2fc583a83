"""Embeddings on batched states, and their adjoints, in numba: at the start of a circuit and on data re-uploading.

`engine.gate_kernels` explains the layout of states and the adjoint functions.
"""

import math

import numpy as np

from faqnas_optuna.engine.gate_kernels import Array, at, collect_z, ry, spread_z, table
from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers

VANISHING_SQUARED_NORM = float(np.finfo(np.float32).tiny)
"""Squared norm below which inputs cannot be normalised in float32."""


@jit
def embed_angles(inputs: Array, angles: Array, joined: bool, of_bits: bool, state: Array, embedding: Array) -> None:
    """Write ⊗ RY(2x)|0⟩, the product of (cos x, sin x) over the wires.

    Args:
        joined: Whether to apply an RY layer with these angles as well, as RY(θ) RY(2x) = RY(2(x + θ/2)).
        of_bits: Use π/2 if x > 0, else 0, instead of x. RY(θ) of a bit is (cos θ/2, sin θ/2) or (-sin θ/2, cos θ/2).
    """
    wires, batch = inputs.shape
    for wire in range(wires):
        shift = inputs.dtype.type(angles[wire] / 2 if joined else 0)
        if of_bits:
            c = math.cos(shift)
            s = math.sin(shift)
            for b in range(batch):
                # Adding 0 · x makes the state NaN for a NaN input, whose bit would be 0.
                value = inputs[wire, b]
                embedding[0, wire, b] = (-s if value > 0 else c) + 0 * value
                embedding[1, wire, b] = c if value > 0 else s
            continue
        for b in range(batch):
            embedding[0, wire, b] = math.cos(inputs[wire, b] + shift)
            embedding[1, wire, b] = math.sin(inputs[wire, b] + shift)
    # The product grows from the last wire to the first, which doubles the valid part of the state each time.
    amplitudes = table(state, 1 << wires, 1, batch)
    amplitudes[0] = 1
    half = 1
    for wire in range(wires - 1, -1, -1):
        cosine = embedding[0, wire]
        sine = embedding[1, wire]
        for k in range(half):
            zero = amplitudes[k, 0]
            one = amplitudes[half + k, 0]
            for b in range(batch):
                u = cosine[b] * zero[b]
                v = sine[b] * zero[b]
                zero[b] = u
                one[b] = v
        half *= 2


@jit
def adjoint_of_embed_angles(
    state: Array, adjoint: Array, joined: bool, embedding: Array, grad_inputs: Array, grad_angles: Array
) -> None:
    """Write the gradients of `embed_angles`. Overwrite `state` and `adjoint`."""
    # The wires are split off the product state from the first to the last. ψ = (cos x, sin x) ⊗ φ gives
    # φ = cos x ψ₀ + sin x ψ₁, the λ of φ is cos x λ₀ + sin x λ₁, and ∂E/∂x = 2⟨cos x λ₁ - sin x λ₀, φ⟩.
    wires, batch = grad_inputs.shape
    half = 1 << wires
    amplitudes = table(state, half, 1, batch)
    adjoints = table(adjoint, half, 1, batch)
    for wire in range(wires):
        half //= 2
        cosine = embedding[0, wire]
        sine = embedding[1, wire]
        grad = grad_inputs[wire]
        grad[:] = 0
        for k in range(half):
            zero = amplitudes[k, 0]
            one = amplitudes[half + k, 0]
            x0 = adjoints[k, 0]
            x1 = adjoints[half + k, 0]
            for b in range(batch):
                c, s, x, y = at(cosine, sine, x0, x1, b)
                rest = c * zero[b] + s * one[b]
                grad[b] += rest * (c * y - s * x)
                zero[b] = rest
                x0[b] = c * x + s * y
        # `grad` is half of ∂E/∂x, and ∂E/∂θ is half of ∂E/∂x, because θ/2 is added to x.
        if joined:
            grad_angles[wire] = grad.sum()
        for b in range(batch):
            grad[b] += grad[b]


@jit
def embed_amplitudes(inputs: Array, state: Array, embedding: Array) -> None:
    """Write x / ‖x‖ as the first amplitudes, or |0…0⟩ if the norm vanishes."""
    wires, batch = inputs.shape
    amplitudes = table(state, 1 << wires, 1, batch)
    # An inverse norm of 0 gives vanishing inputs a gradient of 0 in the adjoint.
    inverse_norm = embedding[0, 0]
    amplitudes[:] = 0
    for b in range(batch):
        squared_norm = inputs.dtype.type(0)
        for wire in range(wires):
            squared_norm += inputs[wire, b] * inputs[wire, b]
        # `>=` with exchanged branches would turn NaN into |0…0⟩.
        if squared_norm < VANISHING_SQUARED_NORM:
            inverse_norm[b] = 0
            amplitudes[0, 0, b] = 1
        else:
            inverse_norm[b] = 1 / math.sqrt(squared_norm)
            for wire in range(wires):
                amplitudes[wire, 0, b] = inputs[wire, b] * inverse_norm[b]


@jit
def adjoint_of_embed_amplitudes(state: Array, adjoint: Array, embedding: Array, grad_inputs: Array) -> None:
    """Write ∂E/∂x = 2 (λ - ⟨ψ, λ⟩ ψ) / ‖x‖."""
    wires, batch = grad_inputs.shape
    amplitudes = table(state, wires, 1, batch)
    adjoints = table(adjoint, wires, 1, batch)
    inverse_norm = embedding[0, 0]
    for b in range(batch):
        overlap = state.dtype.type(0)
        for wire in range(wires):
            overlap += amplitudes[wire, 0, b] * adjoints[wire, 0, b]
        for wire in range(wires):
            grad_inputs[wire, b] = 2 * inverse_norm[b] * (adjoints[wire, 0, b] - overlap * amplitudes[wire, 0, b])


@jit
def embed_bits(inputs: Array, state: Array) -> None:
    """Write the basis states of the bits 1[x > 0]."""
    wires, batch = inputs.shape
    amplitudes = table(state, 1 << wires, 1, batch)
    amplitudes[:] = 0
    for b in range(batch):
        index = 0
        amplitude = inputs.dtype.type(1)
        for wire in range(wires):
            value = inputs[wire, b]
            index = 2 * index + (value > 0)
            # A NaN input makes the amplitude NaN.
            amplitude += 0 * value
        amplitudes[index, 0, b] = amplitude


@jit
def embed_phases(inputs: Array, state: Array, embedding: Array, scratch: Array) -> None:
    """Write the IQP embedding, up to a global phase: exp(-i (S + S²/2) / 2) / √N with Sₖ = Σᵢ ±xᵢ, signs by the bits of k."""
    # The phases of the gates add up to Σᵢ zᵢxᵢ + Σᵢ<ⱼ zᵢzⱼxᵢxⱼ = S + (S² - Σᵢ xᵢ²) / 2, and the last sum is the same for all k.
    wires, batch = inputs.shape
    rows = 1 << wires
    amplitudes = table(state, rows, 2, batch)
    sums = scratch[: rows * batch].reshape(rows, batch)
    # The adjoint needs the inputs again.
    for wire in range(wires):
        for b in range(batch):
            embedding[0, wire, b] = inputs[wire, b]
    spread_z(inputs, sums)
    scale = inputs.dtype.type(1 / math.sqrt(rows))
    for k in range(rows):
        re = amplitudes[k, 0]
        im = amplitudes[k, 1]
        total = sums[k]
        for b in range(batch):
            half = total[b] * inputs.dtype.type(0.5)
            angle = half + half * half
            u = scale * math.cos(angle)
            v = -scale * math.sin(angle)
            re[b] = u
            im[b] = v


@jit
def adjoint_of_embed_phases(state: Array, adjoint: Array, embedding: Array, scratch: Array, grad_inputs: Array) -> None:
    """Write ∂E/∂xᵢ = Σₖ zᵢ(k) (1 + Sₖ) Im(λₖ* ψₖ)."""
    wires, batch = grad_inputs.shape
    rows = 1 << wires
    for wire in range(wires):
        for b in range(batch):
            grad_inputs[wire, b] = embedding[0, wire, b]
    amplitudes = table(state, rows, 2, batch)
    adjoints = table(adjoint, rows, 2, batch)
    sums = scratch[: rows * batch].reshape(rows, batch)
    # `grad_inputs` holds the inputs up to here, and the gradients at the end.
    spread_z(grad_inputs, sums)
    for k in range(rows):
        re = amplitudes[k, 0]
        im = amplitudes[k, 1]
        adjoint_re = adjoints[k, 0]
        adjoint_im = adjoints[k, 1]
        total = sums[k]
        for b in range(batch):
            total[b] = (1 + total[b]) * (adjoint_re[b] * im[b] - adjoint_im[b] * re[b])
    collect_z(sums, grad_inputs)


@jit
def upload(state: Array, planes: int, embedding: Array, batch: int, order: Integers) -> None:
    """Apply RY(2x) to every wire, with the cosines and sines of each sample's x from `embedding`."""
    # As in `rotate`, two wires share a pass over the state. The angles differ from sample to sample.
    wires = embedding.shape[1]
    if wires % 2:
        _upload_first(state, planes << (wires - 1), embedding, batch, order)
    for wire in range(wires % 2, wires, 2):
        groups = 1 << wire
        block = planes << (wires - 2 - wire)
        cosine, sine, cosine_next, sine_next = _cosines_and_sines(embedding, wire)
        amplitudes = state[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]  # see `_rotate_two`
                row00, row01, row10, row11 = _rows(amplitudes[group], row)
                for b in range(batch):
                    c, s, c_next, s_next = at(cosine, sine, cosine_next, sine_next, b)
                    u00, u10 = ry(row00[b], row10[b], c, s)
                    u01, u11 = ry(row01[b], row11[b], c, s)
                    row00[b], row01[b] = ry(u00, u01, c_next, s_next)
                    row10[b], row11[b] = ry(u10, u11, c_next, s_next)


@jit
def _cosines_and_sines(embedding: Array, wire: int) -> tuple[Array, Array, Array, Array]:
    """Return cosines and sines (B,) of this wire, and those of the next."""
    return embedding[0, wire], embedding[1, wire], embedding[0, wire + 1], embedding[1, wire + 1]


@jit
def _rows(group: Array, row: int) -> tuple[Array, Array, Array, Array]:
    return group[0, row], group[1, row], group[2, row], group[3, row]


@jit
def _upload_first(state: Array, block: int, embedding: Array, batch: int, order: Integers) -> None:
    """Apply RY(2x) to wire 0."""
    cosine = embedding[0, 0]
    sine = embedding[1, 0]
    amplitudes = state[: 2 * block * batch].reshape(2, block, batch)
    for position in range(block):
        row = order[position]  # see `_rotate_two`
        zero = amplitudes[0, row]
        one = amplitudes[1, row]
        for b in range(batch):
            zero[b], one[b] = ry(zero[b], one[b], cosine[b], sine[b])


@jit
def undo_upload(
    state: Array, adjoint: Array, planes: int, embedding: Array, batch: int, order: Integers, grad_inputs: Array
) -> None:
    """Apply RY(-2x) to every wire of ψ and λ, and add ∂E/∂x = 2 Σ (λ₁ ψ₀ - λ₀ ψ₁) to the gradients (n, B)."""
    wires = embedding.shape[1]
    for wire in range(wires % 2, wires, 2):
        groups = 1 << wire
        block = planes << (wires - 2 - wire)
        cosine, sine, cosine_next, sine_next = _cosines_and_sines(embedding, wire)
        grad = grad_inputs[wire]
        grad_next = grad_inputs[wire + 1]
        amplitudes = state[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        adjoints = adjoint[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]  # see `_rotate_two`
                row00, row01, row10, row11 = _rows(amplitudes[group], row)
                adjoint00, adjoint01, adjoint10, adjoint11 = _rows(adjoints[group], row)
                for b in range(batch):
                    c, s, c_next, s_next = at(cosine, sine, cosine_next, sine_next, b)
                    u00, u01, u10, u11 = at(row00, row01, row10, row11, b)
                    x00, x01, x10, x11 = at(adjoint00, adjoint01, adjoint10, adjoint11, b)
                    grad[b] += 2 * (x10 * u00 - x00 * u10 + x11 * u01 - x01 * u11)
                    grad_next[b] += 2 * (x01 * u00 - x00 * u01 + x11 * u10 - x10 * u11)
                    u00, u10 = ry(u00, u10, c, -s)
                    u01, u11 = ry(u01, u11, c, -s)
                    x00, x10 = ry(x00, x10, c, -s)
                    x01, x11 = ry(x01, x11, c, -s)
                    row00[b], row01[b] = ry(u00, u01, c_next, -s_next)
                    row10[b], row11[b] = ry(u10, u11, c_next, -s_next)
                    adjoint00[b], adjoint01[b] = ry(x00, x01, c_next, -s_next)
                    adjoint10[b], adjoint11[b] = ry(x10, x11, c_next, -s_next)
    if wires % 2:
        _undo_upload_first(state, adjoint, planes << (wires - 1), embedding, batch, order, grad_inputs[0])


@jit
def _undo_upload_first(
    state: Array, adjoint: Array, block: int, embedding: Array, batch: int, order: Integers, grad: Array
) -> None:
    cosine = embedding[0, 0]
    sine = embedding[1, 0]
    amplitudes = state[: 2 * block * batch].reshape(2, block, batch)
    adjoints = adjoint[: 2 * block * batch].reshape(2, block, batch)
    for position in range(block):
        row = order[position]  # see `_rotate_two`
        zero = amplitudes[0, row]
        one = amplitudes[1, row]
        x0 = adjoints[0, row]
        x1 = adjoints[1, row]
        for b in range(batch):
            u, v, x, y = at(zero, one, x0, x1, b)
            grad[b] += 2 * (y * u - x * v)
            zero[b], one[b] = ry(u, v, cosine[b], -sine[b])
            x0[b], x1[b] = ry(x, y, cosine[b], -sine[b])
