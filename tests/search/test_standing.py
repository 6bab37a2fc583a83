from collections import Counter
from collections.abc import Callable

import optuna

from faqnas_optuna.config import SpaceConfig
from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search
from tests.conftest import cheap_values, run_trials, small_config, successful


def test_a_trial_of_somebody_else_does_not_disturb(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 4, cheap_values)
    search.study.add_trial(optuna.create_trial(values=[0.0, 0.0]))
    standing = Standing.of(search)
    assert standing.successful == 4
    assert all(candidate.quantum_flops > 0 for candidate in standing.front)


def run_times(search: Search) -> Counter[str]:
    """How often each circuit has been run."""
    return Counter(trial.user_attrs["circuit"] for trial in successful(search))


def test_the_front_holds_each_non_dominated_circuit_once(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(space=SpaceConfig(n_qubits=(2, 3), depth=(1, 2))))
    run_trials(search, 24, cheap_values)
    found = Standing.of(search).front
    points = [(trial.values[0], trial.values[1]) for trial in successful(search)]
    digests = [candidate.record.circuit for candidate in found]
    assert len(set(digests)) == len(digests)
    assert any(count > 1 for circuit, count in run_times(search).items() if circuit in digests)
    on_front = {
        trial.user_attrs["circuit"]
        for trial in successful(search)
        if not any(a <= trial.values[0] and b <= trial.values[1] and (a, b) != tuple(trial.values) for a, b in points)
    }
    assert set(digests) == on_front
    assert [candidate.quantum_flops for candidate in found] == sorted(candidate.quantum_flops for candidate in found)
    for candidate in found:
        assert candidate.trial == min(
            trial.number for trial in successful(search) if trial.user_attrs["circuit"] == candidate.record.circuit
        )
