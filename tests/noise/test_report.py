"""Accuracies under noise: means, intervals, and noise factors at which a cheaper finalist overtakes a more expensive one."""

import numpy as np
import pytest
from scipy import stats

from faqnas_optuna.config import Score
from faqnas_optuna.noise.finalists import STRENGTHS
from faqnas_optuna.noise.model import noise_of
from faqnas_optuna.noise.report import noise_document, overtaking_sentences
from tests.support.noise import CHEAP, DEAR, document, under_noise


def test_a_circuit_has_mean_interval_and_values_at_each_strength() -> None:
    report = document(CHEAP, DEAR)
    (cheap, dear), strengths = report["circuits"], report["strengths"]
    assert strengths == list(STRENGTHS) and strengths[0] == 0
    assert (cheap["trial"], cheap["cost"], dear["trial"], cheap["seeds"]) == (5, 100, 3, [0, 1, 2])
    assert cheap["test_accuracies"][0] == [0.6, 0.8, 0.7]
    assert cheap["test_accuracy"][:3] == pytest.approx([0.7, 0.7, 0.7])
    t = stats.t.interval(0.95, 2, loc=0.7, scale=stats.sem([0.6, 0.8, 0.7]))
    assert cheap["test_accuracy_interval"][0] == pytest.approx(t)
    assert all(len(cheap[f"test_accuracy{name}"]) == len(STRENGTHS) for name in ("", "_interval"))
    assert (report["noise"], report["shots"], report["test_samples"]) == ("depolarizing:0.01", 1024, 36)
    assert report["two_qubit_depolarizing"] == 0.01
    assert "test_balanced_accuracies" in document(CHEAP, score=Score.BALANCED)["circuits"][0]


def test_the_cheaper_overtakes_where_its_mean_is_first_not_less() -> None:
    (entry,) = document(CHEAP, DEAR)["overtakings"]
    assert (entry["cheaper"], entry["dearer"], entry["strength"]) == (5, 3, STRENGTHS[2])
    differences = [0.1, 0.1, 0.0]
    assert entry["accuracies"] == pytest.approx([0.7, 1.9 / 3])
    assert entry["difference"] == pytest.approx(np.mean(differences))
    t = stats.t.interval(0.95, 2, loc=np.mean(differences), scale=stats.sem(differences))
    assert entry["difference_interval"] == pytest.approx(t)
    low, high = t
    assert list(overtaking_sentences([entry], "heron-r3")) == [
        "At noise factor 1 (heron-r3), the cheaper trial 5 draws level with trial 3: 0.700 against 0.633,"
        f" a difference of +0.067 (95 % CI {low:+.3f} to {high:+.3f})."
    ]


def test_who_is_ahead_without_noise_or_costs_the_same_overtakes_nobody() -> None:
    assert document(under_noise(5, 100, (0.9,)), under_noise(3, 900, (0.9,)))["overtakings"] == []
    assert document(under_noise(5, 100, (0.5,)), under_noise(3, 100, (0.9,)))["overtakings"] == []


def test_to_overtake_is_to_be_better_as_far_as_the_seeds_tell() -> None:
    cheap = under_noise(5, 100, (0.5, 0.8), (0.5, 0.8), (0.5, 0.7))
    dear = under_noise(3, 900, (0.9, 0.6), (0.9, 0.61), (0.9, 0.5))
    (sentence,) = overtaking_sentences(document(cheap, dear)["overtakings"], "eagle")
    assert sentence.startswith(
        "At noise factor 0.5 (eagle), the cheaper trial 5 overtakes trial 3: 0.767 against 0.570, a difference of"
    )


def test_who_stays_behind_is_told() -> None:
    cheap, dear, dearer = (
        under_noise(trial, 100 * trial, [accuracy] * len(STRENGTHS)) for trial, accuracy in ((1, 0.7), (2, 0.8), (3, 0.9))
    )
    entries = document(cheap, dear, dearer)["overtakings"]
    assert [(entry["cheaper"], entry["dearer"], entry["strength"]) for entry in entries] == [
        (1, 2, None),
        (1, 3, None),
        (2, 3, None),
    ]
    assert list(overtaking_sentences(entries, "eagle")) == [
        "In 3 pairs the cheaper circuit is worse at all noise factors up to 32."
    ]
    assert list(overtaking_sentences(entries[:1], "eagle")) == [
        "The cheaper trial 1 is worse than trial 2 at all noise factors up to 32."
    ]


def test_a_single_seed_has_no_interval() -> None:
    report = document(under_noise(5, 100, (0.5, 0.5)), under_noise(3, 900, (0.9, 0.4)))
    assert report["circuits"][0]["test_accuracy_interval"][0] is None
    (entry,) = report["overtakings"]
    assert entry["difference_interval"] is None
    (sentence,) = overtaking_sentences([entry], "eagle")
    assert sentence.endswith("draws level with trial 3: 0.500 against 0.400, a difference of +0.100.")


def test_seeds_that_one_of_them_lacks_are_left_out() -> None:
    few = under_noise(5, 100, (0.8, 0.8))
    (entry,) = document(few, DEAR)["overtakings"]
    assert entry["accuracies"] == pytest.approx([0.8, 0.7])


def test_a_device_is_told_with_what_it_does() -> None:
    report = noise_document([CHEAP], noise_of("heron-r3"), shots=None, samples=36, constant=0.4, score=Score.ACCURACY)
    assert report["shots"] is None
    assert report["readout_flip"] == 4.517e-3
    assert report["one_qubit_depolarizing"] == pytest.approx(1.5 * 1.994e-4)
