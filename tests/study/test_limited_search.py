"""Searches with limits: no circuit beyond a limit is trained, and the front is that of the circuits within the limits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from faqnas_optuna.circuits.genome import GENES, Circuit, Entangler, Genome, Rotation, enumerate_genomes
from faqnas_optuna.config import CountedGates, FlopsCounter, Sampler, SearchConfig, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.devices import device_of
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import LimitsConfig, SpaceConfig
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import backend, open_storage
from faqnas_optuna.study.cost_range import check_limits, cost_range
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.sampler import SeededSampler
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.tables.loading import load_table
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.training.limits import Limits, is_within
from faqnas_optuna.training.values import Costs
from faqnas_optuna.workers.loop import StudyWorker, run
from tests.conftest import small_config, successful
from tests.support.studies import FEW, cheap, nothing

LIMITS: dict[str, dict[str, Any]] = {
    "max_flops": {"limits": LimitsConfig(max_flops=100)},
    "max_parameters": {"limits": LimitsConfig(max_parameters=27)},
    "max_cost": {"limits": LimitsConfig(max_cost=0.03), "device": device_of("heron-r3"), "space": FEW},
    "two limits": {"limits": LimitsConfig(max_flops=300, max_parameters=29), "gates": CountedGates.EFFECTIVE},
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", Sampler)
def test_no_circuit_beyond_a_limit_is_trained(
    new_search: Callable[..., Search], iris: DataSplits, kind: Sampler, limit: str, workers: int
) -> None:
    config = small_config(search=SearchConfig(population=4, generations=3, patience=9, sampler=kind), **LIMITS[limit])
    search = new_search(config)
    searches = [search, *(load(open_storage(backend(search.study).url), "iris") for _ in range(workers - 1))]
    trained: list[Circuit] = []

    def recording(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        trained.append(circuit)
        costs = Costs.of(circuit, n_features=4, n_classes=3, device=config.device)
        return Evaluation(costs=costs, val_accuracies=(0.5,), val_balanced_accuracies=(0.5,), seconds=0.0)

    crew = [StudyWorker(one, iris, Signals(), evaluate=recording) for one in searches]
    for number in range(12):
        worker = crew[number % workers]
        worker.look()
        worker.run_trial()
    costs = [Costs.of(circuit, n_features=4, n_classes=3, device=config.device) for circuit in trained]
    assert trained and all(is_within(cost, config) for cost in costs)
    # No trial failed or was wasted on a circuit beyond a limit.
    assert len(successful(search)) == len(search.study.trials) == 12
    assert all(Limits.of(config, iris).allow(Genome.from_params(trial.params).circuit) for trial in search.study.trials)


@pytest.mark.parametrize("kind", Sampler)
def test_limits_that_allow_all_circuits_change_no_genome(kind: Sampler) -> None:
    def history(**options: Any) -> list[Any]:
        sampler = SeededSampler(SearchConfig(population=6, sampler=kind), genes, seed=3, **options)
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)

        def toy(trial: optuna.Trial) -> tuple[float, float]:
            chosen = {gene: trial.suggest_categorical(gene, choices) for gene, choices in genes.items()}
            return float(chosen["n_qubits"]), 1.0 / float(chosen["depth"])  # type: ignore[arg-type]

        study.optimize(toy, n_trials=30)
        return [(trial.params, trial.values) for trial in study.trials]

    # One gene has a single choice, which is not drawn.
    genes = {**GENES, "embedding": ("angle",)}
    assert history(allow=lambda _: True) == history()


def test_a_genome_that_no_sampler_suggested_is_not_trained_either(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(limits=LimitsConfig(max_flops=100)))
    beyond = {gene: choices[-1] for gene, choices in GENES.items()}
    search.study.enqueue_trial(beyond)
    worker = StudyWorker(search, iris, Signals(), evaluate=cheap)
    worker.look()
    worker.run_trial()
    (trial,) = search.study.trials
    assert trial.params == beyond
    assert trial.user_attrs[FAILURE].endswith("is beyond the limits of the study")


def test_the_front_is_that_of_the_table_up_to_the_limit(new_search: Callable[..., Search], iris: DataSplits) -> None:
    """Search the bundled table until all circuits within the limit are known."""
    table = load_table("wine")
    # No circuit with more qubits or layers is as cheap.
    limit = 60
    flops = table.column("quantum_flops_profiler")

    def look_up(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        accuracy = (table.query(circuit).val_accuracy,)
        costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
        return Evaluation(costs=costs, val_accuracies=accuracy, val_balanced_accuracies=accuracy, seconds=0.0)

    settings = SearchConfig(population=60, generations=3, patience=9, sampler=Sampler.RANDOM)
    search = new_search(small_config(search=settings, space=FEW, limits=LimitsConfig(max_flops=limit)))
    run(search, iris, Signals(), on_trial=nothing, evaluate=look_up)
    state = read_state(search)
    rows = np.flatnonzero(flops <= limit)
    assert {candidate.record.circuit for candidate in state.candidates} == {table.circuits[row] for row in rows}
    points = np.array([(flops[row], 1 - table.query(table.circuits[row]).val_accuracy) for row in rows])
    expected = {(float(cost), float(error)) for cost, error in points[non_dominated(points)]}
    assert {(candidate.cost, candidate.val_error) for candidate in state.front} == expected
    assert expected == {
        (float(entry.quantum_flops_profiler), 1 - entry.val_accuracy)
        for entry in table.front()
        if entry.quantum_flops_profiler <= limit
    }
    # The reference box of the hypervolume ends at the limit.
    assert search.description.flops_range == (32, limit)


@pytest.mark.parametrize(
    ("limits", "highest"),
    [({}, 492_082), ({"max_flops": 500}, 500), ({"max_cost": 90.5}, 90.5), ({"max_flops": 10**6}, 492_082)],
)
def test_the_range_of_costs_ends_at_the_limit(limits: dict[str, Any], highest: float) -> None:
    assert cost_range(StudyConfig(dataset="iris", limits=LimitsConfig(**limits))) == (32, highest)


def test_on_a_device_the_flops_do_not_limit_the_range() -> None:
    config = StudyConfig(dataset="iris", space=FEW, device=device_of("heron-r3"))
    cheapest, dearest = cost_range(config)
    limited = config.model_copy(update={"limits": LimitsConfig(max_flops=40)})
    assert cost_range(limited) == (cheapest, dearest)
    half = (cheapest + dearest) / 2
    assert cost_range(limited.model_copy(update={"limits": LimitsConfig(max_cost=half)})) == (cheapest, half)


@pytest.mark.parametrize("counter", FlopsCounter)
@pytest.mark.parametrize(
    "space",
    [
        FEW,
        SpaceConfig(n_qubits=(3, 4), depth=(2, 3), rotation=(Rotation.RY, Rotation.RZ)),
        # The first entangler costs more, the second has more parameters.
        SpaceConfig(n_qubits=(2,), depth=(1, 2), entangler=(Entangler.CNOT, Entangler.ZZ)),
    ],
    ids=lambda space: f"{space.n_qubits}x{space.depth}",
)
def test_limits_are_refused_if_and_only_if_they_exclude_all_circuits(space: SpaceConfig, counter: FlopsCounter) -> None:
    costs = [Costs.of(genome.circuit, n_features=4, n_classes=3) for genome in enumerate_genomes(space.genes)]
    base = StudyConfig(dataset="iris", space=space, flops=counter)
    flops = sorted({cost.quantum_flops(base) for cost in costs})[:6]
    sizes = sorted({cost.parameters for cost in costs})[:3]
    for max_flops in (flops[0] - 1, *flops, None):
        for max_parameters in (sizes[0] - 1, *sizes, None):
            given = LimitsConfig(max_flops=max_flops, max_parameters=max_parameters)
            limits = Limits(config=base.model_copy(update={"limits": given}), n_features=4, n_classes=3)
            if any(is_within(cost, limits.config) for cost in costs):
                check_limits(limits)
                continue
            lowest = [f"max_flops must be at least {flops[0]}"] if max_flops == flops[0] - 1 else []
            lowest += [f"max_parameters must be at least {sizes[0]}"] if max_parameters == sizes[0] - 1 else []
            with pytest.raises(ConfigError, match=f"no circuit of the space is within the limits, .*: {'; '.join(lowest)}$"):
                check_limits(limits)


def test_limits_that_only_together_exclude_all_circuits_are_named() -> None:
    # On this device, the circuit with the fewest FLOPs is not the cheapest.
    costs = {genome.circuit: 0.0 for genome in enumerate_genomes(FEW.genes)}
    device = device_of("heron-r3")
    config = StudyConfig(dataset="iris", space=FEW, device=device)
    probe = Limits(config=config, n_features=4, n_classes=3)
    values = [probe.costs(circuit) for circuit in costs]
    fewest = min(value.quantum_flops_profiler for value in values)
    cheapest = min(value.objective(config) for value in values)
    assert not any(value.quantum_flops_profiler == fewest and value.objective(config) == cheapest for value in values)
    given = LimitsConfig(max_flops=fewest, max_cost=cheapest)
    both = Limits(config=config.model_copy(update={"limits": given}), n_features=4, n_classes=3)
    with pytest.raises(ConfigError, match=r"max_flops 32, max_cost 0\.0\d+: raise max_flops or max_cost$"):
        check_limits(both)
