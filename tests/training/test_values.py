"""Costs and scores of a circuit without training it."""

from statistics import fmean, stdev

import pytest

from faqnas_optuna.config import CountedGates, FlopsCounter, Score, StudyConfig
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.training.values import Costs, ValidationScores
from tests.support.candidates import genome_of

GENOME = genome_of(3, "CZ", "RX", "RY", "RZ", "RZ", topology="circular")


def test_live_gates_alone_cost_what_a_circuit_of_them_costs() -> None:
    """Check a layer of RY without entanglers by hand: three rotations of 8 amplitudes on the real state after the embedding."""
    circuit = genome_of(3, "CZ", "RY", topology="circular").circuit
    costs = Costs.of(circuit, n_features=4, n_classes=3)
    bare = 2 * 3 + 2 * 8 - 4 + 8 + 3 * 7
    assert costs.effective_flops_analytic == bare + 3 * (2 + 3 * 8)


@pytest.mark.parametrize("counter", FlopsCounter)
def test_a_study_counts_by_its_settings(counter: FlopsCounter) -> None:
    costs = Costs.of(GENOME.circuit, n_features=4, n_classes=3)
    suggested = StudyConfig(dataset="iris", flops=counter)
    effective = StudyConfig(dataset="iris", flops=counter, gates=CountedGates.EFFECTIVE)
    assert costs.quantum_flops(suggested) == getattr(costs, f"quantum_flops_{counter}")
    assert costs.cheapest_flops(suggested) == getattr(costs, f"cheapest_flops_{counter}")
    assert costs.quantum_flops(effective) == costs.cheapest_flops(effective) == getattr(costs, f"effective_flops_{counter}")
    assert costs.objective(suggested) == costs.quantum_flops(suggested)


def test_a_device_adds_its_costs() -> None:
    device = DEVICES["heron-r3"]
    costs = Costs.of(GENOME.circuit, n_features=4, n_classes=3, device=device)
    expected = hardware_cost(GENOME.circuit, device)
    assert (costs.neg_log_esp, costs.two_qubit_gates) == (expected.neg_log_esp, expected.two_qubit_gates)
    assert costs.objective(StudyConfig(dataset="iris")) == costs.neg_log_esp


def test_scores_are_means_with_deviations() -> None:
    accuracies, balanced = (0.5, 0.75, 0.25), (0.4, 0.6, 0.9)
    scores = ValidationScores.of_repeats(accuracies, balanced)
    assert scores.mean(Score.ACCURACY) == fmean(accuracies) and scores.mean(Score.BALANCED) == fmean(balanced)
    assert scores.deviation(Score.BALANCED) == pytest.approx(stdev(balanced))
    assert ValidationScores.of_repeats((0.5,), (0.4,)).interval(Score.ACCURACY, 1) is None
