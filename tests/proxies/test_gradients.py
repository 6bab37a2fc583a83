"""Variances of gradients compared with closed forms and with quadrature in PennyLane."""

import math
from itertools import product

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.circuits.pennylane_circuit import trained_qnode
from studies.proxies.gradients import gradient_variance
from studies.proxies.states import INPUT_DEVIATION

DRAWS = 5_000


def circuit(n_qubits: int, *rotations: Rotation, entangler: Entangler = Entangler.CZ) -> Circuit:
    return Circuit(
        n_qubits=n_qubits, embedding=Embedding.ANGLE, entangler=entangler, topology=Topology.LINEAR, rotations=rotations
    )


def variance(circuit: Circuit) -> float:
    return gradient_variance(circuit, DRAWS, np.random.default_rng(0))


@pytest.mark.parametrize("n_qubits", [1, 2, 5])
def test_single_ry_has_half(n_qubits: int) -> None:
    # ⟨Z⟩ = cos(2x + θ), whatever x, and the mean of sin² is ½. The standard error is √(1/8 / draws).
    assert variance(circuit(n_qubits, Rotation.RY)) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 8 / DRAWS))


@pytest.mark.parametrize("n_qubits", [1, 3])
def test_single_rx_depends_on_the_inputs(n_qubits: int) -> None:
    # ⟨Z⟩ = cos 2x cos θ: half the mean of cos² 2x for x from N(0, 1/3), whose characteristic function gives e^(-8/3).
    assert variance(circuit(n_qubits, Rotation.RX)) == pytest.approx((1 + math.exp(-8 / 3)) / 4, abs=0.016)


def test_without_effective_angles_it_is_zero() -> None:
    assert variance(circuit(3, Rotation.RZ, Rotation.RZ)) == 0


def test_inert_angles_do_not_count() -> None:
    alone = circuit(3, Rotation.RY)
    assert variance(circuit(3, Rotation.RY, Rotation.RZ)) == pytest.approx(variance(alone), abs=0.02)


@pytest.mark.parametrize("rotations", [(Rotation.RX, Rotation.RY), (Rotation.RZ, Rotation.RX)], ids="-".join)
def test_it_is_that_of_quadrature_in_pennylane(rotations: tuple[Rotation, ...]) -> None:
    """The derivatives are trigonometric polynomials, whose mean squares a few equidistant angles give exactly."""
    two = circuit(2, *rotations, entangler=Entangler.CNOT)
    # Hermite nodes for the two inputs, (144, 2). The weights are those of the standard normal distribution.
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    inputs = INPUT_DEVIATION * np.array([*product(nodes, nodes)])
    shares = np.outer(weights, weights).ravel() / (2 * np.pi)
    # Squares have frequencies up to 2 in each angle: three equidistant angles are enough.
    grid = 2 * np.pi * np.array([*product(range(3), repeat=4)]).T / 3
    angles = np.repeat(grid, len(inputs), axis=1).reshape(2, 2, -1)
    every_input = np.tile(inputs, (grid.shape[1], 1))
    total = 0.0
    for place in product(range(2), repeat=2):
        shift = np.zeros((2, 2, 1))
        shift[place] = np.pi / 2
        plus, minus = (np.array(trained_qnode(two, angles + sign * shift)(every_input)) for sign in (1, -1))
        squares = ((plus - minus) ** 2 / 4).sum(axis=0).reshape(-1, len(inputs))
        total += float((squares @ shares).mean())
    # The mean over the four angles that are trained.
    assert variance(two) == pytest.approx(total / 4, rel=0.05)
