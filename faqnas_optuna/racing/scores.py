"""Scores of the trainings of a race, by circuit and number of the training."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from faqnas_optuna.racing.bounds import Floats, Histograms, Integers


class Block(NamedTuple):
    """Consecutive trainings of one circuit."""

    circuit: int
    """Index of the circuit."""
    begin: int
    """Number of the first training, which is also the repeat whose seed it uses."""
    end: int
    """Number after the last training."""


class Scores:
    """Scores so far. Trainings may arrive in any order; histograms are those of the first trainings of each circuit.

    Args:
        n_circuits: Number of circuits, K.
    """

    def __init__(self, n_circuits: int) -> None:
        # NaN for trainings that have not been run.
        self._scores: list[Floats] = [np.empty(0)] * n_circuits
        self._counted = np.zeros(n_circuits, np.int64)
        self._values = np.empty(0)
        self._counts = np.zeros((n_circuits, 0), np.int64)

    def insert(self, block: Block, scores: Floats) -> None:
        """Store the scores of a block."""
        known = self._scores[block.circuit]
        if len(known) < block.end:
            longer = np.full(max(block.end, 2 * len(known)), np.nan)
            longer[: len(known)] = known
            known = self._scores[block.circuit] = longer
        known[block.begin : block.end] = scores

    def missing(self, targets: Integers) -> Iterator[Block]:
        """Yield blocks of the trainings that are missing among the first `targets` (K,) of each circuit."""
        for circuit, target in enumerate(targets.tolist()):
            scores = self._scores[circuit][:target]
            is_missing = np.concatenate([np.isnan(scores), np.ones(target - len(scores), np.bool_)])
            edges = np.flatnonzero(np.diff(is_missing, prepend=False, append=False))
            for begin, end in edges.reshape(-1, 2).tolist():
                yield Block(circuit, begin, end)

    @property
    def complete(self) -> Integers:
        """(K,) number of trainings of each circuit before the first one that is missing."""
        # A missing training is appended, for circuits without one.
        return np.array([int(np.isnan(np.append(scores, np.nan)).argmax()) for scores in self._scores], np.int64)

    def histograms(self, targets: Integers) -> Histograms:
        """Return the histograms of the first `targets` (K,) scores of each circuit.

        Every circuit has at least one score, and no target is lower than in an earlier call.
        """
        changed = np.flatnonzero(targets > self._counted)
        if len(changed):
            new = [self._scores[circuit][self._counted[circuit] : targets[circuit]] for circuit in changed]
            scores = np.concatenate(new)
            self._add_values(scores)
            rows = np.repeat(changed, [len(part) for part in new])
            np.add.at(self._counts, (rows, np.searchsorted(self._values, scores)), 1)
            self._counted[changed] = targets[changed]
        return Histograms.of_counts(self._counts, self._values)

    def _add_values(self, scores: Floats) -> None:
        """Add columns for values that have not occurred before."""
        values = np.union1d(self._values, scores)
        if len(values) > len(self._values):
            counts = np.zeros((len(self._counts), len(values)), np.int64)
            counts[:, np.searchsorted(values, self._values)] = self._counts
            self._values = values
            self._counts = counts
