"""Gates on batched states, and their adjoints, in numba.

A state is a flat, contiguous array of `rows × columns` real numbers. Row k is amplitude k. The columns are the batch, once for
the real parts and, for a complex state, once more for the imaginary parts: the state has one or two *planes*. An RY gate is
real and treats all columns alike, every inner loop runs over the batch, and a state that is still real costs half as much.

An adjoint function takes ψ and λ after a gate, undoes the gate on both, and writes the gradients of the gate's parameters,
where 2λ = ∂E/∂(Re ψ) + i ∂E/∂(Im ψ). `state` is ψ, `adjoint` is λ, `batch` is B. All arrays are of one floating type.
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
    """Return a view (N, planes, B) of a state."""
    return state[: rows * planes * batch].reshape(rows, planes, batch)


@jit
def ry(u: float, v: float, c: float, s: float) -> tuple[float, float]:
    """Return RY(θ) of the amplitudes u of |0⟩ and v of |1⟩, with c = cos(θ/2) and s = sin(θ/2)."""
    return c * u - s * v, s * u + c * v


@jit
def _cos_sin_half(angles: Array, wire: int) -> tuple[float, float]:
    # The conversion keeps float32: numba's division of a float32 by 2 gives a float64.
    half = angles.dtype.type(angles[wire] / 2)
    return math.cos(half), math.sin(half)


@jit
def rotate(state: Array, columns: int, angles: Array, order: Integers) -> None:
    """Apply RY to every wire."""
    # With many qubits memory is the bottleneck, so two wires share a pass over the state. An odd wire has its own.
    wires = angles.size
    if wires % 2:
        _rotate_first(state, columns << (wires - 1), angles)
    for wire in range(wires % 2, wires, 2):
        _rotate_two(state, columns, wire, angles, order)


@jit
def _rotate_first(state: Array, half: int, angles: Array) -> None:
    """Apply RY to wire 0. The state is `half` numbers for |0⟩ and then as many for |1⟩."""
    c, s = _cos_sin_half(angles, 0)
    zero = state[:half]
    one = state[half : 2 * half]
    for i in range(half):
        zero[i], one[i] = ry(zero[i], one[i], c, s)


@jit
def _rotate_two(state: Array, columns: int, wire: int, angles: Array, order: Integers) -> None:
    """Apply RY to two neighbouring wires. The state is a sequence of groups |00⟩, |01⟩, |10⟩, |11⟩ of `block` numbers."""
    c, s = _cos_sin_half(angles, wire)
    c_next, s_next = _cos_sin_half(angles, wire + 1)
    groups = 1 << wire
    block = columns << (angles.size - 2 - wire)
    amplitudes = table(state, groups, 4, block)
    for position in range(groups):
        # `order` is 0, 1, 2, …, but the compiler cannot know that. If it could, LLVM would move its test for overlapping rows
        # out of this loop, where the test always fails, and the inner loop would not be vectorised.
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
    """Apply RY(-θ) to every wire of ψ and λ, and write ∂E/∂θ = Σ (λ₁ ψ₀ - λ₀ ψ₁)."""
    # The gradient follows from ∂RY(θ)/∂θ = ½ RY(π) RY(θ).
    wires = angles.size
    for wire in range(wires % 2, wires, 2):
        grad[wire], grad[wire + 1] = _undo_rotate_two(state, adjoint, columns, wire, angles, order)
    if wires % 2:
        grad[0] = _undo_rotate_first(state, adjoint, columns << (wires - 1), angles)


@jit
def _undo_rotate_first(state: Array, adjoint: Array, half: int, angles: Array) -> Any:
    c, s = _cos_sin_half(angles, 0)
    zero = state[:half]
    one = state[half : 2 * half]
    x0 = adjoint[:half]
    x1 = adjoint[half : 2 * half]
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
    groups = 1 << wire
    block = columns << (angles.size - 2 - wire)
    amplitudes = table(state, groups, 4, block)
    adjoints = table(adjoint, groups, 4, block)
    grad = 0.0
    grad_next = 0.0
    for position in range(groups):
        group = order[position]  # see `_rotate_two`
        row00, row01, row10, row11 = _four(amplitudes[group])
        adjoint00, adjoint01, adjoint10, adjoint11 = _four(adjoints[group])
        # Sums of one group are in the type of the state, so that they are vectorised; those over the groups are float64.
        total = state.dtype.type(0)
        total_next = state.dtype.type(0)
        for i in range(block):
            u00, u01, u10, u11 = at(row00, row01, row10, row11, i)
            x00, x01, x10, x11 = at(adjoint00, adjoint01, adjoint10, adjoint11, i)
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
def at(row00: Array, row01: Array, row10: Array, row11: Array, i: int) -> tuple[float, float, float, float]:
    """Return element i of each of four rows."""
    return row00[i], row01[i], row10[i], row11[i]


@jit
def apply_monomial(
    state: Array, target: Array, sources: Integers, phases: Array, batch: int, planes: int, new_planes: int
) -> None:
    """Write ψ'ₖ = phases[k] · ψ[sources[k]] to `target`. ψ has `planes` planes and ψ' has `new_planes`."""
    old = table(state, sources.size, planes, batch)
    new = table(target, sources.size, new_planes, batch)
    for k in range(sources.size):
        c = phases[0, k]
        s = phases[1, k]
        # In a real state the last plane is the first: the imaginary rows are then not used.
        old_re = old[sources[k], 0]
        old_im = old[sources[k], planes - 1]
        re = new[k, 0]
        im = new[k, new_planes - 1]
        if new_planes == 1:
            for b in range(batch):
                re[b] = c * old_re[b]
        elif planes == 1:
            for b in range(batch):
                u = old_re[b]
                re[b] = c * u
                im[b] = s * u
        else:
            for b in range(batch):
                u = old_re[b]
                v = old_im[b]
                re[b] = c * u - s * v
                im[b] = c * v + s * u


@jit
def undo_monomial(
    state: Array, target: Array, sources: Integers, phases: Array, batch: int, planes: int, new_planes: int
) -> None:
    """Write the inverse of `apply_monomial` to `target`; it is also the adjoint."""
    old = table(target, sources.size, planes, batch)
    new = table(state, sources.size, new_planes, batch)
    for k in range(sources.size):
        c = phases[0, k]
        s = phases[1, k]
        old_re = old[sources[k], 0]
        old_im = old[sources[k], planes - 1]
        re = new[k, 0]
        im = new[k, new_planes - 1]
        if new_planes == 1:
            for b in range(batch):
                old_re[b] = c * re[b]
        elif planes == 1:
            # ψ was real, so that only the real part of λ affects gradients.
            for b in range(batch):
                old_re[b] = c * re[b] + s * im[b]
        else:
            for b in range(batch):
                u = re[b]
                v = im[b]
                old_re[b] = c * u + s * v
                old_im[b] = c * v - s * u


@jit
def rz_phases(angles: Array, seen_as: Integers, scratch: Array, phases: Array) -> None:
    """Multiply the phases of a monomial by those of an RZ layer in it, RZ(θ) = exp(-iθZ/2) on every wire.

    Args:
        seen_as: (N,) index that each amplitude of the monomial's result had at the RZ layer.
    """
    spread_z(angles.reshape(-1, 1), scratch)
    turn_phases(scratch, seen_as, phases)


@jit
def turn_phases(angles: Array, seen_as: Integers, phases: Array) -> None:
    """Multiply phases by exp(-iθ/2), with the angle θ (N, 1) of the index that an amplitude had."""
    for k in range(seen_as.size):
        angle = angles[seen_as[k], 0] / 2
        c = math.cos(angle)
        s = math.sin(angle)
        re = phases[0, k]
        im = phases[1, k]
        phases[0, k] = c * re + s * im
        phases[1, k] = c * im - s * re


@jit
def zz_phases(angles: Array, pairs: Integers, order: Integers, scratch: Array, phases: Array) -> None:
    """Multiply the phases of a monomial by exp(-iθ/2 Z⊗Z) of every pair."""
    # A circuit with ZZ has no CNOT: its monomials do not permute amplitudes, so that every index is its own source.
    scratch[:] = 0
    for pair in range(angles.size):
        angle = angles[pair]
        for k in range(order.size):
            scratch[k, 0] += angle if _are_aligned(k, pairs, pair) else -angle
    turn_phases(scratch, order, phases)


@jit
def adjoint_of_zz_phases(gradients: Array, pairs: Integers, grad_angles: Array) -> None:
    """Write ∂E/∂θ = Σₖ z(k) z'(k) Im(λₖ* ψₖ) for every pair."""
    for pair in range(grad_angles.size):
        total = gradients.dtype.type(0)
        for k in range(gradients.shape[0]):
            total += gradients[k, 0] if _are_aligned(k, pairs, pair) else -gradients[k, 0]
        grad_angles[pair] = total


@jit
def _are_aligned(k: int, pairs: Integers, pair: int) -> bool:
    """Return whether both bits of a pair are equal in basis state k."""
    return bool(((k >> pairs[pair, 0]) ^ (k >> pairs[pair, 1])) & 1 == 0)


@jit
def phase_gradients(state: Array, adjoint: Array, batch: int, gradients: Array) -> None:
    """Write Im(λₖ* ψₖ), summed over the batch."""
    # A phase does not change λ*ψ, and a permutation only moves it: taken once after a monomial, the product serves all RZ
    # layers in it.
    rows = gradients.shape[0]
    amplitudes = table(state, rows, 2, batch)
    adjoints = table(adjoint, rows, 2, batch)
    for k in range(rows):
        re = amplitudes[k, 0]
        im = amplitudes[k, 1]
        adjoint_re = adjoints[k, 0]
        adjoint_im = adjoints[k, 1]
        total = state.dtype.type(0)
        for b in range(batch):
            total += adjoint_re[b] * im[b] - adjoint_im[b] * re[b]
        gradients[k, 0] = total


@jit
def adjoint_of_rz_phases(gradients: Array, seen_as: Integers, scratch: Array, grad_angles: Array) -> None:
    """Write ∂E/∂θ = Σₖ z(k) Im(λₖ* ψₖ) for every wire of an RZ layer, with z(k) = ±1 the Z of the wire."""
    for k in range(seen_as.size):
        scratch[seen_as[k], 0] = gradients[k, 0]
    collect_z(scratch, grad_angles.reshape(-1, 1))


@jit
def measure(state: Array, readout: Integers, batch: int, planes: int, scratch: Array, measured: Array) -> None:
    """Write ⟨Z⟩ of every wire, computed from the probabilities |ψₖ|²."""
    amplitudes = table(state, readout.size, planes, batch)
    probabilities = scratch[: readout.size * batch].reshape(-1, batch)
    for k in range(readout.size):
        re = amplitudes[readout[k], 0]
        im = amplitudes[readout[k], planes - 1]
        probability = probabilities[k]
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
    """Write λ = Σ_q ∂E/∂⟨Z_q⟩ Z_q ψ."""
    amplitudes = table(state, readout.size, planes, batch)
    adjoints = table(adjoint, readout.size, planes, batch)
    observable = scratch[: readout.size * batch].reshape(-1, batch)
    spread_z(grad_measured, observable)
    for k in range(readout.size):
        for plane in range(planes):
            amplitude = amplitudes[readout[k], plane]
            product = adjoints[readout[k], plane]
            factor = observable[k]
            for b in range(batch):
                product[b] = factor[b] * amplitude[b]


@jit
def collect_z(amplitudes: Array, wires: Array) -> None:
    """Write wires[q] = Σₖ z_q(k) amplitudes[k], with z_q(k) = ±1 the Z of wire q in basis state k. Overwrite `amplitudes`."""
    # Adding the two halves after each wire takes O(N) operations instead of the O(nN) of separate sums.
    half = amplitudes.shape[0]
    for wire in range(wires.shape[0]):
        half //= 2
        total = wires[wire]
        total[:] = 0
        for k in range(half):
            zero = amplitudes[k]
            one = amplitudes[half + k]
            for b in range(total.size):
                u = zero[b]
                v = one[b]
                total[b] += u - v
                zero[b] = u + v


@jit
def spread_z(wires: Array, amplitudes: Array) -> None:
    """Write amplitudes[k] = Σ_q z_q(k) wires[q], the transpose of `collect_z`."""
    # Each wire, from the last to the first, doubles the part of `amplitudes` that is valid.
    amplitudes[0] = 0
    half = 1
    for wire in range(wires.shape[0] - 1, -1, -1):
        value = wires[wire]
        for k in range(half):
            zero = amplitudes[k]
            one = amplitudes[half + k]
            for b in range(value.size):
                u = zero[b]
                v = value[b]
                zero[b] = u + v
                one[b] = u - v
        half *= 2
