import subprocess
import sys
from statistics import fmean, stdev

import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import FlopsCounter, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.learning.evaluation import evaluate, training_seed
from tests.conftest import TIMEOUT_S

GENOME = Genome.from_params(
    {
        "n_qubits": 3,
        "embedding": "angle",
        "entangler": "CZ",
        "topology": "circular",
        "depth": 2,
        "rotation_1": "RX",
        "rotation_2": "RY",
        "rotation_3": "RZ",
        "rotation_4": "RZ",
    }
)

ELSEWHERE = f"""
import torch
from faqnas_optuna import Genome, StudyConfig, evaluate
from faqnas_optuna.data.named import load
torch.set_num_threads(1)
torch.manual_seed(12345)
genome = Genome.from_json('{GENOME.to_json()}')
result = evaluate(genome.circuit, load("iris", seed=0), StudyConfig(dataset="iris"))
print(result.val_accuracies, result.objectives("profiler"))
"""


def test_another_process_finds_the_same_values(iris: DataSplits) -> None:
    here = evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris"))
    there = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert there.stdout.strip() == f"{here.val_accuracies} {here.objectives(FlopsCounter.PROFILER)}"


def test_the_objectives_are_flops_and_validation_error(iris: DataSplits) -> None:
    result = evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris"))
    assert result.objectives(FlopsCounter.PROFILER) == (result.quantum_flops_profiler, 1 - result.val_accuracy)
    assert result.objectives(FlopsCounter.ANALYTIC) == (result.quantum_flops_analytic, 1 - result.val_accuracy)
    assert result.parameters == (4 * 3 + 3) + 2 * 3 + (3 * 3 + 3)
    assert result.classical_flops == 2 * 3 * (4 + 3)


def test_repeats_are_trained_from_different_seeds(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris", training=TrainingConfig(repeats=4))
    result = evaluate(GENOME.circuit, iris, config)
    assert len(result.val_accuracies) == 4
    assert len(set(result.val_accuracies)) > 1
    assert result.val_accuracy == fmean(result.val_accuracies)
    assert result.val_accuracy_std == pytest.approx(stdev(result.val_accuracies))
    # The first repeat is what a single training gives.
    once = evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris"))
    assert once.val_accuracies == result.val_accuracies[:1]
    assert once.val_accuracy_std is None


def test_the_training_seed_depends_on_seed_circuit_and_repeat() -> None:
    other = Genome.from_params(GENOME.to_params() | {"depth": 1})
    seeds = {
        training_seed(seed, circuit, repeat)
        for seed in (0, 1)
        for circuit in (GENOME.circuit, other.circuit)
        for repeat in (0, 1)
    }
    assert len(seeds) == 8
    inactive = Genome.from_params(GENOME.to_params() | {"rotation_4": "RX"})
    assert training_seed(0, inactive.circuit, 0) == training_seed(0, GENOME.circuit, 0)
