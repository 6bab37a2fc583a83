"""The gates on batched states, and their adjoints, in numba.

A state is `rows × columns` real numbers, flat and contiguous. Row k is amplitude k; the columns are the batch, once for
the real parts and, for a complex state, once more for the imaginary parts: it has one or two *planes*. An RY gate is
real and treats all columns alike, every inner loop runs over the batch, and a state that is still real costs half.

An adjoint function takes ψ and λ after a gate, undoes the gate on both and writes the gradients of its parameters,
where 2λ = ∂E/∂(Re ψ) + i ∂E/∂(Im ψ). `state` is ψ, `adjoint` is λ, `batch` is B; all arrays are of one floating type.
"""

import math
from typing import Any

from numpy.typing import NDArray

from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers

Array = NDArray[Any]
"""float32 or float64."""


@jit
def table(state: Array, rows: int, planes: int, batch: int) -> Array:
    """A state as (N, planes, B)."""
    return state[: rows * planes * batch].reshape(rows, planes, batch)


@jit
def ry(u: float, v: float, c: float, s: float) -> tuple[float, float]:
    """RY(θ) on amplitudes u of |0⟩ and v of |1⟩, with c = cos(θ/2) and s = sin(θ/2)."""
    return c * u - s * v, s * u + c * v


@jit
def _cos_sin_half(angles: Array, wire: int) -> tuple[float, float]:
    # A division by 2 makes a float64 of a float32.
    half = angles.dtype.type(angles[wire] / 2)
    return math.cos(half), math.sin(half)


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
        zero[i], one[i] = ry(zero[i], one[i], c, s)


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
            u00, u10 = ry(row00[i], row10[i], c, s)
            u01, u11 = ry(row01[i], row11[i], c, s)
            row00[i], row01[i] = ry(u00, u01, c_next, s_next)
            row10[i], row11[i] = ry(u10, u11, c_next, s_next)


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
        zero[i], one[i] = ry(zero[i], one[i], c, -s)
        x0[i], x1[i] = ry(x0[i], x1[i], c, -s)
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
            u00, u10 = ry(u00, u10, c, -s)
            u01, u11 = ry(u01, u11, c, -s)
            x00, x10 = ry(x00, x10, c, -s)
            x01, x11 = ry(x01, x11, c, -s)
            row00[i], row01[i] = ry(u00, u01, c_next, -s_next)
            row10[i], row11[i] = ry(u10, u11, c_next, -s_next)
            adjoint00[i], adjoint01[i] = ry(x00, x01, c_next, -s_next)
            adjoint10[i], adjoint11[i] = ry(x10, x11, c_next, -s_next)
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
