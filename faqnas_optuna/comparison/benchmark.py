"""Benchmark for search algorithms: the circuits of a space, and the values of their trainings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from faqnas_optuna.circuits.genome import Circuit


class Benchmark(ABC):
    """Circuits, referred to by their index, and the values of their trainings by seed.

    Args:
        circuits: Circuits of the space.
        effective: Index of the effective circuit, which is the one that is trained, of each circuit.
        flops: Quantum FLOPs of each circuit.
        seeds: Number of trainings per circuit.
        document: Description of the trainings, a `tables.plan.table_document`.
    """

    has_seconds: bool = True
    """True if the durations of trainings are known."""

    def __init__(
        self,
        circuits: Sequence[Circuit],
        effective: Sequence[int],
        flops: Sequence[int],
        *,
        seeds: int,
        document: Mapping[str, Any],
    ) -> None:
        self.document = document
        self.seeds = seeds
        self.flops_range = min(flops), max(flops)
        """Quantum FLOPs of the cheapest and of the most expensive circuit."""
        self.circuits = circuits
        self.effective = effective
        self.flops = flops
        # Searches suggest circuits, while values are stored by index.
        self.rows = {circuit: row for row, circuit in enumerate(circuits)}
        """Index of each circuit."""

    @property
    def max_trainings(self) -> int:
        """Maximum number of trainings of one circuit that a search may use, so that one is left to judge it."""
        return self.seeds - 1

    def paid_seed(self, effective: int, index: int, *, search: int) -> int:
        """Return the seed of the training with this index that a search pays for.

        Args:
            effective: Index of the effective circuit.
            index: Number of the trainings of the circuit that the search has paid for before.
            search: Seed of the search. Searches with equal seeds see equal trainings.
        """
        # Drawn per circuit, so that no seed is systematically the first.
        return int(np.random.default_rng([search, effective]).permutation(self.seeds)[index])

    def unseen_seeds(self, effective: int, trainings: int, *, search: int) -> list[int]:
        """Return the seeds that are left to judge a circuit after a search has paid for some trainings."""
        return [self.paid_seed(effective, index, search=search) for index in range(trainings, self.seeds)]

    @abstractmethod
    def validation(self, effective: int, seed: int) -> float:
        """Return the validation accuracy of an effective circuit, trained from a seed."""

    @abstractmethod
    def test(self, effective: int, seed: int) -> float:
        """Return the test accuracy of an effective circuit, trained from a seed."""

    @abstractmethod
    def seconds(self, effective: int, seed: int) -> float:
        """Return the duration of the training from a seed; 0 if it is not known."""

    def best(self) -> float | None:
        """Return the hypervolume of the true front, by mean test accuracies over all seeds; None if these are not known."""
        # Trainings on demand do not know the values of circuits that no search has suggested.
        return None
