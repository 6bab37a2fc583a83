"""Predictions of a trained network for new samples: table of classes and probabilities, and their accuracy."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.classes import class_indices, label_texts
from faqnas_optuna.data.preprocessing import Unfamiliar
from faqnas_optuna.data.reading import Source
from faqnas_optuna.errors import DataError
from faqnas_optuna.models.trained_model import TrainedModel, accuracies_of

MAX_LINES = 10
"""Maximum number of columns that a report lists one by one."""


def predictions_csv(probabilities: NDArray[np.float64], model: TrainedModel) -> str:
    """Return a CSV table with one line per sample: the most likely class, and the probability of each class.

    Args:
        probabilities: (samples, classes).
    """
    text = io.StringIO()
    # The default of the csv module is "\r\n".
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *(f"p_{label}" for label in model.classes)])
    for row in probabilities:
        writer.writerow([model.classes[int(row.argmax())], *(f"{share:.6f}" for share in row)])
    return text.getvalue()


def score(source: Source, probabilities: NDArray[np.float64], model: TrainedModel) -> dict[str, Any] | None:
    """Return the accuracies over the samples that have a label; None if no sample has one.

    Raises:
        DataError: A label is not one of the model's classes.
    """
    # The samples may come with labels or without.
    target = model.schema.label
    if target not in source.frame.columns:
        return None
    y = class_indices(target, label_texts(target, source.frame[target]), model.classes)
    # Missing labels have the index -1.
    has_label = y >= 0
    if not has_label.any():
        return None
    return accuracies_of(y[has_label], probabilities[has_label].argmax(axis=1), len(model.classes))


def unused(source: Source, model: TrainedModel) -> str:
    """Return a list of the columns that the training data did not have, as text; empty if there are none."""
    # Five names keep the message on one line.
    extra = [str(name) for name in source.frame.columns if name not in model.schema.kinds]
    return ", ".join(extra[:5]) + (f" and {len(extra) - 5} more columns" if extra[5:] else "")


def report_lines(entries: Sequence[Unfamiliar]) -> list[str]:
    """Return a line for each column with values that the training part did not have."""
    lines = [str(entry) for entry in entries[:MAX_LINES]]
    n_more = len(entries) - len(lines)
    if n_more:
        lines.append(f"and {n_more} more")
    return lines


def check_familiar(entries: Sequence[Unfamiliar], name: str) -> None:
    """Check that samples have no values that the training part did not have.

    Raises:
        DataError: There are such values; the message lists the columns.
    """
    if entries:
        raise DataError(f"{name}: {'; '.join(report_lines(entries))}; correct them, or predict without --strict")
