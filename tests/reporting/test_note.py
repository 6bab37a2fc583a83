import re
from collections.abc import Callable
from datetime import datetime

import pytest

from faqnas_optuna.config import Engine, FlopsCounter, TrainingConfig
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import versions
from tests.conftest import cheap_values, run_trials, small_config


def test_a_note_has_four_short_paragraphs(search_of_eight: Search) -> None:
    note = study_note(read_state(search_of_eight))
    assert list(note) == ["Objectives", "Protocol", "Reliability", "Origin"]
    assert all(len(re.findall(r"\.(?=\s|$)", paragraph)) <= 3 for paragraph in note.values())


def test_the_protocol_is_told_in_full(search_of_eight: Search) -> None:
    assert study_note(read_state(search_of_eight))["Protocol"] == (
        "Each circuit was trained by the fast engine from seed 0 on 90 samples of iris, whose means and standard deviations"
        " standardise all features, for 1 epoch of Adam with a learning rate of 0.003 and batches of 64. It was evaluated on 30"
        " validation samples; the 30 test samples were not used."
    )


def test_other_settings_are_told_too(new_search: Callable[..., Search]) -> None:
    training = TrainingConfig(epochs=50, learning_rate=0.01, batch_size=8, repeats=5)
    config = small_config(training=training, seed=7, engine=Engine.PENNYLANE, flops=FlopsCounter.ANALYTIC)
    note = study_note(read_state(new_search(config)))
    assert "counted from the arithmetic on the state vector" in note["Objectives"]
    assert "by the pennylane engine 5 times from seed 7" in note["Protocol"]
    assert "for 50 epochs of Adam with a learning rate of 0.01 and batches of 8" in note["Protocol"]
    assert note["Reliability"] == "The agreement of two means of 5 trainings of one circuit was not measured."


def test_the_reliability_is_that_of_so_few_samples(new_search: Callable[..., Search]) -> None:
    """Check Wilson's interval for 24 correct of 30, (0.6269, 0.9049) by the formula."""
    search = new_search()
    run_trials(search, 4, lambda genome: (cheap_values(genome)[0], 0.2))
    reliability = study_note(read_state(search))["Reliability"]
    details = "(Wilson 95 % CI 0.627 to 0.905; majority class 0.333)"
    assert reliability.startswith(f"The best accuracy on 30 validation samples is 0.800 {details}. ")
    assert reliability.endswith(
        "As the best of 4 circuits it is optimistically biased. The agreement of two trainings of one circuit was not measured."
    )


def test_who_made_it_is_told(search_of_eight: Search) -> None:
    origin = study_note(read_state(search_of_eight))["Origin"]
    created = datetime.fromisoformat(search_of_eight.description.created)
    assert f"on {created:%Y-%m-%d %H:%M} UTC by faqnas-optuna {versions()['faqnas-optuna']}" in origin
    assert "other versions" not in origin
    search_of_eight.metadata.record_versions({**versions(), "numpy": "1.26.0"})
    assert "some workers had other versions" in study_note(read_state(search_of_eight))["Origin"]


@pytest.mark.parametrize("at", ["2026-11-25T13:42:17+00:00", "2026-11-25T14:42:17.123456+01:00"])
def test_a_time_is_told_in_utc(at: str) -> None:
    assert to_the_minute(at) == "2026-11-25 13:42 UTC"
