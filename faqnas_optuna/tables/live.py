"""A table that trains what it is asked for."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.loading import load_splits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels
from faqnas_optuna.errors import DataError
from faqnas_optuna.tables.checkpoints import Checkpoints, train_to_checkpoints
from faqnas_optuna.tables.plan import differences, versions
from faqnas_optuna.tables.schema import DECIMALS, PARTS
from faqnas_optuna.tables.table import AnyCircuit, Entry, Seed, Table
from faqnas_optuna.training.values import Costs

logger = logging.getLogger(__name__)


class LiveTable(Table):
    """The same questions, answered by trainings; also of circuits that the table has not.

    Args:
        file: the table, which tells data and protocol.
        data_dir: where the file of data is.

    Raises:
        DataError: the table or its data cannot be read, or the data are not those of the table.
    """

    def __init__(self, file: Path, *, data_dir: Path | None) -> None:
        super().__init__(file)
        self._config, self._splits = _config_of(self.document), data_of(self, data_dir)
        if found := differences(self.document["versions"], versions()):
            logger.warning("trainings here may differ from %s: %s", file, "; ".join(found).replace("asked", "here"))
        load_kernels()
        self._trained = lru_cache(maxsize=None)(self._train)

    def query(self, circuit: AnyCircuit, *, epochs: int = 5, seed: Seed = "mean") -> Entry:
        """As of `Table`, trained."""
        self._check(epochs, seed)
        asked = self._circuit_of(circuit)
        shown = [self._trained(effective_circuit(asked), epochs, one) for one in self._seeds(seed)]
        right = np.stack([one.right[-1] for one in shown]).sum(axis=0)
        loss = np.stack([one.loss[-1].round(DECIMALS) for one in shown]).mean(axis=0, dtype=np.float64)
        sizes = [len(shown) * self.document["sizes"][part] for part in PARTS]
        costs = Costs.of(asked, n_features=self._splits.n_features, n_classes=self._splits.n_classes)
        return Entry(
            circuit=asked.digest,
            train_accuracy=int(right[0]) / sizes[0],
            train_loss=float(loss[0]),
            val_accuracy=int(right[1]) / sizes[1],
            val_loss=float(loss[1]),
            quantum_flops_profiler=costs.quantum_flops_profiler,
            quantum_flops_analytic=costs.quantum_flops_analytic,
            parameters=costs.parameters,
            seconds=sum(one.seconds for one in shown) / len(shown),
        )

    def test(self, circuit: AnyCircuit, *, epochs: int = 5, seed: Seed = "mean") -> float:
        """As of `Table`, trained."""
        self._check(epochs, seed)
        trained = effective_circuit(self._circuit_of(circuit))
        right = [int(self._trained(trained, epochs, one).right[-1, 2]) for one in self._seeds(seed)]
        return sum(right) / len(right) / int(self.document["sizes"]["test"])

    def _circuit_of(self, circuit: AnyCircuit) -> Circuit:
        if isinstance(circuit, str):
            return self.circuit(circuit)
        return circuit.circuit if isinstance(circuit, Genome) else circuit

    def _seeds(self, seed: Seed) -> list[int]:
        return list(self.seeds) if seed == "mean" else [seed]

    def _train(self, circuit: Circuit, epochs: int, seed: int) -> Checkpoints:
        training = self._config.training.model_copy(update={"epochs": epochs})
        return train_to_checkpoints(circuit, self._splits, training, seed=seed)


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
