from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from unittest.mock import Mock

import numpy as np
import optuna
import pytest

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import ErrorEstimate, SearchConfig
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study import state as state_module
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.pooling import pooled_errors
from tests.conftest import cheap_values, run_trials, small_config, successful


def test_a_trial_of_somebody_else_does_not_disturb(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 4, cheap_values)
    search.study.add_trial(optuna.create_trial(values=[0.0, 0.0]))
    state = read_state(search)
    assert state.successful == 4
    assert all(candidate.quantum_flops > 0 for candidate in state.front)


def run_times(search: Search) -> Counter[str]:
    """Return the number of trials of each circuit."""
    return Counter(trial.user_attrs["circuit"] for trial in successful(search))


def test_the_front_holds_each_non_dominated_circuit_once(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(space=SpaceConfig(n_qubits=(2, 3), depth=(1, 2))))
    run_trials(search, 24, cheap_values)
    front = read_state(search).front
    points = [(trial.values[0], trial.values[1]) for trial in successful(search)]
    digests = [candidate.record.circuit for candidate in front]
    assert len(set(digests)) == len(digests)
    assert any(count > 1 for circuit, count in run_times(search).items() if circuit in digests)
    on_front = {
        trial.user_attrs["circuit"]
        for trial in successful(search)
        if not any(a <= trial.values[0] and b <= trial.values[1] and (a, b) != tuple(trial.values) for a, b in points)
    }
    assert set(digests) == on_front
    assert [candidate.quantum_flops for candidate in front] == sorted(candidate.quantum_flops for candidate in front)
    for candidate in front:
        assert candidate.trial == min(
            trial.number for trial in successful(search) if trial.user_attrs["circuit"] == candidate.record.circuit
        )


def noisy_values(genome: Genome) -> tuple[float, float]:
    """Return values that are random but equal for circuits with the same effective gates."""
    digest = int(effective_circuit(genome.circuit).digest, 16)
    luck = np.random.default_rng(digest).normal(0, 0.1)
    return float(genome.n_qubits * genome.circuit.depth), float(np.clip(0.6 - 0.03 * genome.n_qubits + luck, 0, 1))


def test_a_pooled_front_is_that_of_what_all_trainings_say_together(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=40, generations=2, front=ErrorEstimate.POOLED)))
    run_trials(search, 60, noisy_values)
    state = read_state(search)
    trained = {trial.user_attrs["circuit"]: trial for trial in reversed(successful(search))}
    circuits = {digest: Genome.from_params(trial.params).circuit for digest, trial in trained.items()}
    effective = {digest: effective_circuit(circuit) for digest, circuit in circuits.items()}
    errors = {effective[digest]: trial.values[1] for digest, trial in trained.items()}
    pooled = dict(zip(errors, pooled_errors([*errors], [*errors.values()], [1] * len(errors)), strict=True))
    points = {digest: (trial.values[0], pooled[effective[digest]]) for digest, trial in trained.items()}
    candidates = {candidate.record.circuit: candidate for candidate in state.front}
    on_front = {
        digest
        for digest, point in points.items()
        if not any(a <= point[0] and b <= point[1] and (a, b) != point for a, b in points.values())
    }
    assert set(candidates) == on_front
    for digest, candidate in candidates.items():
        assert candidate.val_error == pytest.approx(points[digest][1])
        assert candidate.search_estimate(search.config) == 1 - candidate.val_error
        # The scores remain those of the trial's own training.
        assert candidate.scores.val_accuracy == pytest.approx(1 - trained[digest].values[1])
    assert {one.record.circuit for one in state.candidates} == set(trained)
    # The front of the trained errors differs; its hypervolume measures the search's progress.
    raw = new_search(small_config(search=SearchConfig(population=40, generations=2)), name="trained")
    run_trials(raw, 60, noisy_values)
    assert {one.record.circuit for one in read_state(raw).front} != on_front
    assert read_state(raw).hypervolume == state.hypervolume


@pytest.mark.parametrize("step_s", [0, -3600, 3600, 10**5], ids=["none", "back", "forward", "over night"])
def test_the_pace_leaves_out_pauses_and_steps_of_the_clock(new_search: Callable[..., Search], step_s: int) -> None:
    """Step the clock after half of the trials."""
    search = new_search()
    run_trials(search, 20, cheap_values, seconds=lambda _: 12)
    began = datetime(2026, 1, 1)
    for trial in search.study.get_trials(deepcopy=False):
        trial.datetime_complete = began + timedelta(seconds=12 * trial.number + (step_s if trial.number >= 10 else 0))
    assert read_state(search).trials_per_minute == pytest.approx(5)


@pytest.mark.parametrize(("trials", "pace"), [(1, None), (2, 2.4), (7, 7 * 60 / 200), (8, 2.4), (200, 2.4)])
def test_the_pace_of_two_workers_is_that_of_their_pairs(
    new_search: Callable[..., Search], trials: int, pace: float | None
) -> None:
    """End two trials of 50 seconds each at a time."""
    search = new_search()
    run_trials(search, trials, cheap_values, seconds=lambda _: 50)
    for trial in search.study.get_trials(deepcopy=False):
        trial.datetime_complete = datetime(2026, 1, 1) + timedelta(seconds=50 * (trial.number // 2))
    assert read_state(search).trials_per_minute == pytest.approx(pace)


def test_the_size_of_a_pooled_front_is_not_computed(new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> None:
    searches = {
        belief: new_search(small_config(search=SearchConfig(population=10, front=belief)), belief) for belief in ErrorEstimate
    }
    counted = Mock(side_effect=pooled_errors)
    monkeypatch.setattr(state_module, "pooled_errors", counted)
    for search in searches.values():
        run_trials(search, 20, noisy_values)
    progress = {belief: search.progress(read_state(search)) for belief, search in searches.items()}
    counted.assert_not_called()
    assert progress[ErrorEstimate.TRAINED].front == len(read_state(searches[ErrorEstimate.TRAINED]).front)
    assert progress[ErrorEstimate.POOLED].front is None
    assert "front" not in progress[ErrorEstimate.POOLED].describe() and "front" in progress[ErrorEstimate.TRAINED].describe()


def test_a_pooled_front_is_computed_again_only_for_new_trials(
    new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search(small_config(search=SearchConfig(population=10, front=ErrorEstimate.POOLED)))
    run_trials(search, 20, noisy_values)
    counted = Mock(side_effect=pooled_errors)
    monkeypatch.setattr(state_module, "pooled_errors", counted)
    state = read_state(search)
    first = state.front
    assert (state.front, counted.call_count) == (first, 1)
    run_trials(search, 1, noisy_values)
    state.refresh()
    assert state.front == read_state(search).front
    assert counted.call_count == 3
