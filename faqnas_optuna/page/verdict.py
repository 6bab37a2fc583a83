"""Verdict on a study in three sentences: the circuit to take, its reliability, and its comparison with baselines."""

from collections.abc import Mapping
from typing import Any

from faqnas_optuna.config import ErrorEstimate, Score
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.reporting.race_report import bound_sentence
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.training.statistics import accuracy_interval
from faqnas_optuna.wording import counted, interval_text

Document = Mapping[str, Any]


def verdict(state: SearchState, rule: SelectionRule, confirmation: Document | None) -> list[str]:
    """Return the three sentences.

    Args:
        state: State of a study with a front.
        rule: Rule that selects the circuit.
        confirmation: A `confirmation_document`; None without a confirmation.
    """
    # Read once: a pooled front is computed each time.
    front = state.front
    chosen = state.choose(rule)
    why = rule.why(front, cost_with_name=state.study.config.cost_with_name)
    entry = confirmed_entry(chosen, confirmation)
    choice = f"By the rule {rule}, take trial {chosen.trial} ({chosen.effective_gates}): {why}."
    if confirmation and entry:
        return [choice, _confirmed(entry, confirmation), entry["message"]]
    command = f"faqnas-optuna confirm {state.study.name} --trials {chosen.trial}"
    missing = (
        "It has neither been evaluated on the test part nor compared with baselines, such as the network without a circuit:"
        f" {command} does both."
    )
    # The scores of a race are means over many trainings, with a guarantee in place of a warning.
    if state.study.description.race is not None:
        return [choice, bound_sentence(state.study.description), missing]
    return [choice, _estimated(chosen, state), missing]


def confirmed_entry(candidate: Candidate, confirmation: Document | None) -> Document | None:
    """Return the entry of a circuit in a `confirmation_document`; None if it is not confirmed."""
    # By the digest, since another trial may have suggested the circuit that was confirmed.
    circuits = confirmation["circuits"] if confirmation else ()
    return next((entry for entry in circuits if entry["circuit"] == candidate.record.circuit), None)


def _confirmed(entry: Document, confirmation: Document) -> str:
    score = Score(confirmation["score"])
    name = f"test_{score.key}"
    # A running confirmation has fewer seeds so far than it will have.
    seeds = len(entry[name.replace("accuracy", "accuracies")])
    ends = entry[f"{name}_interval"]
    interval = "" if ends is None else f" (95 % CI {interval_text(ends)})"
    optimism = entry["optimism"]
    # Optimism is positive if the search overestimated the circuit.
    direction = "below" if optimism > 0 else "above"
    return (
        f"Retrained for {counted(confirmation['epochs'], 'epoch')} from {counted(seeds, 'new seed')}, it has a mean"
        f" {heading_of_test_score(score)} of {entry[name]:.3f}{interval}, {abs(optimism):.3f} {direction} its search estimate"
        f" of {entry[f'val_{score.key}']:.3f}."
    )


def _estimated(chosen: Candidate, state: SearchState) -> str:
    """Return the search estimate of a circuit that was not confirmed."""
    config = state.study.config
    score = chosen.search_estimate(config)
    interval = ""
    # Neither interval belongs to an error that is pooled over all trainings.
    if config.search.front is ErrorEstimate.TRAINED:
        if ends := chosen.scores.interval(config.score, config.training.repeats):
            interval = f" (95 % CI {interval_text(ends)} over {config.training.repeats} trainings)"
        elif config.score is Score.ACCURACY and config.training.repeats == 1:
            samples = state.study.description.sizes["validation"]
            interval = f" (Wilson 95 % CI {interval_text(accuracy_interval(score, samples))} for {samples:,} samples)"
    return (
        f"Its validation {config.score.in_words} of {score:.3f}{interval} is optimistically biased,"
        f" because it was selected among {counted(len(state.by_circuit), 'circuit')}."
    )
