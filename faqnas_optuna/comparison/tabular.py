"""A table as what searches are replayed on."""

from collections.abc import Sequence
from functools import cached_property

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.comparison.judging import attained
from faqnas_optuna.comparison.replay import Chosen, front
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.tables.table import Table

FEWEST_SEEDS = 2
"""One that a search pays for, and one that judges it."""


class Rows:
    """The circuits of a ground by number.

    Args:
        circuits: in their order.
        trained: (circuits,) the number of the circuit that is trained for each.
        flops: (circuits,) quantum FLOPs.
    """

    def __init__(self, circuits: Sequence[Circuit], trained: Sequence[int], flops: Sequence[int]) -> None:
        self._circuits, self._trained, self._flops = circuits, trained, flops
        self._rows = {circuit: row for row, circuit in enumerate(circuits)}
        self._flops_range = min(flops), max(flops)

    @property
    def flops_range(self) -> tuple[int, int]:
        """Quantum FLOPs of the cheapest and the dearest circuit."""
        return self._flops_range

    def row(self, circuit: Circuit) -> int:
        """The number of a circuit."""
        return self._rows[circuit]

    def circuit(self, row: int) -> Circuit:
        """The circuit of a number."""
        return self._circuits[row]

    def trained(self, row: int) -> int:
        """The number of the circuit that is trained for it."""
        return self._trained[row]

    def flops(self, row: int) -> int:
        """Its quantum FLOPs."""
        return self._flops[row]


class TabularBenchmark(Rows):
    """What circuits are worth by a table, after so many epochs.

    Args:
        table: of the whole space.
        epochs: one of its checkpoints.

    Raises:
        ConfigError: it has other epochs, a sample of the space, or a single seed.
    """

    def __init__(self, table: Table, *, epochs: int) -> None:
        self.document = table.document
        """What the table says of itself."""
        if table.document["fraction"] < 1:
            raise ConfigError(
                f"{table.file.name} has a sample of the space, and a search suggests any circuit; enumerate the whole space, or"
                f" train what is suggested with: compare {table.document['dataset']} --live"
            )
        if len(table.seeds) < FEWEST_SEEDS:
            raise ConfigError(f"{table.file.name} has one seed; searches are judged by others than those they have seen")
        sizes, circuits = table.document["sizes"], {circuit.digest: circuit for circuit in all_circuits()}
        super().__init__(
            [circuits[digest] for digest in table.circuits],
            [table.index(digest) for digest in table.column("trained").tolist()],
            table.column("quantum_flops_profiler").tolist(),
        )
        self._seeds = len(table.seeds)
        self._validation = table.right("validation", epochs) / sizes["validation"]
        self._test = table.right("test", epochs) / sizes["test"]
        self._seconds = None if table.seconds is None else table.seconds * (epochs / table.epochs[-1])

    @property
    def seeds(self) -> int:
        """Trainings that there are of each circuit."""
        return self._seeds

    @property
    def has_seconds(self) -> bool:
        """Whether it is known what trainings took."""
        return self._seconds is not None

    def validation(self, trained: int, seed: int) -> float:
        """Its validation accuracy by the training from a seed."""
        return float(self._validation[trained, seed])

    def test(self, trained: int, seed: int) -> float:
        """Its test accuracy by that."""
        return float(self._test[trained, seed])

    def seconds(self, trained: int, seed: int) -> float:
        """What that took; nothing if it is not known."""
        return 0.0 if self._seconds is None else float(self._seconds[trained, seed])

    @cached_property
    def best(self) -> float:
        """The hypervolume of the front by the mean test accuracies over all seeds: what nobody attains but by luck."""
        means = self._test.mean(axis=1)
        known = [
            Chosen(row=row, flops=self._flops[row], believed=float(means[trained]), trainings=self.seeds)
            for row, trained in enumerate(self._trained)
        ]
        best = front(known)
        return attained(best, [one.believed for one in best], self.flops_range)
