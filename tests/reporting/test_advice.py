from collections.abc import Callable
from dataclasses import replace

import pytest

from faqnas_optuna.circuits.genome import Genome, Rotation
from faqnas_optuna.config import SearchConfig, TrainingConfig
from faqnas_optuna.reporting.advice import advice, reliability_sentence
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.reliability import Reliability
from tests.conftest import cheap_values, run_trials, small_config, successful

NOT_MEASURED = "The agreement of two trainings of one circuit was not measured."


@pytest.mark.parametrize(
    ("value", "repeats", "sentence"),
    [
        (
            0.15,
            1,
            "Two trainings of one circuit agree poorly: 15 % of the variance in accuracy comes from the circuit, the rest from"
            " the random seed (reliability 0.15, 95 % CI 0.05 to 0.30); averaging about 23 trainings per circuit (10 to 50)"
            " would raise the reliability to 0.8: --repeats auto chooses 23. --front pooled selects the front by errors"
            " estimated from the trainings of all circuits.",
        ),
        (
            0.15,
            23,
            "Two means of 23 trainings of one circuit agree well: 80 % of the variance in accuracy comes from the circuit, the"
            " rest from the random seed (reliability 0.80, 95 % CI 0.55 to 0.91).",
        ),
        (
            0.02,
            1,
            "Two trainings of one circuit agree poorly: 2 % of the variance in accuracy comes from the circuit, the rest from"
            " the random seed (reliability 0.02, 95 % CI 0.00 to 0.30); even averaging 50 trainings per circuit, the choice of"
            " --repeats auto, would raise the reliability only to 0.51: try more --epochs. --front pooled selects the front by"
            " errors estimated from the trainings of all circuits.",
        ),
    ],
)
def test_what_trainings_are_worth(new_search: Callable[..., Search], value: float, repeats: int, sentence: str) -> None:
    measured = Reliability(value=value, low=0.05 if value > 0.05 else -0.1, high=0.3, circuits=24, trainings=4)
    search = new_search(small_config(training=TrainingConfig(repeats=repeats)))
    search = replace(search, description=replace(search.description, reliability=measured))
    assert reliability_sentence(search) == sentence


def test_a_search_with_unreliable_trainings_names_the_time_of_a_race(
    new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faqnas_optuna.reporting.advice.cores", lambda: 4)
    space = SpaceConfig(n_qubits=(2, 3, 4), depth=(1,), rotation=(Rotation.RX, Rotation.RY))
    search = new_search(small_config(space=space, training=TrainingConfig(repeats=2)))
    measured = Reliability(value=0.15, low=0.05, high=0.3, circuits=24, trainings=4)
    search = replace(search, description=replace(search.description, reliability=measured))
    # A trial of two trainings takes 2 s on two qubits, and 4 s on three. No circuit of four qubits is tried.
    for n_qubits in (2, 3, 2, 3):
        search.study.enqueue_trial({"n_qubits": n_qubits})
    run_trials(search, 4, lambda _: (100.0, 0.7), seconds=lambda genome: 2.0 * (genome.n_qubits - 1))
    _, remark = advice(read_state(search))
    # 8 frames and 2 rotations for each number of qubits, with 1, 2 and 4 s for each training, on four cores.
    assert remark.endswith("mean scores, here in roughly 7.5 min on 4 cores.")


def test_what_is_left_to_luck_is_told_alone(new_search: Callable[..., Search]) -> None:
    """Check the advice for a search with one point, no progress and poor accuracies, all explained by its reliability."""
    search = new_search(small_config(search=SearchConfig(population=4, generations=8)))
    measured = Reliability(value=0.15, low=0.05, high=0.3, circuits=24, trainings=4)
    search = replace(search, description=replace(search.description, reliability=measured))
    run_trials(search, 12, lambda _: (100.0, 0.7))
    search.advance(read_state(search))
    (sentence,) = advice(read_state(search))
    assert sentence == reliability_sentence(search)


@pytest.mark.parametrize(
    ("values", "sign", "attempt"),
    [
        (lambda _: (100.0, 0.7), "reaches at most 0.30 accuracy: a barren plateau", "Try --epochs 120, another --lr"),
        (lambda _: (100.0, 0.2), "The front is a single point", "Try --population 8"),
        (lambda genome: (genome.depth, 0.2), "The front is a single point", "Try --population 8"),
    ],
)
def test_signs_of_failure_are_told_with_what_to_try(
    new_search: Callable[..., Search], values: Callable[[Genome], tuple[float, float]], sign: str, attempt: str
) -> None:
    search = new_search(small_config(training=TrainingConfig(epochs=60), search=SearchConfig(population=4, generations=8)))
    run_trials(search, 12, values)
    search.advance(read_state(search))
    first, line = advice(read_state(search))
    assert first == NOT_MEASURED
    assert sign in line and attempt in line


def test_stagnation_at_once_is_told_where_the_front_has_several_points(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(training=TrainingConfig(epochs=60)))
    run_trials(search, 8, cheap_values)
    search.advance(read_state(search))
    generation = search.study.user_attrs["generation:0"]
    search.study.set_user_attr("generation:1", generation | {"generation": 1})
    _, line = advice(read_state(search))
    assert "the search stagnated immediately. Try --population 8, another --seed, or --repeats 3" in line


def test_no_signs_no_advice(new_search: Callable[..., Search]) -> None:
    space = SpaceConfig(n_qubits=(2, 3, 4, 5, 6))
    search = new_search(small_config(training=TrainingConfig(epochs=60), space=space))
    while True:
        run_trials(search, 4, cheap_values)
        search.advance(read_state(search))
        if len({trial.values[0] for trial in successful(search)}) > 3:
            break
    search.study.set_user_attr("generation:1", search.study.user_attrs["generation:0"] | {"hypervolume": 1.0})
    assert list(advice(read_state(search))) == [NOT_MEASURED]
