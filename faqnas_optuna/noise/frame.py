"""Scores under noise as a data frame of pandas."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.frames import data_frame, interval_columns

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame


def noise_frame(document: Mapping[str, Any], score: Score) -> "DataFrame":
    """Return a row for each circuit and strength of a `noise_document`, with the mean test score and its 95 % interval."""
    name = f"test_{score.key}"
    return data_frame(
        {
            "trial": circuit["trial"],
            "strength": strength,
            name: mean,
            **interval_columns(name, interval),
            "cost": circuit["cost"],
            "circuit": circuit["effective"],
        }
        for circuit in document["circuits"]
        for strength, mean, interval in zip(document["strengths"], circuit[name], circuit[f"{name}_interval"], strict=True)
    )
