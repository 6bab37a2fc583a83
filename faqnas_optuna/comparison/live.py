"""Benchmark without a table: circuits are trained when a search asks for them."""

from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.checkpoints import Checkpoints
from faqnas_optuna.tables.live import LiveTrainings
from faqnas_optuna.tables.plan import TablePlan, table_document

SEEDS = 10
"""Number of trainings of each circuit, those that a search pays for and those that judge it."""


class LiveBenchmark(Benchmark):
    """Circuits that are trained on demand, as for a table: on the same versions the values are the same.

    Args:
        config: Data, split and training budget; its seed has no effect.
        splits: The data.
    """

    def __init__(self, config: StudyConfig, splits: DataSplits) -> None:
        plan = TablePlan.of(config, seeds=SEEDS)
        rows = {circuit: row for row, circuit in enumerate(plan.trained)}
        super().__init__(
            tuple(rows),
            [rows[trained] for trained in plan.trained.values()],
            [profiler_flops(circuit) for circuit in rows],
            seeds=SEEDS,
            document=table_document(plan, splits),
        )
        self._epochs = config.training.epochs
        self._trainings = LiveTrainings(splits, config.training)

    def validation(self, trained: int, seed: int) -> float:
        """Return the validation accuracy of the training from a seed."""
        return int(self._result(trained, seed).right[-1, 1]) / int(self.document["sizes"]["validation"])

    def test(self, trained: int, seed: int) -> float:
        """Return the test accuracy of the training from a seed."""
        return int(self._result(trained, seed).right[-1, 2]) / int(self.document["sizes"]["test"])

    def seconds(self, trained: int, seed: int) -> float:
        """Return the time of the training from a seed."""
        return self._result(trained, seed).seconds

    def _result(self, trained: int, seed: int) -> Checkpoints:
        return self._trainings.result(self.circuit(trained), seed=seed, epochs=self._epochs)
