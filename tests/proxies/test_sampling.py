from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Embedding
from studies.proxies.sampling import compute, proxy_values, read_values, trained_circuits, write_values


@pytest.mark.slow
def test_values_of_a_circuit_do_not_depend_on_other_circuits(tmp_path: Path) -> None:
    circuits = trained_circuits()[:300:100]
    columns = compute(circuits, lambda done: None)
    write_values(columns, tmp_path / "values.parquet")
    digests, values = read_values(tmp_path / "values.parquet")
    assert digests == tuple(circuit.digest for circuit in circuits)
    alone = proxy_values(circuits[1])
    assert {name: column[1] for name, column in values.items()} == pytest.approx(alone, rel=1e-6)


@pytest.mark.slow
def test_the_file_has_the_values_of_all_circuits() -> None:
    circuits = trained_circuits()
    digests, values = read_values()
    assert digests == tuple(circuit.digest for circuit in circuits)
    assert all(np.isfinite(column).all() for column in values.values())
    for place in (0, 777, 1777):
        stored = {name: column[place] for name, column in values.items()}
        # Another processor rounds differently, which moves a few fidelities to other bins.
        assert proxy_values(circuits[place]) == pytest.approx(stored, abs=0.005)


def test_without_angles_all_states_are_equal() -> None:
    # The first circuit of two qubits with amplitude embedding whose gates are all inert.
    idle = next(
        circuit
        for circuit in trained_circuits()
        if circuit.embedding is Embedding.AMPLITUDE and set(circuit.rotations) == {"RZ"}
    )
    values = proxy_values(idle, pairs=20, draws=2)
    assert values["entanglement_zero"] == values["gradient_variance"] == 0
    assert values["expressibility_zero"] == pytest.approx(3 * np.log(75))
