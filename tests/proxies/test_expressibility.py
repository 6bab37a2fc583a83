"""Divergences compared with closed forms of single-qubit circuits and of Haar-random states."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from studies.proxies.expressibility import BINS, divergence, quantile_divergence
from studies.proxies.states import RX, RY, RZ, entangle, meyer_wallach, pair_fidelities, rotate, zero_states

pytestmark = pytest.mark.slow
PAIRS = 100_000
BIAS = (BINS - 1) / (2 * PAIRS)
"""Expected divergence of a histogram of `PAIRS` samples from its own distribution."""


def fidelities(kinds: list[int]) -> NDArray[np.float64]:
    """Return fidelities of single-qubit states by a Hadamard gate and rotations by random angles, as in Sim et al."""
    re, im = zero_states(1, 2 * PAIRS)
    rotate(re, im, RY, np.full((1, 2 * PAIRS), np.pi / 2, np.float32))
    generator = np.random.default_rng(0)
    for kind in kinds:
        rotate(re, im, kind, 2 * np.pi * generator.random((1, 2 * PAIRS), np.float32))
    return pair_fidelities(re, im).astype(np.float64)


def linear(entangler: Entangler) -> Circuit:
    """Return a circuit of four qubits with these entanglers in a line."""
    rotations = (Rotation.RX,)
    return Circuit(n_qubits=4, embedding=Embedding.ANGLE, entangler=entangler, topology=Topology.LINEAR, rotations=rotations)


def test_idle_circuit() -> None:
    # All fidelities are 1, in the last bin, whose probability is (1 / 75)^(N - 1).
    for amplitudes in (2, 4, 1024):
        assert divergence(np.ones(10), amplitudes) == pytest.approx((amplitudes - 1) * math.log(BINS))
        assert quantile_divergence(np.ones(10), amplitudes) == pytest.approx(math.log(BINS))


def test_circuit_a_of_sim_et_al() -> None:
    """H RZ: states on a great circle have the fidelity cos²(Δ/2), the arcsine distribution."""
    edges = np.linspace(0, 1, BINS + 1)
    shares = np.diff(2 / np.pi * np.arcsin(np.sqrt(edges)))
    exact = float(shares @ np.log(shares * BINS))
    assert divergence(fidelities([RZ]), 2) == pytest.approx(exact, abs=0.005)


def test_circuit_b_of_sim_et_al() -> None:
    """H RZ RX: a point of the Bloch sphere with uniform angles but not uniform in area, by vectors instead of states."""
    angles = 2 * np.pi * np.random.default_rng(1).random((2, 2 * PAIRS))
    # RZ turns the x axis by a, and RX turns the result around the x axis by b.
    points = np.array([np.cos(angles[0]), np.sin(angles[0]) * np.cos(angles[1]), np.sin(angles[0]) * np.sin(angles[1])])
    expected = divergence((1 + (points[:, :PAIRS] * points[:, PAIRS:]).sum(axis=0)) / 2, 2)
    assert divergence(fidelities([RZ, RX]), 2) == pytest.approx(expected, abs=0.003)
    # Between circuit A and an arbitrary unitary.
    assert 5 * BIAS < expected < 0.1


@pytest.mark.parametrize(
    ("kinds", "entangler", "published", "q"),
    [
        ([RX, RZ], None, 0.2999, 0.0),
        ([RX, RZ], Entangler.CNOT, 0.2860, 0.62),
        ([RX], Entangler.CZ, 0.6773, 1.0),
    ],
    ids=["circuit 1", "circuit 2", "circuit 9"],
)
def test_circuits_of_sim_et_al_have_the_published_divergence(
    kinds: list[int], entangler: Entangler | None, published: float, q: float
) -> None:
    """Compare four qubits and one layer with Adv. Quantum Technol. 2, 1900070, whose Q of circuit 2 is 0.81 instead."""
    generator = np.random.default_rng(2)
    divergences, entanglements = [], []
    for _ in range(20):
        re, im = zero_states(4, 10_000)
        # The CZ of circuit 9 follow Hadamard gates and precede the rotations; the CNOT of circuit 2 follow the rotations.
        if entangler is Entangler.CZ:
            rotate(re, im, RY, np.full((4, 10_000), np.pi / 2, np.float32))
            entangle(re, im, linear(entangler))
        for kind in kinds:
            rotate(re, im, kind, 2 * np.pi * generator.random((4, 10_000), np.float32))
        if entangler is Entangler.CNOT:
            entangle(re, im, linear(entangler))
        divergences.append(divergence(pair_fidelities(re, im).astype(np.float64), 16))
        entanglements.append(meyer_wallach(re, im).mean())
    # The published estimate is from 5,000 pairs too, and has the same standard deviation as one of ours.
    assert abs(np.mean(divergences) - published) < 3 * np.std(divergences)
    assert np.mean(entanglements) == pytest.approx(q, abs=0.005)


@pytest.mark.parametrize("amplitudes", [2, 16, 1024])
def test_haar_random_states_have_none(amplitudes: int) -> None:
    # The fidelity of Haar-random states has the distribution Beta(1, N - 1).
    samples = np.random.default_rng(0).beta(1, amplitudes - 1, PAIRS)
    assert 0 <= divergence(samples, amplitudes) < 2 * BIAS
    assert BIAS / 2 < quantile_divergence(samples, amplitudes) < 2 * BIAS


def test_of_many_amplitudes_the_first_bin_has_nearly_everything() -> None:
    # Fidelities of half the mean of Haar's: only bins of equal probability show the difference.
    samples = np.random.default_rng(0).beta(1, 2046, PAIRS)
    assert divergence(samples, 1024) < 1e-4
    assert quantile_divergence(samples, 1024) > 0.1
