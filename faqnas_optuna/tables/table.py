"""Reading a table: what each circuit is worth, looked up instead of trained.

A table is read column by column, when a column is first asked for.
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
"""One training of a circuit, or the mean over all that the table has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What is known of a circuit without its test part."""

    circuit: str
    """Its digest."""
    train_accuracy: float
    train_loss: float
    """Mean negative log-likelihood."""
    val_accuracy: float
    val_loss: float
    quantum_flops_profiler: int
    quantum_flops_analytic: int
    parameters: int
    seconds: float | None
    """What the training took, as a share of one for the largest budget; None where the file of seconds is missing."""


class _View(NamedTuple):
    """The columns of an `Entry` for one number of epochs and one seed, as lists: in these a value is found at once."""

    train_accuracy: list[float]
    train_loss: list[float]
    val_accuracy: list[float]
    val_loss: list[float]
    seconds: list[float] | None


class Table:
    """The values of every circuit of a space under one protocol.

    Args:
        file: as `enumerate` writes it.

    Raises:
        DataError: there is no such file, or it is no table that this program reads.
    """

    directions: Mapping[str, Literal["minimize", "maximize"]] = {"quantum_flops": "minimize", "val_error": "minimize"}
    """Where each value that a call gives should go."""
    search_space: Mapping[str, list[GeneValue]] = {gene: list(choices) for gene, choices in GENES.items()}
    """The choices of each gene."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet as pq

        self.file = file
        self.document: Mapping[str, Any] = read_document(file)
        """What the table says of itself: docs/tables.md."""
        self.epochs = tuple(self.document["protocol"]["checkpoints"])
        """The numbers of epochs that can be asked for."""
        self.seeds = range(self.document["protocol"]["seeds"])
        self._parquet = pq.ParquetFile(file)
        self._columns: dict[str, NDArray[Any]] = {}
        self._views: dict[tuple[int, SeedOrMean], _View] = {}
        self.circuits: tuple[str, ...] = tuple(self.column("circuit").tolist())
        """The digest of each row's circuit."""
        self._rows: dict[AnyCircuit, int] = {digest: row for row, digest in enumerate(self.circuits)}

    def __len__(self) -> int:
        return len(self.circuits)

    def __repr__(self) -> str:
        return f"<Table of {self.document['dataset']}: {len(self):,} circuits, {len(self.seeds)} seeds>"

    def column(self, name: str) -> NDArray[Any]:
        """A column of the file, (circuits,)."""
        return self._read([name])[0]

    def index(self, circuit: AnyCircuit) -> int:
        """The row of a circuit.

        Raises:
            GenomeError: the table has no such circuit.
        """
        row = self._rows.get(circuit)
        if row is None:
            found = circuit.circuit if isinstance(circuit, Genome) else circuit
            row = self._rows.get(found.digest if isinstance(found, Circuit) else found)
            if row is None:
                raise GenomeError(f"{found} is none of the {len(self):,} circuits in {self.file.name}{self._of_a_sample()}")
            self._rows[circuit] = row
        return row

    def query(self, circuit: AnyCircuit, *, epochs: int = 5, seed: SeedOrMean = "mean") -> Entry:
        """What a circuit is worth and costs, as far as a search may know it.

        Args:
            epochs: one of `self.epochs`.
            seed: one of `self.seeds`, or "mean" over all.

        Raises:
            GenomeError: the table has no such circuit.
            ConfigError: it has no such epochs or seed.
        """
        view, row = self._view(epochs, seed), self.index(circuit)
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
        """The accuracy of a circuit on the test part, which no search may know; arguments and errors as of `query`."""
        self._check(epochs, seed)
        right = self.right("test", epochs)[self.index(circuit)]
        return _over(right, seed) / int(self.document["sizes"]["test"])

    def __call__(self, params: Mapping[str, object], *, epochs: int = 5, seed: SeedOrMean = "mean") -> dict[str, float]:
        """The objectives of a genome by their names: quantum FLOPs, as the profiler counts them, and validation error.

        Args:
            params: a choice of `search_space` for each gene.

        Raises:
            GenomeError: a gene is missing, unknown or has another value, or the table has no such circuit.
            ConfigError: the table has no such epochs or seed.
        """
        found = self.query(Genome.from_params(params), epochs=epochs, seed=seed)
        return {"quantum_flops": float(found.quantum_flops_profiler), "val_error": 1 - found.val_accuracy}

    def front(self, epochs: int = 5) -> tuple[Entry, ...]:
        """The circuits that none beats in quantum FLOPs and mean validation error, the cheapest first.

        Of circuits with the same effective gates and the same cost the first is taken: they are one network.
        """
        self._check(epochs, "mean")
        accuracies = np.array(self._view(epochs, "mean").val_accuracy)
        flops, effective = self.column("quantum_flops_profiler"), self.column("trained")
        kept = np.flatnonzero(non_dominated(np.column_stack([flops, 1 - accuracies])))
        distinct = {effective[row]: row for row in reversed(kept)}
        ordered = sorted(distinct.values(), key=lambda row: (flops[row], row))
        return tuple(self.query(self.circuits[row], epochs=epochs) for row in ordered)

    @property
    def reference_point(self) -> tuple[float, float]:
        """Quantum FLOPs and validation error that are worse than any circuit's: the corner of the box of a hypervolume."""
        return BOX_MARGIN * int(self.column("quantum_flops_profiler").max()), 1.0

    def val_right(self, epochs: int = 5) -> NDArray[np.int64]:
        """Right answers on the validation part, (circuits, seeds)."""
        return self.right("validation", epochs)

    def right(self, part: str, epochs: int) -> NDArray[np.int64]:
        """Right answers on a part, (circuits, seeds).

        Args:
            part: train, validation or test.
        """
        self._check(epochs, "mean")
        columns = self._read([right_column(part, epochs, seed) for seed in self.seeds])
        return np.stack(columns, axis=1).astype(np.int64)

    @cached_property
    def seconds(self) -> NDArray[np.float32] | None:
        """What each training took for the largest budget, (circuits, seeds); None where the file of seconds is missing."""
        import pyarrow.parquet as pq

        if not seconds_file(self.file).exists():
            return None
        names = [seconds_column(seed) for seed in self.seeds]
        found = pq.ParquetFile(seconds_file(self.file)).read(columns=names, use_threads=False)
        return np.stack([_array(column.combine_chunks()) for column in found.columns], axis=1)

    def circuit(self, circuit: AnyCircuit) -> Circuit:
        """The circuit of a row, with its genes.

        Raises:
            GenomeError: the table has no such circuit.
        """
        row = self.index(circuit)
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
        """Those of an `Entry`, as lists."""
        profiler, analytic, parameters = self._read(["quantum_flops_profiler", "quantum_flops_analytic", "parameters"])
        return profiler.tolist(), analytic.tolist(), parameters.tolist()

    def _view(self, epochs: int, seed: SeedOrMean) -> _View:
        """The columns of what is asked for."""
        if (found := self._views.get((epochs, seed))) is None:
            self._check(epochs, seed)
            train, validation = (self._worth(part, epochs, seed) for part in ("train", "validation"))
            found = self._views[epochs, seed] = _View(*train, *validation, self._taken(epochs, seed))
        return found

    def _worth(self, part: str, epochs: int, seed: SeedOrMean) -> tuple[list[float], list[float]]:
        """Accuracy and loss on a part."""
        seeds = self.seeds if seed == "mean" else [seed]
        right = np.stack(self._read([right_column(part, epochs, one) for one in seeds])).sum(axis=0, dtype=np.int64)
        loss = np.stack(self._read([loss_column(part, epochs, one) for one in seeds])).mean(axis=0, dtype=np.float64)
        return (right / (len(seeds) * self.document["sizes"][part])).tolist(), loss.tolist()

    def _taken(self, epochs: int, seed: SeedOrMean) -> list[float] | None:
        if self.seconds is None:
            return None
        taken = self.seconds.mean(axis=1, dtype=np.float64) if seed == "mean" else self.seconds[:, seed].astype(np.float64)
        shares: list[float] = (taken * (epochs / self.epochs[-1])).tolist()
        return shares

    def _read(self, names: Iterable[str]) -> list[NDArray[Any]]:
        """Columns, those that are new from the file."""
        names = list(names)
        if new := [name for name in names if name not in self._columns]:
            table = self._parquet.read(columns=new, use_threads=False)
            self._columns |= {name: _array(table[name].combine_chunks()) for name in new}
        return [self._columns[name] for name in names]

    def _check(self, epochs: int, seed: SeedOrMean) -> None:
        if epochs not in self.epochs:
            listed = ", ".join(map(str, self.epochs))
            raise ConfigError(f"{self.file.name} was looked at after {listed} epochs; it is asked for {epochs!r}")
        if seed != "mean" and seed not in self.seeds:
            raise ConfigError(
                f'{self.file.name} has the seeds 0 to {self.seeds[-1]}, and "mean" over them; it is asked for {seed!r}'
            )

    def _of_a_sample(self) -> str:
        return "" if self.document["fraction"] == 1 else f", which has a sample of {self.document['fraction']:g} of the space"


def _array(column: "pa.Array") -> NDArray[Any]:
    """A column in numpy's words, without pandas, which pyarrow's own way brings."""
    import pyarrow as pa

    return np.array(column.to_pylist()) if pa.types.is_string(column.type) else np.from_dlpack(column)


def _over(right: NDArray[np.int64], seed: SeedOrMean) -> float:
    """Right answers (seeds,) from one seed, or their mean."""
    return float(right.mean()) if seed == "mean" else int(right[seed])
