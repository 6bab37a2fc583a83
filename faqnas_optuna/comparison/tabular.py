"""Benchmark with the values of a table."""

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.judging import achieved_hypervolume
from faqnas_optuna.comparison.replay import FrontCircuit, front
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.tables.table import Table

MIN_SEEDS = 2
"""Minimum number of seeds: one for the search, and one to judge its results."""


class TabularBenchmark(Benchmark):
    """Benchmark with the values of a table after a number of epochs.

    Args:
        table: Table of the whole space.
        epochs: One of the checkpoints of the table.

    Raises:
        ConfigError: The table has no values for these epochs, a part of the space, or a single seed.
    """

    def __init__(self, table: Table, *, epochs: int) -> None:
        if table.part:
            raise ConfigError(
                f"{table.file.name} has {table.part}, but a search may suggest any circuit; enumerate the whole space,"
                f" or train the suggested circuits with: compare {table.document['dataset']} --live"
            )
        if len(table.seeds) < MIN_SEEDS:
            raise ConfigError(
                f"{table.file.name} has one seed, but a search is judged by seeds that it has not seen; enumerate at least"
                f" {MIN_SEEDS}"
            )
        # The file has digests and genes; the circuits are built once for the whole space, which is faster than row by row.
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
        # Only whole trainings were timed. All epochs of a training take the same time.
        self._seconds = None if table.seconds is None else table.seconds * (epochs / table.epochs[-1])
        self.has_seconds = self._seconds is not None

    def validation(self, effective: int, seed: int) -> float:
        """Return the validation accuracy of an effective circuit, trained from a seed."""
        return float(self._validation[effective, seed])

    def test(self, effective: int, seed: int) -> float:
        """Return the test accuracy of an effective circuit, trained from a seed."""
        return float(self._test[effective, seed])

    def seconds(self, effective: int, seed: int) -> float:
        """Return the duration of the training from a seed; 0 if it is not known."""
        return 0.0 if self._seconds is None else float(self._seconds[effective, seed])

    def best(self) -> float:
        """Return the hypervolume of the true front, by mean test accuracies over all seeds."""
        # An upper bound: selected by test accuracies, it is slightly optimistic, and a search could achieve it only by luck.
        means = self._test.mean(axis=1)
        circuits = [
            FrontCircuit(row=row, flops=self.flops[row], search_estimate=float(means[effective]), trainings=self.seeds)
            for row, effective in enumerate(self.effective)
        ]
        best = front(circuits)
        return achieved_hypervolume(best, [circuit.search_estimate for circuit in best], self.flops_range)
