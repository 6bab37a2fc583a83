"""Benchmark without a table, whose circuits are trained when a search suggests them."""

import sys

from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.tables.checkpoints import Checkpoints
from faqnas_optuna.tables.live import LiveTrainings
from faqnas_optuna.tables.plan import TablePlan, table_document

SEEDS = 10
"""Trainings per circuit of a table: those that a search pays for, and those that judge its results.

A search that trains a circuit more often pays for further seeds, and `SEEDS` - 1 more judge it.
"""


class LiveBenchmark(Benchmark):
    """Benchmark whose circuits are trained on demand, with the values of a table made by the same versions.

    Args:
        config: Data, split and training budget. The seed has no effect.
        splits: Data of the trainings.
    """

    def __init__(self, config: StudyConfig, splits: DataSplits) -> None:
        # The plan lists the circuits and describes the protocol as for a table; nothing is trained yet.
        plan = TablePlan.of(config, seeds=SEEDS)
        rows = {circuit: row for row, circuit in enumerate(plan.effective_of)}
        super().__init__(
            tuple(rows),
            [rows[effective] for effective in plan.effective_of.values()],
            [profiler_flops(circuit) for circuit in rows],
            seeds=SEEDS,
            document=table_document(plan, splits),
        )
        self._epochs = config.training.epochs
        self._trainings = LiveTrainings(splits, config.training)

    @property
    def max_trainings(self) -> int:
        """Maximum number of trainings of one circuit: any."""
        return sys.maxsize

    def paid_seed(self, effective: int, index: int, *, search: int) -> int:
        """Return the seed of a training; after those of a table, the seeds follow in order."""
        return index if index >= SEEDS else super().paid_seed(effective, index, search=search)

    def unseen_seeds(self, effective: int, trainings: int, *, search: int) -> list[int]:
        """Return the seeds that judge a circuit."""
        end = SEEDS if trainings < SEEDS else trainings + SEEDS - 1
        return [self.paid_seed(effective, index, search=search) for index in range(trainings, end)]

    def validation(self, effective: int, seed: int) -> float:
        """Return the validation accuracy of an effective circuit, trained from a seed."""
        return int(self._result(effective, seed).right[-1, 1]) / int(self.document["sizes"]["validation"])

    def test(self, effective: int, seed: int) -> float:
        """Return the test accuracy of an effective circuit, trained from a seed."""
        return int(self._result(effective, seed).right[-1, 2]) / int(self.document["sizes"]["test"])

    def seconds(self, effective: int, seed: int) -> float:
        """Return the duration of the training from a seed."""
        return self._result(effective, seed).seconds

    def _result(self, effective: int, seed: int) -> Checkpoints:
        # Columns of `Checkpoints` are training, validation, test; the last row is after the last epoch.
        return self._trainings.result(self.circuits[effective], seed=seed, epochs=self._epochs)
