"""What to make of a search that has ended: what its values are worth, and the signs of failure that the paper names."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from faqnas_optuna.config import ErrorEstimate
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.reliability import WANTED

DEAREST_QUANTILE = 0.75


def advice(state: SearchState) -> Iterator[str]:
    """What is most useful to know of a search that has ended, a sentence or two each, with what to try.

    Where several signs show, the first explains the others: accuracies that are left to chance explain all, and poor ones a
    front of a single point, on which no generation can improve.
    """
    yield reliability_sentence(state.study)
    if _is_reliable(state.study):
        signs = (_poor_at_high_cost(state), _single_point(state), _stagnation_at_once(state.study))
        yield from list(filter(None, signs))[:1]


def reliability_sentence(search: StoredStudy[Any]) -> str:
    """How far a circuit's value would be the same if it were trained anew, and what would help."""
    repeats, measured = search.config.training.repeats, search.description.reliability
    trainings = "two trainings" if repeats == 1 else f"two means of {repeats} trainings"
    if measured is None:
        return f"How far {trainings} of one circuit agree was not measured."
    together = (
        "" if search.config.search.front is ErrorEstimate.POOLED else " --front pooled chooses by all trainings together."
    )
    reliability = measured.of_mean(repeats)
    low, high = (replace(measured, value=end).of_mean(repeats) for end in (measured.low, measured.high))
    how = "well" if reliability >= WANTED else "only so far"
    told = (
        f"{trainings.capitalize()} of one circuit agree {how}: {100 * reliability:.0f} % of what tells two circuits apart is"
        f" the circuits, the rest is luck (reliability {reliability:.2f}, 95 % interval {low:.2f} to {high:.2f})"
    )
    if reliability >= WANTED:
        return f"{told}."
    more, reached = measured.repeats, measured.of_mean(measured.repeats)
    if reached >= WANTED:
        most, least = (replace(measured, value=end).repeats for end in (measured.low, measured.high))
        return f"{told}; about {more} repeats ({least} to {most}) would give {WANTED}: --repeats auto takes {more}.{together}"
    told += f"; even {more} repeats, which --repeats auto takes, would give only {reached:.2f}"
    return f"{told}: try more --epochs.{together}"


def _is_reliable(search: StoredStudy[Any]) -> bool:
    measured = search.description.reliability
    return measured is None or measured.of_mean(search.config.training.repeats) >= WANTED


def _poor_at_high_cost(state: SearchState) -> str | None:
    trials, score = state.by_circuit.values(), state.study.config.score
    costs = np.array([trial.values[0] for trial in trials])
    scores = np.array([trial.user_attrs[f"val_{score.key}"] for trial in trials])
    best = scores[costs >= np.quantile(costs, DEAREST_QUANTILE)].max()
    if best >= 0.5:
        return None
    epochs = max(50, 2 * state.study.config.training.epochs)
    return (
        f"The dearest quarter of the circuits reaches only {best:.2f} {score.in_words}: a barren plateau or a poor encoding."
        f" Try --epochs {epochs}, another --lr, or a space with fewer qubits."
    )


def _single_point(state: SearchState) -> str | None:
    points = {(candidate.cost, candidate.val_error) for candidate in state.front}
    if len(points) > 1:
        return None
    return f"The front is a single point: nothing is traded off. Try {_more_population(state.study)}, or a wider space."


def _stagnation_at_once(search: StoredStudy[Any]) -> str | None:
    volumes = [closed.hypervolume for closed in search.metadata.closed_generations()]
    if len(volumes) < 2 or volumes[-1] > volumes[0]:
        return None
    repeats = max(3, 2 * search.config.training.repeats)
    return (
        "No generation improved on the first: the search stagnated at once."
        f" Try {_more_population(search)}, another --seed, or --repeats {repeats} against noise."
    )


def _more_population(search: StoredStudy[Any]) -> str:
    return f"--population {2 * search.config.search.population}"
