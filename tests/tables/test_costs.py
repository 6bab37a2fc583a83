"""Costs of circuits without training: columns, agreement, files, and the command."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.tables.costs import SpaceCosts, space_costs
from faqnas_optuna.tables.space import all_circuits, sample
from faqnas_optuna.training.statistics import kendall_tau
from faqnas_optuna.training.values import Costs

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def costs() -> SpaceCosts:
    return space_costs(sample(all_circuits(), 0.001), sizes=(4, 3))


@pytest.mark.slow
def test_each_column_is_what_it_says(costs: SpaceCosts) -> None:
    for place, circuit in enumerate(costs.circuits):
        row = {name: values[place] for name, values in costs.columns.items()}
        assert row["quantum_flops_profiler"] == profiler_flops(circuit)
        assert row["quantum_flops_analytic"] == analytic_flops(circuit)
        assert row["parameters"] == Costs.of(circuit, n_features=4, n_classes=3).parameters
        for device in DEVICES.values():
            cost = hardware_cost(circuit, device)
            assert row[f"neg_log_esp_{device.name}"] == cost.neg_log_esp
            assert row[f"two_qubit_gates_{device.name}"] == cost.two_qubit_gates


@pytest.mark.slow
def test_agreement_by_groups(costs: SpaceCosts) -> None:
    groups = dict(costs.groups())
    assert list(groups) == ["all", "CNOT", "CZ", *(f"{count} qubits" for count in range(2, 11))]
    assert (groups["CNOT"] ^ groups["CZ"]).all()
    assert sum(groups[f"{count} qubits"].sum() for count in range(2, 11)) == len(costs.circuits)
    tau = {(one["group"], one["a"], one["b"]): one["tau"] for one in costs.agreement()}
    # Each pair of the 7 + 2 · 4 costs appears once per group.
    assert len(tau) == len(groups) * 15 * 14 // 2
    of = groups["CZ"]
    a, b = (costs.columns[name][of] for name in ("quantum_flops_profiler", "neg_log_esp_eagle"))
    assert tau["CZ", "quantum_flops_profiler", "neg_log_esp_eagle"] == kendall_tau(a.tolist(), b.tolist())


def test_without_data_networks_are_not_counted() -> None:
    assert not {"classical_flops", "parameters"} & space_costs(all_circuits()[:2]).columns.keys()


@pytest.mark.slow
def test_the_command(costs: SpaceCosts, cli_here: Cli, tmp_path: Path) -> None:
    code, out, err = cli_here("space", "iris", "--fraction", "0.001", "--out", "costs.parquet", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["circuits"], document["dataset"], document["file"]) == (len(costs.circuits), "iris", "costs.parquet")
    assert list(document["devices"]) == list(DEVICES) and document["costs"] == costs.summary()
    assert document["kendall_tau"] == costs.agreement()
    frame = pd.read_parquet(tmp_path / "costs.parquet")
    assert frame["circuit"].tolist() == [circuit.digest for circuit in costs.circuits]
    assert all(np.array_equal(frame[name], values) for name, values in costs.columns.items())
    assert (frame["rotation_2"].isna() == (frame["depth"] < 2)).all()
    code, out, err = cli_here("space", "iris", "--fraction", "0.001", "--out", "costs.csv")
    assert code == 0 and "profiler FLOPs" in out and "Kendall's tau of" in out
    assert np.allclose(pd.read_csv(tmp_path / "costs.csv")["neg_log_esp_heron-r3"], costs.columns["neg_log_esp_heron-r3"])
    for arguments, message in (
        (("--out", "absent/costs.csv"), "directory absent does not exist; create it first"),
        (("--target", "y"), "--target needs a data set; add one"),
    ):
        code, out, err = cli_here("space", *arguments)
        assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1
    code, out, err = cli_here("space", "--out", "costs.xlsx")
    assert (code, out) == (2, "") and "--out must end with .parquet or .csv; it is costs.xlsx" in err
