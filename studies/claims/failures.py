"""Failed trainings: the signs of failure that the paper reports for circuits of many FLOPs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import DataSplits, Table
from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS
from faqnas_optuna.circuits.genome import GENES, Embedding
from faqnas_optuna.tables.schema import loss_column
from studies.claims.decomposition import Genomes
from studies.claims.intervals import Interval, jackknife

EXPENSIVE = 0.25
"""Fraction of the genomes, those with the most quantum FLOPs, that is compared with the rest."""
HALF = 0.5
"""Accuracy below which the paper calls a circuit a failure."""
UNMOVED = 0.99
"""Fraction of the loss of a constant prediction (the class frequencies); training losses above it count as unmoved."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Fractions of trainings; each genome has equal weight."""

    failing: Interval
    """Trainings no better on the test part than a constant prediction, the most frequent class of the training part."""
    more_if_dear: Interval
    """Difference in that fraction: the most expensive `EXPENSIVE` of the genomes minus the others."""
    below_half: Interval
    """Among the most expensive, the trainings with a test accuracy below `HALF`."""
    unmoved: Interval
    """Among the most expensive, the trainings whose loss has not moved, as vanishing gradients would cause."""
    constant: float
    """Test accuracy of the constant prediction."""
    by_qubits: Mapping[str, list[float]]
    """Fraction of failing trainings for each number of qubits, by embedding."""


def failures(genomes: Genomes, table: Table, splits: DataSplits, epochs: int) -> Failures:
    """Return the fractions of failed trainings after a number of epochs.

    Args:
        splits: Data of the table.
    """
    # The constant prediction is chosen by the training part and evaluated on the test part, like a network.
    classes = np.bincount(splits.train.y, minlength=splits.n_classes)
    constant = int((splits.test.y == classes.argmax()).sum())
    right = table.right("test", epochs)
    # (rows, seeds), one row for each circuit or, on two qubits, for each topology of it.
    failing = genomes.spread(right <= constant)
    below = genomes.spread(right < HALF * len(splits.test))
    # (circuits, seeds)
    losses = np.stack([table.column(loss_column("train", epochs, seed)) for seed in table.seeds], axis=1)
    unmoved = genomes.spread(losses >= UNMOVED * _entropy(classes))
    expensive = genomes.most_expensive(EXPENSIVE)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        shares = failing[:, seeds].mean(axis=1)
        difference = genomes.mean(shares, expensive) - genomes.mean(shares, ~expensive)
        others = [genomes.mean(rows[:, seeds].mean(axis=1), expensive) for rows in (below, unmoved)]
        return np.array([genomes.mean(shares), difference, *others])

    failing_share, difference, below_half_share, unmoved_share = jackknife(statistics, right.shape[1])
    return Failures(
        failing=failing_share,
        more_if_dear=difference,
        below_half=below_half_share,
        unmoved=unmoved_share,
        constant=constant / len(splits.test),
        by_qubits={str(embedding): _by_qubits(genomes, failing.mean(axis=1), embedding) for embedding in PAPER_EMBEDDINGS},
    )


def _by_qubits(genomes: Genomes, shares: NDArray[np.float64], embedding: Embedding) -> list[float]:
    """Return the mean of shares (rows,) over the genomes of an embedding, for each number of qubits."""
    numbers = genomes.groups["qubits"]
    # Groups are numbered in the sorted order of their values.
    is_embedding = genomes.groups["embedding"] == sorted(PAPER_EMBEDDINGS).index(embedding)
    return [genomes.mean(shares, is_embedding & (numbers == place)) for place in range(len(GENES["n_qubits"]))]


def _entropy(counts: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood, in nats, of predicting the class frequencies for every sample."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
