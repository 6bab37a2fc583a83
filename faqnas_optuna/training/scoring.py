"""What a network's answers are worth: the share of the samples that it tells right, and of those of each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import Score
from faqnas_optuna.errors import TrainingError

Confusion = tuple[tuple[int, ...], ...]
"""Samples: a row for each true class, a column for each that was told."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Both scores of the answers on one part."""

    accuracy: float
    balanced: float

    @classmethod
    def of(cls, y: NDArray[np.int64], told: NDArray[np.int64]) -> Self:
        """Of class indices (samples,), true and told."""
        return cls.of_confusion(confusion(y, told, n_classes=int(max(y.max(), told.max())) + 1))

    @classmethod
    def of_confusion(cls, counts: Sequence[Sequence[int]]) -> Self:
        """Of samples by true and told class."""
        right = sum(row[place] for place, row in enumerate(counts))
        return cls(accuracy=right / sum(map(sum, counts)), balanced=balanced_accuracy(counts))

    def by(self, score: Score) -> float:
        """The one that a study goes by."""
        return score.of(accuracy=self.accuracy, balanced=self.balanced)


def most_likely(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return the index of the most likely class of each sample (samples,), from scores (samples, classes).

    Raises:
        TrainingError: a score is not finite: it names no class, although `argmax` would.
    """
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        raise TrainingError(
            f"the network's outputs are not finite for {np.count_nonzero(~finite):,} of {len(scores):,} samples; try a lower"
            " learning rate, or look for extreme values in the data"
        )
    return np.asarray(scores.argmax(axis=1), np.int64)


def confusion(y: NDArray[np.int64], told: NDArray[np.int64], *, n_classes: int) -> Confusion:
    """Samples by true and told class, from the indices (samples,) of both."""
    counts = np.bincount(y * n_classes + told, minlength=n_classes**2).reshape(n_classes, n_classes)
    return tuple(map(tuple, counts.tolist()))


def recalls(counts: Sequence[Sequence[int]]) -> tuple[float | None, ...]:
    """Of each class, the share of its samples that is told right; None of a class without samples."""
    return tuple(row[place] / sum(row) if sum(row) else None for place, row in enumerate(counts))


def balanced_accuracy(counts: Sequence[Sequence[int]]) -> float:
    """Mean of the recalls of the classes that have samples (Brodersen et al. 2010, DOI 10.1109/ICPR.2010.764)."""
    return fmean(recall for recall in recalls(counts) if recall is not None)
