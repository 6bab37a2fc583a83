"""Content of a table's files: one row per circuit, one column per value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import PAPER_DEPTH, Circuit
from faqnas_optuna.tables.chunks import ChunkResult
from faqnas_optuna.tables.plan import TablePlan
from faqnas_optuna.tables.schema import DECIMALS, METADATA, PARTS, loss_column, right_column, seconds_column
from faqnas_optuna.tables.space import gene_columns
from faqnas_optuna.training.values import Costs

# Tables are written once and read often, so the slow compression pays.
COMPRESSION_LEVEL = 19
"""Level of zstd."""


@dataclass(frozen=True, kw_only=True)
class TableValues:
    """Results of all trainings of a plan, in the order of the plan's circuits."""

    right: NDArray[np.uint32]
    """Numbers of correct predictions, of shape (circuits, seeds, checkpoints, 3)."""
    loss: NDArray[np.float32]
    """Mean negative log-likelihoods, of shape (circuits, seeds, checkpoints, 3)."""
    seconds: NDArray[np.float32]
    """Durations, of shape (circuits, seeds)."""

    @classmethod
    def empty(cls, plan: TablePlan) -> "TableValues":
        """Return arrays of zeros for the results of a plan."""
        shape = (len(plan.circuits), plan.seeds, len(plan.checkpoints), len(PARTS))
        return cls(right=np.zeros(shape, np.uint32), loss=np.zeros(shape, np.float32), seconds=np.zeros(shape[:2], np.float32))

    def insert(self, result: ChunkResult) -> None:
        """Copy the result of a chunk into the arrays."""
        chunk = result.chunk
        rows = slice(chunk.begin, chunk.end)
        self.right[rows, chunk.seed] = result.right
        self.loss[rows, chunk.seed] = result.loss
        self.seconds[rows, chunk.seed] = result.seconds


def table_bytes(plan: TablePlan, values: TableValues, document: Mapping[str, Any]) -> bytes:
    """Return the content of a table's file.

    Args:
        plan: Plan of the table.
        values: Results of all its trainings.
        document: Description of the table, a `table_document`.
    """
    rows = _rows(plan)
    columns = _genes(plan.effective_of) | _costs(plan.effective_of, document)
    for checkpoint, epochs in enumerate(plan.checkpoints):
        for part_index, part in enumerate(PARTS):
            for seed in range(plan.seeds):
                right = values.right[rows, seed, checkpoint, part_index]
                loss = values.loss[rows, seed, checkpoint, part_index]
                # The smallest integer type that can hold the number of samples.
                columns[right_column(part, epochs, seed)] = right.astype(np.min_scalar_type(document["sizes"][part]))
                columns[loss_column(part, epochs, seed)] = loss.round(DECIMALS)
    return _parquet(columns, document)


def seconds_bytes(plan: TablePlan, values: TableValues, document: Mapping[str, Any]) -> bytes:
    """Return the content of the file with the durations, with the same rows as the table."""
    # Durations differ from run to run. In a file of their own they leave the bytes of the table reproducible.
    rows = _rows(plan)
    durations = {seconds_column(seed): values.seconds[rows, seed] for seed in range(plan.seeds)}
    return _parquet({"circuit": [circuit.digest for circuit in plan.effective_of], **durations}, document)


def _rows(plan: TablePlan) -> list[int]:
    """Return, for each circuit of the table, the index of its effective circuit in the results."""
    index_of = {circuit: index for index, circuit in enumerate(plan.circuits)}
    return [index_of[effective] for effective in plan.effective_of.values()]


def _genes(effective_of: Mapping[Circuit, Circuit]) -> dict[str, Any]:
    """Return the columns with the digests of the circuits, those of their effective circuits, and the genes."""
    genes: dict[str, Any] = gene_columns(effective_of)
    for name in ("n_qubits", "depth"):
        genes[name] = np.array(genes[name], np.uint8)
    return {
        "circuit": [circuit.digest for circuit in effective_of],
        "trained": [effective.digest for effective in effective_of.values()],
        **genes,
    }


def _costs(effective_of: Mapping[Circuit, Circuit], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns with the costs of the circuits and their networks."""
    n_features = document["features"]
    n_classes = len(document["classes"])
    rows = [vars(Costs.of(circuit, n_features=n_features, n_classes=n_classes)) for circuit in effective_of]
    # Costs on a device are None here, since a table has no device.
    return {name: np.array([row[name] for row in rows]) for name, value in rows[0].items() if value is not None}


def _parquet(columns: Mapping[str, Any], document: Mapping[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table: pa.Table = pa.table(columns)
    metadata = {METADATA: json.dumps(document).encode()}
    buffer = BytesIO()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        buffer,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        # Dictionaries make columns of few distinct values smaller, and all others larger.
        use_dictionary=["embedding", "entangler", "topology", *(f"rotation_{layer + 1}" for layer in range(PAPER_DEPTH))],
        # Readers want whole columns, so one row group is enough.
        row_group_size=len(table),
    )
    return buffer.getvalue()
