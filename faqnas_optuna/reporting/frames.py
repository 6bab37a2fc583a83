"""What a study has found as data frames of pandas."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.reporting.columns import Output, values
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame


def front_frame(state: SearchState) -> "DataFrame":
    """A row a circuit of the front, by cost.

    Raises:
        NoSuccessfulTrialError: there is none yet.
    """
    check_successful(state)
    return data_frame(_entry(candidate, state.study.description) for candidate in state.front)


def trials_frame(state: SearchState) -> "DataFrame":
    """A row a circuit that was counted and trained, on the front or not, by trial; of clones the first.

    Raises:
        NoSuccessfulTrialError: there is none yet.
    """
    check_successful(state)
    on_front = {candidate.trial for candidate in state.front}
    return data_frame(
        _entry(candidate, state.study.description) | {"on_front": candidate.trial in on_front}
        for candidate in sorted(state.candidates, key=lambda candidate: candidate.trial)
    )


def _entry(candidate: Candidate, study: Description) -> dict[str, Any]:
    cells = frame_cells(values(Output.FRAME, candidate, study))
    return {"trial": candidate.trial, **cells, "circuit": str(candidate.effective_gates), **candidate.genome.to_params()}


def frame_cells(values: Mapping[str, Any]) -> dict[str, float]:
    """Return values by name, intervals as two columns, and not a number for None."""
    cells: dict[str, float] = {}
    for name, value in values.items():
        is_interval = name.endswith("_interval")
        cells |= interval_columns(name.removesuffix("_interval"), value) if is_interval else {name: _number(value)}
    return cells


def interval_columns(name: str, interval: Iterable[float] | None) -> dict[str, float]:
    """Of an interval; not a number where there is none."""
    low, high = interval or (None, None)
    return {f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def data_frame(rows: Iterable[Mapping[str, Any]]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame(list(rows))
