import subprocess
import sys
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import CountedGates, DataConfig, Engine, FlopsCounter, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError
from faqnas_optuna.training.evaluation import evaluate, train_once, training_generator
from faqnas_optuna.training.parameters import Layout
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
import numpy
from faqnas_optuna import Genome, StudyConfig, evaluate
from faqnas_optuna.data.named import load
numpy.random.seed(12345)
genome = Genome.from_json('{GENOME.to_json()}')
config = StudyConfig(dataset="iris")
result = evaluate(genome.circuit, load("iris", seed=0), config)
print(result.val_accuracies, result.objectives(config))
import sys
from dataclasses import replace
print([name for name in ("torch", "pennylane", "sklearn") if name in sys.modules])
"""


@pytest.mark.slow
def test_another_process_finds_the_same_values_and_loads_nothing_large(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris")
    here = evaluate(GENOME.circuit, iris, config)
    there = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    # Kernels, counts and data come from the cache that this process has filled.
    assert there.stdout.splitlines() == [f"{here.val_accuracies} {here.objectives(StudyConfig(dataset='iris'))}", "[]"]


def test_the_objectives_are_flops_and_validation_error(iris: DataSplits) -> None:
    result = evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris"))
    charged = {
        (FlopsCounter.PROFILER, CountedGates.ALL): result.quantum_flops_profiler,
        (FlopsCounter.ANALYTIC, CountedGates.ALL): result.quantum_flops_analytic,
        (FlopsCounter.PROFILER, CountedGates.EFFECTIVE): result.costs.effective_flops_profiler,
        (FlopsCounter.ANALYTIC, CountedGates.EFFECTIVE): result.costs.effective_flops_analytic,
    }
    # The last layer of CZ is inert.
    assert len(set(charged.values())) == 4
    for (counter, gates), flops in charged.items():
        config = StudyConfig(dataset="iris", flops=counter, gates=gates)
        assert result.objectives(config) == (flops, 1 - result.val_accuracy)
    assert result.costs.parameters == (4 * 3 + 3) + 2 * 3 + (3 * 3 + 3)
    assert result.costs.classical_flops == 2 * 3 * (4 + 3)


def test_circuits_with_the_same_live_gates_are_worth_the_same_and_cost_something_else(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris")
    shallow, deep = (
        evaluate(Genome.from_params({**GENOME.to_params(), "depth": depth}).circuit, iris, config) for depth in (2, 4)
    )
    assert shallow.val_accuracies == deep.val_accuracies
    assert shallow.quantum_flops_profiler < deep.quantum_flops_profiler
    assert shallow.costs.effective_flops_profiler == deep.costs.effective_flops_profiler < shallow.quantum_flops_profiler
    assert (deep.costs.parameters, deep.costs.effective_parameters) == (
        shallow.costs.parameters + 2 * 3,
        shallow.costs.parameters,
    )


def test_repeats_are_trained_from_different_seeds(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris", training=TrainingConfig(repeats=4))
    result = evaluate(GENOME.circuit, iris, config)
    assert len(result.val_accuracies) == 4
    assert len(set(result.val_accuracies)) > 1
    assert result.val_accuracy == fmean(result.val_accuracies)
    assert result.scores.val_accuracy_std == pytest.approx(stdev(result.val_accuracies))
    # The first repeat equals a single training.
    once = evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris"))
    assert once.val_accuracies == result.val_accuracies[:1]
    assert once.scores.val_accuracy_std is None


def test_a_training_alone_is_that_of_the_repeats_bit_for_bit(iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris", training=TrainingConfig(repeats=3))
    together = evaluate(GENOME.circuit, iris, config)
    alone = [train_once(GENOME.circuit, iris, config, repeat=repeat) for repeat in (2, 0, 1)]
    assert [alone[place].validation.accuracy for place in (1, 2, 0)] == list(together.val_accuracies)
    again = train_once(GENOME.circuit, iris, StudyConfig(dataset="iris"), repeat=2)
    assert np.array_equal(again.parameters, alone[0].parameters)


@pytest.mark.parametrize("engine", Engine)
def test_both_engines_begin_alike(engine: Engine, iris: DataSplits) -> None:
    """Check that one step on all samples, which moves each parameter by the learning rate, ends near the expected start."""
    config = StudyConfig(dataset="iris", engine=engine, training=TrainingConfig(epochs=1, batch_size=90, learning_rate=1e-6))
    began = Layout.of(GENOME.circuit, n_features=4, n_classes=3).draw(training_generator(0, GENOME.circuit, 1))
    result = train_once(GENOME.circuit, iris, config, repeat=1)
    assert np.abs(result.parameters - began).max() < 2e-6


def test_the_randomness_of_a_training_depends_on_seed_circuit_and_repeat() -> None:
    other = Genome.from_params(GENOME.to_params() | {"depth": 1})
    drawn = {
        training_generator(seed, circuit, repeat).random()
        for seed in (0, 1)
        for circuit in (GENOME.circuit, other.circuit)
        for repeat in (0, 1)
    }
    assert len(drawn) == 8
    inactive = Genome.from_params(GENOME.to_params() | {"rotation_4": "RX"})
    assert training_generator(0, inactive.circuit, 0).random() == training_generator(0, GENOME.circuit, 0).random()


def test_data_of_another_set_are_refused(iris: DataSplits) -> None:
    with pytest.raises(DataError, match="the data set is 'iris', but the settings name 'wine'"):
        evaluate(GENOME.circuit, iris, StudyConfig(dataset="wine"))


def test_data_of_another_split_are_refused(iris: DataSplits) -> None:
    pattern = "the data were split with seed 0, but the settings have seed 1; use the same seed in both, or set"
    with pytest.raises(DataError, match=pattern):
        evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris", seed=1))
    # On one split, searches and trainings may have different seeds.
    evaluate(GENOME.circuit, iris, StudyConfig(dataset="iris", seed=1, data=DataConfig(split_seed=0)))
    # A split without a seed goes with any seed of a study.
    evaluate(GENOME.circuit, replace(iris, seed=None), StudyConfig(dataset="iris", seed=1))
