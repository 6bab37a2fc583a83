"""Basis embedding in training, where each pattern of bits is simulated once, in numba.

The circuit behind the bits is the same for all samples, so ⟨Z⟩ depends on the pattern alone. A step needs it of the patterns
of its samples and of each of them with one bit turned: 2ⁿ at the most, and far fewer where samples are alike.
"""

from typing import NamedTuple

import numpy as np

from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers


class Patterns(NamedTuple):
    """The patterns of bits of a step, as numbers: wire 0 is the most significant bit. N = 2ⁿ."""

    of_samples: Integers
    """(B,)"""
    listed: Integers
    """(N,) those that are needed, without repetition, in the front: first the samples' own."""
    place: Integers
    """(N,) where a pattern is in the list, or -1."""
    measured: Array
    """(N, n) ⟨Z⟩ of the patterns in the list."""


@jit
def make_patterns(wires: int, batch: int, like: Array) -> Patterns:
    """Room for the patterns of `batch` samples, with ⟨Z⟩ of the type of an array."""
    count = 1 << wires
    return Patterns(
        np.empty(batch, np.int64), np.empty(count, np.int64), np.empty(count, np.int64), np.empty((count, wires), like.dtype)
    )


@jit
def list_patterns(inputs: Array, patterns: Patterns) -> tuple[int, int]:
    """List the patterns 1[x > 0] of samples (n, B), then those with one bit turned; how many of the former, of all."""
    wires, batch = inputs.shape
    patterns.place[:] = -1
    count = 0
    for b in range(batch):
        pattern = 0
        for wire in range(wires):
            pattern = 2 * pattern + (inputs[wire, b] > 0)
        patterns.of_samples[b] = pattern
        count = _add(pattern, count, patterns)
    own = count
    for place in range(own):
        for wire in range(wires):
            count = _add(patterns.listed[place] ^ (1 << wire), count, patterns)
    return own, count


@jit
def _add(pattern: int, count: int, patterns: Patterns) -> int:
    if patterns.place[pattern] >= 0:
        return count
    patterns.place[pattern] = count
    patterns.listed[count] = pattern
    return count + 1


@jit
def write_bits(patterns: Integers, inputs: Array) -> None:
    """Inputs (n, P) that are embedded as these patterns (P,)."""
    wires = inputs.shape[0]
    for wire in range(wires):
        for p in range(patterns.size):
            inputs[wire, p] = patterns[p] >> (wires - 1 - wire) & 1


@jit
def keep(listed: Integers, measured: Array, patterns: Patterns) -> None:
    """Keep ⟨Z⟩ (n, P) of these patterns (P,)."""
    for p in range(listed.size):
        for q in range(measured.shape[0]):
            patterns.measured[listed[p], q] = measured[q, p]


@jit
def look_up(inputs: Array, patterns: Patterns, measured: Array) -> None:
    """⟨Z⟩ of every sample, (n, B); what is no number has none."""
    for q in range(measured.shape[0]):
        for b in range(measured.shape[1]):
            measured[q, b] = patterns.measured[patterns.of_samples[b], q] + 0 * inputs[q, b]


@jit
def sum_by_pattern(grad_measured: Array, patterns: Patterns, sums: Array) -> None:
    """The gradients (n, B) of samples as those (n, P) of their patterns: samples of one pattern are one state."""
    sums[:] = 0
    for q in range(grad_measured.shape[0]):
        for b in range(grad_measured.shape[1]):
            sums[q, patterns.place[patterns.of_samples[b]]] += grad_measured[q, b]


@jit
def straight_through(grad_measured: Array, patterns: Patterns, grad_inputs: Array) -> None:
    """∂E/∂x = ∂E/∂⟨Z⟩ · (⟨Z⟩ where the bit is 1 - ⟨Z⟩ where it is 0)."""
    wires = grad_inputs.shape[0]
    for b in range(grad_inputs.shape[1]):
        for wire in range(wires):
            bit = 1 << (wires - 1 - wire)
            one, zero = patterns.measured[patterns.of_samples[b] | bit], patterns.measured[patterns.of_samples[b] & ~bit]
            total = grad_measured.dtype.type(0)
            for q in range(wires):
                total += grad_measured[q, b] * (one[q] - zero[q])
            grad_inputs[wire, b] = total
