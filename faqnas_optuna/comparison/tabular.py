"""Benchmark of searches by a table."""

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.judging import achieved_hypervolume
from faqnas_optuna.comparison.replay import FrontCircuit, front
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.tables.table import Table

FEWEST_SEEDS = 2
"""One that a search pays for, and one that judges it."""


class TabularBenchmark(Benchmark):
    """Circuits with the values of a table after a number of epochs.

    Args:
        table: of the whole space.
        epochs: one of its checkpoints.

    Raises:
        ConfigError: it has other epochs, a sample of the space, or a single seed.
    """

    def __init__(self, table: Table, *, epochs: int) -> None:
        if table.document["fraction"] < 1:
            raise ConfigError(
                f"{table.file.name} has a sample of the space, and a search suggests any circuit; enumerate the whole space, or"
                f" train what is suggested with: compare {table.document['dataset']} --live"
            )
        if len(table.seeds) < FEWEST_SEEDS:
            raise ConfigError(f"{table.file.name} has one seed; searches are judged by others than those they have seen")
        circuits = {circuit.digest: circuit for circuit in all_circuits()}
        super().__init__(
            [circuits[digest] for digest in table.circuits],
            [table.index(digest) for digest in table.column("trained").tolist()],
            table.column("quantum_flops_profiler").tolist(),
            seeds=len(table.seeds),
            document=table.document,
        )
        self._validation = table.right("validation", epochs) / table.document["sizes"]["validation"]
        self._test = table.right("test", epochs) / table.document["sizes"]["test"]
        self._seconds = None if table.seconds is None else table.seconds * (epochs / table.epochs[-1])
        self.has_seconds = self._seconds is not None

    def validation(self, effective: int, seed: int) -> float:
        """Return the validation accuracy of the training from a seed."""
        return float(self._validation[effective, seed])

    def test(self, effective: int, seed: int) -> float:
        """Return the test accuracy of the training from a seed."""
        return float(self._test[effective, seed])

    def seconds(self, effective: int, seed: int) -> float:
        """Return the time of the training from a seed, 0 if it is not known."""
        return 0.0 if self._seconds is None else float(self._seconds[effective, seed])

    def best(self) -> float:
        """Return the hypervolume of the front by the mean test accuracies over all seeds, attained only by luck."""
        means = self._test.mean(axis=1)
        every = [
            FrontCircuit(row=row, flops=self.flops[row], search_estimate=float(means[effective]), trainings=self.seeds)
            for row, effective in enumerate(self.effective)
        ]
        best = front(every)
        return achieved_hypervolume(best, [one.search_estimate for one in best], self.flops_range)
