"""A confirmation as a data frame of pandas."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.frames import data_frame, interval_columns

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame


def confirmed_frame(document: Mapping[str, Any]) -> "DataFrame":
    """A row a circuit of a `confirmation_document`, by cost, with what each of its controls is worth on the test part,
    by the study's score."""
    return data_frame(_confirmed_entry(entry, Score(document["score"])) for entry in document["circuits"])


def _confirmed_entry(entry: Mapping[str, Any], score: Score) -> dict[str, Any]:
    return {
        "trial": entry["trial"],
        "quantum_flops": entry["quantum_flops"],
        **({"neg_log_esp": entry["neg_log_esp"]} if "neg_log_esp" in entry else {}),
        "test_accuracy": entry["test_accuracy"],
        **interval_columns("test_accuracy", entry["test_accuracy_interval"]),
        "test_balanced_accuracy": entry["test_balanced_accuracy"],
        **interval_columns("test_balanced_accuracy", entry["test_balanced_accuracy_interval"]),
        "believed": entry[f"val_{score.key}"],
        "optimism": entry["optimism"],
        "live_parameters": entry["parameters"],
        **{control["model"]: control[f"test_{score.key}"] for control in entry["controls"]},
        "circuit": entry["effective"],
        "told": entry["told"],
    }
