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


def test_a_note_is_four_sentences(search_of_eight: Search) -> None:
    note = study_note(read_state(search_of_eight))
    assert list(note) == ["Objectives", "Protocol", "Reliability", "Made"]
    assert len(re.findall(r"\.(?=\s|$)", " ".join(note.values()))) == 4


def test_the_protocol_is_told_in_full(search_of_eight: Search) -> None:
    assert study_note(read_state(search_of_eight))["Protocol"] == (
        "Each circuit was trained by the fast engine from seed 0, on 90 samples of iris whose mean and deviation scale all"
        " features, for 1 epoch of Adam at a learning rate of 0.003 in batches of 64, and judged on 30 other samples, while 30"
        " test samples were left alone."
    )


def test_other_settings_are_told_too(new_search: Callable[..., Search]) -> None:
    training = TrainingConfig(epochs=50, learning_rate=0.01, batch_size=8, repeats=5)
    config = small_config(training=training, seed=7, engine=Engine.PENNYLANE, flops=FlopsCounter.ANALYTIC)
    note = study_note(read_state(new_search(config)))
    assert "counted from the arithmetic on the state vector" in note["Objectives"]
    assert "by the pennylane engine 5 times from seed 7 on" in note["Protocol"]
    assert "for 50 epochs of Adam at a learning rate of 0.01 in batches of 8" in note["Protocol"]
    assert note["Reliability"] == ("How far two means of 5 trainings of one circuit agree was not measured.")


def test_the_reliability_is_that_of_so_few_samples(new_search: Callable[..., Search]) -> None:
    """Wilson's interval of 24 right of 30: (0.6269, 0.9049) by the formula."""
    search = new_search()
    run_trials(search, 4, lambda genome: (cheap_values(genome)[0], 0.2))
    told = study_note(read_state(search))["Reliability"]
    majority = "(always answering the majority class: 0.333)"
    assert told.startswith(f"On 30 validation samples the best accuracy, 0.800 {majority}, is uncertain by ±0.139")
    assert "(Wilson's 95 % interval, 0.627 to 0.905)" in told
    assert told.endswith("being the best of 4 circuits; how far two trainings of one circuit agree was not measured.")


def test_who_made_it_is_told(search_of_eight: Search) -> None:
    told = study_note(read_state(search_of_eight))["Made"]
    created = datetime.fromisoformat(search_of_eight.description.created)
    assert f"on {created:%Y-%m-%d %H:%M} UTC by faqnas-optuna {versions()['faqnas-optuna']}" in told
    assert "other versions" not in told
    search_of_eight.metadata.record_versions({**versions(), "numpy": "1.26.0"})
    assert "some workers had other versions" in study_note(read_state(search_of_eight))["Made"]


@pytest.mark.parametrize("at", ["2026-11-25T13:42:17+00:00", "2026-11-25T14:42:17.123456+01:00"])
def test_a_time_is_told_in_utc(at: str) -> None:
    assert to_the_minute(at) == "2026-11-25 13:42 UTC"
