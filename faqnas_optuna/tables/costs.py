"""Costs of every circuit of a space by each counter and on each device, and their agreement, without any training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.blocks import PAPER_ENTANGLERS
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.tables.space import gene_columns
from faqnas_optuna.training.statistics import kendall_tau
from faqnas_optuna.training.values import Costs

if TYPE_CHECKING:
    from pandas import DataFrame

FLOPS = {
    "quantum_flops_profiler": "profiler FLOPs",
    "quantum_flops_analytic": "analytic FLOPs",
    "effective_flops_profiler": "profiler FLOPs, effective gates",
    "effective_flops_analytic": "analytic FLOPs, effective gates",
}
"""Descriptions of the columns with quantum FLOPs."""
NETWORK = ("classical_flops", "parameters", "effective_parameters")
"""Columns that also depend on the numbers of features and classes."""
ALL = "all"
"""Name of the group of all circuits."""


@dataclass(frozen=True, kw_only=True)
class SpaceCosts:
    """Costs of circuits, and comparisons of these costs."""

    circuits: Sequence[Circuit]
    columns: Mapping[str, NDArray[Any]]
    """Costs by name, each of shape (circuits,)."""

    def groups(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield groups of circuits as names and masks: all, by entangler, and by number of qubits."""
        # Both drive the costs, so agreement among all circuits can hide disagreement within the groups.
        qubits = np.array([circuit.n_qubits for circuit in self.circuits])
        yield ALL, np.ones(len(qubits), np.bool_)
        for entangler in PAPER_ENTANGLERS:
            yield str(entangler), np.array([circuit.entangler is entangler for circuit in self.circuits])
        for count in np.unique(qubits):
            yield f"{count} qubits", qubits == count

    def agreement(self) -> list[dict[str, Any]]:
        """Return Kendall's τ-b of every two costs, in every group."""
        return [
            {"group": group, "a": a, "b": b, "tau": kendall_tau(*(self.columns[name][mask].tolist() for name in (a, b)))}
            for group, mask in self.groups()
            for a, b in combinations(self.columns, 2)
        ]

    def summary(self) -> dict[str, dict[str, float]]:
        """Return the minimum, median and maximum of each cost."""
        return {
            name: {"least": values.min().item(), "median": median(values.tolist()), "most": values.max().item()}
            for name, values in self.columns.items()
        }

    def file(self, suffix: str) -> bytes:
        """Return the content of a file with one row per circuit: CSV for the suffix `.csv`, otherwise Parquet."""
        frame = self._frame()
        buffer = BytesIO()
        if suffix == ".csv":
            # The same line ends on all systems.
            frame.to_csv(buffer, index=False, lineterminator="\n")
        else:
            frame.to_parquet(buffer, index=False, compression="zstd")
        return buffer.getvalue()

    def _frame(self) -> "DataFrame":
        # Importing pandas takes a second, which only a file should cost.
        import pandas as pd

        digests = [circuit.digest for circuit in self.circuits]
        return pd.DataFrame({"circuit": digests, **gene_columns(self.circuits), **self.columns})


def space_costs(
    circuits: Sequence[Circuit], *, sizes: tuple[int, int] | None = None, on_done: Callable[[int], None] = lambda count: None
) -> SpaceCosts:
    """Return the costs of circuits by each counter and on each built-in device.

    Args:
        circuits: Circuits to count.
        sizes: Numbers of features and classes of the data; None to leave out the costs of the classical layers.
        on_done: Callback with the number of circuits that have been compiled for all devices.
    """
    # Without data any sizes will do, since the quantum costs do not depend on them.
    n_features, n_classes = sizes or (1, 2)
    counts = [Costs.of(circuit, n_features=n_features, n_classes=n_classes) for circuit in circuits]
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(count, name) for count in counts], np.int64) for name in (*FLOPS, *(NETWORK if sizes else ()))
    }
    # Compiling takes much longer than counting, so only this part reports its progress.
    costs = []
    for count, circuit in enumerate(circuits, 1):
        costs.append([hardware_cost(circuit, device) for device in DEVICES.values()])
        on_done(count)
    for device, device_costs in zip(DEVICES, zip(*costs, strict=True), strict=True):
        columns[neg_log_esp_column(device)] = np.array([cost.neg_log_esp for cost in device_costs], np.float64)
        columns[f"two_qubit_gates_{device}"] = np.array([cost.two_qubit_gates for cost in device_costs], np.int64)
    return SpaceCosts(circuits=circuits, columns=columns)


def neg_log_esp_column(device: str) -> str:
    """Return the name of the column with -ln ESP on a device."""
    return f"neg_log_esp_{device}"


def space_document(costs: SpaceCosts, *, dataset: str | None, file: str | None) -> dict[str, Any]:
    """Return a summary of the costs and their agreement; the costs of single circuits are in the file.

    Args:
        costs: Costs of all circuits.
        dataset: Data set whose numbers of features and classes were used; None if there was none.
        file: Name of the file that the costs were written to; None if there is none.
    """
    return {
        "schema_version": 1,
        "dataset": dataset,
        "circuits": len(costs.circuits),
        "devices": {device.name: {"date": device.date, "source": device.source} for device in DEVICES.values()},
        "costs": costs.summary(),
        "kendall_tau": costs.agreement(),
        "file": file,
    }
