import json
from dataclasses import replace

from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.page.verdict import verdict
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import read_state

BEST = SelectionRule.parse("best")


def test_an_unconfirmed_circuit_is_optimistic(search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    chosen = BEST.choose(state.front)
    choice, estimate, missing = verdict(state, BEST, None)
    assert choice.startswith(f"By the rule best, take trial {chosen.trial} ({chosen.effective_gates}): of ")
    assert "optimistically biased" in estimate and "(Wilson 95 % CI " in estimate and " for 30 samples)" in estimate
    assert f"validation accuracy of {1 - chosen.val_error:.3f}" in estimate
    assert missing.endswith(f"faqnas-optuna confirm iris --trials {chosen.trial} does both.")


def test_a_confirmed_circuit_has_its_test_accuracy_and_controls(confirmed: Confirmation) -> None:
    state = read_state(load(confirmed.study._storage, "iris"))
    document = confirmation_document(confirmed)
    chosen = BEST.choose(state.front)
    (entry,) = [entry for entry in document["circuits"] if entry["trial"] == chosen.trial]
    choice, estimate, comparison = verdict(state, BEST, document)
    low, high = entry["test_accuracy_interval"] or (None, None)
    interval = "" if low is None else f" (95 % CI {low:.3f} to {high:.3f})"
    side = "below" if entry["optimism"] > 0 else "above"
    assert estimate == (
        f"Retrained for 2 epochs from 3 new seeds, it has a mean test accuracy of {entry['test_accuracy']:.3f}{interval},"
        f" {abs(entry['optimism']):.3f} {side} its search estimate of {entry['val_accuracy']:.3f}."
    )
    assert comparison == entry["message"]
    # A circuit that is not among the confirmed ones has no test score.
    others = json.loads(json.dumps(document)) | {"circuits": [one for one in document["circuits"] if one is not entry]}
    assert "optimistically biased" in verdict(state, BEST, others)[1]


def test_a_race_has_its_certificate(search_of_eight: Search) -> None:
    race = RaceSummary(budget=100, within=0.05, level=0.95, epsilon=0.04, is_complete=True)
    raced = replace(search_of_eight, description=replace(search_of_eight.description, race=race))
    state = read_state(search_of_eight)
    state.study = raced
    assert verdict(state, BEST, None)[1] == (
        "With 95 % confidence, no circuit of the space has an expected validation accuracy more than 0.05 above that of the"
        " circuit on the front at the same cost or less."
    )
