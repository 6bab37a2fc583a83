"""Weights of samples in the loss of a training, as scikit-learn's classifiers accept them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from faqnas_optuna.data.splits import Split
from faqnas_optuna.errors import ParameterError


def weighted_rows(sample_weight: Any, x: Any) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Return the numbers of the samples with a weight above 0, and their weights; None without weights.

    Args:
        sample_weight: (samples,) weights, one weight for all samples, or None.
        x: Samples.

    Raises:
        ValueError: Scikit-learn refuses the weights: not one per sample, one is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return np.arange(len(x)), None
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
    rows = np.flatnonzero(weights)
    return rows, weights[rows]


def weighted_split(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    *,
    classes: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    class_weight: Any,
) -> Split:
    """Return samples with the products of their weights and the weights of their classes.

    Samples of weight 0 are left out. Equal weights are None, so that the training is the one without weights, bit for bit.

    Args:
        y: Indices into `classes` (samples,).
        class_weight: `balanced`, a dictionary from classes to weights, or None.

    Raises:
        ParameterError: The weight of a class is negative or not finite.
        ValueError: Scikit-learn refuses the weights of the classes.
    """
    if sample_weight is None and class_weight is None:
        return Split(x=x, y=y)
    # Only the ratios of weights matter. The largest becomes 1, so that no sum overflows.
    own = np.ones(len(y)) if sample_weight is None else sample_weight / sample_weight.max()
    if isinstance(class_weight, str) and class_weight == "balanced":
        # Samples are counted by their own weights, so that a sample of weight 2 is like two samples.
        counts = np.bincount(y, own, minlength=len(classes))
        by_class = counts.sum() / (len(classes) * counts)
    else:
        by_class = compute_class_weight(class_weight, classes=classes, y=classes[y])
    if not (np.isfinite(by_class).all() and (by_class >= 0).all() and by_class.any()):
        raise ParameterError(f"class_weight must have finite weights of at least 0, and one above 0; it is {class_weight!r}")
    # A sample counts by its own weight and by that of its class, as in scikit-learn's classifiers.
    weights = own * by_class[y]
    rows = np.flatnonzero(weights)
    weights = weights[rows] / weights.max()
    is_uniform = np.ptp(weights) == 0
    return Split(x=np.ascontiguousarray(x[rows]), y=y[rows], weights=None if is_uniform else weights)
