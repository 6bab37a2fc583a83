"""Training with basis embedding, where each bit pattern is simulated once, in numba.

All samples with one bit pattern have the same ⟨Z⟩, because the circuit after the embedding does not depend on the sample. A
training step needs ⟨Z⟩ for the patterns of its samples and for each of them with one bit flipped: at most 2ⁿ patterns, and far
fewer if samples are similar.
"""

from typing import NamedTuple

import numpy as np

from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.engine.kernel_cache import jit
from faqnas_optuna.engine.normal_form import Integers


class Patterns(NamedTuple):
    """Bit patterns of a training step, as numbers whose most significant bit is wire 0. N = 2ⁿ."""

    of_samples: Integers
    """(B,) pattern of each sample."""
    distinct: Integers
    """(N,) patterns to simulate, each once; those of the samples come first. Only the front is used."""
    place: Integers
    """(N,) index of each pattern in `distinct`, or -1."""
    measured: Array
    """(N, n) ⟨Z⟩ by pattern; valid for those in `distinct`."""


@jit
def make_patterns(wires: int, batch: int, like: Array) -> Patterns:
    """Allocate memory for the patterns of `batch` samples, with ⟨Z⟩ of the same type as `like`."""
    count = 1 << wires
    return Patterns(
        np.empty(batch, np.int64), np.empty(count, np.int64), np.empty(count, np.int64), np.empty((count, wires), like.dtype)
    )


@jit
def list_patterns(inputs: Array, patterns: Patterns) -> tuple[int, int]:
    """List the patterns 1[x > 0] of samples (n, B), followed by these patterns with one bit flipped.

    Returns:
        Number of distinct patterns of the samples, and of all patterns.
    """
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
            count = _add(patterns.distinct[place] ^ (1 << wire), count, patterns)
    return own, count


@jit
def _add(pattern: int, count: int, patterns: Patterns) -> int:
    """Add a pattern unless it is listed already; return the new number of patterns."""
    if patterns.place[pattern] >= 0:
        return count
    patterns.place[pattern] = count
    patterns.distinct[count] = pattern
    return count + 1


@jit
def write_bits(patterns: Integers, inputs: Array) -> None:
    """Write inputs (n, P) whose embeddings are the basis states of these patterns (P,)."""
    wires = inputs.shape[0]
    for wire in range(wires):
        for p in range(patterns.size):
            inputs[wire, p] = patterns[p] >> (wires - 1 - wire) & 1


@jit
def store_measured(distinct: Integers, measured: Array, patterns: Patterns) -> None:
    """Store ⟨Z⟩ (n, P) of these patterns (P,)."""
    for p in range(distinct.size):
        for q in range(measured.shape[0]):
            patterns.measured[distinct[p], q] = measured[q, p]


@jit
def look_up(inputs: Array, patterns: Patterns, measured: Array) -> None:
    """Write ⟨Z⟩ (n, B) of every sample."""
    for q in range(measured.shape[0]):
        for b in range(measured.shape[1]):
            # NaN inputs have a pattern too. Adding 0 · x makes their ⟨Z⟩ NaN, so that a diverged training is noticed.
            measured[q, b] = patterns.measured[patterns.of_samples[b], q] + 0 * inputs[q, b]


@jit
def sum_by_pattern(grad_measured: Array, patterns: Patterns, sums: Array) -> None:
    """Write the gradients (n, P) of the patterns: the sums of the gradients (n, B) of their samples."""
    sums[:] = 0
    for q in range(grad_measured.shape[0]):
        for b in range(grad_measured.shape[1]):
            sums[q, patterns.place[patterns.of_samples[b]]] += grad_measured[q, b]


@jit
def straight_through(grad_measured: Array, patterns: Patterns, grad_inputs: Array) -> None:
    """Write ∂E/∂x = ∂E/∂⟨Z⟩ · (⟨Z⟩ with bit 1 - ⟨Z⟩ with bit 0), a substitute for the derivative that a bit does not have."""
    wires = grad_inputs.shape[0]
    for b in range(grad_inputs.shape[1]):
        for wire in range(wires):
            bit = 1 << (wires - 1 - wire)
            one = patterns.measured[patterns.of_samples[b] | bit]
            zero = patterns.measured[patterns.of_samples[b] & ~bit]
            total = grad_measured.dtype.type(0)
            for q in range(wires):
                total += grad_measured[q, b] * (one[q] - zero[q])
            grad_inputs[wire, b] = total
