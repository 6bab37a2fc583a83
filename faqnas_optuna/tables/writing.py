"""Writing a table's file: one row for each circuit, one column for each value."""

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

LEVEL = 19
"""Of zstd: written once, read often."""


@dataclass(frozen=True, kw_only=True)
class TableValues:
    """What all trainings of a plan have shown, with the plan's circuits first and its seeds second."""

    right: NDArray[np.uint32]
    """(circuits, seeds, checkpoints, 3)"""
    loss: NDArray[np.float32]
    """(circuits, seeds, checkpoints, 3)"""
    seconds: NDArray[np.float32]
    """(circuits, seeds)"""

    @classmethod
    def empty(cls, plan: TablePlan) -> "TableValues":
        """Room for them."""
        shape = (len(plan.circuits), plan.seeds, len(plan.checkpoints), len(PARTS))
        return cls(right=np.zeros(shape, np.uint32), loss=np.zeros(shape, np.float32), seconds=np.zeros(shape[:2], np.float32))

    def take_in(self, result: ChunkResult) -> None:
        """Put what a chunk has shown into its place."""
        chunk = result.chunk
        rows = slice(chunk.begin, chunk.end)
        self.right[rows, chunk.seed], self.loss[rows, chunk.seed] = result.right, result.loss
        self.seconds[rows, chunk.seed] = result.seconds


def table_bytes(plan: TablePlan, values: TableValues, document: Mapping[str, Any]) -> bytes:
    """The content of a table.

    Args:
        document: what it says of itself.
    """
    rows = _rows(plan)
    columns = _genes(plan.effective_of) | _costs(plan.effective_of, document)
    for place, epochs in enumerate(plan.checkpoints):
        for number, part in enumerate(PARTS):
            for seed in range(plan.seeds):
                right, loss = values.right[rows, seed, place, number], values.loss[rows, seed, place, number]
                columns[right_column(part, epochs, seed)] = right.astype(np.min_scalar_type(document["sizes"][part]))
                columns[loss_column(part, epochs, seed)] = loss.round(DECIMALS)
    return _parquet(columns, document)


def seconds_bytes(plan: TablePlan, values: TableValues, document: Mapping[str, Any]) -> bytes:
    """What the trainings took, the same rows: not in the table, which is to be the same whenever it is made."""
    rows = _rows(plan)
    taken = {seconds_column(seed): values.seconds[rows, seed] for seed in range(plan.seeds)}
    return _parquet({"circuit": [circuit.digest for circuit in plan.effective_of], **taken}, document)


def _rows(plan: TablePlan) -> list[int]:
    """Where the values of each circuit are."""
    places = {circuit: place for place, circuit in enumerate(plan.circuits)}
    return [places[effective] for effective in plan.effective_of.values()]


def _genes(effective_of: Mapping[Circuit, Circuit]) -> dict[str, Any]:
    """Return the circuit of each row, its effective circuit, and its genes."""
    genes: dict[str, Any] = gene_columns(effective_of)
    for name in ("n_qubits", "depth"):
        genes[name] = np.array(genes[name], np.uint8)
    return {
        "circuit": [circuit.digest for circuit in effective_of],
        "trained": [effective.digest for effective in effective_of.values()],
        **genes,
    }


def _costs(effective_of: Mapping[Circuit, Circuit], document: Mapping[str, Any]) -> dict[str, Any]:
    """What each network costs."""
    n_features, n_classes = document["features"], len(document["classes"])
    costs = [vars(Costs.of(circuit, n_features=n_features, n_classes=n_classes)) for circuit in effective_of]
    # Without a device some costs are None.
    return {name: np.array([one[name] for one in costs]) for name, value in costs[0].items() if value is not None}


def _parquet(columns: Mapping[str, Any], document: Mapping[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table: pa.Table = pa.table(columns)
    told = {METADATA: json.dumps(document).encode()}
    buffer = BytesIO()
    pq.write_table(
        table.replace_schema_metadata(told),
        buffer,
        compression="zstd",
        compression_level=LEVEL,
        # Of what repeats itself: it makes other columns larger.
        use_dictionary=["embedding", "entangler", "topology", *(f"rotation_{layer + 1}" for layer in range(PAPER_DEPTH))],
        # In one piece: whoever wants a column reads all of it.
        row_group_size=len(table),
    )
    return buffer.getvalue()
