"""What a study has found as data frames of pandas."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import ErrorEstimate, Score
from faqnas_optuna.reporting.documents import check_successful, on_device
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import StudyState

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame


def front_frame(state: StudyState) -> "DataFrame":
    """A row a circuit of the front, by cost.

    Raises:
        ConfigError: the study is a confirmation.
        NoSuccessfulTrialError: there is none yet.
    """
    check_successful(state)
    return _frame(_entry(candidate, state) for candidate in state.front)


def trials_frame(state: StudyState) -> "DataFrame":
    """A row a circuit that was counted and trained, on the front or not, by trial; of clones the first.

    Raises:
        ConfigError: the study is a confirmation.
        NoSuccessfulTrialError: there is none yet.
    """
    check_successful(state)
    on_front = {candidate.trial for candidate in state.front}
    return _frame(
        _entry(candidate, state) | {"on_front": candidate.trial in on_front}
        for candidate in sorted(state.candidates, key=lambda candidate: candidate.trial)
    )


def confirmed_frame(document: Mapping[str, Any]) -> "DataFrame":
    """A row a circuit of a `confirmation_document`, by cost, with what each of its controls is worth on the test part,
    by the study's score."""
    return _frame(_confirmed_entry(entry, Score(document["score"])) for entry in document["circuits"])


def _entry(candidate: Candidate, state: StudyState) -> dict[str, Any]:
    record, repeats = candidate.record, state.search.config.training.repeats
    return {
        "trial": candidate.trial,
        "quantum_flops": candidate.quantum_flops,
        **on_device(record),
        **({"pooled": 1 - candidate.val_error} if state.search.config.search.front is ErrorEstimate.POOLED else {}),
        "val_accuracy": record.val_accuracy,
        **_ends("val_accuracy", record.interval(Score.ACCURACY, repeats)),
        "val_balanced_accuracy": _number(record.val_balanced_accuracy),
        **_ends("val_balanced_accuracy", record.interval(Score.BALANCED, repeats)),
        "parameters": record.parameters,
        "circuit": str(candidate.effective),
        **candidate.genome.to_params(),
    }


def _confirmed_entry(entry: Mapping[str, Any], score: Score) -> dict[str, Any]:
    return {
        "trial": entry["trial"],
        "quantum_flops": entry["quantum_flops"],
        **({"neg_log_esp": entry["neg_log_esp"]} if "neg_log_esp" in entry else {}),
        "test_accuracy": entry["test_accuracy"],
        **_ends("test_accuracy", entry["test_accuracy_interval"]),
        "test_balanced_accuracy": entry["test_balanced_accuracy"],
        **_ends("test_balanced_accuracy", entry["test_balanced_accuracy_interval"]),
        "believed": entry[f"val_{score.key}"],
        "optimism": entry["optimism"],
        "live_parameters": entry["parameters"],
        **{control["model"]: control[f"test_{score.key}"] for control in entry["controls"]},
        "circuit": entry["effective"],
        "told": entry["told"],
    }


def _ends(name: str, interval: Iterable[float] | None) -> dict[str, float]:
    """Of an interval; not a number where there is none."""
    low, high = interval or (None, None)
    return {f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _frame(rows: Iterable[Mapping[str, Any]]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame(list(rows))
