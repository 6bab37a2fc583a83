"""Table with the values of every circuit of a space, looked up instead of trained.

Columns are read from the file when they are first needed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import GENES, Circuit, Embedding, Entangler, GeneValue, Genome, Rotation, Topology
from faqnas_optuna.errors import ConfigError, GenomeError
from faqnas_optuna.study.pareto import BOX_MARGIN, non_dominated
from faqnas_optuna.tables.schema import loss_column, read_document, right_column, seconds_column, seconds_file

if TYPE_CHECKING:
    import pyarrow as pa

AnyCircuit = Circuit | Genome | str
"""A circuit, a genome that describes it, or its digest."""
SeedOrMean = int | Literal["mean"]
"""Seed of one training, or the mean over all seeds of the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Values of a circuit that a search may see, that is, without the test part."""

    circuit: str
    """Digest of the circuit."""
    train_accuracy: float
    train_loss: float
    """Mean negative log-likelihood on the training part."""
    val_accuracy: float
    val_loss: float
    """Mean negative log-likelihood on the validation part."""
    quantum_flops_profiler: int
    quantum_flops_analytic: int
    parameters: int
    seconds: float | None
    """Duration of the training, estimated from the whole training in proportion to the epochs; None if the file of durations is
    missing."""


# Reading an element of a list is several times faster than of an array, and a replayed search reads thousands.
class _View(NamedTuple):
    """Columns of an `Entry` for one number of epochs and one seed, as lists."""

    train_accuracy: list[float]
    train_loss: list[float]
    val_accuracy: list[float]
    val_loss: list[float]
    seconds: list[float] | None


class Table:
    """Values of every circuit of a space under one protocol.

    Args:
        file: File written by `enumerate`.

    Raises:
        DataError: The file does not exist, or is not a table of this version.
    """

    directions: Mapping[str, Literal["minimize", "maximize"]] = {"quantum_flops": "minimize", "val_error": "minimize"}
    """Direction of optimisation for each value that a call returns."""
    search_space: Mapping[str, list[GeneValue]] = {gene: list(choices) for gene, choices in GENES.items()}
    """Choices of each gene."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet as pq

        self.file = file
        self.document: Mapping[str, Any] = read_document(file)
        """Description of the table (see docs/tables.md)."""
        self.epochs = tuple(self.document["protocol"]["checkpoints"])
        """Numbers of epochs for which there are values."""
        self.seeds = range(self.document["protocol"]["seeds"])
        """Seeds for which there are values."""
        self._parquet = pq.ParquetFile(file)
        self._columns: dict[str, NDArray[Any]] = {}
        self._views: dict[tuple[int, SeedOrMean], _View] = {}
        self.circuits: tuple[str, ...] = tuple(self.column("circuit").tolist())
        """Digests of the circuits, in the order of the rows."""
        # Begins with the digests; circuits and genomes are added when they are first looked up.
        self._rows: dict[AnyCircuit, int] = {digest: row for row, digest in enumerate(self.circuits)}

    def __len__(self) -> int:
        return len(self.circuits)

    def __repr__(self) -> str:
        return f"<Table of {self.document['dataset']}: {len(self):,} circuits, {len(self.seeds)} seeds>"

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the file, of shape (circuits,)."""
        return self._read([name])[0]

    def index(self, circuit: AnyCircuit) -> int:
        """Return the row of a circuit.

        Raises:
            GenomeError: The table does not contain the circuit.
        """
        row = self._rows.get(circuit)
        if row is None:
            subject = circuit.circuit if isinstance(circuit, Genome) else circuit
            row = self._rows.get(subject.digest if isinstance(subject, Circuit) else subject)
            if row is None:
                remark = f", which has {self.part}" if self.part else ""
                raise GenomeError(f"{subject} is not among the {len(self):,} circuits of {self.file.name}{remark}")
            # Computing a digest takes longer than all else here, so it is done once per circuit.
            self._rows[circuit] = row
        return row

    def query(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> Entry:
        """Return the values of a circuit that a search may see.

        Args:
            circuit: Circuit, genome or digest.
            epochs: One of `self.epochs`.
            seed: One of `self.seeds`, or "mean" for the mean over all.

        Raises:
            GenomeError: The table does not contain the circuit.
            ConfigError: The table has no values for these epochs or this seed.
        """
        view = self._view(epochs, seed)
        row = self.index(circuit)
        profiler, analytic, parameters = self._costs
        return Entry(
            circuit=self.circuits[row],
            train_accuracy=view.train_accuracy[row],
            train_loss=view.train_loss[row],
            val_accuracy=view.val_accuracy[row],
            val_loss=view.val_loss[row],
            quantum_flops_profiler=profiler[row],
            quantum_flops_analytic=analytic[row],
            parameters=parameters[row],
            seconds=None if view.seconds is None else view.seconds[row],
        )

    def test(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> float:
        """Return the accuracy of a circuit on the test part, which a search must not see.

        Arguments and errors are those of `query`.
        """
        self._check(epochs, seed)
        right = self.right("test", epochs)[self.index(circuit)]
        return _select_seed(right, seed) / int(self.document["sizes"]["test"])

    def __call__(self, params: Mapping[str, object], *, epochs: int = 5, seed: SeedOrMean = "mean") -> dict[str, float]:
        """Return the objectives of a genome by name: quantum FLOPs by the profiler, and validation error.

        Args:
            params: Choice from `search_space` for each gene.
            epochs: One of `self.epochs`.
            seed: One of `self.seeds`, or "mean" for the mean over all.

        Raises:
            GenomeError: A gene is missing, unknown or has an invalid value, or the table does not contain the circuit.
            ConfigError: The table has no values for these epochs or this seed.
        """
        entry = self.query(Genome.from_params(params), epochs=epochs, seed=seed)
        return {"quantum_flops": float(entry.quantum_flops_profiler), "val_error": 1 - entry.val_accuracy}

    def front(self, epochs: int = 5) -> tuple[Entry, ...]:
        """Return the circuits that are non-dominated in quantum FLOPs and mean validation error, sorted by cost.

        Circuits with equal effective circuit and equal cost are one network; the first of them represents it.
        """
        self._check(epochs, "mean")
        accuracies = np.array(self._view(epochs, "mean").val_accuracy)
        flops = self.column("quantum_flops_profiler")
        effective = self.column("trained")
        rows = np.flatnonzero(non_dominated(np.column_stack([flops, 1 - accuracies])))
        # In reverse order, so that the first of several rows is the last to be entered.
        distinct = {effective[row]: row for row in reversed(rows)}
        ordered = sorted(distinct.values(), key=lambda row: (flops[row], row))
        return tuple(self.query(self.circuits[row], epochs=epochs) for row in ordered)

    @property
    def reference_point(self) -> tuple[float, float]:
        """Reference point of a hypervolume: quantum FLOPs and validation error that are worse than those of any circuit."""
        return BOX_MARGIN * int(self.column("quantum_flops_profiler").max()), 1.0

    def val_right(self, epochs: int = 5) -> NDArray[np.int64]:
        """Return the numbers of correct predictions on the validation part, of shape (circuits, seeds)."""
        return self.right("validation", epochs)

    def right(self, part: str, epochs: int) -> NDArray[np.int64]:
        """Return the numbers of correct predictions on a part, of shape (circuits, seeds).

        Args:
            part: One of "train", "validation" and "test".
            epochs: One of `self.epochs`.
        """
        self._check(epochs, "mean")
        columns = self._read([right_column(part, epochs, seed) for seed in self.seeds])
        return np.stack(columns, axis=1).astype(np.int64)

    @cached_property
    def seconds(self) -> NDArray[np.float32] | None:
        """Durations of the whole trainings, of shape (circuits, seeds); None if the file of durations is missing."""
        import pyarrow.parquet as pq

        if not seconds_file(self.file).exists():
            return None
        names = [seconds_column(seed) for seed in self.seeds]
        table = pq.ParquetFile(seconds_file(self.file)).read(columns=names, use_threads=False)
        return np.stack([_array(column.combine_chunks()) for column in table.columns], axis=1)

    def circuit(self, circuit: AnyCircuit) -> Circuit:
        """Return a circuit of the table, built from its genes.

        Raises:
            GenomeError: The table does not contain the circuit.
        """
        row = self.index(circuit)
        # Rotations beyond the depth are missing in the file.
        rotations = [self.column(f"rotation_{layer + 1}")[row] for layer in range(int(self.column("depth")[row]))]
        return Circuit(
            n_qubits=int(self.column("n_qubits")[row]),
            embedding=Embedding(self.column("embedding")[row]),
            entangler=Entangler(self.column("entangler")[row]),
            topology=Topology(self.column("topology")[row]),
            rotations=tuple(Rotation(rotation) for rotation in rotations),
        )

    @cached_property
    def _costs(self) -> tuple[list[int], list[int], list[int]]:
        """Columns with the costs of an `Entry`, as lists."""
        profiler, analytic, parameters = self._read(["quantum_flops_profiler", "quantum_flops_analytic", "parameters"])
        return profiler.tolist(), analytic.tolist(), parameters.tolist()

    def _view(self, epochs: int, seed: SeedOrMean) -> _View:
        """Return the columns of entries for some epochs and a seed, computed once."""
        view = self._views.get((epochs, seed))
        if view is None:
            self._check(epochs, seed)
            train = self._accuracy_and_loss("train", epochs, seed)
            validation = self._accuracy_and_loss("validation", epochs, seed)
            view = _View(*train, *validation, self._durations(epochs, seed))
            self._views[epochs, seed] = view
        return view

    def _accuracy_and_loss(self, part: str, epochs: int, seed: SeedOrMean) -> tuple[list[float], list[float]]:
        """Return the accuracies and mean losses of all circuits on a part."""
        seeds = self.seeds if seed == "mean" else [seed]
        right = np.stack(self._read([right_column(part, epochs, each) for each in seeds])).sum(axis=0, dtype=np.int64)
        loss = np.stack(self._read([loss_column(part, epochs, each) for each in seeds])).mean(axis=0, dtype=np.float64)
        # One division of whole numbers: equal counts give equal accuracies, without differences from rounding.
        return (right / (len(seeds) * self.document["sizes"][part])).tolist(), loss.tolist()

    def _durations(self, epochs: int, seed: SeedOrMean) -> list[float] | None:
        """Return the estimated durations of trainings for a number of epochs; None if the file of durations is missing."""
        if self.seconds is None:
            return None
        seconds = self.seconds.mean(axis=1, dtype=np.float64) if seed == "mean" else self.seconds[:, seed].astype(np.float64)
        # Only whole trainings were timed. All epochs of a training take the same time.
        shares: list[float] = (seconds * (epochs / self.epochs[-1])).tolist()
        return shares

    def _read(self, names: Iterable[str]) -> list[NDArray[Any]]:
        """Return columns, reading those from the file that were not read before."""
        names = list(names)
        new_names = [name for name in names if name not in self._columns]
        if new_names:
            # A few columns gain nothing from pyarrow's threads, and processes that are forked later would lack them.
            table = self._parquet.read(columns=new_names, use_threads=False)
            self._columns |= {name: _array(table[name].combine_chunks()) for name in new_names}
        return [self._columns[name] for name in names]

    def _check(self, epochs: int, seed: SeedOrMean) -> None:
        """Check that the table has values for some epochs and a seed.

        Raises:
            ConfigError: The table has none.
        """
        if epochs not in self.epochs:
            listed = ", ".join(map(str, self.epochs))
            raise ConfigError(f"{self.file.name} has values after {listed} epochs; choose one of these instead of {epochs!r}")
        if seed != "mean" and seed not in self.seeds:
            raise ConfigError(
                f'{self.file.name} has the seeds 0 to {self.seeds[-1]}; choose one of these or "mean" instead of {seed!r}'
            )

    @property
    def part(self) -> str | None:
        """Part of the paper's space that the table has; None for the whole space."""
        if self.document["fraction"] < 1:
            return f"a sample of {self.document['fraction']:g} of the space"
        if self.document.keys() & {"space", "limits"}:
            return "a narrowed or limited space"
        return None


def _array(column: "pa.Array") -> NDArray[Any]:
    """Return a column as a NumPy array."""
    import pyarrow as pa

    # `to_numpy` of pyarrow would import pandas.
    return np.array(column.to_pylist()) if pa.types.is_string(column.type) else np.from_dlpack(column)


def _select_seed(right: NDArray[np.int64], seed: SeedOrMean) -> float:
    """Return the correct predictions from one seed, or their mean, given an array of shape (seeds,)."""
    return float(right.mean()) if seed == "mean" else int(right[seed])
