from collections import Counter, defaultdict
from typing import Any

import numpy as np
import optuna
import pytest

from faqnas_optuna import search
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, Circuit, Genome
from faqnas_optuna.comparison.replay import FrontCircuit, TrainingBudget, estimated_front, front, replay
from faqnas_optuna.comparison.samplers import DEFAULT, SEARCHERS, DistinctSampler, searcher
from faqnas_optuna.errors import ConfigError
from tests.support.benchmarks import MadeUp

optuna.logging.set_verbosity(optuna.logging.ERROR)
TWENTY = TrainingBudget(trainings=20)


def by_qubits(circuit: Circuit) -> float:
    return 0.3 + 0.05 * circuit.n_qubits


@pytest.mark.parametrize("name", [*DEFAULT, "random-distinct", "nsga3", "nsga2:3"])
def test_a_search_looks_at_nothing_that_it_has_not_paid_for(name: str) -> None:
    benchmark = MadeUp(by_qubits, noise=0.1)
    trace = replay(searcher(name), benchmark, TrainingBudget(trainings=24), seed=1)
    # Each training within the budget is looked up once, and no test accuracy is.
    assert len(benchmark.validation_lookups) == trace.trainings == 24
    assert max(Counter(benchmark.validation_lookups).values()) == 1
    assert benchmark.test_lookups == []
    paid = Counter(effective for effective, _ in benchmark.validation_lookups)
    assert set(paid.values()) == {searcher(name).repeats}
    assert [step.spent for step in trace.steps if step.value is not None][-1] == 24
    # The random seed determines the search.
    assert replay(searcher(name), benchmark, TrainingBudget(trainings=24), seed=1) == trace
    assert replay(searcher(name), benchmark, TrainingBudget(trainings=24), seed=2) != trace


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("nsga2", {}),
        ("nsga2-error", {"objectives": "error"}),
        ("nsga3", {"sampler": "nsga3"}),
        ("tpe", {"sampler": "tpe"}),
        ("random", {"sampler": "random"}),
    ],
)
def test_the_replay_of_a_sampler_is_the_search(name: str, setting: dict[str, str], storage_url: str) -> None:
    settings: dict[str, Any] = {"population": 20, "generations": 3, "patience": 3, "epochs": 1, "seed": 4, **setting}
    study = search("iris", storage=storage_url, flops="analytic", progress=False, **settings)
    trials = study.optuna.get_trials(deepcopy=False)
    circuits = [Genome.from_params(trial.params).circuit for trial in trials]
    accuracies = {effective_circuit(circuit): 1 - trial.values[1] for circuit, trial in zip(circuits, trials, strict=True)}
    # Circuits outside the search get an accuracy of 0.
    benchmark = MadeUp(lambda circuit: accuracies.get(circuit, 0.0), noise=0)
    trace = replay(searcher(name), benchmark, TrainingBudget(trainings=len(accuracies)), seed=4)
    assert len(trials) == 60
    suggested = [benchmark.circuits[step.row] for step in trace.steps]
    assert suggested == circuits[: len(suggested)] and set(suggested) == set(circuits[: len(suggested)])
    assert len(suggested) > 50


def test_a_budget_in_seconds_is_spent_by_the_clock_of_the_trainings() -> None:
    benchmark = MadeUp(by_qubits, noise=0.1)
    trace = replay(searcher("random"), benchmark, TrainingBudget(seconds=10), seed=0)
    seconds = [benchmark.seconds(benchmark.effective[step.row], 0) for step in trace.steps if step.value is not None]
    assert [step.spent for step in trace.steps if step.value is not None] == pytest.approx(np.cumsum(seconds))
    # The last training starts within the budget and may end after it.
    assert sum(seconds[:-1]) < 10 <= sum(seconds)


def test_a_search_that_finds_nothing_new_ends() -> None:
    class Stubborn(DistinctSampler):
        def sample_independent(self, study: optuna.Study, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return GENES[param_name][0]

    stubborn = SEARCHERS["random"].__class__(name="stubborn", description="", sampler=lambda seed: Stubborn(seed=seed))
    trace = replay(stubborn, MadeUp(by_qubits, noise=0), TWENTY, seed=0)
    assert trace.trainings == 1 and len(trace.steps) == 63


def test_circuits_at_random_are_all_different_and_in_the_end_all_there_are() -> None:
    study = optuna.create_study(sampler=DistinctSampler(seed=3))
    drawn = []
    for _ in range(300):
        trial = study.ask()
        genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in GENES.items()}
        drawn.append(effective_circuit(Genome.from_params(genes).circuit))
        study.tell(trial, 0.0)
    assert len(set(drawn)) == 300
    assert sorted(DistinctSampler(seed=3)._order) == list(range(6786))


def test_what_a_search_believes_is_the_mean_of_what_it_paid_for() -> None:
    benchmark = MadeUp(by_qubits, noise=0.2)
    trace = replay(searcher("random:3"), benchmark, TrainingBudget(trainings=30), seed=0)
    values: defaultdict[int, list[float]] = defaultdict(list)
    for step in trace.steps:
        if step.value is not None:
            values[step.row].append(step.value)
    assert {len(paid) for paid in values.values()} == {3}
    for circuit in estimated_front(trace, benchmark, spent=30):
        assert circuit.search_estimate == pytest.approx(np.mean(values[circuit.row])) and circuit.trainings == 3
    # At half of the budget the front contains only circuits trained by then.
    early = {step.row for step in trace.steps if step.spent <= 15}
    assert {circuit.row for circuit in estimated_front(trace, benchmark, spent=15)} <= early


def test_a_front_is_that_of_brute_force() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        flops, estimate = generator.integers(1, 12, 25), generator.integers(0, 8, 25) / 8
        circuits = [
            FrontCircuit(row=row, flops=int(f), search_estimate=float(b), trainings=1)
            for row, (f, b) in enumerate(zip(flops, estimate, strict=True))
        ]
        result = front(circuits)
        expected = {
            (circuit.flops, circuit.search_estimate)
            for circuit in circuits
            if not any(
                other.flops <= circuit.flops
                and other.search_estimate >= circuit.search_estimate
                and (other.flops, other.search_estimate) != (circuit.flops, circuit.search_estimate)
                for other in circuits
            )
        }
        assert [(circuit.flops, circuit.search_estimate) for circuit in result] == sorted(expected)
        # Among equal circuits the first one is kept.
        assert all(
            circuit.row
            == min(
                other.row
                for other in circuits
                if (other.flops, other.search_estimate) == (circuit.flops, circuit.search_estimate)
            )
            for circuit in result
        )
    assert front([]) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsga", "there is no searcher 'nsga': did you mean 'nsga"),
        ("nsga2:x", "searcher 'nsga2:x': the number of trainings per circuit must be from 1 to 100, as in nsga2:3"),
        ("nsga2:0", "must be from 1 to 100"),
    ],
)
def test_an_unknown_searcher_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        searcher(name)
