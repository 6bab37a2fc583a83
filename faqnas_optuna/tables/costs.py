"""What every circuit costs, by each count and on each device, and how far these costs agree: nothing is trained."""

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
"""What a simulator does, by column, in words."""
NETWORK = ("classical_flops", "parameters", "effective_parameters")
"""What depends on the data too."""
ALL = "all"
"""The group of all circuits."""


@dataclass(frozen=True, kw_only=True)
class SpaceCosts:
    """The costs of circuits."""

    circuits: Sequence[Circuit]
    columns: Mapping[str, NDArray[Any]]
    """(circuits,) by name."""

    def groups(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """All circuits, those of an entangler, and those of a number of qubits."""
        qubits = np.array([circuit.n_qubits for circuit in self.circuits])
        yield ALL, np.ones(len(qubits), np.bool_)
        for entangler in PAPER_ENTANGLERS:
            yield str(entangler), np.array([circuit.entangler is entangler for circuit in self.circuits])
        for count in np.unique(qubits):
            yield f"{count} qubits", qubits == count

    def agreement(self) -> list[dict[str, Any]]:
        """Kendall's τ-b of every two costs, in every group."""
        return [
            {"group": group, "a": a, "b": b, "tau": kendall_tau(*(self.columns[name][of].tolist() for name in (a, b)))}
            for group, of in self.groups()
            for a, b in combinations(self.columns, 2)
        ]

    def summary(self) -> dict[str, dict[str, float]]:
        """The least, the median and the most of each cost."""
        return {
            name: {"least": values.min().item(), "median": median(values.tolist()), "most": values.max().item()}
            for name, values in self.columns.items()
        }

    def file(self, suffix: str) -> bytes:
        """A row a circuit, as Parquet or CSV."""
        frame, buffer = self._frame(), BytesIO()
        if suffix == ".csv":
            frame.to_csv(buffer, index=False, lineterminator="\n")
        else:
            frame.to_parquet(buffer, index=False, compression="zstd")
        return buffer.getvalue()

    def _frame(self) -> "DataFrame":
        import pandas as pd

        digests = [circuit.digest for circuit in self.circuits]
        return pd.DataFrame({"circuit": digests, **gene_columns(self.circuits), **self.columns})


def space_costs(
    circuits: Sequence[Circuit], *, sizes: tuple[int, int] | None = None, on_done: Callable[[int], None] = lambda done: None
) -> SpaceCosts:
    """Count circuits, and lay them on every device that we know by name.

    Args:
        sizes: features and classes of the data, if the networks around the circuits count too.
        on_done: called with how many circuits are done.
    """
    # What quantum gates cost does not depend on the data.
    n_features, n_classes = sizes or (1, 2)
    counts = [Costs.of(circuit, n_features=n_features, n_classes=n_classes) for circuit in circuits]
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(count, name) for count in counts], np.int64) for name in (*FLOPS, *(NETWORK if sizes else ()))
    }
    costs = []
    for place, circuit in enumerate(circuits, 1):
        costs.append([hardware_cost(circuit, device) for device in DEVICES.values()])
        on_done(place)
    for device, found in zip(DEVICES, zip(*costs, strict=True), strict=True):
        columns[lost_on(device)] = np.array([cost.neg_log_esp for cost in found], np.float64)
        columns[f"two_qubit_gates_{device}"] = np.array([cost.two_qubit_gates for cost in found], np.int64)
    return SpaceCosts(circuits=circuits, columns=columns)


def lost_on(device: str) -> str:
    """The column of -ln ESP."""
    return f"neg_log_esp_{device}"


def space_document(costs: SpaceCosts, *, dataset: str | None, file: str | None) -> dict[str, Any]:
    """All that is told of the space but the circuits themselves."""
    return {
        "schema_version": 1,
        "dataset": dataset,
        "circuits": len(costs.circuits),
        "devices": {device.name: {"date": device.date, "source": device.source} for device in DEVICES.values()},
        "costs": costs.summary(),
        "kendall_tau": costs.agreement(),
        "file": file,
    }
