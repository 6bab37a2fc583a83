"""Predictions of a trained network on other data: a table of classes and probabilities, and their score."""

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
from faqnas_optuna.models.trained_model import TrainedModel, counted

MOST_LISTED = 10
"""Columns that a report spells out."""


def predictions_csv(probabilities: NDArray[np.float64], model: TrainedModel) -> str:
    """Return a line for each sample: its most likely class, and the probability of each class (samples, classes)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *(f"p_{label}" for label in model.classes)])
    for row in probabilities:
        writer.writerow([model.classes[int(row.argmax())], *(f"{share:.6f}" for share in row)])
    return text.getvalue()


def score(source: Source, probabilities: NDArray[np.float64], model: TrainedModel) -> dict[str, Any] | None:
    """Return the accuracy over the samples that have a label; None if there are none.

    Raises:
        DataError: a label is none of the model's classes.
    """
    target = model.schema.label
    if target not in source.frame.columns:
        return None
    y = class_indices(target, label_texts(target, source.frame[target]), model.classes)
    labelled = y >= 0
    if not labelled.any():
        return None
    return counted(y[labelled], probabilities[labelled].argmax(axis=1), len(model.classes))


def unused(source: Source, model: TrainedModel) -> str:
    """Return the columns that the training data did not have, in words."""
    extra = [str(name) for name in source.frame.columns if name not in model.schema.kinds]
    return ", ".join(extra[:5]) + (f" and {len(extra) - 5} more columns" if extra[5:] else "")


def report_lines(entries: Sequence[Unfamiliar]) -> list[str]:
    """Return a line for each column with values that the training part did not have."""
    lines = [str(entry) for entry in entries[:MOST_LISTED]]
    if more := len(entries) - len(lines):
        lines.append(f"and {more} more")
    return lines


def check_familiar(entries: Sequence[Unfamiliar], name: str) -> None:
    """Refuse samples with values that the training part did not have.

    Raises:
        DataError: there are such values; names the columns.
    """
    if entries:
        raise DataError(f"{name}: {'; '.join(report_lines(entries))}; correct them, or predict without --strict")
