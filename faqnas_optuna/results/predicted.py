"""What a trained network says of other data: a table of classes and probabilities, and how many are right."""

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.errors import DataError
from faqnas_optuna.learning.trained import TrainedModel, counted

if TYPE_CHECKING:
    import pandas as pd


def predictions_csv(probabilities: NDArray[np.float64], model: TrainedModel) -> str:
    """A line for each sample: its most likely class, and the probability of each class (samples, classes)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *(f"p_{label}" for label in model.classes)])
    for row in probabilities:
        writer.writerow([model.classes[int(row.argmax())], *(f"{share:.6f}" for share in row)])
    return text.getvalue()


def score(frame: "pd.DataFrame", probabilities: NDArray[np.float64], model: TrainedModel, target: str) -> dict[str, Any] | None:
    """How many samples are told right; None if the data do not say what they are.

    Raises:
        DataError: they are of a class that the model does not know, or a value is missing.
    """
    if target not in frame.columns:
        return None
    known = {str(label): index for index, label in enumerate(model.classes)}
    labels = [_text(value) for value in frame[target].tolist()]
    if unknown := next((label for label in labels if label not in known), None):
        raise DataError(
            f"column {target!r} holds {unknown!r}, and the model knows {', '.join(known)}; rename it to score nothing"
        )
    y = np.array([known[label] for label in labels], np.int64)
    return counted(y, probabilities.argmax(axis=1), len(model.classes))


def unused(frame: "pd.DataFrame", model: TrainedModel, target: str) -> str:
    """The columns that the model does not look at, in words."""
    extra = [str(name) for name in frame.columns if name not in {*model.columns, target}]
    return ", ".join(extra[:5]) + (f" and {len(extra) - 5} more columns" if extra[5:] else "")


def _text(value: Any) -> str:
    """A class as the model's classes are written: a number that is whole without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
