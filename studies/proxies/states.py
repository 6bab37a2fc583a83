"""Sampling of the states of a circuit at random parameters, in numba.

The inert gates of a circuit change neither measurements nor trainings, so that only its effective gates are applied. A state
starts from |0…0⟩, as in the definitions of the proxies, or from the embedding of random inputs, as in the network.

Unlike the kernels of `faqnas_optuna.engine`, which train many samples with equal weights, each state has its own angles. States
are arrays (N, B) of N amplitudes and B states, so that the inner loops run over states.
"""

from collections.abc import Iterator
from enum import StrEnum

import numba
import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation

Floats = NDArray[np.float32]

INPUT_DEVIATION = 3**-0.5
"""Standard deviation of the inputs of the circuit at initialisation.

The first linear layer has weights from U(±1/√d) for d features. For standardised features, an output has the variance 1/3, and
1/(3d) more from the bias, which is neglected here.
"""
CHUNK_AMPLITUDES = 2**17
"""Maximum number of amplitudes of a chunk: 1 MiB in float32, about the size of a level 2 cache."""
MOST_STATES = 2**10
"""Maximum number of states of a chunk."""
RX, RY, RZ = range(3)
"""Numbers of the rotations in kernels."""
KINDS = {Rotation.RX: RX, Rotation.RY: RY, Rotation.RZ: RZ}


class Origin(StrEnum):
    """Preparation of the state to which the gates are applied."""

    EMBEDDED = "embedded"
    """Embedding of random inputs."""
    ZERO = "zero"
    """|0…0⟩."""


def sample_states(
    circuit: Circuit, origin: Origin, count: int, generator: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Yield `count` random states in chunks, as real and imaginary parts (N, B).

    Angles are from U[0, 2π), as at initialisation, and inputs from N(0, 1/3). If `count` is even, so are the sizes of all
    chunks.
    """
    layers = EffectiveGates(circuit=circuit).layers
    n_qubits = circuit.n_qubits
    size = min(CHUNK_AMPLITUDES >> n_qubits, MOST_STATES)
    for start in range(0, count, size):
        states = min(size, count - start)
        if origin is Origin.EMBEDDED:
            inputs = generator.standard_normal((n_qubits, states), np.float32) * np.float32(INPUT_DEVIATION)
            re, im = embedded(circuit.embedding, inputs)
        else:
            re, im = zero_states(n_qubits, states)
        for layer in layers:
            if layer.rotation:
                angles = generator.random((n_qubits, states), np.float32) * np.float32(2 * np.pi)
                rotate(re, im, KINDS[layer.rotation], angles)
            if layer.entangled:
                entangle(re, im, circuit)
        yield re, im


def zero_states(n_qubits: int, states: int) -> tuple[Floats, Floats]:
    """Return copies of |0…0⟩."""
    # Planes of real numbers instead of complex ones, which the compiler does not vectorise as well.
    re, im = np.zeros((2, 1 << n_qubits, states), np.float32)
    re[0] = 1
    return re, im


def embedded(embedding: Embedding, inputs: Floats) -> tuple[Floats, Floats]:
    """Return the embedded states of inputs (n, B)."""
    n_qubits, states = inputs.shape
    re, im = zero_states(n_qubits, states)
    # The paper's space has these two embeddings only.
    if embedding is Embedding.ANGLE:
        rotate(re, im, RY, 2 * inputs)
    else:
        # Amplitude embedding pads with zeros.
        re[:n_qubits] = inputs / np.linalg.norm(inputs, axis=0)
    return re, im


def rotate(re: Floats, im: Floats, kind: int, angles: Floats) -> None:
    """Apply a rotation to every wire, with angles (n, B)."""
    _rotate(re, im, kind, np.cos(angles / 2), np.sin(angles / 2), np.arange(len(re)))


def entangle(re: Floats, im: Floats, circuit: Circuit) -> None:
    """Apply one layer of the entanglers of a circuit."""
    # A single wire has no pairs.
    pairs = np.array(circuit.entangled_pairs, np.int64).reshape(-1, 2)
    for part in (re, im):
        _entangle(part, pairs, circuit.entangler is Entangler.CNOT)


@numba.njit(error_model="numpy", fastmath=True)
def _rotate(re: Floats, im: Floats, kind: int, cosines: Floats, sines: Floats, order: NDArray[np.int64]) -> None:
    """Apply a rotation to every wire; `order` is 0, 1, 2, …, N - 1."""
    wires, states = cosines.shape
    for wire in range(wires):
        # Wire 0 is the most significant bit of an amplitude's index.
        bit = 1 << (wires - 1 - wire)
        c = cosines[wire]
        s = sines[wire]
        for position in range(re.shape[0]):
            # The array hides from the compiler that the rows are successive. Otherwise it would test for overlapping rows
            # outside of the loop, where the test fails, and the inner loops would not be vectorised.
            k = order[position]
            if k & bit:
                continue
            j = k | bit
            # A loop for each kind: a choice inside of the loop would prevent vector instructions.
            if kind == RX:
                for b in range(states):
                    u0, v0, u1, v1 = re[k, b], im[k, b], re[j, b], im[j, b]
                    re[k, b] = c[b] * u0 + s[b] * v1
                    im[k, b] = c[b] * v0 - s[b] * u1
                    re[j, b] = c[b] * u1 + s[b] * v0
                    im[j, b] = c[b] * v1 - s[b] * u0
            elif kind == RY:
                for b in range(states):
                    u0, v0, u1, v1 = re[k, b], im[k, b], re[j, b], im[j, b]
                    re[k, b] = c[b] * u0 - s[b] * u1
                    im[k, b] = c[b] * v0 - s[b] * v1
                    re[j, b] = s[b] * u0 + c[b] * u1
                    im[j, b] = s[b] * v0 + c[b] * v1
            else:
                for b in range(states):
                    u0, v0, u1, v1 = re[k, b], im[k, b], re[j, b], im[j, b]
                    re[k, b] = c[b] * u0 + s[b] * v0
                    im[k, b] = c[b] * v0 - s[b] * u0
                    re[j, b] = c[b] * u1 - s[b] * v1
                    im[j, b] = c[b] * v1 + s[b] * u1


@numba.njit(error_model="numpy")
def _entangle(part: Floats, pairs: NDArray[np.int64], is_cnot: bool) -> None:
    """Apply CNOT or CZ to each pair (control, target), which act equally on real and imaginary parts."""
    n_qubits = 0
    while 1 << n_qubits < part.shape[0]:
        n_qubits += 1
    for pair in range(pairs.shape[0]):
        control = 1 << (n_qubits - 1 - pairs[pair, 0])
        target = 1 << (n_qubits - 1 - pairs[pair, 1])
        for k in range(part.shape[0]):
            # The amplitudes with both bits set: CZ negates them, CNOT exchanges them with those whose target bit is 0.
            if not k & control or not k & target:
                continue
            for b in range(part.shape[1]):
                value = part[k, b]
                if is_cnot:
                    part[k, b] = part[k ^ target, b]
                    part[k ^ target, b] = value
                else:
                    part[k, b] = -value


@numba.njit(error_model="numpy", fastmath=True)
def pair_fidelities(re: Floats, im: Floats) -> Floats:
    """Return the fidelities |⟨φ|ψ⟩|², (B / 2,), of each state of the first half of a chunk with one of the second half."""
    half = re.shape[1] // 2
    real = np.zeros(half, np.float32)
    imaginary = np.zeros(half, np.float32)
    for k in range(re.shape[0]):
        for b in range(half):
            real[b] += re[k, b] * re[k, half + b] + im[k, b] * im[k, half + b]
            imaginary[b] += re[k, b] * im[k, half + b] - im[k, b] * re[k, half + b]
    fidelities: Floats = real**2 + imaginary**2
    return fidelities


def meyer_wallach(re: Floats, im: Floats) -> Floats:
    """Return the entanglement Q = 2 (1 - mean over wires of Tr ρ²), (B,), with ρ the reduced state of a wire.

    Meyer & Wallach 2002 (arXiv quant-ph/0108104), in the form of Brennen 2003 (arXiv quant-ph/0305094).
    """
    entanglement: Floats = _meyer_wallach(re, im, np.arange(len(re)))
    return entanglement


@numba.njit(error_model="numpy", fastmath=True)
def _meyer_wallach(re: Floats, im: Floats, order: NDArray[np.int64]) -> Floats:
    rows, states = re.shape
    # The sum of Tr ρ² over the wires, and for a wire ρ₁₁ - ρ₀₀ and ρ₀₁: Tr ρ² = (1 + (ρ₁₁ - ρ₀₀)²) / 2 + 2 |ρ₀₁|².
    purity = np.zeros(states, np.float32)
    difference = np.zeros(states, np.float32)
    real = np.zeros(states, np.float32)
    imaginary = np.zeros(states, np.float32)
    wires = 0
    bit = 1
    while bit < rows:
        difference[:] = 0
        real[:] = 0
        imaginary[:] = 0
        for position in range(rows):
            k = order[position]  # see `_rotate`
            if k & bit:
                continue
            j = k | bit
            for b in range(states):
                u0, v0, u1, v1 = re[k, b], im[k, b], re[j, b], im[j, b]
                difference[b] += u1 * u1 + v1 * v1 - u0 * u0 - v0 * v0
                real[b] += u0 * u1 + v0 * v1
                imaginary[b] += v0 * u1 - u0 * v1
        for b in range(states):
            purity[b] += (1 + difference[b] ** 2) / 2 + 2 * (real[b] ** 2 + imaginary[b] ** 2)
        wires += 1
        bit *= 2
    return 2 * (1 - purity / np.float32(wires))
