"""What searches are run on where there is no table: trainings, of which none is done before it is asked for."""

from typing import Any

from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.comparison.tabular import Rows
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels
from faqnas_optuna.tables.checkpoints import Checkpoints, train_to_checkpoints
from faqnas_optuna.tables.plan import Plan, table_document

SEEDS = 10
"""Trainings that there are of each circuit: so many are all that a search can pay for, or be judged by."""


class LiveBenchmark(Rows):
    """What circuits are worth, trained as a table's would be: on the same versions the values are the same.

    Args:
        config: data, split and training budget; its seed is of no account.
        splits: its data.
    """

    best = None
    """What all circuits together would attain: nobody knows without training them all."""
    has_seconds = True

    def __init__(self, config: StudyConfig, splits: DataSplits) -> None:
        plan = Plan.of(config, seeds=SEEDS)
        self.document = table_document(plan, splits)
        """What a table of these trainings would say of itself."""
        self._config, self._splits = config, splits
        rows = {circuit: row for row, circuit in enumerate(plan.trained)}
        super().__init__(
            tuple(rows), [rows[trained] for trained in plan.trained.values()], [profiler_flops(circuit) for circuit in rows]
        )
        self._done: dict[tuple[int, int], Checkpoints] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Another process needs what was trained no more than this one does.
        return {**vars(self), "_done": {}}

    @property
    def seeds(self) -> int:
        """Trainings that there are of each circuit."""
        return SEEDS

    def validation(self, trained: int, seed: int) -> float:
        """Its validation accuracy by the training from a seed."""
        return int(self._train(trained, seed).right[-1, 1]) / len(self._splits.validation)

    def test(self, trained: int, seed: int) -> float:
        """Its test accuracy by that."""
        return int(self._train(trained, seed).right[-1, 2]) / len(self._splits.test)

    def seconds(self, trained: int, seed: int) -> float:
        """What that took."""
        return self._train(trained, seed).seconds

    def _train(self, trained: int, seed: int) -> Checkpoints:
        if (trained, seed) not in self._done:
            load_kernels()
            circuit, training = self._circuits[trained], self._config.training
            self._done[trained, seed] = train_to_checkpoints(circuit, self._splits, training, seed=seed)
        return self._done[trained, seed]
