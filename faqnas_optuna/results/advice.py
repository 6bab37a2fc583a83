"""What to make of a search that has ended: the signs of failure that the paper names, and the limits of a small budget."""

import math

import numpy as np

from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search

FEW_STEPS = 100
"""Below so many optimiser steps, accuracy is mostly a matter of the initial weights."""
MANY_FLOPS_QUANTILE = 0.75


def advice(standing: Standing) -> str | None:
    """What is most useful to know of a search that has ended, with what to try; None if nothing is wrong with it.

    Where several signs show, the first explains the others: few steps leave accuracies to chance, and poor ones a front of a
    single point, on which no generation can improve.
    """
    signs = (
        _small_budget(standing.search),
        _poor_at_high_flops(standing),
        _single_point(standing),
        _stagnation_at_once(standing.search),
    )
    return next(filter(None, signs), None)


def _poor_at_high_flops(standing: Standing) -> str | None:
    trials = standing.by_circuit.values()
    flops = np.array([trial.values[0] for trial in trials])
    accuracies = np.array([trial.user_attrs["val_accuracy"] for trial in trials])
    best = accuracies[flops >= np.quantile(flops, MANY_FLOPS_QUANTILE)].max()
    if best >= 0.5:
        return None
    return (
        f"The dearest quarter of the circuits reaches only {best:.2f} accuracy: a barren plateau or a poor encoding."
        f" Try {_more_epochs(standing.search)}, another --lr, or a space with fewer qubits."
    )


def _single_point(standing: Standing) -> str | None:
    points = {(candidate.quantum_flops, candidate.val_error) for candidate in standing.front}
    if len(points) > 1:
        return None
    return f"The front is a single point: nothing is traded off. Try {_more_population(standing.search)}, or a wider space."


def _stagnation_at_once(search: Search) -> str | None:
    volumes = [closed.hypervolume for closed in search.ledger.closed_generations()]
    if len(volumes) < 2 or volumes[-1] > volumes[0]:
        return None
    return (
        "No generation improved on the first: the search stagnated at once."
        f" Try {_more_population(search)}, another --seed, or {_more_repeats(search)} against noise."
    )


def _small_budget(search: Search) -> str | None:
    training, sizes = search.config.training, search.description.sizes
    steps = training.epochs * math.ceil(sizes["train"] / training.batch_size)
    if steps >= FEW_STEPS:
        return None
    return (
        f"Each circuit was trained for {steps} optimiser steps and validated on {sizes['validation']} samples:"
        f" such accuracies owe much to the initial weights. Try {_more_epochs(search)} before relying on them."
    )


def _more_epochs(search: Search) -> str:
    return f"--epochs {max(50, 2 * search.config.training.epochs)}"


def _more_population(search: Search) -> str:
    return f"--population {2 * search.config.search.population}"


def _more_repeats(search: Search) -> str:
    return f"--repeats {max(3, 2 * search.config.training.repeats)}"
