"""Benchmark of searches: the circuits of a space, and the values of their trainings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from faqnas_optuna.circuits.genome import Circuit


class Benchmark(ABC):
    """Circuits by number, and the values of their trainings by seed.

    Args:
        circuits: In their order.
        effective: (circuits,) For each circuit the number of its effective circuit, which is trained for it.
        flops: (circuits,) Quantum FLOPs.
        seeds: Number of trainings of each circuit.
        document: What a table of these trainings says of itself.
    """

    has_seconds: bool = True
    """Whether the times of trainings are known."""

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
        self.rows = {circuit: row for row, circuit in enumerate(circuits)}
        """The number of each circuit."""

    @abstractmethod
    def validation(self, effective: int, seed: int) -> float:
        """Return the validation accuracy of the training from a seed."""

    @abstractmethod
    def test(self, effective: int, seed: int) -> float:
        """Return the test accuracy of the training from a seed."""

    @abstractmethod
    def seconds(self, effective: int, seed: int) -> float:
        """Return the time of the training from a seed, 0 if it is not known."""

    def best(self) -> float | None:
        """Return the hypervolume of the front by the mean test accuracies over all seeds; None if these are not known."""
        return None
