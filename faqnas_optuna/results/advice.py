"""What to make of a search that has ended: the signs of failure that the paper names, and the limits of a small budget."""

import math

import numpy as np

from faqnas_optuna.search.standing import Standing
from faqnas_optuna.search.study import Search

FEW_STEPS = 100
"""Below so many optimiser steps, accuracy is mostly a matter of the initial weights."""
MANY_FLOPS_QUANTILE = 0.75


def advice(standing: Standing) -> list[str]:
    """The signs of failure that the paper names, where they show, and the limits of a small budget; with what to try."""
    signs = (
        _poor_at_high_flops(standing),
        _single_point(standing),
        _stagnation_at_once(standing.search),
        _small_budget(standing.search),
    )
    return [sign for sign in signs if sign]


def _poor_at_high_flops(standing: Standing) -> str | None:
    trials = standing.by_circuit.values()
    flops = np.array([trial.values[0] for trial in trials])
    accuracies = np.array([trial.user_attrs["val_accuracy"] for trial in trials])
    best = accuracies[flops >= np.quantile(flops, MANY_FLOPS_QUANTILE)].max()
    if best >= 0.5:
        return None
    return (
        f"The dearest quarter of the circuits reaches only {best:.2f} accuracy: a barren plateau or a poor encoding."
        " Try --epochs 50, another --lr, or a space with fewer qubits."
    )


def _single_point(standing: Standing) -> str | None:
    points = {(candidate.quantum_flops, candidate.val_error) for candidate in standing.front}
    if len(points) > 1:
        return None
    return "The front is a single point: nothing is traded off. Try --population 40, more --epochs, or a wider space."


def _stagnation_at_once(search: Search) -> str | None:
    volumes = [closed.hypervolume for closed in search.ledger.closed_generations()]
    if len(volumes) < 2 or volumes[-1] > volumes[0]:
        return None
    return (
        "No generation improved on the first: the search stagnated at once."
        " Try --population 40, another --seed, or --repeats 3 against noise."
    )


def _small_budget(search: Search) -> str | None:
    training, sizes = search.config.training, search.description.sizes
    steps = training.epochs * math.ceil(sizes["train"] / training.batch_size)
    if steps >= FEW_STEPS:
        return None
    return (
        f"Each circuit was trained for {steps} optimiser steps and validated on {sizes['validation']} samples:"
        " such accuracies owe much to the initial weights. Try --epochs 50 or --repeats 5 before relying on them."
    )
