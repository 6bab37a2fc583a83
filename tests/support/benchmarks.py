"""Made-up benchmarks and tables, whose true accuracies are known."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import analytic_flops
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables import writing
from faqnas_optuna.tables.plan import TablePlan, table_document
from faqnas_optuna.tables.schema import seconds_file
from faqnas_optuna.tables.space import all_circuits, effective_circuits
from faqnas_optuna.tables.table import Table
from faqnas_optuna.tables.writing import TableValues, seconds_bytes, table_bytes
from faqnas_optuna.training.values import Costs

Right = Callable[[Sequence[Circuit], tuple[int, ...]], NDArray[Any]]
"""Function that returns numbers of correct answers of circuits, in a given shape."""


@cache
def space() -> tuple[tuple[Circuit, ...], tuple[int, ...], tuple[int, ...]]:
    """Return all circuits, the index of each one's effective circuit, and their FLOPs."""
    circuits = all_circuits()
    places = {circuit: place for place, circuit in enumerate(circuits)}
    effective = tuple(places[effective_circuit(circuit)] for circuit in circuits)
    return circuits, effective, tuple(analytic_flops(circuit) for circuit in circuits)


class MadeUp(Benchmark):
    """Benchmark with given accuracies and independent normal noise for each training and each part of the data.

    Args:
        accuracy: Function that returns the true accuracy of a circuit.
        noise: Standard deviation of the noise.
    """

    def __init__(self, accuracy: Callable[[Circuit], float], *, noise: float, seeds: int = 5) -> None:
        circuits, effective, flops = space()
        super().__init__(circuits, effective, flops, seeds=seeds, document={})
        # (circuits,)
        means = np.array([accuracy(circuits[row]) for row in effective])
        # Circuits with the same effective circuit share their noise, as they share their trainings.
        generator = np.random.default_rng(0)
        self._parts: list[NDArray[np.float64]] = [
            means[:, np.newaxis] + noise * generator.normal(size=(len(means), seeds)) for _ in range(2)
        ]
        self.validation_lookups: list[tuple[int, int]] = []
        """Effective circuits and seeds whose validation accuracy was looked up."""
        self.test_lookups: list[tuple[int, int]] = []
        """Effective circuits and seeds whose test accuracy was looked up."""

    def validation(self, effective: int, seed: int) -> float:
        self.validation_lookups.append((effective, seed))
        return float(self._parts[0][effective, seed])

    def test(self, effective: int, seed: int) -> float:
        self.test_lookups.append((effective, seed))
        return float(self._parts[1][effective, seed])

    def seconds(self, effective: int, seed: int) -> float:
        return 0.25 * self.circuits[effective].n_qubits


def made_up_table(file: Path, splits: DataSplits, right: Right, *, seeds: int = 4, epochs: int = 5) -> Table:
    """Write a table of the whole space for a data set, with its file of seconds, and open it.

    Args:
        right: Function that returns (circuits, seeds, checkpoints, 3) numbers of correct answers on the three parts, for the
            circuits that are trained.
    """
    settings = {"dataset": splits.name, "training": {"epochs": epochs}, "data": {"split_seed": splits.seed}}
    config = StudyConfig.from_settings(settings, source="")
    plan = TablePlan(config=config, seeds=seeds, fraction=1, effective_of=_effective_of())
    values = TableValues.empty(plan)
    values.right[...] = right(plan.circuits, values.right.shape)
    # Tests of these tables do not depend on losses and times.
    values.loss[...] = 1.5
    values.seconds[...] = 0.5
    document = table_document(plan, splits)
    with pytest.MonkeyPatch.context() as patch:
        # All tables have the same circuits, and nobody keeps these files.
        patch.setattr(Costs, "of", _costs)
        patch.setattr(writing, "COMPRESSION_LEVEL", 1)
        file.write_bytes(table_bytes(plan, values, document))
        seconds_file(file).write_bytes(seconds_bytes(plan, values, document))
    return Table(file)


@cache
def _effective_of() -> dict[Circuit, Circuit]:
    """Return the effective circuit of each circuit of the space."""
    return effective_circuits(all_circuits())


_costs = cache(Costs.of)
