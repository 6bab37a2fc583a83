"""The gates on batched states, and their adjoints, in numba.

A state is `rows × columns` real numbers, flat and contiguous. Row k is amplitude k; the columns are the batch, once for
the real parts and, for a complex state, once more for the imaginary parts: it has one or two *planes*. An RY gate is
real and treats all columns alike, every inner loop runs over the batch, and a state that is still real costs half.

An adjoint function takes ψ and λ after a gate, undoes the gate on both and writes the gradients of its parameters,
where 2λ = ∂E/∂(Re ψ) + i ∂E/∂(Im ψ). `state` is ψ, `adjoint` is λ, `batch` is B; all arrays are of one floating type.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.engine.compilation import jit
from faqnas_optuna.engine.normal_form import Integers

Array = NDArray[Any]
"""float32 or float64."""

VANISHING_SQUARED_NORM = float(np.finfo(np.float32).tiny)


@jit
def table(state: Array, rows: int, planes: int, batch: int) -> Array:
    """A state as (N, planes, B)."""
    return state[: rows * planes * batch].reshape(rows, planes, batch)


@jit
def embed_angles(inputs: Array, angles: Array, joined: bool, state: Array, embedding: Array) -> None:
    """⊗ RY(2x)|0⟩, the product of (cos x, sin x), from the last wire to the first; RY(θ) RY(2x) = RY(2(x + θ/2))."""
    wires, batch = inputs.shape
    for wire in range(wires):
        shift = inputs.dtype.type(angles[wire] / 2 if joined else 0)
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
def turn_bits(inputs: Array, wire: int) -> None:
    """Make the bit of a wire the other one, for every sample."""
    row = inputs[wire]
    for b in range(row.size):
        row[b] = (-1 if row[b] > 0 else 1) + 0 * row[b]


@jit
def keep(measured: Array, target: Array) -> None:
    """A copy, in the front of each row."""
    for q in range(measured.shape[0]):
        for b in range(measured.shape[1]):
            target[q, b] = measured[q, b]


@jit
def straight_through(inputs: Array, measured: Array, turned: Array, grad_measured: Array, grad_inputs: Array) -> None:
    """∂E/∂x = ∂E/∂⟨Z⟩ · (⟨Z⟩ where the bit is 1 - ⟨Z⟩ where it is 0); turned[w] is ⟨Z⟩ with the other bit on wire w."""
    for wire in range(inputs.shape[0]):
        grad = grad_inputs[wire]
        grad[:] = 0
        for q in range(inputs.shape[0]):
            factor, there, here = grad_measured[q], turned[wire, q], measured[q]
            for b in range(grad.size):
                grad[b] += factor[b] * (there[b] - here[b])
        for b in range(grad.size):
            grad[b] = -grad[b] if inputs[wire, b] > 0 else grad[b]


@jit
def _ry(u: float, v: float, c: float, s: float) -> tuple[float, float]:
    """RY(θ) on amplitudes u of |0⟩ and v of |1⟩, with c = cos(θ/2) and s = sin(θ/2)."""
    return c * u - s * v, s * u + c * v


@jit
def _cos_sin_half(angles: Array, wire: int) -> tuple[float, float]:
    # A division by 2 makes a float64 of a float32.
    half = angles.dtype.type(angles[wire] / 2)
    return math.cos(half), math.sin(half)


@jit
def upload(state: Array, planes: int, embedding: Array, batch: int, order: Integers) -> None:
    """RY(2x) on every wire, with the cosines and sines of each sample's x in `embedding`."""
    wires = embedding.shape[1]
    for wire in range(wires):
        groups, block = 1 << wire, planes << (wires - 1 - wire)
        cosine, sine = embedding[0, wire], embedding[1, wire]
        amplitudes = state[: 2 * groups * block * batch].reshape(groups, 2, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]  # see `_rotate_two`
                zero, one = amplitudes[group, 0, row], amplitudes[group, 1, row]
                for b in range(batch):
                    zero[b], one[b] = _ry(zero[b], one[b], cosine[b], sine[b])


@jit
def undo_upload(
    state: Array, adjoint: Array, planes: int, embedding: Array, batch: int, order: Integers, grad_inputs: Array
) -> None:
    """RY(-2x) on every wire of ψ and λ; ∂E/∂x = 2 Σ (λ₁ ψ₀ - λ₀ ψ₁) is added to the gradients (n, B)."""
    wires = embedding.shape[1]
    for wire in range(wires):
        groups, block = 1 << wire, planes << (wires - 1 - wire)
        cosine, sine, grad = embedding[0, wire], embedding[1, wire], grad_inputs[wire]
        amplitudes = state[: 2 * groups * block * batch].reshape(groups, 2, block, batch)
        adjoints = adjoint[: 2 * groups * block * batch].reshape(groups, 2, block, batch)
        for group in range(groups):
            for position in range(block):
                row = order[position]
                zero, one = amplitudes[group, 0, row], amplitudes[group, 1, row]
                x0, x1 = adjoints[group, 0, row], adjoints[group, 1, row]
                for b in range(batch):
                    u, v, x, y, c, s = zero[b], one[b], x0[b], x1[b], cosine[b], -sine[b]
                    grad[b] += 2 * (y * u - x * v)
                    zero[b], one[b] = _ry(u, v, c, s)
                    x0[b], x1[b] = _ry(x, y, c, s)


@jit
def rotate(state: Array, columns: int, angles: Array, order: Integers) -> None:
    """RY on every wire. Two wires share a pass over the state, which is bound by memory on many qubits."""
    wires = angles.size
    if wires % 2:
        _rotate_first(state, columns << (wires - 1), angles)
    for wire in range(wires % 2, wires, 2):
        _rotate_two(state, columns, wire, angles, order)


@jit
def _rotate_first(state: Array, half: int, angles: Array) -> None:
    """RY on wire 0: the state is |0⟩ and |1⟩ of `half` numbers each."""
    c, s = _cos_sin_half(angles, 0)
    zero, one = state[:half], state[half : 2 * half]
    for i in range(half):
        zero[i], one[i] = _ry(zero[i], one[i], c, s)


@jit
def _rotate_two(state: Array, columns: int, wire: int, angles: Array, order: Integers) -> None:
    """RY on two neighbouring wires: the state is a sequence of groups |00⟩, |01⟩, |10⟩, |11⟩ of `block` numbers."""
    c, s = _cos_sin_half(angles, wire)
    c_next, s_next = _cos_sin_half(angles, wire + 1)
    groups, block = 1 << wire, columns << (angles.size - 2 - wire)
    amplitudes = table(state, groups, 4, block)
    for position in range(groups):
        # An index that the compiler cannot foresee. From 0, 1, 2, … LLVM moves its test for overlapping rows out of
        # this loop, to where it always fails, and the inner loop is not vectorised.
        group = order[position]
        row00, row01, row10, row11 = _four(amplitudes[group])
        for i in range(block):
            u00, u10 = _ry(row00[i], row10[i], c, s)
            u01, u11 = _ry(row01[i], row11[i], c, s)
            row00[i], row01[i] = _ry(u00, u01, c_next, s_next)
            row10[i], row11[i] = _ry(u10, u11, c_next, s_next)


@jit
def _four(group: Array) -> tuple[Array, Array, Array, Array]:
    return group[0], group[1], group[2], group[3]


@jit
def undo_rotate(state: Array, adjoint: Array, columns: int, angles: Array, order: Integers, grad: Array) -> None:
    """RY(-θ) on every wire of ψ and λ, and ∂E/∂θ = Σ (λ₁ ψ₀ - λ₀ ψ₁), as ∂RY(θ)/∂θ = ½ RY(π) RY(θ)."""
    wires = angles.size
    for wire in range(wires % 2, wires, 2):
        grad[wire], grad[wire + 1] = _undo_rotate_two(state, adjoint, columns, wire, angles, order)
    if wires % 2:
        grad[0] = _undo_rotate_first(state, adjoint, columns << (wires - 1), angles)


@jit
def _undo_rotate_first(state: Array, adjoint: Array, half: int, angles: Array) -> Any:
    c, s = _cos_sin_half(angles, 0)
    zero, one, x0, x1 = state[:half], state[half : 2 * half], adjoint[:half], adjoint[half : 2 * half]
    total = state.dtype.type(0)
    for i in range(half):
        total += x1[i] * zero[i] - x0[i] * one[i]
        zero[i], one[i] = _ry(zero[i], one[i], c, -s)
        x0[i], x1[i] = _ry(x0[i], x1[i], c, -s)
    return total


@jit
def _undo_rotate_two(
    state: Array, adjoint: Array, columns: int, wire: int, angles: Array, order: Integers
) -> tuple[float, float]:
    c, s = _cos_sin_half(angles, wire)
    c_next, s_next = _cos_sin_half(angles, wire + 1)
    groups, block = 1 << wire, columns << (angles.size - 2 - wire)
    amplitudes, adjoints = table(state, groups, 4, block), table(adjoint, groups, 4, block)
    grad, grad_next = 0.0, 0.0
    for position in range(groups):
        group = order[position]  # see `_rotate_two`
        row00, row01, row10, row11 = _four(amplitudes[group])
        adjoint00, adjoint01, adjoint10, adjoint11 = _four(adjoints[group])
        total, total_next = state.dtype.type(0), state.dtype.type(0)
        for i in range(block):
            u00, u01, u10, u11 = row00[i], row01[i], row10[i], row11[i]
            x00, x01, x10, x11 = adjoint00[i], adjoint01[i], adjoint10[i], adjoint11[i]
            total += x10 * u00 - x00 * u10 + x11 * u01 - x01 * u11
            total_next += x01 * u00 - x00 * u01 + x11 * u10 - x10 * u11
            u00, u10 = _ry(u00, u10, c, -s)
            u01, u11 = _ry(u01, u11, c, -s)
            x00, x10 = _ry(x00, x10, c, -s)
            x01, x11 = _ry(x01, x11, c, -s)
            row00[i], row01[i] = _ry(u00, u01, c_next, -s_next)
            row10[i], row11[i] = _ry(u10, u11, c_next, -s_next)
            adjoint00[i], adjoint01[i] = _ry(x00, x01, c_next, -s_next)
            adjoint10[i], adjoint11[i] = _ry(x10, x11, c_next, -s_next)
        grad += total
        grad_next += total_next
    return grad, grad_next


@jit
def apply_monomial(
    state: Array, target: Array, sources: Integers, phases: Array, batch: int, planes: int, new_planes: int
) -> None:
    """ψ'ₖ = phases[k] · ψ[sources[k]], written to `target`; the planes are those of ψ and of ψ'."""
    old, new = table(state, sources.size, planes, batch), table(target, sources.size, new_planes, batch)
    for k in range(sources.size):
        c, s = phases[0, k], phases[1, k]
        old_re, old_im = old[sources[k], 0], old[sources[k], planes - 1]
        re, im = new[k, 0], new[k, new_planes - 1]
        if new_planes == 1:
            for b in range(batch):
                re[b] = c * old_re[b]
        elif planes == 1:
            for b in range(batch):
                re[b], im[b] = c * old_re[b], s * old_re[b]
        else:
            for b in range(batch):
                re[b], im[b] = c * old_re[b] - s * old_im[b], c * old_im[b] + s * old_re[b]


@jit
def undo_monomial(
    state: Array, target: Array, sources: Integers, phases: Array, batch: int, planes: int, new_planes: int
) -> None:
    """The inverse of `apply_monomial`, and its adjoint: where ψ was real, only the real part of λ matters."""
    old, new = table(target, sources.size, planes, batch), table(state, sources.size, new_planes, batch)
    for k in range(sources.size):
        c, s = phases[0, k], phases[1, k]
        old_re, old_im = old[sources[k], 0], old[sources[k], planes - 1]
        re, im = new[k, 0], new[k, new_planes - 1]
        if new_planes == 1:
            for b in range(batch):
                old_re[b] = c * re[b]
        elif planes == 1:
            for b in range(batch):
                old_re[b] = c * re[b] + s * im[b]
        else:
            for b in range(batch):
                old_re[b], old_im[b] = c * re[b] + s * im[b], c * im[b] - s * re[b]


@jit
def rz_phases(angles: Array, seen_as: Integers, scratch: Array, phases: Array) -> None:
    """Multiply the phases of a monomial by those of an RZ layer in it, RZ(θ) = exp(-iθZ/2) on every wire.

    seen_as[k] is the index that amplitude k of the monomial's result had at the RZ layer.
    """
    spread_z(angles.reshape(-1, 1), scratch)
    turn_phases(scratch, seen_as, phases)


@jit
def turn_phases(angles: Array, seen_as: Integers, phases: Array) -> None:
    """Multiply phases by exp(-iθ/2), with the angle (N, 1) of the index that an amplitude had."""
    for k in range(seen_as.size):
        angle = angles[seen_as[k], 0] / 2
        c, s = math.cos(angle), math.sin(angle)
        re, im = phases[0, k], phases[1, k]
        phases[0, k], phases[1, k] = c * re + s * im, c * im - s * re


@jit
def zz_phases(angles: Array, pairs: Integers, order: Integers, scratch: Array, phases: Array) -> None:
    """The same with exp(-iθ/2 Z⊗Z) of every pair; nothing that moves amplitudes stands beside them."""
    scratch[:] = 0
    for pair in range(angles.size):
        angle = angles[pair]
        for k in range(order.size):
            scratch[k, 0] += angle if _aligned(k, pairs, pair) else -angle
    turn_phases(scratch, order, phases)


@jit
def adjoint_of_zz_phases(gradients: Array, pairs: Integers, grad_angles: Array) -> None:
    """∂E/∂θ = Σₖ z(k) z'(k) Im(λₖ* ψₖ) for every pair."""
    for pair in range(grad_angles.size):
        total = gradients.dtype.type(0)
        for k in range(gradients.shape[0]):
            total += gradients[k, 0] if _aligned(k, pairs, pair) else -gradients[k, 0]
        grad_angles[pair] = total


@jit
def _aligned(k: int, pairs: Integers, pair: int) -> bool:
    """Whether both bits of a pair are the same in a basis state."""
    return bool(((k >> pairs[pair, 0]) ^ (k >> pairs[pair, 1])) & 1 == 0)


@jit
def phase_gradients(state: Array, adjoint: Array, batch: int, gradients: Array) -> None:
    """Im(λₖ* ψₖ), summed over the batch.

    A phase leaves λ*ψ as it is and a permutation only moves it: taken after a monomial, this serves all its RZ layers.
    """
    rows = gradients.shape[0]
    amplitudes, adjoints = table(state, rows, 2, batch), table(adjoint, rows, 2, batch)
    for k in range(rows):
        re, im, adjoint_re, adjoint_im = amplitudes[k, 0], amplitudes[k, 1], adjoints[k, 0], adjoints[k, 1]
        total = state.dtype.type(0)
        for b in range(batch):
            total += adjoint_re[b] * im[b] - adjoint_im[b] * re[b]
        gradients[k, 0] = total


@jit
def adjoint_of_rz_phases(gradients: Array, seen_as: Integers, scratch: Array, grad_angles: Array) -> None:
    """∂E/∂θ = Σₖ z(k) Im(λₖ* ψₖ) for every wire of an RZ layer, with z(k) = ±1 the Z of the wire."""
    for k in range(seen_as.size):
        scratch[seen_as[k], 0] = gradients[k, 0]
    collect_z(scratch, grad_angles.reshape(-1, 1))


@jit
def measure(state: Array, readout: Integers, batch: int, planes: int, scratch: Array, measured: Array) -> None:
    """⟨Z⟩ of every wire from the probabilities |ψₖ|²."""
    amplitudes = table(state, readout.size, planes, batch)
    probabilities = scratch[: readout.size * batch].reshape(-1, batch)
    for k in range(readout.size):
        re, im, probability = amplitudes[readout[k], 0], amplitudes[readout[k], planes - 1], probabilities[k]
        if planes == 1:
            for b in range(batch):
                probability[b] = re[b] * re[b]
        else:
            for b in range(batch):
                probability[b] = re[b] * re[b] + im[b] * im[b]
    collect_z(probabilities, measured)


@jit
def adjoint_of_measure(
    state: Array, readout: Integers, batch: int, planes: int, scratch: Array, grad_measured: Array, adjoint: Array
) -> None:
    """λ = Σ_q ∂E/∂⟨Z_q⟩ Z_q ψ."""
    amplitudes, adjoints = table(state, readout.size, planes, batch), table(adjoint, readout.size, planes, batch)
    observable = scratch[: readout.size * batch].reshape(-1, batch)
    spread_z(grad_measured, observable)
    for k in range(readout.size):
        for plane in range(planes):
            amplitude, product, factor = amplitudes[readout[k], plane], adjoints[readout[k], plane], observable[k]
            for b in range(batch):
                product[b] = factor[b] * amplitude[b]


@jit
def collect_z(amplitudes: Array, wires: Array) -> None:
    """wires[q] = Σₖ z_q(k) amplitudes[k], with z_q(k) = ±1 the Z of wire q in basis state k. Uses up `amplitudes`."""
    half = amplitudes.shape[0]
    for wire in range(wires.shape[0]):
        half //= 2
        total = wires[wire]
        total[:] = 0
        for k in range(half):
            zero, one = amplitudes[k], amplitudes[half + k]
            for b in range(total.size):
                u, v = zero[b], one[b]
                total[b] += u - v
                zero[b] = u + v


@jit
def spread_z(wires: Array, amplitudes: Array) -> None:
    """The transpose of `collect_z`: amplitudes[k] = Σ_q z_q(k) wires[q]."""
    amplitudes[0] = 0
    half = 1
    for wire in range(wires.shape[0] - 1, -1, -1):
        value = wires[wire]
        for k in range(half):
            zero, one = amplitudes[k], amplitudes[half + k]
            for b in range(value.size):
                zero[b], one[b] = zero[b] + value[b], zero[b] - value[b]
        half *= 2
