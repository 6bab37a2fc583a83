"""Trainings on demand, and a table that answers by them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import StudyConfig, TrainingConfig
from faqnas_optuna.data.loading import load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels
from faqnas_optuna.errors import DataError
from faqnas_optuna.tables.checkpoints import Checkpoints, train_to_checkpoints
from faqnas_optuna.tables.plan import differences, versions
from faqnas_optuna.tables.schema import DECIMALS, PARTS
from faqnas_optuna.tables.table import AnyCircuit, Entry, SeedOrMean, Table
from faqnas_optuna.training.values import Costs

logger = logging.getLogger(__name__)


class LiveTrainings:
    """Trainings on demand: a circuit is trained from a seed when its result is first needed.

    Args:
        splits: The data.
        training: The training budget but for the epochs.
    """

    def __init__(self, splits: DataSplits, training: TrainingConfig) -> None:
        self._splits = splits
        self._training = training
        self._results: dict[tuple[Circuit, int, int], Checkpoints] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A process that continues this one's work trains what it needs.
        return {**vars(self), "_results": {}}

    def result(self, circuit: Circuit, *, seed: int, epochs: int) -> Checkpoints:
        """Return the result of training an effective circuit, as a search with this seed trains it.

        Raises:
            TrainingError: The training diverged.
        """
        key = (circuit, seed, epochs)
        if key not in self._results:
            load_kernels()
            training = self._training.model_copy(update={"epochs": epochs})
            self._results[key] = train_to_checkpoints(circuit, self._splits, training, seed=seed)
        return self._results[key]


class LiveTable(Table):
    """Table that answers by trainings, also for circuits that are not in its file.

    Args:
        file: The table, which tells data and protocol.
        data_dir: Directory of the file of data.

    Raises:
        DataError: The table or its data cannot be read, or the data are not those of the table.
    """

    def __init__(self, file: Path, *, data_dir: Path | None) -> None:
        super().__init__(file)
        self._trainings = LiveTrainings(data_of(self, data_dir), _config_of(self.document).training)
        if found := differences(self.document["versions"], versions()):
            logger.warning("trainings here may differ from %s: %s", file, "; ".join(found).replace("asked", "here"))

    def query(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> Entry:
        """As of `Table`, trained."""
        asked, results = self._train(circuit, epochs, seed)
        right = np.stack([one.right[-1] for one in results]).sum(axis=0)
        loss = np.stack([one.loss[-1].round(DECIMALS) for one in results]).mean(axis=0, dtype=np.float64)
        sizes = [len(results) * self.document["sizes"][part] for part in PARTS]
        costs = Costs.of(asked, n_features=self.document["features"], n_classes=len(self.document["classes"]))
        return Entry(
            circuit=asked.digest,
            train_accuracy=int(right[0]) / sizes[0],
            train_loss=float(loss[0]),
            val_accuracy=int(right[1]) / sizes[1],
            val_loss=float(loss[1]),
            quantum_flops_profiler=costs.quantum_flops_profiler,
            quantum_flops_analytic=costs.quantum_flops_analytic,
            parameters=costs.parameters,
            seconds=sum(one.seconds for one in results) / len(results),
        )

    def test(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> float:
        """As of `Table`, trained."""
        _, results = self._train(circuit, epochs, seed)
        return sum(int(one.right[-1, 2]) for one in results) / len(results) / int(self.document["sizes"]["test"])

    def _train(self, circuit: AnyCircuit, epochs: int, seed: SeedOrMean) -> tuple[Circuit, list[Checkpoints]]:
        """Return a circuit, and the results of its trainings, one for each seed that is asked for."""
        self._check(epochs, seed)
        if isinstance(circuit, Genome):
            circuit = circuit.circuit
        asked = self.circuit(circuit) if isinstance(circuit, str) else circuit
        effective = effective_circuit(asked)
        seeds = self.seeds if seed == "mean" else [seed]
        return asked, [self._trainings.result(effective, seed=one, epochs=epochs) for one in seeds]


def data_of(table: Table, data_dir: Path | None) -> DataSplits:
    """The data of a table.

    Args:
        data_dir: where they are, if they are in files.

    Raises:
        DataError: they are not on this machine, or they are others.
    """
    splits = load_splits(_config_of(table.document), data_dir=data_dir)
    if splits.fingerprint != table.document["data_fingerprint"]:
        raise DataError(
            f"{table.file.name} is of other data; fingerprint: stored {table.document['data_fingerprint']}, here"
            f" {splits.fingerprint}; use the same files"
        )
    return splits


def _config_of(document: Mapping[str, Any]) -> StudyConfig:
    """The settings with which the trainings of a table were made."""
    protocol = document["protocol"]
    settings = {
        "dataset": document["dataset"],
        "engine": protocol["engine"],
        "data": document["data"] | {"split_seed": protocol["split_seed"]},
        "training": {name: protocol[name] for name in ("epochs", "learning_rate", "batch_size")},
    }
    return StudyConfig.from_settings(settings, source="table")
