"""Benchmarks and tables that are made up, so that the truth is known."""

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
"""Right answers of circuits, of a shape."""


@cache
def space() -> tuple[tuple[Circuit, ...], tuple[int, ...], tuple[int, ...]]:
    """All circuits, what is trained for each, and what each costs."""
    circuits = all_circuits()
    places = {circuit: place for place, circuit in enumerate(circuits)}
    effective = tuple(places[effective_circuit(circuit)] for circuit in circuits)
    return circuits, effective, tuple(analytic_flops(circuit) for circuit in circuits)


class MadeUp(Benchmark):
    """A circuit's accuracy, and noise that each training and each part has of its own.

    Args:
        accuracy: of a circuit.
        noise: its standard deviation.
    """

    def __init__(self, accuracy: Callable[[Circuit], float], *, noise: float, seeds: int = 5) -> None:
        circuits, effective, flops = space()
        super().__init__(circuits, effective, flops, seeds=seeds, document={})
        means = np.array([accuracy(circuits[row]) for row in effective])
        generator = np.random.default_rng(0)
        self._parts: list[NDArray[np.float64]] = [
            means[:, np.newaxis] + noise * generator.normal(size=(len(means), seeds)) for _ in range(2)
        ]
        self.asked: list[tuple[int, int]] = []
        """What was looked up of the validation part."""
        self.told: list[tuple[int, int]] = []
        """What was looked up of the test part."""

    def validation(self, effective: int, seed: int) -> float:
        self.asked.append((effective, seed))
        return float(self._parts[0][effective, seed])

    def test(self, effective: int, seed: int) -> float:
        self.told.append((effective, seed))
        return float(self._parts[1][effective, seed])

    def seconds(self, effective: int, seed: int) -> float:
        return 0.25 * self.circuits[effective].n_qubits


def made_up_table(file: Path, splits: DataSplits, right: Right, *, seeds: int = 4, epochs: int = 5) -> Table:
    """Write a table of the whole space for these data, with its seconds, and open it.

    Args:
        right: (circuits, seeds, checkpoints, 3) right answers on the three parts, for the circuits that are trained.
    """
    settings = {"dataset": splits.name, "training": {"epochs": epochs}, "data": {"split_seed": splits.seed}}
    config = StudyConfig.from_settings(settings, source="")
    plan = TablePlan(config=config, seeds=seeds, fraction=1, effective_of=_effective_of())
    values = TableValues.empty(plan)
    values.right[...] = right(plan.circuits, values.right.shape)
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
