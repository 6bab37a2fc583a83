"""Scores of predictions: accuracy, recall of each class, and balanced accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import Score
from faqnas_optuna.errors import TrainingError

Confusion = tuple[tuple[int, ...], ...]
"""Confusion matrix: number of samples by true class (rows) and predicted class (columns)."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Accuracy and balanced accuracy of the predictions on one part."""

    accuracy: float
    balanced: float

    @classmethod
    def of(cls, y: NDArray[np.int64], predicted: NDArray[np.int64]) -> Self:
        """Return the scores for class indices (samples,), true and predicted."""
        # Classes beyond the largest index that occurs would only add empty rows and columns.
        return cls.of_confusion(confusion(y, predicted, n_classes=int(max(y.max(), predicted.max())) + 1))

    @classmethod
    def of_confusion(cls, counts: Sequence[Sequence[int]]) -> Self:
        """Return the scores for a confusion matrix.

        >>> Scores.of_confusion([[8, 2], [1, 1]])
        Scores(accuracy=0.75, balanced=0.65)
        """
        n_correct = sum(row[index] for index, row in enumerate(counts))
        return cls(accuracy=n_correct / sum(map(sum, counts)), balanced=balanced_accuracy(counts))

    def by(self, score: Score) -> float:
        """Return the score that a study uses."""
        return score.of(accuracy=self.accuracy, balanced=self.balanced)


def most_likely(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return the index of the most likely class of each sample (samples,), from scores (samples, classes).

    Raises:
        TrainingError: A score is not finite.
    """
    # `argmax` would return a class for NaN and infinity as well.
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        raise TrainingError(
            f"the network's outputs are not finite for {np.count_nonzero(~finite):,} of {len(scores):,} samples; try a lower"
            " learning rate, or check the data for extreme values"
        )
    return np.asarray(scores.argmax(axis=1), np.int64)


def confusion(y: NDArray[np.int64], predicted: NDArray[np.int64], *, n_classes: int) -> Confusion:
    """Return the confusion matrix for class indices (samples,), true and predicted."""
    counts = np.bincount(y * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    return tuple(map(tuple, counts.tolist()))


def recalls(counts: Sequence[Sequence[int]]) -> tuple[float | None, ...]:
    """Return the recall of each class, the share of its samples that are predicted correctly; None without samples."""
    return tuple(row[index] / sum(row) if sum(row) else None for index, row in enumerate(counts))


def balanced_accuracy(counts: Sequence[Sequence[int]]) -> float:
    """Return the mean recall of the classes that have samples (Brodersen et al. 2010, DOI 10.1109/ICPR.2010.764)."""
    return fmean(recall for recall in recalls(counts) if recall is not None)
