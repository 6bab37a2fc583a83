"""Trainings on demand, and a table that answers queries by training."""

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
from faqnas_optuna.study_file import document_differences
from faqnas_optuna.tables.checkpoints import Checkpoints, train_to_checkpoints
from faqnas_optuna.tables.plan import versions
from faqnas_optuna.tables.schema import DECIMALS, PARTS
from faqnas_optuna.tables.table import AnyCircuit, Entry, SeedOrMean, Table
from faqnas_optuna.training.values import Costs

logger = logging.getLogger(__name__)


class LiveTrainings:
    """Trainings on demand: a circuit is trained from a seed when its result is first needed.

    Args:
        splits: Data of the trainings.
        training: Training settings, whose number of epochs is ignored.
    """

    def __init__(self, splits: DataSplits, training: TrainingConfig) -> None:
        self._splits = splits
        self._training = training
        self._results: dict[tuple[Circuit, int, int], Checkpoints] = {}

    def __getstate__(self) -> dict[str, Any]:
        # The results may be large, and a process that receives this object may not need them.
        return {**vars(self), "_results": {}}

    def result(self, circuit: Circuit, *, seed: int, epochs: int) -> Checkpoints:
        """Return the result of training an effective circuit as a search with this seed would.

        Raises:
            TrainingError: The training diverged.
        """
        key = (circuit, seed, epochs)
        if key not in self._results:
            # Compiled now, the kernels do not add to the duration of the training.
            load_kernels()
            training = self._training.model_copy(update={"epochs": epochs})
            self._results[key] = train_to_checkpoints(circuit, self._splits, training, seed=seed)
        return self._results[key]


class LiveTable(Table):
    """Table that answers queries by training, also for circuits that its file lacks.

    Args:
        file: Table whose data and protocol the trainings use.
        data_dir: Directory of the data files; None if the data set needs none.

    Raises:
        DataError: The table or its data cannot be read, or the data are not those of the table.
    """

    def __init__(self, file: Path, *, data_dir: Path | None) -> None:
        super().__init__(file)
        self._trainings = LiveTrainings(data_of(self, data_dir), _config_of(self.document).training)
        lines = document_differences(self.document["versions"], versions())
        if lines:
            logger.warning(
                "trainings on this machine may differ from those in %s: %s", file, "; ".join(lines).replace("requested", "here")
            )

    def query(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> Entry:
        """Return the values of a circuit after training it; see `Table.query`."""
        subject, results = self._train(circuit, epochs, seed)
        # Summed and rounded as in a table, so that both give the same numbers.
        right = np.stack([result.right[-1] for result in results]).sum(axis=0)
        loss = np.stack([result.loss[-1].round(DECIMALS) for result in results]).mean(axis=0, dtype=np.float64)
        sizes = [len(results) * self.document["sizes"][part] for part in PARTS]
        costs = Costs.of(subject, n_features=self.document["features"], n_classes=len(self.document["classes"]))
        return Entry(
            circuit=subject.digest,
            train_accuracy=int(right[0]) / sizes[0],
            train_loss=float(loss[0]),
            val_accuracy=int(right[1]) / sizes[1],
            val_loss=float(loss[1]),
            quantum_flops_profiler=costs.quantum_flops_profiler,
            quantum_flops_analytic=costs.quantum_flops_analytic,
            parameters=costs.parameters,
            seconds=sum(result.seconds for result in results) / len(results),
        )

    def test(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> float:
        """Return the test accuracy of a circuit after training it; see `Table.test`."""
        _, results = self._train(circuit, epochs, seed)
        return sum(int(result.right[-1, 2]) for result in results) / len(results) / int(self.document["sizes"]["test"])

    def _train(self, circuit: AnyCircuit, epochs: int, seed: SeedOrMean) -> tuple[Circuit, list[Checkpoints]]:
        """Return a circuit and the results of its trainings, one per seed."""
        self._check(epochs, seed)
        if isinstance(circuit, Genome):
            circuit = circuit.circuit
        # A digest alone does not describe a circuit: its genes are in the file.
        subject = self.circuit(circuit) if isinstance(circuit, str) else circuit
        effective = effective_circuit(subject)
        seeds = self.seeds if seed == "mean" else [seed]
        return subject, [self._trainings.result(effective, seed=each, epochs=epochs) for each in seeds]


def data_of(table: Table, data_dir: Path | None) -> DataSplits:
    """Load the data of a table.

    Args:
        table: Table that records the data set, the split and the fingerprint.
        data_dir: Directory of the data files; None if the data set needs none.

    Raises:
        DataError: The data are not on this machine, or differ from those of the table.
    """
    splits = load_splits(_config_of(table.document), data_dir=data_dir)
    # A file of the same name may have other content, and a data set of scikit-learn may change between versions.
    if splits.fingerprint != table.document["data_fingerprint"]:
        raise DataError(
            f"the data differ from those of {table.file.name}: fingerprint stored {table.document['data_fingerprint']}, here"
            f" {splits.fingerprint}; use the same files"
        )
    return splits


def _config_of(document: Mapping[str, Any]) -> StudyConfig:
    """Return the settings of a table's trainings, from its description."""
    protocol = document["protocol"]
    settings = {
        "dataset": document["dataset"],
        "engine": protocol["engine"],
        # The seed of the study has no effect here, but by default it decides the split, which must be that of the table.
        "data": document["data"] | {"split_seed": protocol["split_seed"]},
        "training": {name: protocol[name] for name in ("epochs", "learning_rate", "batch_size")},
    }
    return StudyConfig.from_settings(settings, source="table")
