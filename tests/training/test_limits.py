"""Which circuits are within the limits of a study, by closed forms and the costs of the bundled table."""

from typing import Any

import pytest

from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.config import CountedGates, FlopsCounter, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import device_of
from faqnas_optuna.space_config import LimitsConfig
from faqnas_optuna.tables.loading import load_table
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.pilot import measure_reliability
from tests.support.studies import FEW

CIRCUITS = sorted(all_circuits(), key=lambda circuit: circuit.digest)[:1000]
"""Sample of the paper's space."""


def limits_of(*, n_features: int = 4, n_classes: int = 3, settings: dict[str, Any] | None = None, **limits: Any) -> Limits:
    config = StudyConfig(dataset="iris", limits=LimitsConfig(**limits), **settings or {})
    return Limits(config=config, n_features=n_features, n_classes=n_classes)


def parameters(circuit: Circuit, n_features: int, n_classes: int) -> int:
    """Return the parameters of two linear layers and of one angle per qubit and layer."""
    n = circuit.n_qubits
    return n * (n_features + 1) + n * circuit.depth + n_classes * (n + 1)


def test_parameters_are_those_of_the_whole_network() -> None:
    limits = limits_of(n_features=13, n_classes=3, max_parameters=60)
    allowed = {circuit for circuit in CIRCUITS if limits.allow(circuit)}
    assert allowed == {circuit for circuit in CIRCUITS if parameters(circuit, 13, 3) <= 60}
    assert 0 < len(allowed) < len(CIRCUITS)


@pytest.mark.parametrize("counter", FlopsCounter)
def test_flops_are_those_of_the_counter_up_to_the_limit_itself(counter: FlopsCounter) -> None:
    table = load_table("wine")
    column = dict(zip(table.circuits, table.column(f"quantum_flops_{counter}").tolist(), strict=True))
    flops = {circuit.digest: column[circuit.digest] for circuit in CIRCUITS}
    limit = sorted(flops.values())[100]
    limits = limits_of(max_flops=limit, settings={"flops": counter})
    allowed = {circuit.digest for circuit in CIRCUITS if limits.allow(circuit)}
    assert allowed == {digest for digest, value in flops.items() if value <= limit}
    assert limit in {flops[digest] for digest in allowed}


def test_gates_that_the_study_does_not_count_are_free() -> None:
    circuits = [genome.circuit for genome in enumerate_genomes(FEW.genes)]
    whole = limits_of(max_flops=60)
    effective = limits_of(max_flops=60, settings={"gates": CountedGates.EFFECTIVE})
    free = [circuit for circuit in circuits if effective.allow(circuit) and not whole.allow(circuit)]
    assert free and not any(whole.allow(circuit) and not effective.allow(circuit) for circuit in circuits)
    assert all(effective.costs(circuit).effective_flops_profiler <= 60 for circuit in free)


def test_the_cost_on_a_device_is_limited() -> None:
    device = device_of("heron-r3")
    limits = limits_of(max_cost=0.03, settings={"device": device})
    circuits = {genome.circuit for genome in enumerate_genomes(FEW.genes)}
    allowed = {circuit for circuit in circuits if limits.allow(circuit)}
    assert allowed == {circuit for circuit in circuits if hardware_cost(circuit, device).neg_log_esp <= 0.03}
    assert 0 < len(allowed) < len(circuits)


def test_the_pilot_trains_no_circuit_beyond_a_limit(iris: DataSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Circuit] = []

    def score(circuit: Circuit, *_: object, **__: object) -> float:
        trained.append(circuit)
        return len(trained) % 3 / 3

    monkeypatch.setattr("faqnas_optuna.training.pilot._score", score)
    config = StudyConfig(dataset="iris", limits=LimitsConfig(max_parameters=27))
    assert measure_reliability(iris, config, limit_s=None)
    assert {circuit.n_qubits for circuit in trained} == {2}
