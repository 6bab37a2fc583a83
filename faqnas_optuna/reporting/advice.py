"""Advice after a search: the reliability of its values, and the signs of failure that the paper names."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from faqnas_optuna.config import ErrorEstimate
from faqnas_optuna.machine import cores
from faqnas_optuna.study.race_size import TRAININGS_PER_CIRCUIT, expected_seconds
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.reliability import WANTED
from faqnas_optuna.wording import counted, duration_text

DEAREST_QUANTILE = 0.75
"""Quantile of the cost from which a circuit counts as expensive."""


def advice(state: SearchState) -> Iterator[str]:
    """Yield the most useful remarks on a finished search, each with what to try next."""
    yield reliability_sentence(state.study)
    if not _is_reliable(state.study):
        yield from filter(None, [_race_remark(state)])
    # Only the first sign is reported, since it explains the later ones: unreliable accuracies explain them all, and poor
    # accuracies explain a front of one point, on which no generation can improve.
    if _is_reliable(state.study):
        signs = (_poor_at_high_cost(state), _single_point(state), _stagnation_at_once(state.study))
        yield from list(filter(None, signs))[:1]


def reliability_sentence(search: StoredStudy[Any]) -> str:
    """Return how well repeated trainings of one circuit agree and, if they agree poorly, what would help.

    The reliability of the mean of several trainings follows from the measured one by the Spearman-Brown formula.
    """
    repeats = search.config.training.repeats
    measured = search.description.reliability
    trainings = "two trainings" if repeats == 1 else f"two means of {repeats} trainings"
    if measured is None:
        return f"The agreement of {trainings} of one circuit was not measured."
    reliability = measured.of_mean(repeats)
    # The formula is monotonic, so the ends of the interval may be transformed like the value itself.
    low, high = (replace(measured, value=end).of_mean(repeats) for end in (measured.low, measured.high))
    how = "well" if reliability >= WANTED else "poorly"
    agreement = (
        f"{trainings.capitalize()} of one circuit agree {how}: {100 * reliability:.0f} % of the variance in"
        f" {search.config.score.in_words} comes from the circuit, the rest from the random seed (reliability {reliability:.2f},"
        f" 95 % CI {low:.2f} to {high:.2f})"
    )
    if reliability >= WANTED:
        return f"{agreement}."
    is_pooled = search.config.search.front is ErrorEstimate.POOLED
    pooling = "" if is_pooled else " --front pooled selects the front by errors estimated from the trainings of all circuits."
    more_repeats = measured.repeats
    reliability_of_more = measured.of_mean(more_repeats)
    if reliability_of_more >= WANTED:
        # The lower the reliability of one training, the more trainings are needed.
        most, least = (replace(measured, value=end).repeats for end in (measured.low, measured.high))
        return (
            f"{agreement}; averaging about {more_repeats} trainings per circuit ({least} to {most}) would raise the"
            f" reliability to {WANTED}: --repeats auto chooses {more_repeats}.{pooling}"
        )
    # Even the maximum number of repeats is not enough.
    return (
        f"{agreement}; even averaging {more_repeats} trainings per circuit, the choice of --repeats auto, would raise the"
        f" reliability only to {reliability_of_more:.2f}: try more --epochs.{pooling}"
    )


def _race_remark(state: SearchState) -> str | None:
    """Return how long a race would take, which is the remedy for unreliable trainings; None if it is not known."""
    processes = cores()
    seconds = expected_seconds(state, processes=processes)
    if seconds is None:
        return None
    return (
        f"race spends {TRAININGS_PER_CIRCUIT} trainings per circuit of the space on average and reports mean scores, here in"
        f" roughly {duration_text(seconds)} on {counted(processes, 'core')}."
    )


def _is_reliable(search: StoredStudy[Any]) -> bool:
    # Without a measurement the values count as reliable, so that the other signs are still reported.
    measured = search.description.reliability
    return measured is None or measured.of_mean(search.config.training.repeats) >= WANTED


def _poor_at_high_cost(state: SearchState) -> str | None:
    """Return a remark if even the most expensive quarter of the circuits does not reach a score of 0.5."""
    trials = state.by_circuit.values()
    score = state.study.config.score
    costs = np.array([trial.values[0] for trial in trials])
    scores = np.array([trial.user_attrs[f"val_{score.key}"] for trial in trials])
    # The paper names accuracies below 50 % at high cost as a sign of failure.
    best = scores[costs >= np.quantile(costs, DEAREST_QUANTILE)].max()
    if best >= 0.5:
        return None
    epochs = max(50, 2 * state.study.config.training.epochs)
    return (
        f"The most expensive quarter of the circuits reaches at most {best:.2f} {score.in_words}: a barren plateau or a poor"
        f" encoding. Try --epochs {epochs}, another --lr, or a space with fewer qubits."
    )


def _single_point(state: SearchState) -> str | None:
    """Return a remark if all circuits of the front have the same cost and error."""
    points = {(candidate.cost, candidate.val_error) for candidate in state.front}
    if len(points) > 1:
        return None
    return f"The front is a single point, so there is no trade-off. Try {_more_population(state.study)}, or a wider space."


def _stagnation_at_once(search: StoredStudy[Any]) -> str | None:
    """Return a remark if no generation improved the hypervolume of the first."""
    volumes = [generation.hypervolume for generation in search.metadata.closed_generations()]
    # Comparing the last with the first suffices: circuits are only added, so the hypervolume never falls.
    if len(volumes) < 2 or volumes[-1] > volumes[0]:
        return None
    repeats = max(3, 2 * search.config.training.repeats)
    return (
        "No generation improved on the first: the search stagnated immediately."
        f" Try {_more_population(search)}, another --seed, or --repeats {repeats} to reduce noise."
    )


def _more_population(search: StoredStudy[Any]) -> str:
    return f"--population {2 * search.config.search.population}"
