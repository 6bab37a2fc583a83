"""Embeddings on batched states, and their adjoints, in numba: the first gates of a circuit, and data that come again.

States and adjoint functions are those of `engine.gate_kernels`.
"""

import math

import numpy as np

from faqnas_optuna.engine.gate_kernels import Array, collect_z, ry, spread_z, table
from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers

VANISHING_SQUARED_NORM = float(np.finfo(np.float32).tiny)


@jit
def embed_angles(inputs: Array, angles: Array, joined: bool, of_bits: bool, state: Array, embedding: Array) -> None:
    """⊗ RY(2x)|0⟩, the product of (cos x, sin x), from the last wire to the first; RY(θ) RY(2x) = RY(2(x + θ/2)).

    Args:
        of_bits: π/2 where x > 0, else 0, in the place of x: RY(θ) of a bit is (cos θ/2, sin θ/2) or (-sin θ/2, cos θ/2).
    """
    wires, batch = inputs.shape
    for wire in range(wires):
        shift = inputs.dtype.type(angles[wire] / 2 if joined else 0)
        if of_bits:
            c, s = math.cos(shift), math.sin(shift)
            for b in range(batch):
                value = inputs[wire, b]
                embedding[0, wire, b] = (-s if value > 0 else c) + 0 * value
                embedding[1, wire, b] = c if value > 0 else s
            continue
        for b in range(batch):
            embedding[0, wire, b] = math.cos(inputs[wire, b] + shift)
            embedding[1, wire, b] = math.sin(inputs[wire, b] + shift)
    amplitudes = table(state, 1 << wires, 1, batch)
    amplitudes[0] = 1
    half = 1
    for wire in range(wires - 1, -1, -1):
        cosine, sine = embedding[0, wire], embedding[1, wire]
        for k in range(half):
            zero, one = amplitudes[k, 0], amplitudes[half + k, 0]
            for b in range(batch):
                zero[b], one[b] = cosine[b] * zero[b], sine[b] * zero[b]
        half *= 2


@jit
def adjoint_of_embed_angles(
    state: Array, adjoint: Array, joined: bool, embedding: Array, grad_inputs: Array, grad_angles: Array
) -> None:
    """Take the product state apart, from the first wire to the last.

    ψ = (cos x, sin x) ⊗ φ gives φ = cos x ψ₀ + sin x ψ₁, the λ of φ is cos x λ₀ + sin x λ₁, and
    ∂E/∂x = 2⟨cos x λ₁ - sin x λ₀, φ⟩.
    """
    wires, batch = grad_inputs.shape
    half = 1 << wires
    amplitudes, adjoints = table(state, half, 1, batch), table(adjoint, half, 1, batch)
    for wire in range(wires):
        half //= 2
        cosine, sine, grad = embedding[0, wire], embedding[1, wire], grad_inputs[wire]
        grad[:] = 0
        for k in range(half):
            zero, one, x0, x1 = amplitudes[k, 0], amplitudes[half + k, 0], adjoints[k, 0], adjoints[half + k, 0]
            for b in range(batch):
                c, s, x, y = cosine[b], sine[b], x0[b], x1[b]
                rest = c * zero[b] + s * one[b]
                grad[b] += rest * (c * y - s * x)
                zero[b], x0[b] = rest, c * x + s * y
        if joined:
            grad_angles[wire] = grad.sum()
        for b in range(batch):
            grad[b] += grad[b]


@jit
def embed_amplitudes(inputs: Array, state: Array, embedding: Array) -> None:
    """The first amplitudes are x / ‖x‖. A vanishing x becomes |0…0⟩, with an inverse norm of 0 for `backward`."""
    wires, batch = inputs.shape
    amplitudes, inverse_norm = table(state, 1 << wires, 1, batch), embedding[0, 0]
    amplitudes[:] = 0
    for b in range(batch):
        squared_norm = inputs.dtype.type(0)
        for wire in range(wires):
            squared_norm += inputs[wire, b] * inputs[wire, b]
        # Not `>=` with the branches exchanged: NaN must take the second one.
        if squared_norm < VANISHING_SQUARED_NORM:
            inverse_norm[b] = 0
            amplitudes[0, 0, b] = 1
        else:
            inverse_norm[b] = 1 / math.sqrt(squared_norm)
            for wire in range(wires):
                amplitudes[wire, 0, b] = inputs[wire, b] * inverse_norm[b]


@jit
def adjoint_of_embed_amplitudes(state: Array, adjoint: Array, embedding: Array, grad_inputs: Array) -> None:
    """∂E/∂x = 2 (λ - ⟨ψ, λ⟩ ψ) / ‖x‖."""
    wires, batch = grad_inputs.shape
    amplitudes, adjoints, inverse_norm = table(state, wires, 1, batch), table(adjoint, wires, 1, batch), embedding[0, 0]
    for b in range(batch):
        overlap = state.dtype.type(0)
        for wire in range(wires):
            overlap += amplitudes[wire, 0, b] * adjoints[wire, 0, b]
        for wire in range(wires):
            grad_inputs[wire, b] = 2 * inverse_norm[b] * (adjoints[wire, 0, b] - overlap * amplitudes[wire, 0, b])


@jit
def embed_bits(inputs: Array, state: Array) -> None:
    """The basis state of the bits 1[x > 0]; what is no number makes the state none."""
    wires, batch = inputs.shape
    amplitudes = table(state, 1 << wires, 1, batch)
    amplitudes[:] = 0
    for b in range(batch):
        index, one = 0, inputs.dtype.type(1)
        for wire in range(wires):
            value = inputs[wire, b]
            index = 2 * index + (value > 0)
            one += 0 * value
        amplitudes[index, 0, b] = one


@jit
def embed_phases(inputs: Array, state: Array, embedding: Array, scratch: Array) -> None:
    """Amplitudes exp(-i (S + S²/2) / 2) / √N with Sₖ = Σᵢ ±xᵢ by the bits of k: IQP embedding, but for a phase of the whole.

    Σᵢ zᵢxᵢ + Σᵢ<ⱼ zᵢzⱼxᵢxⱼ = S + (S² - Σᵢ xᵢ²) / 2
    """
    wires, batch = inputs.shape
    rows = 1 << wires
    amplitudes, sums = table(state, rows, 2, batch), scratch[: rows * batch].reshape(rows, batch)
    for wire in range(wires):
        for b in range(batch):
            embedding[0, wire, b] = inputs[wire, b]
    spread_z(inputs, sums)
    scale = inputs.dtype.type(1 / math.sqrt(rows))
    for k in range(rows):
        re, im, total = amplitudes[k, 0], amplitudes[k, 1], sums[k]
        for b in range(batch):
            half = total[b] * inputs.dtype.type(0.5)
            angle = half + half * half
            re[b], im[b] = scale * math.cos(angle), -scale * math.sin(angle)


@jit
def adjoint_of_embed_phases(state: Array, adjoint: Array, embedding: Array, scratch: Array, grad_inputs: Array) -> None:
    """∂E/∂xᵢ = Σₖ zᵢ(k) (1 + Sₖ) Im(λₖ* ψₖ)"""
    wires, batch = grad_inputs.shape
    rows = 1 << wires
    for wire in range(wires):
        for b in range(batch):
            grad_inputs[wire, b] = embedding[0, wire, b]
    amplitudes, adjoints = table(state, rows, 2, batch), table(adjoint, rows, 2, batch)
    sums = scratch[: rows * batch].reshape(rows, batch)
    spread_z(grad_inputs, sums)
    for k in range(rows):
        re, im, adjoint_re, adjoint_im = amplitudes[k, 0], amplitudes[k, 1], adjoints[k, 0], adjoints[k, 1]
        total = sums[k]
        for b in range(batch):
            total[b] = (1 + total[b]) * (adjoint_re[b] * im[b] - adjoint_im[b] * re[b])
    collect_z(sums, grad_inputs)


@jit
def upload(state: Array, planes: int, embedding: Array, batch: int, order: Integers) -> None:
    """RY(2x) on every wire, with the cosines and sines of each sample's x in `embedding`; two wires at a time, as `rotate`."""
    wires = embedding.shape[1]
    if wires % 2:
        _upload_first(state, planes << (wires - 1), embedding, batch, order)
    for wire in range(wires % 2, wires, 2):
        groups, block = 1 << wire, planes << (wires - 2 - wire)
        cosine, sine, cosine_next, sine_next = _turns(embedding, wire)
        amplitudes = state[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]  # see `_rotate_two`
                row00, row01, row10, row11 = _rows(amplitudes[group], row)
                for b in range(batch):
                    c, s, c_next, s_next = cosine[b], sine[b], cosine_next[b], sine_next[b]
                    u00, u10 = ry(row00[b], row10[b], c, s)
                    u01, u11 = ry(row01[b], row11[b], c, s)
                    row00[b], row01[b] = ry(u00, u01, c_next, s_next)
                    row10[b], row11[b] = ry(u10, u11, c_next, s_next)


@jit
def _turns(embedding: Array, wire: int) -> tuple[Array, Array, Array, Array]:
    """Cosines and sines of a wire and the next."""
    return embedding[0, wire], embedding[1, wire], embedding[0, wire + 1], embedding[1, wire + 1]


@jit
def _rows(group: Array, row: int) -> tuple[Array, Array, Array, Array]:
    return group[0, row], group[1, row], group[2, row], group[3, row]


@jit
def _upload_first(state: Array, block: int, embedding: Array, batch: int, order: Integers) -> None:
    """RY(2x) on wire 0."""
    cosine, sine = embedding[0, 0], embedding[1, 0]
    amplitudes = state[: 2 * block * batch].reshape(2, block, batch)
    for position in range(block):
        row = order[position]
        zero, one = amplitudes[0, row], amplitudes[1, row]
        for b in range(batch):
            zero[b], one[b] = ry(zero[b], one[b], cosine[b], sine[b])


@jit
def undo_upload(
    state: Array, adjoint: Array, planes: int, embedding: Array, batch: int, order: Integers, grad_inputs: Array
) -> None:
    """RY(-2x) on every wire of ψ and λ; ∂E/∂x = 2 Σ (λ₁ ψ₀ - λ₀ ψ₁) is added to the gradients (n, B)."""
    wires = embedding.shape[1]
    for wire in range(wires % 2, wires, 2):
        groups, block = 1 << wire, planes << (wires - 2 - wire)
        cosine, sine, cosine_next, sine_next = _turns(embedding, wire)
        grad, grad_next = grad_inputs[wire], grad_inputs[wire + 1]
        amplitudes = state[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        adjoints = adjoint[: 4 * groups * block * batch].reshape(groups, 4, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]
                row00, row01, row10, row11 = _rows(amplitudes[group], row)
                adjoint00, adjoint01, adjoint10, adjoint11 = _rows(adjoints[group], row)
                for b in range(batch):
                    c, s, c_next, s_next = cosine[b], -sine[b], cosine_next[b], -sine_next[b]
                    u00, u01, u10, u11 = row00[b], row01[b], row10[b], row11[b]
                    x00, x01, x10, x11 = adjoint00[b], adjoint01[b], adjoint10[b], adjoint11[b]
                    grad[b] += 2 * (x10 * u00 - x00 * u10 + x11 * u01 - x01 * u11)
                    grad_next[b] += 2 * (x01 * u00 - x00 * u01 + x11 * u10 - x10 * u11)
                    u00, u10 = ry(u00, u10, c, s)
                    u01, u11 = ry(u01, u11, c, s)
                    x00, x10 = ry(x00, x10, c, s)
                    x01, x11 = ry(x01, x11, c, s)
                    row00[b], row01[b] = ry(u00, u01, c_next, s_next)
                    row10[b], row11[b] = ry(u10, u11, c_next, s_next)
                    adjoint00[b], adjoint01[b] = ry(x00, x01, c_next, s_next)
                    adjoint10[b], adjoint11[b] = ry(x10, x11, c_next, s_next)
    if wires % 2:
        _undo_upload_first(state, adjoint, planes << (wires - 1), embedding, batch, order, grad_inputs[0])


@jit
def _undo_upload_first(
    state: Array, adjoint: Array, block: int, embedding: Array, batch: int, order: Integers, grad: Array
) -> None:
    cosine, sine = embedding[0, 0], embedding[1, 0]
    amplitudes = state[: 2 * block * batch].reshape(2, block, batch)
    adjoints = adjoint[: 2 * block * batch].reshape(2, block, batch)
    for position in range(block):
        row = order[position]
        zero, one, x0, x1 = amplitudes[0, row], amplitudes[1, row], adjoints[0, row], adjoints[1, row]
        for b in range(batch):
            u, v, x, y = zero[b], one[b], x0[b], x1[b]
            grad[b] += 2 * (y * u - x * v)
            zero[b], one[b] = ry(u, v, cosine[b], -sine[b])
            x0[b], x1[b] = ry(x, y, cosine[b], -sine[b])
