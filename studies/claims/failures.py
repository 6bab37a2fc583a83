"""Trainings that come to nothing, and where: the signs of failure that the paper names for circuits of many FLOPs."""

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

DEAR = 0.25
"""The share of the genomes, those of the most quantum FLOPs, that is held against the rest."""
HALF = 0.5
"""The accuracy below which the paper speaks of failure."""
UNMOVED = 0.99
"""A training loss that is not below this share of the loss of always telling the shares of the classes."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Shares of trainings, over genomes, each of which counts once."""

    failing: Interval
    """That are no better on the test part than always naming the most frequent class of the training part."""
    more_if_dear: Interval
    """That share among the dearest `DEAR` of the genomes, less that among the others."""
    below_half: Interval
    """Among the dearest, those with an accuracy below `HALF`."""
    unmoved: Interval
    """Among the dearest, those whose training loss has not moved: what vanishing gradients would do."""
    constant: float
    """The test accuracy of always naming the most frequent class."""
    by_qubits: Mapping[str, list[float]]
    """By embedding, the share of failing trainings for each number of qubits."""


def failures(genomes: Genomes, table: Table, splits: DataSplits, epochs: int) -> Failures:
    """What fails after so many epochs.

    Args:
        splits: the data of the table.
    """
    classes = np.bincount(splits.train.y, minlength=splits.n_classes)
    constant = int((splits.test.y == classes.argmax()).sum())
    right = table.right("test", epochs)
    failing = genomes.spread(right <= constant)
    below = genomes.spread(right < HALF * len(splits.test))
    losses = np.stack([table.column(loss_column("train", epochs, seed)) for seed in table.seeds], axis=1)
    unmoved = genomes.spread(losses >= UNMOVED * _entropy(classes))
    dear = genomes.dearest(DEAR)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        shares = failing[:, seeds].mean(axis=1)
        among = genomes.mean(shares, dear)
        others = [genomes.mean(rows[:, seeds].mean(axis=1), dear) for rows in (below, unmoved)]
        return np.array([genomes.mean(shares), among - genomes.mean(shares, ~dear), *others])

    share, more, below_half, still = jackknife(statistics, right.shape[1])
    return Failures(
        failing=share,
        more_if_dear=more,
        below_half=below_half,
        unmoved=still,
        constant=constant / len(splits.test),
        by_qubits={str(one): _by_qubits(genomes, failing.mean(axis=1), one) for one in PAPER_EMBEDDINGS},
    )


def _by_qubits(genomes: Genomes, shares: NDArray[np.float64], embedding: Embedding) -> list[float]:
    """The mean of shares (rows,) for each number of qubits."""
    numbers, embedded = genomes.groups["qubits"], genomes.groups["embedding"] == sorted(PAPER_EMBEDDINGS).index(embedding)
    return [genomes.mean(shares, embedded & (numbers == place)) for place in range(len(GENES["n_qubits"]))]


def _entropy(counts: NDArray[np.int64]) -> float:
    """The mean negative log-likelihood of always telling the shares of the classes, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
